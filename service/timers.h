/* SPDX-License-Identifier: Apache-2.0 */
/*
 * timers: the deadlines of all targets: a binary heap over row numbers. One uv timer serves them all.
 *
 * Uses nothing.
 */
#ifndef SERVICE_TIMERS_H
#define SERVICE_TIMERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TIMERS_NEVER UINT64_MAX

struct timers_item {
    uint64_t deadline_us;
    uint32_t id;
};

struct timers {
    struct timers_item *heap;
    uint32_t *position; /* by id: place in the heap + 1; 0: not in it */
    size_t count;
    size_t ids; /* how many ids there is room for */
};

void timers_init(struct timers *timers);
void timers_clear(struct timers *timers);

/* Room for ids 0 to `ids` - 1. False: out of memory, and everything is as it was. */
bool timers_reserve(struct timers *timers, size_t ids);

/* Sets, moves or (TIMERS_NEVER) removes the deadline of an id that there is room for. Cost: log of the count. */
void timers_set(struct timers *timers, uint32_t id, uint64_t deadline_us);

/* The earliest deadline, TIMERS_NEVER when there is none; its id. */
uint64_t timers_next(const struct timers *timers, uint32_t *id);

#endif
