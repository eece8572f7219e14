/* SPDX-License-Identifier: Apache-2.0 */
#include "service/http/http.h"
#include "service/server/server_api_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STUCK_US 5000000U

uint64_t api_wall_us(void)
{
    uv_timeval64_t now = {0};
    (void)uv_gettimeofday(&now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_usec;
}

static uint64_t api_clock_us(void)
{
    return uv_hrtime() / 1000;
}

bool api_init(struct api *api, struct server *server)
{
    if (uv_mutex_init(&api->lock) != 0)
        return false;
    if (uv_mutex_init(&api->http_lock) != 0) {
        uv_mutex_destroy(&api->lock);
        return false;
    }
    api->status = calloc(1, sizeof *api->status);
    if (!api->status) {
        uv_mutex_destroy(&api->http_lock);
        uv_mutex_destroy(&api->lock);
        return false;
    }
    api->server = server;
    api->read_us = api_wall_us();
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
    uv_mutex_destroy(&api->http_lock);
    uv_mutex_destroy(&api->lock);
}

uint64_t api_people_us(uint64_t us)
{
    uint64_t wall = api_wall_us(), now_us = worker_now_us(), ago_us = now_us > us ? now_us - us : 0;
    return us == 0 || ago_us > wall ? 0 : wall - ago_us;
}

const char *api_text_or_null(const char *text)
{
    return text[0] != '\0' ? text : NULL;
}

/* Loops */

void api_turned(struct api *api, unsigned loop, uint64_t lag_us)
{
    struct api_loop *of = &api->loops[loop];
    uint64_t now_us = api_clock_us();
    _Atomic uint64_t *slot = &of->lag_us[now_us / 1000000 % API_LAG_SECONDS];
    atomic_store(slot, lag_us);
    atomic_store(&of->turned_us, now_us);
}

void api_worker_turned(struct api *api, unsigned worker, uint64_t asked_us)
{
    uint64_t now_us = api_clock_us();
    if (worker + 1 < HTTP_LOOPS)
        api_turned(api, worker + 1, now_us > asked_us ? now_us - asked_us : 0);
}

static const char *find_stuck(void *user)
{
    static const char *const names[] = {"server",   "worker-0", "worker-1", "worker-2", "worker-3",
                                        "worker-4", "worker-5", "worker-6", "worker-7"};
    struct api *api = user;
    uint64_t now_us = api_clock_us();
    for (unsigned i = 0; i < atomic_load(&api->loop_count); ++i) {
        uint64_t turned_us = atomic_load(&api->loops[i].turned_us);
        if (turned_us > 0 && now_us > turned_us && now_us - turned_us > STUCK_US)
            return i < sizeof names / sizeof names[0] ? names[i] : "worker";
    }
    return NULL;
}

/* Metrics and counters */

static void get_metrics(void *user, struct http_metrics *out)
{
    struct api *api = user;
    observe_counts_read(&api->server->observe.counts, out);
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

void api_ops(struct api *api, struct http_ops *ops)
{
    *ops = (struct http_ops){.user = api,
                             .status = api_get_status,
                             .metrics = get_metrics,
                             .counters = get_counters,
                             .sinks = get_sinks,
                             .stuck = find_stuck,
                             .targets = api_get_targets,
                             .unknown = api_get_unknown,
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

/* Replaces the HTTP object and returns the old one, which nobody publishes to any more. */
static struct http *exchange_http(struct api *api, struct http *http)
{
    uv_mutex_lock(&api->http_lock);
    struct http *before = api->http;
    api->http = http;
    uv_mutex_unlock(&api->http_lock);
    return before;
}

void api_serve(struct api *api, const struct kdnetd_config *config)
{
    const struct http_options options = options_of(config);
    if (api->http) {
        (void)http_configure(api->http, &options);
        return;
    }
    if (is_off(config) || !api->server->observe.snapshots || api->server->stopping)
        return;
    api_ops(api, &api->ops);
    (void)exchange_http(api, http_open(&options, &api->ops, api->server->observe.store));
}

struct http *api_take(struct api *api)
{
    return api->status ? exchange_http(api, NULL) : NULL;
}

bool api_close(struct http *http)
{
    return http_close(http);
}

void api_committed(void *user, const struct store_event *events, size_t count)
{
    struct api *api = user;
    uv_mutex_lock(&api->http_lock);
    if (api->http)
        http_publish(api->http, events, count);
    uv_mutex_unlock(&api->http_lock);
}
