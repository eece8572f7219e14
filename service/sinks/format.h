/* SPDX-License-Identifier: Apache-2.0 */
/*
 * format: the body that an HTTP receiver of some kind expects, and the meaning of its answer. One file each. Private to
 * sinks/.
 */
#ifndef SERVICE_SINKS_FORMAT_H
#define SERVICE_SINKS_FORMAT_H

#include "service/sinks/sink.h"
#include "service/sinks/text.h"

struct format_source {
    const char *collector, *index;
};

struct sink_format {
    const char *path;                              /* for an address without a path */
    const char *content_type;                      /* of the body */
    const char *scheme;                            /* of the Authorization header, before the token */
    unsigned pause_ms;                             /* between two bodies */
    bool (*wants)(const struct sink_event *event); /* NULL: all events */
    void (*make)(struct text *body, const struct format_source *source, struct sink_event *const *events, size_t count);
    /* Judges the body of a 2xx answer; NULL: the body has no meaning. `answer` is SINK_DONE before. */
    void (*judge)(const char *reply, size_t length, struct sink_event *const *events, size_t count,
                  struct sink_answer *answer);
};

extern const struct sink_format format_ndjson, format_hec, format_loki, format_bulk, format_otlp, format_alertmanager,
    format_slack;

/* Makes the body; fails unless it has all of each event. */
void format_make(const struct sink_format *format, struct text *body, const struct format_source *source,
                 struct sink_event *const *events, size_t count);

/* What a status of HTTP means, of a whole answer or of one event. */
enum sink_outcome format_judge_status(long status);

/* Judges a body that is no JSON, or not the format's: retried. */
void format_strange(const char *reply, size_t length, struct sink_answer *answer);

#endif
