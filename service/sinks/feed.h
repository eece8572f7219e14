/* SPDX-License-Identifier: Apache-2.0 */
/*
 * feed: one sink's work, turn by turn: reads events behind the cursor, delivers and acknowledges them. Private to
 * sinks/.
 *
 * Pure except for its environment: time, store and receiver are functions, so that tests use a fake clock.
 *
 * A failed delivery is retried after 1 s, 2 s, ... 5 min, with jitter. A batch that the receiver refuses is halved
 * until the refused event is alone; that event is given up after FEED_REFUSALS tries, and the others are delivered.
 */
#ifndef SERVICE_SINKS_FEED_H
#define SERVICE_SINKS_FEED_H

#include "service/sinks/sink.h"

#define FEED_FIRST_MS  1000U
#define FEED_LAST_MS   300000U
#define FEED_IDLE_MS   1000U
#define FEED_REFUSALS  3U
#define FEED_MARKS     40U /* of acknowledgements held back, one a second */
#define FEED_AFTER_MAX 3600U
#define FEED_POISONED  3U /* events in a row: from then on it is the receiver that does not work */

struct feed_batch {
    struct sink_event *events;
    size_t count, capacity, bytes;
    uint64_t scanned; /* the last event examined, wanted or not; 0: none */
};

enum feed_read { FEED_READ, FEED_UNAVAILABLE };

struct feed_env {
    void *user;
    enum feed_read (*read)(void *user, uint64_t after, struct feed_batch *batch);
    void (*deliver)(void *user, struct sink_event *const *events, size_t count, struct sink_answer *answer);
    void (*acknowledge)(void *user, uint64_t seq);
    bool (*wait)(void *user, uint64_t ms, bool for_events); /* false: the sink has to end */
    uint64_t (*now_ms)(void *user);
    void (*changed)(void *user); /* the counts of the feed */
};

struct feed {
    const struct feed_env *env;
    const char *name;
    unsigned longest_ms;   /* between two tries; 0: FEED_LAST_MS */
    unsigned held_back_ms; /* how long a sent event may still be lost, with a receiver that does not acknowledge */

    uint64_t at; /* read and delivered */
    bool failing;
    unsigned fails; /* in a row */
    uint64_t random;
    struct {
        uint64_t seq, first_ms, sent_ms;
    } marks[FEED_MARKS]; /* oldest first */
    size_t mark_count;
    uint64_t acknowledged;

    unsigned given_up;   /* events in a row, with none delivered between */
    uint64_t sent_twice; /* everything up to this event was sent again after a connection broke by itself */
    uint64_t delivered, errors, rejected;
    char error[SINK_TEXT_SIZE];
    uint64_t rejected_logged_ms; /* 0: never */
};

void feed_init(struct feed *feed, const struct feed_env *env, const char *name, uint64_t cursor, uint64_t seed);

/* Reads and delivers a batch, or waits. False: the sink has to end. */
bool feed_turn(struct feed *feed);

/* Goes back to behind `seq`, to deliver again; never forward. */
void feed_go_back(struct feed *feed, uint64_t seq);

/* The connection to a receiver that acknowledges nothing broke without a delivery: what it may have lost is delivered
 * again, once; a receiver that closes each connection early gets nothing a third time. */
void feed_lost_connection(struct feed *feed, const char *error);

/* Adds a line to a batch; false: out of memory. Ignores a line that is no JSON object or has no id. */
bool feed_add(struct feed_batch *batch, uint64_t seq, uint64_t time_us, const char *line, size_t length);
void feed_clear(struct feed_batch *batch);

/* Whether the sink's filter wants an event. */
bool feed_wants(const struct config_sink *config, const struct sink_event *event);

#endif
