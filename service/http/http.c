/* SPDX-License-Identifier: Apache-2.0 */
#include "service/http/http.h"
#include "config/remedies.h"
#include "service/http/delay.h"
#include "service/http/state_internal.h"
#include "service/http/stream.h"
#include "service/http/system.h"
#include "service/runtime/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TLS_LOOK_MS   5000U
#define BUCKETS_EVERY 10U                  /* seconds */
#define STOP_WAIT_NS  UINT64_C(2000000000) /* for the threads that read the store */

static void on_wakeup(evutil_socket_t socket, short what, void *user)
{
    struct http *http = user;
    (void)socket, (void)what;
    system_take_wakeup(http->wake);
    (void)http_open_notes(http);
    uv_mutex_lock(&http->streams.lock);
    bool intake = http->streams.intake_first || http->streams.gap;
    uv_mutex_unlock(&http->streams.lock);
    if (intake)
        streams_wake(&http->streams);
}

size_t http_degraded(struct http *http, struct http_degraded *out, size_t most)
{
    size_t count = 0;
    if (!http)
        return 0;
    uv_mutex_lock(&http->lock);
    for (size_t i = 0; i < HTTP_TROUBLES && count < most; ++i)
        if (http->trouble[i].why[0] != '\0')
            out[count++] = http->trouble[i];
    uv_mutex_unlock(&http->lock);
    return count;
}

static void tell_file(enum config_log_level level, const char *message, const char *path, const char *why)
{
    struct log_line line;
    log_begin(&line, level, message);
    log_text(&line, "file", path);
    log_text(&line, "why", why);
    log_end(&line);
}

/* Tokens and certificates. */

static void read_tokens(struct http *http)
{
    const char *path = http->settings.tokens;
    char error[TOKENS_ERROR_SIZE] = "";
    if (!path)
        tokens_clear(&http->tokens);
    bool good = !path || tokens_read(path, &http->tokens, error);
    if (http_set_trouble(http, HTTP_TROUBLE_TOKENS, path ? path : "", good ? NULL : error) && !good)
        tell_file(CONFIG_LOG_WARNING, "http_tokens: cannot be used; those of before count", path, error);
}

static struct tls_files files_of(const struct http *http)
{
    return (struct tls_files){http->settings.tls_cert, http->settings.tls_key, http->settings.client_ca};
}

static void read_tls(struct http *http)
{
    struct tls_files files = files_of(http);
    char error[TLS_ERROR_SIZE] = "";
    bool good = true;
    if (!files.certificate && !files.key) {
        tls_clear(&http->tls);
    } else if (!files.certificate || !files.key) {
        good = false;
        (void)snprintf(error, sizeof error, "http_tls_cert and http_tls_key belong together; set both");
    } else {
        good = tls_read(&http->tls, &files, error);
    }
    const char *path = files.certificate ? files.certificate : "";
    if (http_set_trouble(http, HTTP_TROUBLE_TLS, path, good ? NULL : error) && !good)
        tell_file(CONFIG_LOG_WARNING,
                  http->tls.context ? "http_tls_cert: cannot be used; the one of before counts"
                                    : "http_tls_cert: cannot be used",
                  path, error);
}

/* Reloads changed certificate files, and notices an expired certificate. */
static void look_at_tls(struct http *http)
{
    struct tls_files files = files_of(http);
    if (!files.certificate || !files.key)
        return;
    if (tls_has_changed(&http->tls, &files)) {
        read_tls(http);
        if (http->trouble[HTTP_TROUBLE_TLS].why[0] == '\0') {
            tell_file(CONFIG_LOG_NOTICE, "http_tls_cert: read again", files.certificate, NULL);
            endpoints_configure(http);
        }
    } else if (tls_is_expired(&http->tls) &&
               http_set_trouble(http, HTTP_TROUBLE_TLS, files.certificate, "has expired; renew it")) {
        tell_file(CONFIG_LOG_WARNING, "http_tls_cert: has expired; renew it", files.certificate, NULL);
    }
}

/*
 * Asks the store for its sinks each second, and for the largest groups of crashes each ten seconds, so that a status
 * and /metrics need not wait for the store.
 */
static void answer_sinks(struct call *call)
{
    struct http *http = call->http;
    if (!call->reader)
        return;
    sink_states_read(&http->sinks, call->reader, http->ops);
    if (http->buckets_asked++ % BUCKETS_EVERY == 0)
        bucket_states_read(&http->buckets, call->reader, call_now_us());
}

static void on_sinks(struct call *call)
{
    call->http->sinks_asked = false;
    call_free(call);
}

static void ask_sinks(struct http *http)
{
    static const struct route route = {.thread = ROUTE_STORE, .answer = answer_sinks};
    struct call *call = http->store && !http->sinks_asked ? call_new(http, NULL) : NULL;
    if (!call)
        return;
    call->route = &route;
    call->back = on_sinks;
    http->sinks_asked = jobs_push(&http->reading, call);
    if (!http->sinks_asked)
        call_free(call);
}

static void on_second(evutil_socket_t socket, short what, void *user)
{
    struct http *http = user;
    (void)socket, (void)what;
    stream_second(http);
    ask_sinks(http);
    if (++http->seconds % (TLS_LOOK_MS / 1000) == 0)
        look_at_tls(http);
}

/* Settings. */

static void clear_settings(struct settings *settings)
{
    char *texts[] = {settings->socket,   settings->group,   settings->tokens,
                     settings->tls_cert, settings->tls_key, settings->client_ca};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; ++i)
        free(texts[i]);
    for (size_t i = 0; i < settings->name_count; ++i)
        free(settings->names[i]);
    free(settings->names);
    *settings = (struct settings){.names = NULL};
}

static bool copy(char **to, const char *from)
{
    *to = from ? strdup(from) : NULL;
    return !from || *to;
}

static bool copy_settings(struct settings *to, const struct http_options *from)
{
    *to = (struct settings){.address = from->address,
                            .address_told = from->address_told,
                            .read_told = from->read_told,
                            .read_needs_token = from->read_needs_token,
                            .metrics_targets = from->metrics_targets};
    bool good = copy(&to->socket, from->socket) && copy(&to->group, from->group) && copy(&to->tokens, from->tokens) &&
                copy(&to->tls_cert, from->tls_cert) && copy(&to->tls_key, from->tls_key) &&
                copy(&to->client_ca, from->client_ca);
    if (good && from->name_count > 0)
        good = (to->names = calloc(from->name_count, sizeof *to->names)) != NULL;
    for (; good && to->name_count < from->name_count; ++to->name_count)
        good = copy(&to->names[to->name_count], from->names[to->name_count]);
    if (!good)
        clear_settings(to);
    return good;
}

static void apply_settings(struct http *http)
{
    read_tokens(http);
    read_tls(http);
    endpoints_configure(http);
}

struct configured {
    struct note note;
    struct settings settings;
};

static void on_configured(struct note *note, struct http *http)
{
    struct configured *configured = (struct configured *)note;
    if (http->closing) {
        clear_settings(&configured->settings);
    } else {
        clear_settings(&http->settings);
        http->settings = configured->settings;
        apply_settings(http);
    }
    free(configured);
}

bool http_configure(struct http *http, const struct http_options *options)
{
    struct configured *configured = http ? calloc(1, sizeof *configured) : NULL;
    if (!configured || !copy_settings(&configured->settings, options)) {
        free(configured);
        return !http;
    }
    configured->note.open = on_configured;
    (void)http_post(http, &configured->note);
    return true;
}

static void set_limits(struct http_limits *limits)
{
    const struct http_limits usual = {HTTP_CONNECTIONS_MAX, HTTP_LOCAL_MAX,    HTTP_STREAMS_MAX, HTTP_REQUEST_MS,
                                      HTTP_IDLE_MS,         HTTP_LATE_MS,      HTTP_CALL_MS,     HTTP_RETRY_MS,
                                      HTTP_PING_MS,         HTTP_REQUESTS_MAX, HTTP_ACCEPTS_MAX};
    unsigned *to = &limits->connections;
    const unsigned *from = &usual.connections;
    for (size_t i = 0; i < sizeof usual / sizeof *from; ++i)
        to[i] = to[i] > 0 ? to[i] : from[i];
}

/* The thread. */

static void run(void *user)
{
    struct http *http = user;
    system_yield();
    apply_settings(http);
    (void)http_open_notes(http);
    if (!http->closing) /* event_base_loopbreak before the loop starts has no effect */
        (void)event_base_loop(http->base, EVLOOP_NO_EXIT_ON_EMPTY);
}

static void on_close(struct note *note, struct http *http)
{
    (void)note;
    http->closing = true;
    (void)event_base_loopbreak(http->base);
}

static void clear(struct http *http)
{
    endpoint_close(&http->tcp);
    endpoint_close(&http->local);
    while (http_open_notes(http)) /* connections are gone: answers go, too */
        ;
    jobs_clear(&http->reading);
    jobs_clear(&http->memory);
    streams_clear(&http->streams);
    sink_states_clear(&http->sinks);
    tokens_clear(&http->tokens);
    tls_clear(&http->tls);
    clear_settings(&http->settings);
    if (http->wakeup)
        event_free(http->wakeup);
    if (http->second)
        event_free(http->second);
    if (http->base)
        event_base_free(http->base);
    system_close_wakeup(http->wake);
}

static void mark_closed(struct http *http)
{
    uv_mutex_lock(&http->lock);
    http->closed = true;
    uv_mutex_unlock(&http->lock);
}

static struct event_base *new_base(void)
{
    struct event_config *config = event_config_new();
    if (!config)
        return NULL;
    (void)event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
    (void)event_config_set_max_dispatch_interval(config, NULL, HTTP_OTHERS_AT_ONCE, HTTP_LANE_OTHERS);
    struct event_base *base = event_base_new_with_config(config);
    event_config_free(config);
    if (base && event_base_priority_init(base, HTTP_LANES) != 0) {
        event_base_free(base);
        return NULL;
    }
    return base;
}

static bool init(struct http *http, const struct http_options *options)
{
    http->base = new_base();
    if (!http->base || !system_open_wakeup(http->wake) || !copy_settings(&http->settings, options))
        return false;
    endpoint_init(&http->tcp, http, false);
    endpoint_init(&http->local, http, true);
    http->wakeup = event_new(http->base, http->wake[0], EV_READ | EV_PERSIST, on_wakeup, http);
    http->second = event_new(http->base, -1, EV_PERSIST, on_second, http);
    if (http->wakeup)
        (void)event_priority_set(http->wakeup, HTTP_LANE_LOCAL);
    return http->wakeup && http->second && event_add(http->wakeup, NULL) == 0 && delay_add(http->second, 1000) == 0 &&
           http->tcp.retry && http->tcp.pause && http->tcp.turn && http->local.retry && http->local.pause &&
           http->local.turn && streams_init(&http->streams, http->base, stream_on_tick) &&
           sink_states_init(&http->sinks);
}

/* False: one of them hangs. */
static bool stop_jobs(struct http *http)
{
    uint64_t until_ns = uv_hrtime() + STOP_WAIT_NS;
    bool reading = jobs_stop(&http->reading, until_ns), memory = jobs_stop(&http->memory, until_ns);
    return reading && memory;
}

static bool start(struct http *http)
{
    if (!jobs_start(&http->memory, http, false))
        return false;
    if (jobs_start(&http->reading, http, true) && uv_thread_create(&http->thread, run, http) == 0)
        return true;
    (void)stop_jobs(http);
    return false;
}

struct http *http_open(const struct http_options *options, const struct http_ops *ops, struct store *store)
{
    if (!system_has_files()) {
        log_plain(CONFIG_LOG_WARNING,
                  "http: kdnetd serves its machines without it, because few files can be opened; " REMEDY_MORE_FILES);
        return NULL;
    }
    struct http *http = calloc(1, sizeof *http);
    if (!http || uv_mutex_init(&http->lock) != 0) {
        free(http);
        return NULL;
    }
    TAILQ_INIT(&http->tcp.connections);
    TAILQ_INIT(&http->tcp.streaming);
    TAILQ_INIT(&http->local.connections);
    TAILQ_INIT(&http->local.streaming);
    TAILQ_INIT(&http->tcp.waiting);
    TAILQ_INIT(&http->local.waiting);
    http->wake[0] = http->wake[1] = -1;
    http->tcp.socket = http->local.socket = -1;
    http->owners = 1;
    http->ops = ops;
    http->store = store;
    http->limits = options->limits;
    set_limits(&http->limits);
    system_leave_files(&http->limits);
    if (init(http, options) && start(http))
        return http;
    mark_closed(http);
    clear(http);
    http_end_act(http);
    return NULL;
}

void http_publish(struct http *http, const struct store_event *events, size_t count)
{
    if (http && streams_take(&http->streams, events, count))
        system_wake(http->wake);
}

bool http_close(struct http *http)
{
    if (!http)
        return true;
    http->closing_note.open = on_close;
    (void)http_post(http, &http->closing_note);
    (void)uv_thread_join(&http->thread);
    if (!stop_jobs(http))
        return false; /* pending calls are posted to data that stays */
    mark_closed(http);
    clear(http);
    http_end_act(http);
    return true;
}
