/* SPDX-License-Identifier: Apache-2.0 */
/* Splunk's HTTP Event Collector: concatenated objects; {"code":0} acknowledges. */
#include "service/sinks/format.h"

static void set_text(json_t *object, const char *name, const char *text)
{
    if (text)
        (void)json_object_set_new(object, name, json_string(text));
}

static void make(struct text *body, const struct format_source *source, struct sink_event *const *events, size_t count)
{
    for (size_t i = 0; i < count; ++i) {
        const struct sink_event *event = events[i];
        json_t *fields = json_object();
        set_text(fields, "id", event->id);
        set_text(fields, "crash", event->crash);
        set_text(fields, "verdict", event->verdict);
        text_json(body, json_pack("{s:f,s:s,s:s,s:s,s:O,s:o}", "time", (double)event->time_us / 1e6, "host",
                                  event->target ? event->target : source->collector, "source", "kdnetd", "sourcetype",
                                  "kdnetd:event", "event", event->json, "fields", fields));
        text_add(body, "\n", 1);
    }
}

static void judge(const char *reply, size_t length, struct sink_event *const *events, size_t count,
                  struct sink_answer *answer)
{
    (void)events;
    (void)count;
    json_t *json = json_loadb(reply, length, 0, NULL);
    const json_t *code = json_object_get(json, "code");
    if (!json_is_integer(code) || json_integer_value(code) != 0)
        format_strange(reply, length, answer);
    json_decref(json);
}

const struct sink_format format_hec = {.path = "/services/collector/event",
                                       .content_type = "application/json",
                                       .scheme = "Splunk",
                                       .make = make,
                                       .judge = judge};
