/* SPDX-License-Identifier: Apache-2.0 */
/*
 * feed: one sink's work, turn by turn: events behind its cursor are read, delivered, acknowledged. Private to sinks/.
 *
 * Pure but for its environment: time, the store and the receiver are functions, so that a test has them on a fake
 * clock.
 *
 * What fails is tried again after 1 s, 2 s, ... 5 min, with jitter. A batch that the receiver refuses is halved until
 * the event that it refuses is alone; that one is given up after FEED_REFUSALS tries, and the others are delivered.
 */
#ifndef SERVICE_SINKS_FEED_H
#define SERVICE_SINKS_FEED_H

#include "service/sinks/sink.h"

#define FEED_FIRST_MS  1000U
#define FEED_LAST_MS   300000U
#define FEED_IDLE_MS   1000U
#define FEED_REFUSALS  3U
#define FEED_MARKS     40U /* of held back acknowledgements, one a second */
#define FEED_AFTER_MAX 3600U

struct feed_batch {
    struct sink_event *events;
    size_t count, capacity, bytes;
    uint64_t scanned; /* the last event that was looked at, wanted or not; 0: there was none */
};

enum feed_read { FEED_READ, FEED_UNAVAILABLE };

struct feed_env {
    void *user;
    enum feed_read (*read)(void *user, uint64_t after, struct feed_batch *batch);
    void (*deliver)(void *user, struct sink_event *const *events, size_t count, struct sink_answer *answer);
    void (*acknowledge)(void *user, uint64_t seq);
    bool (*wait)(void *user, uint64_t ms, bool for_events); /* false: it is to end */
    uint64_t (*now_ms)(void *user);
    void (*changed)(void *user); /* the counts of the feed */
};

struct feed {
    const struct feed_env *env;
    const char *name;
    unsigned longest_ms;   /* between two tries; 0: FEED_LAST_MS */
    unsigned held_back_ms; /* the receiver does not acknowledge: what was sent may be lost for so long */

    uint64_t at; /* read and delivered */
    bool failing;
    unsigned fails; /* in a row */
    uint64_t random;
    struct {
        uint64_t seq, first_ms, sent_ms;
    } marks[FEED_MARKS]; /* oldest first */
    size_t mark_count;
    uint64_t acknowledged;

    uint64_t delivered, errors, rejected;
    char error[SINK_TEXT_SIZE];
    uint64_t rejected_logged_ms; /* 0: never */
};

void feed_init(struct feed *feed, const struct feed_env *env, const char *name, uint64_t cursor, uint64_t seed);

/* Reads and delivers a batch, or waits. False: it is to end. */
bool feed_turn(struct feed *feed);

/* Goes back to behind `seq`, to deliver again; never forward. */
void feed_go_back(struct feed *feed, uint64_t seq);

/* A line into a batch; false: out of memory. It is an object and has an id, or is left out. */
bool feed_add(struct feed_batch *batch, uint64_t seq, uint64_t time_us, const char *line, size_t length);
void feed_clear(struct feed_batch *batch);

/* Is an event one that the sink wants? */
bool feed_wants(const struct config_sink *config, const struct sink_event *event);

#endif
