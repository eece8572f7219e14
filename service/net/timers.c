/* SPDX-License-Identifier: Apache-2.0 */
#include "service/net/timers.h"
#include "kdnet/base/prefetch.h"

#include <stdlib.h>
#include <string.h>

#define RENEW_FROM  16384U /* places in the heap: fewer are not worth the work */
#define RENEW_SHARE 8U

void timers_init(struct timers *timers)
{
    memset(timers, 0, sizeof *timers);
}

void timers_clear(struct timers *timers)
{
    free(timers->heap);
    free(timers->entries);
    timers_init(timers);
}

/* The heap's pages are touched only as far as it is filled. */
bool timers_reserve(struct timers *timers, size_t ids)
{
    if (ids <= timers->ids)
        return true;
    if (ids > TIMERS_IDS_MAX)
        return false;
    struct timers_item *heap = realloc(timers->heap, ids * sizeof *heap);
    if (!heap)
        return false;
    timers->heap = heap;
    struct timers_entry *entries = realloc(timers->entries, ids * sizeof *entries);
    if (!entries)
        return false;
    memset(entries + timers->ids, 0, (ids - timers->ids) * sizeof *entries);
    timers->entries = entries;
    timers->ids = ids;
    return true;
}

/* The heap. */

static void place(struct timers *timers, size_t at, struct timers_item item)
{
    timers->heap[at] = item;
    timers->entries[item.id].position = (uint32_t)at + 1;
}

static void sift_up(struct timers *timers, size_t at, struct timers_item item)
{
    while (at > 0) {
        size_t parent = (at - 1) / 2;
        if (timers->heap[parent].deadline_us <= item.deadline_us)
            break;
        place(timers, at, timers->heap[parent]);
        at = parent;
    }
    place(timers, at, item);
}

static void sift_down(struct timers *timers, size_t at, struct timers_item item)
{
    for (size_t child = 2 * at + 1; child < timers->count; child = 2 * at + 1) {
        if (child + 1 < timers->count && timers->heap[child + 1].deadline_us < timers->heap[child].deadline_us)
            ++child;
        if (timers->heap[child].deadline_us >= item.deadline_us)
            break;
        place(timers, at, timers->heap[child]);
        at = child;
    }
    place(timers, at, item);
}

/* Without memory for a new heap, the old one stays until it has been as full again. */
static void renew_heap(struct timers *timers)
{
    struct timers_item *heap = malloc(timers->ids * sizeof *heap);
    timers->most = timers->count;
    if (!heap)
        return;
    memcpy(heap, timers->heap, timers->count * sizeof *heap);
    free(timers->heap);
    timers->heap = heap;
}

static void remove_at(struct timers *timers, size_t at)
{
    timers->entries[timers->heap[at].id].position = 0;
    struct timers_item last = timers->heap[--timers->count];
    if (timers->most >= RENEW_FROM && timers->count < timers->most / RENEW_SHARE)
        renew_heap(timers);
    if (at == timers->count)
        return;
    if (at > 0 && timers->heap[(at - 1) / 2].deadline_us > last.deadline_us)
        sift_up(timers, at, last);
    else
        sift_down(timers, at, last);
}

static void set_near(struct timers *timers, uint32_t id, uint64_t deadline_us)
{
    size_t position = timers->entries[id].position;
    struct timers_item item = {.deadline_us = deadline_us, .id = id};
    if (position == 0) {
        if (deadline_us == TIMERS_NEVER)
            return;
        sift_up(timers, timers->count++, item);
        if (timers->count > timers->most)
            timers->most = timers->count;
        return;
    }
    size_t at = position - 1;
    if (deadline_us == TIMERS_NEVER)
        remove_at(timers, at);
    else if (deadline_us < timers->heap[at].deadline_us)
        sift_up(timers, at, item);
    else if (deadline_us > timers->heap[at].deadline_us)
        sift_down(timers, at, item);
}

/* Slot s of the wheel holds the next tick, from timers->tick on, that is s modulo TIMERS_WHEEL. */

static uint64_t tick_of_slot(const struct timers *timers, unsigned slot)
{
    return timers->tick + (slot - timers->tick) % TIMERS_WHEEL;
}

/* Returns whether the id is in the wheel, and comes due before the deadline. */
static bool set_far(struct timers *timers, uint32_t id, uint64_t deadline_us, uint64_t now_us)
{
    struct timers_entry *entry = &timers->entries[id];
    if (timers->far == 0)
        timers->tick = now_us / TIMERS_TICK_US;
    uint64_t tick = deadline_us / TIMERS_TICK_US, last = timers->tick + TIMERS_WHEEL - 1;
    if (entry->slot != 0)
        return tick_of_slot(timers, entry->slot - 1U) <= tick;
    if (tick < timers->tick)
        return false;
    unsigned slot = (unsigned)((tick < last ? tick : last) % TIMERS_WHEEL);
    entry->slot = (slot + 1) & 0xffU;
    entry->next = timers->wheel[slot] & TIMERS_IDS_MAX;
    timers->wheel[slot] = id + 1;
    ++timers->far;
    return true;
}

static bool take_far(struct timers *timers, uint64_t now_us, uint32_t *id)
{
    uint64_t now_tick = now_us / TIMERS_TICK_US;
    for (; timers->far > 0 && timers->tick <= now_tick; ++timers->tick) {
        uint32_t *first = &timers->wheel[timers->tick % TIMERS_WHEEL];
        if (*first == 0)
            continue;
        *id = *first - 1;
        struct timers_entry *entry = &timers->entries[*id];
        *first = entry->next;
        entry->slot = 0;
        --timers->far;
        return true;
    }
    return false;
}

void timers_set(struct timers *timers, uint32_t id, uint64_t deadline_us, uint64_t now_us)
{
    bool is_far = deadline_us != TIMERS_NEVER && deadline_us > now_us && deadline_us - now_us > TIMERS_FAR_US;
    if (is_far && set_far(timers, id, deadline_us, now_us))
        deadline_us = TIMERS_NEVER; /* for the heap */
    set_near(timers, id, deadline_us);
}

void timers_prefetch(const struct timers *timers, uint32_t id)
{
    kdnet_prefetch(&timers->entries[id]);
}

uint64_t timers_next(const struct timers *timers)
{
    uint64_t near = timers->count > 0 ? timers->heap[0].deadline_us : TIMERS_NEVER;
    for (uint64_t tick = timers->tick; timers->far > 0 && tick < timers->tick + TIMERS_WHEEL; ++tick) {
        uint64_t far = tick * TIMERS_TICK_US;
        if (far >= near)
            break;
        if (timers->wheel[tick % TIMERS_WHEEL] != 0)
            return far;
    }
    return near;
}

bool timers_take(struct timers *timers, uint64_t now_us, uint32_t *id)
{
    if (timers->count > 0 && timers->heap[0].deadline_us <= now_us) {
        *id = timers->heap[0].id;
        remove_at(timers, 0);
        return true;
    }
    return take_far(timers, now_us, id);
}
