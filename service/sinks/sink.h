/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sink: the interface of a type of sink to the thread that feeds it. Private to sinks/.
 *
 * A link is one sink's connection to its receiver. One thread uses it; its functions may block for a while
 * (SINK_CONNECT_S, SINK_ANSWER_S) and check `stop` meanwhile.
 */
#ifndef SERVICE_SINK_H
#define SERVICE_SINK_H

#include "config/config.h"

#include <jansson.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SINK_BATCH_BYTES ((size_t)1 << 20) /* bytes of lines in a batch; a single line may be longer */
#define SINK_CONNECT_S   5
#define SINK_ANSWER_S    30
#define SINK_PAUSE_S     300               /* until somebody has corrected the configuration */
#define SINK_REPLY_MAX   ((size_t)4 << 20) /* bytes of an answer */
#define SINK_TEXT_SIZE   256
#define SINK_WORDS_SIZE  512

/* An event to deliver. Texts are borrowed from `json`; NULL: the event lacks the member. */
struct sink_event {
    uint64_t seq, time_us;
    char *line; /* owned, as `json` */
    size_t length;
    json_t *json;
    const char *id, *type, *target, *crash, *verdict, *phase;
    unsigned refusals;
    bool done; /* acknowledged, or given up */
};

enum sink_outcome {
    SINK_DONE,    /* all are acknowledged */
    SINK_AGAIN,   /* retry after a growing delay, or when a file of the sink has changed */
    SINK_PAUSE,   /* retry after 5 minutes: somebody has to correct the configuration */
    SINK_REFUSED, /* the receiver will never take at least one of these events */
    SINK_PARTLY,  /* each event has its own result: `done`, or one more refusal */
};

struct sink_answer {
    enum sink_outcome outcome;
    unsigned after_s;          /* delay that the receiver asks for; 0: none */
    char text[SINK_TEXT_SIZE]; /* the fault, or the receiver's message */
};

struct sink_link;

struct sink_type {
    struct sink_link *(*open)(const struct config_sink *config, const char *collector, const atomic_bool *stop);
    /* Delivers all of `events`, none of which is done. Their order is the store's. */
    void (*deliver)(struct sink_link *link, struct sink_event *const *events, size_t count, struct sink_answer *answer);
    void (*close)(struct sink_link *link);
    unsigned longest_ms; /* longest delay between two tries; 0: minutes */
    /* Called about once a second, also without events; NULL: nothing to do. */
    void (*tick)(struct sink_link *link);
    /* Whether the connection has ended since the last delivery; NULL: deliveries tell. Called as tick. */
    bool (*has_ended)(struct sink_link *link);
};

extern const struct sink_type sink_http, sink_syslog, sink_journal, sink_kafka, sink_nats;

/* words.c: an event as one sentence, and its severity. */
enum sink_severity { SINK_ERROR = 3, SINK_WARNING = 4, SINK_NOTICE = 5 };
enum sink_severity sink_severity(const struct sink_event *event);
bool sink_is_last_break(const struct sink_event *event);
const char *sink_words(const struct sink_event *event, char out[static SINK_WORDS_SIZE]);

/* RFC 3339, microseconds, UTC. */
#define SINK_TIME_SIZE 32
const char *sink_time(uint64_t time_us, char out[static SINK_TIME_SIZE]);

#endif
