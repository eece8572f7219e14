/* SPDX-License-Identifier: Apache-2.0 */
/* Alertmanager's alerts: outcomes of crashes, and lost machines. */
#include "service/sinks/format.h"

#include <string.h>

#define LASTS_US (UINT64_C(24) * 3600 * 1000000)

static bool is_lost(const struct sink_event *event)
{
    return event->type && strcmp(event->type, "lost") == 0;
}

static bool wants(const struct sink_event *event)
{
    bool is_status = event->type && strcmp(event->type, "crash_status") == 0;
    return is_lost(event) || (is_status && sink_is_last_break(event));
}

static const char *severity(const struct sink_event *event)
{
    switch (sink_severity(event)) {
    case SINK_ERROR:
        return "critical";
    case SINK_WARNING:
        return "warning";
    default:
        return "info";
    }
}

static json_t *make_alert(const struct format_source *source, const struct sink_event *event)
{
    char starts[SINK_TIME_SIZE], ends[SINK_TIME_SIZE], words[SINK_WORDS_SIZE];
    json_t *labels = json_pack("{s:s,s:s,s:s}", "alertname", is_lost(event) ? "KdnetdTargetLost" : "KdnetdCrashDump",
                               "collector", source->collector, "severity", severity(event));
    json_t *annotations = json_pack("{s:s,s:s}", "summary", sink_words(event, words), "id", event->id);
    if (event->target)
        (void)json_object_set_new(labels, "target", json_string(event->target));
    if (event->verdict)
        (void)json_object_set_new(labels, "verdict", json_string(event->verdict));
    if (event->crash)
        (void)json_object_set_new(annotations, "crash", json_string(event->crash));
    return json_pack("{s:o,s:o,s:s,s:s}", "labels", labels, "annotations", annotations, "startsAt",
                     sink_time(event->time_us, starts), "endsAt", sink_time(event->time_us + LASTS_US, ends));
}

static void make(struct text *body, const struct format_source *source, struct sink_event *const *events, size_t count)
{
    json_t *alerts = json_array();
    for (size_t i = 0; i < count; ++i)
        if (json_array_append_new(alerts, make_alert(source, events[i])) != 0)
            body->failed = true;
    text_json(body, alerts);
}

const struct sink_format format_alertmanager = {
    .path = "/api/v2/alerts", .content_type = "application/json", .scheme = "Bearer", .wants = wants, .make = make};
