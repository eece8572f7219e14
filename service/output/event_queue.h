/* SPDX-License-Identifier: Apache-2.0 */
/*
 * event_queue: result lines that wait to be written, within a bound of memory that is shared fairly.
 *
 * Uses nothing. Lines leave in the order in which they came. Beyond the bound lines are shed:
 * 1. A machine that has more than `machine_bytes` waiting sheds its own lines, the machine with the most first: those
 *    of least worth first, the oldest among them.
 * 2. When no machine has so much, lines of least worth are shed first, those of the machine with the most of them.
 * So a verdict is shed last of all, and one machine that causes many lines costs no other its own. "The most" is right
 * to a factor of two: machines are sorted by the power of two of their bytes, so that each step costs the same however
 * many machines wait.
 *
 * Thread: one at a time; the caller locks.
 */
#ifndef SERVICE_EVENT_LOG_QUEUE_H
#define SERVICE_EVENT_LOG_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What a line is worth to who waits for it, the least first. X(NAME, text): the text names it in the log. */
#define EVENT_WORTH_MAP(X)                                                                                             \
    X(PRINT, "prints")                                                                                                 \
    X(CONNECTION, "connections") /* connected, kernel, unknown_target, and what else is no break */                    \
    X(BREAK, "breaks")           /* break_in, bugcheck, released, lost, break_storm */                                 \
    X(STATUS, "statuses_unknown")                                                                                      \
    X(VERDICT, "statuses")

#define EVENT_WORTH_ENUM(name, text) EVENT_WORTH_##name,
enum event_worth { EVENT_WORTH_MAP(EVENT_WORTH_ENUM) EVENT_WORTHS };
#undef EVENT_WORTH_ENUM

#define EVENT_QUEUE_SIZES 32 /* powers of two of bytes */

struct event_line {
    struct event_line *previous, *next; /* of all that wait, the oldest first */
    struct event_line *next_on_shelf;
    struct event_source *source;
    uint64_t number;
    size_t length;
    enum event_worth worth;
    char text[];
};

/* Lines of one machine and one worth, the oldest first; or, as the last shelf of a machine, the sum of its others. */
struct event_shelf {
    struct event_shelf *previous, *next; /* of those with as many bytes, to a factor of two */
    struct event_source *source;
    struct event_line *first, *last;
    size_t bytes;
    unsigned size; /* where it is linked: log2 of bytes */
};

struct event_queue {
    struct event_line *first, *last;
    size_t lines, bytes, limit_bytes, machine_bytes;
    struct event_source **buckets; /* by key */
    size_t bucket_count, source_count;
    struct event_shelf *by_size[EVENT_WORTHS + 1][EVENT_QUEUE_SIZES];
};

/* limit_bytes  of memory, the lines' own overhead included. */
void event_queue_init(struct event_queue *queue, size_t limit_bytes, size_t machine_bytes);
void event_queue_clear(struct event_queue *queue);

/* A line that is not queued yet; copies the text. NULL: out of memory. Freed with free(). */
struct event_line *event_line_new(const char *text, size_t length, enum event_worth worth, uint64_t number);

/* Queues a line of the machine `key`. False: out of memory, and the line stays the caller's. */
bool event_queue_push(struct event_queue *queue, struct event_line *line, uint64_t key);

/* Takes the oldest line out; NULL: there is none. The caller frees it. */
struct event_line *event_queue_pop(struct event_queue *queue);

/* Takes out the line that is to go, while the queue is beyond its bound; NULL: it is within. The caller frees it. */
struct event_line *event_queue_shed(struct event_queue *queue);

const char *event_worth_name(enum event_worth worth);

#endif
