/* SPDX-License-Identifier: Apache-2.0 */
/*
 * event_queue: result lines that wait to be written, within a memory bound that machines share fairly.
 *
 * Lines leave in the order of their arrival. Beyond the bound lines are shed:
 * 1. Machines with more than `machine_bytes` waiting shed their own lines, the machine with the most first: the least
 *    important lines first, oldest first.
 * 2. When no machine has so much, the least important lines are shed first, from the machine with the most of them. So
 * verdicts are shed last, and one machine that causes many lines costs other machines none. "The most" is exact to a
 * factor of two: machines are sorted by the power of two of their bytes, so that each step has constant cost.
 *
 * Thread: one at a time; the caller locks.
 */
#ifndef SERVICE_EVENT_LOG_QUEUE_H
#define SERVICE_EVENT_LOG_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Importance of lines, the least first. X(NAME, text): the text names the kind in the log. */
#define EVENT_WORTH_MAP(X)                                                                                             \
    X(PRINT, "prints")                                                                                                 \
    X(CONNECTION, "connections") /* connected, kernel, unknown_target, and other events without a break */             \
    X(BREAK, "breaks")           /* break_in, bugcheck, released, lost, break_storm */                                 \
    X(STATUS, "statuses_unknown")                                                                                      \
    X(VERDICT, "statuses")

#define EVENT_WORTH_ENUM(name, text) EVENT_WORTH_##name,
enum event_worth { EVENT_WORTH_MAP(EVENT_WORTH_ENUM) EVENT_WORTHS };
#undef EVENT_WORTH_ENUM

#define EVENT_QUEUE_SIZES 32 /* powers of two of bytes */

struct event_line {
    struct event_line *previous, *next; /* in the queue's order, the oldest first */
    struct event_line *next_on_shelf;
    struct event_source *source;
    uint64_t number;
    size_t length;
    enum event_worth worth;
    char text[];
};

/* Lines of one machine and one worth, the oldest first; a machine's last shelf sums up its others. */
struct event_shelf {
    struct event_shelf *previous, *next; /* shelves with equal log2 of bytes */
    struct event_source *source;
    struct event_line *first, *last;
    size_t bytes;
    unsigned size; /* log2 of bytes: the list that the shelf is in */
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

/* Makes a line; copies the text. NULL: out of memory. Freed with free(). */
struct event_line *event_line_new(const char *text, size_t length, enum event_worth worth, uint64_t number);

/* Queues a line of the machine `key`. False: out of memory, and the line stays the caller's. */
bool event_queue_push(struct event_queue *queue, struct event_line *line, uint64_t key);

/* Takes out the oldest line; NULL: empty. The caller frees the line. */
struct event_line *event_queue_pop(struct event_queue *queue);

/* Takes out the next line to shed while the queue exceeds its bound; NULL: within the bound. The caller frees the
 * line. */
struct event_line *event_queue_shed(struct event_queue *queue);

const char *event_worth_name(enum event_worth worth);

#endif
