/* SPDX-License-Identifier: Apache-2.0 */
#include "service/http/sinks.h"

#include <stdio.h>
#include <string.h>

bool sinks_init(struct sinks *sinks)
{
    sinks->ready = uv_mutex_init(&sinks->lock) == 0;
    return sinks->ready;
}

void sinks_clear(struct sinks *sinks)
{
    if (sinks->ready)
        uv_mutex_destroy(&sinks->lock);
    sinks->ready = false;
}

struct found {
    size_t count;
    struct sink_state of[SINKS_MAX];
};

static bool take(void *user, const struct store_sink *sink)
{
    struct found *found = user;
    struct sink_state *to = &found->of[found->count++];
    (void)snprintf(to->name, sizeof to->name, "%s", sink->name);
    to->behind_events = sink->behind_events;
    to->behind_us = sink->behind_us;
    return found->count < SINKS_MAX;
}

void sinks_read(struct sinks *sinks, struct store_reader *reader)
{
    struct found found = {.count = 0};
    if (store_sinks(reader, take, &found) != STORE_DONE)
        return;
    uv_mutex_lock(&sinks->lock);
    sinks->count = found.count;
    memcpy(sinks->of, found.of, found.count * sizeof found.of[0]);
    uv_mutex_unlock(&sinks->lock);
}

size_t sinks_get(struct sinks *sinks, struct sink_state out[static SINKS_MAX])
{
    uv_mutex_lock(&sinks->lock);
    size_t count = sinks->count;
    memcpy(out, sinks->of, count * sizeof *out);
    uv_mutex_unlock(&sinks->lock);
    return count;
}

void sinks_put(struct json_out *json, struct sinks *sinks)
{
    struct sink_state states[SINKS_MAX];
    size_t count = sinks_get(sinks, states);
    out_key(json, "sinks");
    out_open(json, '[');
    for (size_t i = 0; i < count; ++i) {
        out_open(json, '{');
        out_put_text(json, "name", states[i].name);
        out_put_text(json, "type", NULL);
        out_put_whole(json, "behind_events", states[i].behind_events);
        out_put_seconds(json, "behind_seconds", states[i].behind_us);
        out_put_text(json, "last_error", NULL);
        out_put_text(json, "last_error_at", NULL);
        out_close(json, '}');
    }
    out_close(json, ']');
}
