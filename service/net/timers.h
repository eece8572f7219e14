/* SPDX-License-Identifier: Apache-2.0 */
/*
 * timers: the deadlines of all targets. One uv timer serves them all.
 *
 * A near deadline is in a binary heap, exactly. A deadline more than TIMERS_FAR_US away is in a wheel of
 * TIMERS_TICK_US, where its id comes due a little early, and where it stays when the deadline moves further away: a
 * poke of an idle machine moves the deadline at no cost here. So the caller of a due id looks up the id's deadline and
 * sets it again. Idle machines are all in the wheel; the heap holds the active ones. After very many were active the
 * heap gets fresh memory: pages that only they needed are released.
 */
#ifndef SERVICE_TIMERS_H
#define SERVICE_TIMERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TIMERS_NEVER   UINT64_MAX
#define TIMERS_TICK_US 1000000U
#define TIMERS_FAR_US  3000000U
#define TIMERS_IDS_MAX 0xffffffU
#define TIMERS_WHEEL   128U /* ticks; a deadline further away comes due early, and is set again */

struct timers_item {
    uint64_t deadline_us;
    uint32_t id;
};

struct timers_entry {
    uint32_t position;  /* index in the heap + 1; 0: not in the heap */
    uint32_t next : 24; /* next id in its slot of the wheel + 1; 0: none */
    uint32_t slot : 8;  /* + 1; 0: not in the wheel */
};

struct timers {
    struct timers_item *heap;
    struct timers_entry *entries; /* by id */
    size_t count;                 /* in the heap */
    size_t most;                  /* most ids at a time since the heap's memory was fresh */
    size_t far;                   /* in the wheel */
    size_t ids;                   /* how many ids there is room for */
    uint32_t wheel[TIMERS_WHEEL]; /* first id + 1; 0: none */
    uint64_t tick;                /* next tick to handle */
};

void timers_init(struct timers *timers);
void timers_clear(struct timers *timers);

/* Makes room for ids 0 to `ids` - 1. False: out of memory, or more than TIMERS_IDS_MAX; everything is unchanged. */
bool timers_reserve(struct timers *timers, size_t ids);

/*
 * Sets, moves or (TIMERS_NEVER) removes the deadline of an id below the reserved count; the id may come due once more
 * before. Cost: constant for far deadlines, log of the count of near ones.
 */
void timers_set(struct timers *timers, uint32_t id, uint64_t deadline_us, uint64_t now_us);

/* Prefetches into the CPU cache what timers_set of this id will touch. */
void timers_prefetch(const struct timers *timers, uint32_t id);

/* When timers_take wants to be called; TIMERS_NEVER when there is nothing. Cost: at most TIMERS_WHEEL looks. */
uint64_t timers_next(const struct timers *timers);

/* Takes out an id that is due; false when none is. The caller sets its deadline again, if it has one. */
bool timers_take(struct timers *timers, uint64_t now_us, uint32_t *id);

#endif
