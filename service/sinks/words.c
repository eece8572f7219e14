/* SPDX-License-Identifier: Apache-2.0 */
#include "config/characters.h"
#include "service/sinks/sink.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

bool sink_is_last_break(const struct sink_event *event)
{
    return event->phase && (strcmp(event->phase, "bugcheck_second") == 0 || strcmp(event->phase, "shutdown") == 0);
}

enum sink_severity sink_severity(const struct sink_event *event)
{
    if (!event->verdict)
        return SINK_NOTICE;
    if (strcmp(event->verdict, "failed") == 0)
        return SINK_ERROR;
    return sink_is_last_break(event) && strcmp(event->verdict, "written") != 0 ? SINK_WARNING : SINK_NOTICE;
}

static const char *text_of(const json_t *object, const char *name)
{
    return json_string_value(json_object_get(object, name));
}

static const char *verdict_words(const char *verdict)
{
    static const struct {
        const char *verdict, *words;
    } all[] = {
        {"written", "its crash dump was written"},
        {"failed", "its crash dump failed"},
        {"not_started", "its crash dump has not been started"},
        {"unknown", "nobody knows whether its crash dump was written"},
    };
    for (size_t i = 0; i < sizeof all / sizeof all[0]; ++i)
        if (strcmp(all[i].verdict, verdict) == 0)
            return all[i].words;
    return verdict;
}

const char *sink_words(const struct sink_event *event, char out[static SINK_WORDS_SIZE])
{
    const char *target = event->target ? event->target : "kdnetd";
    const char *code = text_of(json_object_get(event->json, "bugcheck"), "code");
    const char *name = text_of(json_object_get(event->json, "bugcheck"), "name");
    const char *why = text_of(event->json, "status_name");
    if (!event->verdict) {
        (void)snprintf(out, SINK_WORDS_SIZE, "%s: %s", target, event->type ? event->type : "event");
        return out;
    }
    if (!why)
        why = text_of(event->json, "reason");
    (void)snprintf(out, SINK_WORDS_SIZE, "%s: %s%s%.*s%s%s%.*s%s%.*s", target, verdict_words(event->verdict),
                   why ? " (" : "", CHARACTERS(why ? why : "", 80), why ? ")" : "", code ? ", bug check " : "",
                   CHARACTERS(code ? code : "", 16), name ? " " : "", CHARACTERS(name ? name : "", 80));
    return out;
}

const char *sink_time(uint64_t time_us, char out[static SINK_TIME_SIZE])
{
    time_t seconds = (time_t)(time_us / 1000000);
    struct tm parts;
    char text[24] = "1970-01-01T00:00:00";
    if (gmtime_r(&seconds, &parts))
        (void)strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &parts);
    (void)snprintf(out, SINK_TIME_SIZE, "%s.%06uZ", text, (unsigned)(time_us % 1000000));
    return out;
}
