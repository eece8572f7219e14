/* SPDX-License-Identifier: Apache-2.0 */
/*
 * queue: event lines that wait for the store's writer, bounded in memory.
 *
 * Thread: one at a time; the caller locks.
 */
#ifndef SERVICE_STORE_QUEUE_H
#define SERVICE_STORE_QUEUE_H

#include "service/store/rows.h"

#include <stdbool.h>
#include <stddef.h>

struct store_queued {
    struct store_queued *next;
    size_t length;
    struct store_facts facts; /* point into this line; id NULL: they are in the text only */
    char text[];              /* NUL-ended; the facts' texts follow */
};

struct store_queue {
    struct store_queued *first, *last;
    size_t lines, bytes, limit_bytes;
};

/* A copy of a line, and of what is known of it (NULL: nothing); NULL: out of memory. Freed with free(). */
struct store_queued *store_queued_new(const char *text, size_t length, const struct store_facts *facts);

/* False: there is no room, and the line stays the caller's. */
bool store_queue_push(struct store_queue *queue, struct store_queued *line);

/* Takes the oldest `most` lines, as a list that the caller owns; NULL: empty. *count: their number. */
struct store_queued *store_queue_take(struct store_queue *queue, size_t most, size_t *count);

void store_queued_free(struct store_queued *first); /* a list */

#endif
