/* SPDX-License-Identifier: Apache-2.0 */
/* State of kdnetd itself: health, readiness, status, and unknown sources. */
#include "service/http/api.h"
#include "service/http/http.h"
#include "service/http/state_internal.h"

#include <stdlib.h>

static const char *const state_names[HTTP_STATES] = {
    "never_seen", "connected", "halted", "held", "handed_over", "dumping", "rebooting", "lost",
};

const char *api_state_name(enum http_state state)
{
    return state_names[state];
}

void api_health(struct call *call)
{
    const struct http_ops *ops = call->http->ops;
    const char *stuck = ops->stuck(ops->user);
    if (stuck) {
        call_problem(call, HTTP_PROBLEM_NOT_READY, NULL,
                     "the loop %.40s has not turned for 5 s; look at its log, and at what holds up this computer",
                     stuck);
        return;
    }
    struct evbuffer *body = call_answer(call, "text/plain; charset=utf-8");
    if (body)
        (void)evbuffer_add(body, "ok\n", 3);
}

struct http_status *api_new_status(struct call *call)
{
    const struct http_ops *ops = call->http->ops;
    struct http_status *status = calloc(1, sizeof *status);
    if (status)
        ops->status(ops->user, status);
    else
        call_problem(call, HTTP_PROBLEM_BUSY, NULL, "kdnetd is out of memory; try again later");
    return status;
}

void api_ready(struct call *call)
{
    struct http_status *status = api_new_status(call);
    if (!status)
        return;
    if (!status->ready) {
        call_problem(call, HTTP_PROBLEM_NOT_READY, NULL, "%s",
                     status->not_ready[0] != '\0' ? status->not_ready : "kdnetd starts or stops");
    } else {
        struct evbuffer *body = call_answer(call, "text/plain; charset=utf-8");
        if (body)
            (void)evbuffer_add(body, "ready\n", 6);
    }
    free(status);
}

static void put_listeners(struct json_out *json, const struct http_status *status)
{
    out_key(json, "listeners");
    out_open(json, '[');
    for (size_t i = 0; i < status->listener_count; ++i) {
        out_open(json, '{');
        out_put_text(json, "address", status->listeners[i].address);
        out_put_bool(json, "open", status->listeners[i].open);
        out_put_time(json, "heard_at", status->listeners[i].heard_us);
        out_close(json, '}');
    }
    out_close(json, ']');
}

static void put_known(struct json_out *json, const char *key, bool known, uint64_t number)
{
    out_key(json, key);
    if (known)
        out_whole(json, number);
    else
        out_null(json);
}

static void put_store(struct json_out *json, struct store *store)
{
    static const char *const names[] = {[STORE_OFF] = "none", [STORE_OK] = "ok", [STORE_DEGRADED] = "degraded"};
    struct store_status *status = store ? calloc(1, sizeof *status) : NULL;
    if (status)
        store_status(store, status);
    enum store_state state = status ? status->state : STORE_OFF;
    out_key(json, "store");
    out_open(json, '{');
    out_put_text(json, "path", status && status->path[0] != '\0' ? status->path : NULL);
    out_put_text(json, "state", names[state]);
    put_known(json, "events", state != STORE_OFF, status ? status->events : 0);
    put_known(json, "bytes", state != STORE_OFF, status ? status->bytes : 0);
    out_put_text(json, "error", status && status->error[0] != '\0' ? status->error : NULL);
    out_close(json, '}');
    free(status);
}

void api_each_degraded(struct call *call, const struct http_status *status,
                       void (*each)(void *user, const struct http_degraded *degraded), void *user)
{
    struct http_degraded own[HTTP_TROUBLES];
    size_t count = http_degraded(call->http, own, HTTP_TROUBLES);
    for (size_t i = 0; i < status->degraded_count; ++i)
        each(user, &status->degraded[i]);
    for (size_t i = 0; i < count; ++i)
        each(user, &own[i]);
}

static void put_degraded(void *user, const struct http_degraded *degraded)
{
    struct json_out *json = user;
    out_open(json, '{');
    out_put_text(json, "what", degraded->what);
    out_put_text(json, "name", degraded->name);
    out_put_time(json, "since", degraded->since_us);
    out_put_text(json, "why", degraded->why);
    out_close(json, '}');
}

static void put_configuration(struct json_out *json, const struct http_status *status)
{
    out_key(json, "configuration");
    out_open(json, '{');
    out_put_text(json, "path", status->configuration[0] != '\0' ? status->configuration : NULL);
    out_put_time(json, "read_at", status->read_us);
    out_put_text(json, "error", status->configuration_error[0] != '\0' ? status->configuration_error : NULL);
    out_close(json, '}');
}

static void put_targets(struct json_out *json, const struct http_status *status)
{
    out_key(json, "targets");
    out_open(json, '{');
    for (size_t i = 0; i < HTTP_STATES; ++i)
        out_put_whole(json, state_names[i], status->targets[i]);
    out_close(json, '}');
}

void api_status(struct call *call)
{
    struct http_status *status = api_new_status(call);
    struct json_out json;
    uint64_t now_us = call_now_us();
    if (!status || !call_begin_json(call, &json)) {
        free(status);
        return;
    }
    out_open(&json, '{');
    out_put_text(&json, "version", status->version);
    out_put_text(&json, "collector", status->collector);
    out_put_time(&json, "started", status->started_us);
    out_put_seconds(&json, "uptime_seconds", now_us > status->started_us ? now_us - status->started_us : 0);
    out_put_whole(&json, "workers", status->workers);
    out_put_bool(&json, "draining", status->draining);
    put_listeners(&json, status);
    put_targets(&json, status);
    sink_states_put(&json, &call->http->sinks);
    put_store(&json, call->http->store);
    put_configuration(&json, status);
    out_key(&json, "degraded");
    out_open(&json, '[');
    api_each_degraded(call, status, put_degraded, &json);
    out_close(&json, ']');
    out_close(&json, '}');
    call_end_json(call, &json);
    free(status);
}

static bool put_unknown(void *user, const struct http_unknown *unknown)
{
    struct json_out *json = user;
    out_open(json, '{');
    out_put_text(json, "address", unknown->address);
    out_put_time(json, "first_seen", unknown->first_us);
    out_put_time(json, "last_seen", unknown->last_us);
    out_put_whole(json, "count", unknown->count);
    out_put_whole(json, "version", unknown->version);
    out_put_text(json, "hint", unknown->hint);
    out_put_text(json, "remedy", unknown->remedy);
    out_put_text(json, "target", unknown->target);
    out_close(json, '}');
    return true;
}

void api_unknown(struct call *call)
{
    const struct http_ops *ops = call->http->ops;
    struct json_out json;
    if (!call_begin_json(call, &json))
        return;
    out_open(&json, '{');
    out_key(&json, "unknown");
    out_open(&json, '[');
    size_t total = ops->unknown(ops->user, put_unknown, &json);
    out_close(&json, ']');
    out_put_whole(&json, "total", total);
    out_close(&json, '}');
    call_end_json(call, &json);
}
