/* SPDX-License-Identifier: Apache-2.0 */
#include "service/http/sink_states.h"
#include "service/http/call.h"

#include <stdio.h>
#include <string.h>

bool sink_states_init(struct sink_states *sinks)
{
    sinks->ready = uv_mutex_init(&sinks->lock) == 0;
    return sinks->ready;
}

void sink_states_clear(struct sink_states *sinks)
{
    if (sinks->ready)
        uv_mutex_destroy(&sinks->lock);
    sinks->ready = false;
}

struct found {
    size_t count;
    struct sink_state of[SINK_STATES_MAX];
};

static bool take(void *user, const struct store_sink *sink)
{
    struct found *found = user;
    struct sink_state *to = &found->of[found->count++];
    (void)snprintf(to->name, sizeof to->name, "%s", sink->name);
    to->behind_events = sink->behind_events;
    to->oldest_us = sink->oldest_us;
    return found->count < SINK_STATES_MAX;
}

static void add_counts(void *user, const struct http_sink *sink)
{
    struct found *found = user;
    for (size_t i = 0; i < found->count; ++i) {
        struct sink_state *to = &found->of[i];
        if (strcmp(to->name, sink->name) != 0)
            continue;
        (void)snprintf(to->type, sizeof to->type, "%s", sink->type);
        (void)snprintf(to->last_error, sizeof to->last_error, "%s", sink->last_error);
        to->last_error_us = sink->last_error_us;
        to->errors = sink->errors;
        to->rejected = sink->rejected;
        to->dropped = sink->dropped;
    }
}

void sink_states_read(struct sink_states *sinks, struct store_reader *reader, const struct http_ops *ops)
{
    struct found found = {.count = 0};
    if (store_sinks(reader, take, &found) != STORE_DONE)
        return;
    ops->sinks(ops->user, add_counts, &found);
    uv_mutex_lock(&sinks->lock);
    sinks->count = found.count;
    memcpy(sinks->of, found.of, found.count * sizeof found.of[0]);
    uv_mutex_unlock(&sinks->lock);
}

size_t sink_states_get(struct sink_states *sinks, struct sink_state out[static SINK_STATES_MAX])
{
    uint64_t now_us = call_now_us();
    uv_mutex_lock(&sinks->lock);
    size_t count = sinks->count;
    memcpy(out, sinks->of, count * sizeof *out);
    uv_mutex_unlock(&sinks->lock);
    for (size_t i = 0; i < count; ++i)
        out[i].behind_us = out[i].oldest_us > 0 && now_us > out[i].oldest_us ? now_us - out[i].oldest_us : 0;
    return count;
}

void sink_states_put(struct json_out *json, struct sink_states *sinks)
{
    struct sink_state states[SINK_STATES_MAX];
    size_t count = sink_states_get(sinks, states);
    out_key(json, "sinks");
    out_open(json, '[');
    for (size_t i = 0; i < count; ++i) {
        out_open(json, '{');
        out_put_text(json, "name", states[i].name);
        out_put_text(json, "type", states[i].type[0] != '\0' ? states[i].type : NULL);
        out_put_whole(json, "behind_events", states[i].behind_events);
        out_put_seconds(json, "behind_seconds", states[i].behind_us);
        bool failed = states[i].last_error[0] != '\0';
        out_put_text(json, "last_error", failed ? states[i].last_error : NULL);
        if (failed)
            out_put_time(json, "last_error_at", states[i].last_error_us);
        else
            out_put_text(json, "last_error_at", NULL);
        out_close(json, '}');
    }
    out_close(json, ']');
}
