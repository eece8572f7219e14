/* SPDX-License-Identifier: Apache-2.0 */
/* The bulk API of Elasticsearch and OpenSearch: two lines an event; each item of the answer counts for itself. */
#include "config/characters.h"
#include "service/sinks/format.h"

#include <stdio.h>

static void make(struct text *body, const struct format_source *source, struct sink_event *const *events, size_t count)
{
    for (size_t i = 0; i < count; ++i) {
        char time[SINK_TIME_SIZE];
        json_t *document = json_copy(events[i]->json);
        (void)json_object_set_new(document, "@timestamp", json_string(sink_time(events[i]->time_us, time)));
        text_json(body, json_pack("{s:{s:s,s:s}}", "create", "_index", source->index, "_id", events[i]->id));
        text_add(body, "\n", 1);
        text_json(body, document);
        text_add(body, "\n", 1);
    }
}

/* 409: the document exists already. */
static void judge_item(struct sink_event *event, json_int_t status, const json_t *item, struct sink_answer *answer)
{
    if ((status >= 200 && status < 300) || status == 409) {
        event->done = true;
        return;
    }
    const char *reason = json_string_value(json_object_get(json_object_get(item, "error"), "reason"));
    (void)snprintf(answer->text, sizeof answer->text, "item of %.*s: status %d %.*s", CHARACTERS(event->id, 60),
                   (int)status, CHARACTERS(reason ? reason : "", 120));
    switch (format_judge_status((long)status)) {
    case SINK_REFUSED:
        ++event->refusals;
        break;
    case SINK_PAUSE: /* for example, its index is read-only because the disk is full */
        answer->after_s = SINK_PAUSE_S;
        break;
    default:
        break;
    }
}

static void judge(const char *reply, size_t length, struct sink_event *const *events, size_t count,
                  struct sink_answer *answer)
{
    json_t *json = json_loadb(reply, length, 0, NULL);
    const json_t *items = json_object_get(json, "items");
    if (json_array_size(items) != count) {
        format_strange(reply, length, answer);
        json_decref(json);
        return;
    }
    answer->outcome = SINK_PARTLY;
    for (size_t i = 0; i < count; ++i) {
        const json_t *item = json_object_get(json_array_get(items, i), "create");
        judge_item(events[i], json_integer_value(json_object_get(item, "status")), item, answer);
    }
    json_decref(json);
}

const struct sink_format format_bulk = {
    .path = "/_bulk", .content_type = "application/x-ndjson", .scheme = "Bearer", .make = make, .judge = judge};
