/* SPDX-License-Identifier: Apache-2.0 */
/*
 * results_queue: result lines that wait to be written, within a bound of memory that is shared fairly.
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
#ifndef SERVICE_RESULTS_QUEUE_H
#define SERVICE_RESULTS_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What a line is worth to who waits for it, the least first. X(NAME, text): the text names it in the log. */
#define RESULTS_WORTH_MAP(X)                                                                                           \
    X(PRINT, "prints")                                                                                                 \
    X(CONNECTION, "connections") /* connected, kernel, unknown_target, and what else is no break */                    \
    X(BREAK, "breaks")           /* break_in, bugcheck, released, lost, break_storm */                                 \
    X(STATUS, "statuses_unknown")                                                                                      \
    X(VERDICT, "statuses")

#define RESULTS_WORTH_ENUM(name, text) RESULTS_##name,
enum results_worth { RESULTS_WORTH_MAP(RESULTS_WORTH_ENUM) RESULTS_WORTHS };
#undef RESULTS_WORTH_ENUM

#define RESULTS_SIZES 32 /* powers of two of bytes */

struct results_line {
    struct results_line *previous, *next; /* of all that wait, the oldest first */
    struct results_line *next_on_shelf;
    struct results_source *source;
    uint64_t number;
    size_t length;
    enum results_worth worth;
    char text[];
};

/* Lines of one machine and one worth, the oldest first; or, as the last shelf of a machine, the sum of its others. */
struct results_shelf {
    struct results_shelf *previous, *next; /* of those with as many bytes, to a factor of two */
    struct results_source *source;
    struct results_line *first, *last;
    size_t bytes;
    unsigned size; /* where it is linked: log2 of bytes */
};

struct results_queue {
    struct results_line *first, *last;
    size_t lines, bytes, limit_bytes, machine_bytes;
    struct results_source **buckets; /* by key */
    size_t bucket_count, source_count;
    struct results_shelf *by_size[RESULTS_WORTHS + 1][RESULTS_SIZES];
};

/* limit_bytes  of memory, the lines' own overhead included. */
void results_queue_init(struct results_queue *queue, size_t limit_bytes, size_t machine_bytes);
void results_queue_clear(struct results_queue *queue);

/* A line that is not queued yet; copies the text. NULL: out of memory. Freed with free(). */
struct results_line *results_line_new(const char *text, size_t length, enum results_worth worth, uint64_t number);

/* Queues a line of the machine `key`. False: out of memory, and the line stays the caller's. */
bool results_queue_push(struct results_queue *queue, struct results_line *line, uint64_t key);

/* Takes the oldest line out; NULL: there is none. The caller frees it. */
struct results_line *results_queue_pop(struct results_queue *queue);

/* Takes out the line that is to go, while the queue is beyond its bound; NULL: it is within. The caller frees it. */
struct results_line *results_queue_shed(struct results_queue *queue);

const char *results_worth_name(enum results_worth worth);

#endif
