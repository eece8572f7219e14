/* SPDX-License-Identifier: Apache-2.0 */
#include "service/server/api.h"
#include "service/http/http.h"
#include "service/server/server_internal.h"

#include <ctype.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STUCK_US  5000000U
#define HEX_SIZE  (2 * SNAPSHOTS_ID_LENGTH + 1)
#define TEXT_SIZE 2048 /* of labels as JSON; 16 of 32 and 64 bytes, escaped, may need more: then they are cut off */

static uint64_t wall_us(void)
{
    uv_timeval64_t now = {0};
    (void)uv_gettimeofday(&now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_usec;
}

static uint64_t clock_us(void)
{
    return uv_hrtime() / 1000;
}

bool api_init(struct api *api, struct server *server)
{
    if (uv_mutex_init(&api->lock) != 0)
        return false;
    api->status = calloc(1, sizeof *api->status);
    if (!api->status) {
        uv_mutex_destroy(&api->lock);
        return false;
    }
    api->server = server;
    api->read_us = wall_us();
    api->status->started_us = api->read_us;
    api->status->version = KDNETD_VERSION;
    (void)snprintf(api->status->not_ready, sizeof api->status->not_ready, "kdnetd is starting");
    return true;
}

void api_clear(struct api *api)
{
    if (!api->status)
        return;
    for (size_t i = 0; api->unknown && i < UNKNOWN_SOURCES_ROWS; ++i) {
        free(api->unknown[i].hint);
        free(api->unknown[i].target);
    }
    free(api->unknown);
    free(api->status);
    api->status = NULL;
    uv_mutex_destroy(&api->lock);
}

/* Loops */

static void turned(struct api *api, unsigned loop, uint64_t lag_us)
{
    struct api_loop *of = &api->loops[loop];
    uint64_t now_us = clock_us();
    _Atomic uint64_t *slot = &of->lag_us[now_us / 1000000 % API_LAG_SECONDS];
    atomic_store(slot, lag_us);
    atomic_store(&of->turned_us, now_us);
}

void api_worker_turned(struct api *api, unsigned worker, uint64_t asked_us)
{
    uint64_t now_us = clock_us();
    if (worker + 1 < HTTP_LOOPS)
        turned(api, worker + 1, now_us > asked_us ? now_us - asked_us : 0);
}

static const char *find_stuck(void *user)
{
    static const char *const names[] = {"server",   "worker-0", "worker-1", "worker-2", "worker-3",
                                        "worker-4", "worker-5", "worker-6", "worker-7"};
    struct api *api = user;
    uint64_t now_us = clock_us();
    for (unsigned i = 0; i < atomic_load(&api->loop_count); ++i) {
        uint64_t turned_us = atomic_load(&api->loops[i].turned_us);
        if (turned_us > 0 && now_us > turned_us && now_us - turned_us > STUCK_US)
            return i < sizeof names / sizeof names[0] ? names[i] : "worker";
    }
    return NULL;
}

/* The status */

static uint64_t people_us(uint64_t us)
{
    uint64_t wall = wall_us(), now_us = worker_now_us(), ago_us = now_us > us ? now_us - us : 0;
    return us == 0 || ago_us > wall ? 0 : wall - ago_us;
}

static void tell_port(struct api *api, const struct port *port)
{
    struct http_status *status = api->status;
    struct http_listener *to = &status->listeners[status->listener_count++];
    const struct listener_counts *counts = &port->counts;
    *to = (struct http_listener){.open = port->open,
                                 .heard_us = people_us(port->facts.heard_us),
                                 .received = counts->received,
                                 .malformed = counts->malformed,
                                 .forged = counts->forged,
                                 .unknown = counts->unknown,
                                 .unknown_data = counts->unknown_data,
                                 .refused = counts->refused,
                                 .shed = counts->shed,
                                 .overflowed = counts->overflowed,
                                 .sent = counts->sent,
                                 .send_failed = counts->send_failed,
                                 .send_dropped = counts->send_dropped};
    address_format(&port->local, to->address);
    memcpy(api->ports[api->port_count].address, to->address, sizeof to->address);
    api->ports[api->port_count++].counts = *counts;
}

/* What was degraded a second ago goes on to be it since then. */
static void tell_degraded(struct http_status *status, const struct http_status *before, const char *what,
                          const char *name, const char *why)
{
    if (status->degraded_count == HTTP_DEGRADED)
        return;
    struct http_degraded *to = &status->degraded[status->degraded_count++];
    (void)snprintf(to->what, sizeof to->what, "%s", what);
    (void)snprintf(to->name, sizeof to->name, "%s", name);
    (void)snprintf(to->why, sizeof to->why, "%s", why);
    to->since_us = wall_us();
    for (size_t i = 0; i < before->degraded_count; ++i)
        if (strcmp(before->degraded[i].what, to->what) == 0 && strcmp(before->degraded[i].name, to->name) == 0)
            to->since_us = before->degraded[i].since_us;
}

static void tell_ports(struct api *api, const struct http_status *before)
{
    struct http_status *status = api->status;
    status->listener_count = api->port_count = 0;
    for (const struct port *port = api->server->ports; port && status->listener_count < HTTP_LISTENERS;
         port = port->next) {
        if (!port->wanted)
            continue;
        tell_port(api, port);
        const char *name = status->listeners[status->listener_count - 1].address;
        if (!port->open)
            tell_degraded(status, before, "listener", name, port->error ? uv_strerror(port->error) : "it is not open");
        else if (port->deaf > 0)
            tell_degraded(status, before, "listener", name, "nothing can be received there");
        else if (port->hearing.verdict == HEARING_SILENT)
            tell_degraded(status, before, "listener", name, "its machines fell silent together");
    }
}

static void tell_store(struct api *api, const struct http_status *before)
{
    struct store_status *store = api->server->observe.store ? malloc(sizeof *store) : NULL;
    if (!store)
        return;
    store_status(api->server->observe.store, store);
    if (store->state == STORE_DEGRADED)
        tell_degraded(api->status, before, "store", store->path, store->error);
    free(store);
}

static void tell_event_log(struct api *api, const struct http_status *before)
{
    struct event_log_counts counts;
    event_log_count(&api->server->event_log, &counts);
    api->status->results_pending = counts.waiting_lines;
    if (counts.waiting_lines > 0 && counts.errors > 0 && event_log_is_wanted(&api->server->event_log))
        tell_degraded(api->status, before, "results", api->server->config.events ? api->server->config.events : "",
                      "lines wait, for the file cannot be written: look at its disk, its folder and who may write "
                      "there");
}

static void tell_readiness(struct api *api)
{
    const struct server *server = api->server;
    struct http_status *status = api->status;
    const char *why = server->stopping          ? "kdnetd is stopping"
                      : server->draining        ? "kdnetd is draining"
                      : ports_open(server) == 0 ? "no listener is open"
                                                : "";
    status->draining = server->draining;
    status->stopping = server->stopping;
    status->ready = why[0] == '\0';
    (void)snprintf(status->not_ready, sizeof status->not_ready, "%s", why);
}

static uint64_t count_unknown(const struct api *api)
{
    uint64_t count = 0;
    for (size_t i = 0; api->unknown && i < UNKNOWN_SOURCES_ROWS; ++i)
        count += api->unknown[i].first_us > 0;
    return count;
}

static bool same_source(const struct api_unknown *a, const struct unknown_source *b)
{
    return a->first_us > 0 && a->listen_port == b->listen_port && address_same_ip(&a->source, b->source.ip);
}

/* A row as it is now; another source in the same row begins anew. */
static struct api_unknown *renew_unknown(struct api *api, size_t at)
{
    const struct unknown_source *row = &api->server->unknown_sources.rows[at];
    struct api_unknown *to = &api->unknown[at];
    if (!row->used)
        return to;
    if (!same_source(to, row)) {
        free(to->hint);
        free(to->target);
        *to = (struct api_unknown){.listen_port = row->listen_port, .first_us = people_us(row->first_us)};
    }
    to->source = row->source;
    to->version = row->version;
    to->last_us = people_us(row->last_us);
    to->count = to->reported + row->count;
    return to;
}

static void renew_unknowns(struct api *api)
{
    const struct unknown_sources *sources = &api->server->unknown_sources;
    for (size_t i = 0; i < UNKNOWN_SOURCES_ROWS; ++i) {
        if (!sources->rows[i].used)
            continue;
        if (!api->unknown)
            api->unknown = calloc(UNKNOWN_SOURCES_ROWS, sizeof *api->unknown);
        if (!api->unknown)
            return;
        (void)renew_unknown(api, i);
    }
}

void api_note_unknown(struct api *api, const struct unknown_source *source, const char *hint, const char *target)
{
    if (!api->status)
        return;
    uv_mutex_lock(&api->lock);
    renew_unknowns(api);
    for (size_t i = 0; api->unknown && i < UNKNOWN_SOURCES_ROWS; ++i) {
        struct api_unknown *to = &api->unknown[i];
        if (!same_source(to, source))
            continue;
        free(to->hint);
        free(to->target);
        to->hint = strdup(hint);
        to->target = target ? strdup(target) : NULL;
        to->reported += source->count;
        to->count = to->reported + api->server->unknown_sources.rows[i].count;
    }
    uv_mutex_unlock(&api->lock);
}

static void tell_configuration(struct api *api, const struct http_status *before)
{
    struct server *server = api->server;
    struct http_status *status = api->status;
    const char *path = server->options->config_path;
    memcpy(status->collector, server->config.collector, sizeof status->collector);
    (void)snprintf(status->configuration, sizeof status->configuration, "%s", path ? path : "");
    (void)snprintf(status->configuration_error, sizeof status->configuration_error, "%s", server->mistake);
    status->reload_failed = server->mistake[0] != '\0';
    status->read_us = api->read_us;
    if (status->reload_failed)
        tell_degraded(status, before, "configuration", path ? path : "", server->mistake);
}

void api_look(struct api *api)
{
    struct http_status *before = api->status ? malloc(sizeof *before) : NULL;
    if (!before)
        return;
    turned(api, 0, 0);
    atomic_store(&api->loop_count,
                 api->server->worker_count + 1 < HTTP_LOOPS ? api->server->worker_count + 1 : HTTP_LOOPS);
    uv_mutex_lock(&api->lock);
    *before = *api->status;
    api->status->degraded_count = 0;
    api->status->workers = api->server->worker_count;
    api->totals = api->server->summary.totals;
    api->sessions = api->server->summary.sessions;
    tell_ports(api, before);
    tell_store(api, before);
    tell_event_log(api, before);
    tell_configuration(api, before);
    api->status->degraded_count += http_degraded(atomic_load(&api->http),
                                                 api->status->degraded + api->status->degraded_count,
                                                 HTTP_DEGRADED - api->status->degraded_count);
    tell_readiness(api);
    renew_unknowns(api);
    api->status->unknown_sources = count_unknown(api);
    uv_mutex_unlock(&api->lock);
    free(before);
}

static void get_status(void *user, struct http_status *out)
{
    struct api *api = user;
    uv_mutex_lock(&api->lock);
    *out = *api->status;
    uv_mutex_unlock(&api->lock);
    if (api->server->observe.snapshots)
        snapshots_count(api->server->observe.snapshots, out->targets);
}

/* Metrics and counters */

static void get_metrics(void *user, struct http_metrics *out)
{
    struct api *api = user;
    observe_metrics(&api->server->observe, out);
    out->loop_count = atomic_load(&api->loop_count);
    for (size_t i = 0; i < out->loop_count; ++i) {
        if (i == 0)
            (void)snprintf(out->loops[i].name, sizeof out->loops[i].name, "server");
        else
            (void)snprintf(out->loops[i].name, sizeof out->loops[i].name, "worker-%zu", i - 1);
        for (size_t j = 0; j < API_LAG_SECONDS; ++j) {
            uint64_t lag_us = atomic_load(&api->loops[i].lag_us[j]);
            if (lag_us > out->loops[i].lag_us)
                out->loops[i].lag_us = lag_us;
        }
    }
}

static void get_counters(void *user, http_counter_fn *each, void *each_user)
{
    struct api *api = user;
    uv_mutex_lock(&api->lock);
#define LISTENER_COUNTER(counter, log, help)                                                                           \
    for (size_t i = 0; i < api->port_count; ++i)                                                                       \
        each(each_user, &(struct http_counter){.name = #counter,                                                       \
                                               .label = "listener",                                                    \
                                               .value = api->ports[i].address,                                         \
                                               .number = (double)api->ports[i].counts.counter});
#define WORKER_COUNTER(counter, log, help)                                                                             \
    each(each_user, &(struct http_counter){.name = #counter, .number = (double)api->totals.counter});
#define WORKER_GAUGE(counter, log, help) WORKER_COUNTER(counter, log, help)
#define SESSION_COUNTER(counter, log, help)                                                                            \
    each(each_user, &(struct http_counter){.name = #counter, .number = (double)api->sessions.counter});
#include "service/runtime/counters.def"
    uv_mutex_unlock(&api->lock);
}

struct telling_sinks {
    http_sink_fn *each;
    void *user;
};

static void tell_sink(void *user, const struct sinks_status *status)
{
    const struct telling_sinks *telling = user;
    telling->each(telling->user, &(struct http_sink){.name = status->name,
                                                     .type = status->type,
                                                     .last_error = status->last_error,
                                                     .last_error_us = status->last_error_us,
                                                     .errors = status->errors,
                                                     .rejected = status->rejected,
                                                     .dropped = status->dropped});
}

static void get_sinks(void *user, http_sink_fn *each, void *each_user)
{
    struct api *api = user;
    struct telling_sinks telling = {each, each_user};
    struct sinks *sinks = api->server->observe.sinks;
    if (sinks)
        sinks_each(sinks, tell_sink, &telling);
}

/* Targets */

struct finding {
    struct server *server;
    const struct http_target_query *query;
    http_target_fn *each;
    void *user;
    size_t total, told;
    bool ended;
};

/* Whether `text` has `part`, in either case. */
static bool contains(const char *text, const char *part)
{
    size_t length = strlen(part);
    for (; *text; ++text) {
        size_t at = 0;
        while (at < length && text[at] && tolower((unsigned char)text[at]) == tolower((unsigned char)part[at]))
            ++at;
        if (at == length)
            return true;
    }
    return length == 0;
}

static bool has_label(const struct config_labels *labels, const struct http_label *wanted)
{
    for (const char *key = config_next_label(labels, NULL); key; key = config_next_label(labels, key))
        if (strcmp(key, wanted->key) == 0)
            return strcmp(key + strlen(key) + 1, wanted->value) == 0;
    return false;
}

static bool has_substring(const struct snapshot_view *view, const char *part)
{
    char address[ADDRESS_TEXT_SIZE];
    if (contains(view->name, part))
        return true;
    if (view->snapshot.has_address) {
        address_format(&view->snapshot.address, address);
        if (contains(address, part))
            return true;
    }
    for (const char *key = config_next_label(view->labels, NULL); key; key = config_next_label(view->labels, key))
        if (contains(key + strlen(key) + 1, part))
            return true;
    return false;
}

static bool matches(const struct http_target_query *query, const struct snapshot_view *view)
{
    if (query->states != 0 && !(query->states >> view->snapshot.state & 1))
        return false;
    for (size_t i = 0; i < query->label_count; ++i)
        if (!has_label(view->labels, &query->labels[i]))
            return false;
    return !query->substring || has_substring(view, query->substring);
}

static void format_id(bool known, const uint8_t id[static SNAPSHOTS_ID_LENGTH], char out[static HEX_SIZE])
{
    out[0] = '\0';
    for (size_t i = 0; known && i < SNAPSHOTS_ID_LENGTH; ++i)
        (void)snprintf(out + 2 * i, 3, "%02x", id[i]);
}

static void format_labels(const struct config_labels *labels, char out[static TEXT_SIZE])
{
    json_t *object = json_object();
    for (const char *key = config_next_label(labels, NULL); key; key = config_next_label(labels, key))
        (void)json_object_set_new(object, key, json_string(key + strlen(key) + 1));
    size_t length = json_dumpb(object, out, TEXT_SIZE - 1, JSON_COMPACT);
    json_decref(object);
    if (length == 0 || length >= TEXT_SIZE)
        length = (size_t)snprintf(out, TEXT_SIZE, "{}");
    out[length] = '\0';
}

static const char *text_or_null(const char *text)
{
    return text[0] != '\0' ? text : NULL;
}

/* The listener of that port: by its address when there is one alone, as most often. */
static const char *listener_of(struct server *server, uint16_t port, char out[static HTTP_ADDRESS_SIZE])
{
    struct api *api = &server->api;
    out[0] = '\0';
    uv_mutex_lock(&api->lock);
    for (size_t i = 0; i < api->port_count && port != 0; ++i) {
        const char *colon = strrchr(api->ports[i].address, ':');
        if (colon && strtoul(colon + 1, NULL, 10) == port) {
            memcpy(out, api->ports[i].address, HTTP_ADDRESS_SIZE);
            break;
        }
    }
    uv_mutex_unlock(&api->lock);
    return text_or_null(out);
}

static bool hand_on(struct finding *finding, const struct snapshot_view *view)
{
    const struct snapshot *snapshot = &view->snapshot;
    char address[ADDRESS_TEXT_SIZE], boot[HEX_SIZE], session[HEX_SIZE], labels[TEXT_SIZE], listener[HTTP_ADDRESS_SIZE];
    address_format(&snapshot->address, address);
    format_id(snapshot->has_boot, snapshot->boot, boot);
    format_id(snapshot->has_session, snapshot->session, session);
    format_labels(view->labels, labels);
    const struct http_target target = {
        .name = view->name,
        .state = (enum http_state)snapshot->state,
        .since_us = snapshot->since_us,
        .last_seen_us = snapshot->last_seen_us,
        .held_until_us = snapshot->state == TARGET_HELD ? view->more.held_until_us : 0,
        .address = snapshot->has_address ? address : NULL,
        .version = snapshot->version,
        .boot = text_or_null(boot),
        .session = text_or_null(session),
        .kernel = snapshots_kernel_text(finding->server->observe.snapshots, snapshot->kernel),
        .listener = listener_of(finding->server, snapshot->listener_port, listener),
        .worker = snapshot->stale || snapshot->state == TARGET_NEVER_SEEN ? -1 : snapshot->worker,
        .crash = text_or_null(view->more.crash),
        .crash_us = view->more.crash_us,
        .verdict = text_or_null(view->more.verdict),
        .labels = labels,
        .stale = snapshot->stale};
    return finding->each(finding->user, &target);
}

static bool on_view(void *user, const struct snapshot_view *view)
{
    struct finding *finding = user;
    const struct http_target_query *query = finding->query;
    if (!matches(query, view))
        return true;
    ++finding->total;
    if (finding->ended || finding->told >= query->limit || (query->after && strcmp(view->name, query->after) <= 0))
        return true; /* it counts all the same */
    ++finding->told;
    finding->ended = !hand_on(finding, view);
    return true;
}

static size_t get_targets(void *user, const struct http_target_query *query, http_target_fn *each, void *each_user)
{
    struct api *api = user;
    struct finding finding = {.server = api->server, .query = query, .each = each, .user = each_user};
    struct snapshots *snapshots = api->server->observe.snapshots;
    if (snapshots && query->name)
        (void)snapshots_look(snapshots, query->name, on_view, &finding);
    else if (snapshots)
        snapshots_each(snapshots, NULL, on_view, &finding);
    return finding.total;
}

/* Unknown sources */

static int newest_first(const void *a, const void *b)
{
    uint64_t one = (*(const struct api_unknown *const *)a)->last_us,
             other = (*(const struct api_unknown *const *)b)->last_us;
    return one < other ? 1 : one > other ? -1 : 0;
}

/* The hint ends with what to do, behind its last colon. */
static bool tell_unknown(const struct api_unknown *unknown, http_unknown_fn *each, void *user)
{
    char address[ADDRESS_TEXT_SIZE], hint[HTTP_DETAIL_SIZE] = "";
    const char *remedy = NULL;
    address_format_ip(&unknown->source, address);
    (void)snprintf(hint, sizeof hint, "%s", unknown->hint ? unknown->hint : "");
    for (char *at = strstr(hint, ": "); at; at = strstr(at + 1, ": "))
        remedy = at;
    if (remedy) {
        hint[remedy - hint] = '\0';
        remedy += 2;
    }
    const struct http_unknown told = {.address = address,
                                      .first_us = unknown->first_us,
                                      .last_us = unknown->last_us,
                                      .count = unknown->count,
                                      .version = unknown->version,
                                      .hint = text_or_null(hint),
                                      .remedy = remedy,
                                      .target = unknown->target};
    return each(user, &told);
}

static size_t get_unknown(void *user, http_unknown_fn *each, void *each_user)
{
    struct api *api = user;
    const struct api_unknown *order[UNKNOWN_SOURCES_ROWS];
    size_t count = 0;
    uv_mutex_lock(&api->lock);
    for (size_t i = 0; api->unknown && i < UNKNOWN_SOURCES_ROWS; ++i)
        if (api->unknown[i].first_us > 0)
            order[count++] = &api->unknown[i];
    qsort(order, count, sizeof order[0], newest_first);
    for (size_t i = 0; i < count && tell_unknown(order[i], each, each_user); ++i)
        ;
    uv_mutex_unlock(&api->lock);
    return count;
}

void api_ops(struct api *api, struct http_ops *ops)
{
    *ops = (struct http_ops){.user = api,
                             .status = get_status,
                             .metrics = get_metrics,
                             .counters = get_counters,
                             .sinks = get_sinks,
                             .stuck = find_stuck,
                             .targets = get_targets,
                             .unknown = get_unknown,
                             .act = api_act};
}

/* Serving */

static struct http_options options_of(const struct kdnetd_config *config)
{
    return (struct http_options){.address = config->http,
                                 .address_told = config_is_set(config, CONFIG_SET_http),
                                 .socket = config->http_socket,
                                 .group = config->http_socket_group,
                                 .tokens = config->http_tokens,
                                 .tls_cert = config->http_tls_cert,
                                 .tls_key = config->http_tls_key,
                                 .client_ca = config->http_client_ca,
                                 .names = (const char *const *)config->http_names.text,
                                 .name_count = config->http_names.count,
                                 .read_told = config_is_set(config, CONFIG_SET_http_read),
                                 .read_needs_token = config->http_read == CONFIG_HTTP_READ_TOKEN,
                                 .metrics_targets = config->metrics_targets};
}

static bool is_off(const struct kdnetd_config *config)
{
    return config->http.port == 0 && config->http_socket && strcmp(config->http_socket, "none") == 0;
}

void api_serve(struct api *api, const struct kdnetd_config *config)
{
    const struct http_options options = options_of(config);
    struct http *http = atomic_load(&api->http);
    if (http) {
        (void)http_configure(http, &options);
        return;
    }
    if (is_off(config) || !api->server->observe.snapshots)
        return;
    api_ops(api, &api->ops);
    atomic_store(&api->http, http_open(&options, &api->ops, api->server->observe.store));
}

bool api_end(struct api *api)
{
    return http_close(atomic_exchange(&api->http, NULL));
}

void api_committed(void *user, const struct store_event *events, size_t count)
{
    struct api *api = user;
    struct http *http = atomic_load(&api->http);
    if (http)
        http_publish(http, events, count);
}
