/* SPDX-License-Identifier: Apache-2.0 */
/* OpenTelemetry's logs, as JSON. */
#include "config/characters.h"
#include "service/sinks/format.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static void add_attribute(json_t *list, const char *key, const char *value)
{
    if (value)
        (void)json_array_append_new(list, json_pack("{s:s,s:{s:s}}", "key", key, "value", "stringValue", value));
}

static json_t *make_record(const struct sink_event *event)
{
    static const struct {
        enum sink_severity severity;
        int number;
        const char *text;
    } severities[] = {{SINK_ERROR, 17, "ERROR"}, {SINK_WARNING, 13, "WARN"}, {SINK_NOTICE, 9, "INFO"}};
    char time_ns[32];
    size_t at = 0;
    json_t *attributes = json_array();
    add_attribute(attributes, "event", event->type);
    add_attribute(attributes, "id", event->id);
    add_attribute(attributes, "target", event->target);
    add_attribute(attributes, "crash", event->crash);
    add_attribute(attributes, "verdict", event->verdict);
    while (at < 2 && severities[at].severity != sink_severity(event))
        ++at;
    (void)snprintf(time_ns, sizeof time_ns, "%" PRIu64, event->time_us * 1000);
    return json_pack("{s:s,s:i,s:s,s:{s:s},s:o}", "timeUnixNano", time_ns, "severityNumber", severities[at].number,
                     "severityText", severities[at].text, "body", "stringValue", event->line, "attributes", attributes);
}

static void make(struct text *body, const struct format_source *source, struct sink_event *const *events, size_t count)
{
    json_t *records = json_array(), *resource = json_array();
    add_attribute(resource, "service.name", "kdnetd");
    add_attribute(resource, "service.instance.id", source->collector);
    for (size_t i = 0; i < count; ++i)
        if (json_array_append_new(records, make_record(events[i])) != 0)
            body->failed = true;
    text_json(body, json_pack("{s:[{s:{s:o},s:[{s:{s:s},s:o}]}]}", "resourceLogs", "resource", "attributes", resource,
                              "scopeLogs", "scope", "name", "kdnetd", "logRecords", records));
}

/* Which of them were refused is not said. 64-bit numbers may be text. */
static void judge(const char *reply, size_t length, struct sink_event *const *events, size_t count,
                  struct sink_answer *answer)
{
    (void)events;
    (void)count;
    json_t *json = json_loadb(reply, length, 0, NULL);
    const json_t *partial = json_object_get(json, "partialSuccess");
    const json_t *rejected = json_object_get(partial, "rejectedLogRecords");
    const char *text = json_string_value(rejected), *why = json_string_value(json_object_get(partial, "errorMessage"));
    if (json_integer_value(rejected) > 0 || (text && strtoll(text, NULL, 10) > 0)) {
        answer->outcome = SINK_REFUSED;
        (void)snprintf(answer->text, sizeof answer->text, "log records are rejected: %.*s",
                       CHARACTERS(why ? why : "", 200));
    }
    json_decref(json);
}

const struct sink_format format_otlp = {
    .path = "/v1/logs", .content_type = "application/json", .scheme = "Bearer", .make = make, .judge = judge};
