/* SPDX-License-Identifier: Apache-2.0 */
/*
 * format: what an HTTP receiver understands: a body made of events, and what its answer says of them. A file each.
 * Private to sinks/.
 */
#ifndef SERVICE_SINKS_FORMAT_H
#define SERVICE_SINKS_FORMAT_H

#include "service/sinks/sink.h"
#include "service/sinks/text.h"

struct format_source {
    const char *collector, *index;
};

struct sink_format {
    const char *path;                              /* of an address that has none */
    const char *content_type;                      /* of the body */
    const char *scheme;                            /* of the Authorization header, before the token */
    unsigned pause_ms;                             /* between two bodies */
    bool (*wants)(const struct sink_event *event); /* NULL: all events */
    void (*make)(struct text *body, const struct format_source *source, struct sink_event *const *events, size_t count);
    /* What a 2xx answer says, when it can say more than yes; NULL: nothing. `answer` says SINK_DONE before. */
    void (*judge)(const char *reply, size_t length, struct sink_event *const *events, size_t count,
                  struct sink_answer *answer);
};

extern const struct sink_format format_ndjson, format_hec, format_loki, format_bulk, format_otlp, format_alertmanager,
    format_slack;

/* An answer that is no JSON, or not the format's: tried again. */
void format_strange(const char *reply, size_t length, struct sink_answer *answer);

#endif
