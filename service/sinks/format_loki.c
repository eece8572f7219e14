/* SPDX-License-Identifier: Apache-2.0 */
/* Loki's push API: a stream for each set of labels, with values in time order. */
#include "service/sinks/format.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int compare_text(const char *a, const char *b)
{
    return strcmp(a ? a : "", b ? b : "");
}

static int compare_streams(const struct sink_event *a, const struct sink_event *b)
{
    int order = compare_text(a->type, b->type);
    return order != 0 ? order : compare_text(a->verdict, b->verdict);
}

static int compare(const void *a, const void *b)
{
    const struct sink_event *x = *(struct sink_event *const *)a, *y = *(struct sink_event *const *)b;
    int order = compare_streams(x, y);
    if (order == 0)
        order = (x->time_us > y->time_us) - (x->time_us < y->time_us);
    return order != 0 ? order : (x->seq > y->seq) - (x->seq < y->seq);
}

static json_t *begin_stream(json_t *streams, const struct format_source *source, const struct sink_event *event)
{
    json_t *labels = json_pack("{s:s,s:s,s:s}", "job", "kdnetd", "collector", source->collector, "event",
                               event->type ? event->type : "unknown");
    json_t *values = json_array();
    if (event->verdict)
        (void)json_object_set_new(labels, "verdict", json_string(event->verdict));
    (void)json_array_append_new(streams, json_pack("{s:o,s:O}", "stream", labels, "values", values));
    json_decref(values); /* the stream owns `values` now */
    return values;
}

static void make(struct text *body, const struct format_source *source, struct sink_event *const *events, size_t count)
{
    json_t *streams = json_array(), *values = NULL;
    struct sink_event **sorted = malloc(count * sizeof(struct sink_event *));
    if (!sorted || !streams) {
        body->failed = true;
        free(sorted);
        json_decref(streams);
        return;
    }
    memcpy(sorted, events, count * sizeof(struct sink_event *));
    qsort(sorted, count, sizeof(struct sink_event *), compare);
    for (size_t i = 0; i < count; ++i) {
        char time_ns[32];
        if (i == 0 || compare_streams(sorted[i - 1], sorted[i]) != 0)
            values = begin_stream(streams, source, sorted[i]);
        (void)snprintf(time_ns, sizeof time_ns, "%" PRIu64, sorted[i]->time_us * 1000);
        (void)json_array_append_new(values, json_pack("[s,s]", time_ns, sorted[i]->line));
    }
    free(sorted);
    text_json(body, json_pack("{s:o}", "streams", streams));
}

const struct sink_format format_loki = {
    .path = "/loki/api/v1/push", .content_type = "application/json", .scheme = "Bearer", .make = make};
