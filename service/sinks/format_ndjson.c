/* SPDX-License-Identifier: Apache-2.0 */
/* A line an event, as in the result file. */
#include "service/runtime/json_memory.h"
#include "service/sinks/format.h"

#include <stdio.h>

static void make(struct text *body, const struct format_source *source, struct sink_event *const *events, size_t count)
{
    (void)source;
    for (size_t i = 0; i < count; ++i) {
        text_add(body, events[i]->line, events[i]->length);
        text_add(body, "\n", 1);
    }
}

const struct sink_format format_ndjson = {
    .path = "/", .content_type = "application/x-ndjson", .scheme = "Bearer", .make = make};

void format_make(const struct sink_format *format, struct text *body, const struct format_source *source,
                 struct sink_event *const *events, size_t count)
{
    unsigned failures = json_memory_failures();
    format->make(body, source, events, count);
    body->failed = body->failed || failures != json_memory_failures();
}

enum sink_outcome format_judge_status(long status)
{
    if (status >= 200 && status < 300)
        return SINK_DONE;
    if (status == 408 || status == 429 || status >= 500)
        return SINK_AGAIN;
    if (status == 401 || status == 403 || status == 404 || (status >= 300 && status < 400))
        return SINK_PAUSE;
    return status >= 400 ? SINK_REFUSED : SINK_AGAIN;
}

void format_strange(const char *reply, size_t length, struct sink_answer *answer)
{
    answer->outcome = SINK_AGAIN;
    (void)snprintf(answer->text, sizeof answer->text, "its answer is not understood: %.*s",
                   (int)(length < 200 ? length : 200), reply);
}
