/* SPDX-License-Identifier: Apache-2.0 */
#include "service/timers.h"

#include <stdlib.h>
#include <string.h>

void timers_init(struct timers *timers)
{
    memset(timers, 0, sizeof *timers);
}

void timers_clear(struct timers *timers)
{
    free(timers->heap);
    free(timers->position);
    timers_init(timers);
}

bool timers_reserve(struct timers *timers, size_t ids)
{
    if (ids <= timers->ids)
        return true;
    struct timers_item *heap = realloc(timers->heap, ids * sizeof *heap);
    if (!heap)
        return false;
    timers->heap = heap;
    uint32_t *position = realloc(timers->position, ids * sizeof *position);
    if (!position)
        return false;
    memset(position + timers->ids, 0, (ids - timers->ids) * sizeof *position);
    timers->position = position;
    timers->ids = ids;
    return true;
}

static void place(struct timers *timers, size_t at, struct timers_item item)
{
    timers->heap[at] = item;
    timers->position[item.id] = (uint32_t)at + 1;
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

static void remove_at(struct timers *timers, size_t at)
{
    timers->position[timers->heap[at].id] = 0;
    struct timers_item last = timers->heap[--timers->count];
    if (at == timers->count)
        return;
    if (at > 0 && timers->heap[(at - 1) / 2].deadline_us > last.deadline_us)
        sift_up(timers, at, last);
    else
        sift_down(timers, at, last);
}

void timers_set(struct timers *timers, uint32_t id, uint64_t deadline_us)
{
    size_t position = timers->position[id];
    struct timers_item item = {.deadline_us = deadline_us, .id = id};
    if (position == 0) {
        if (deadline_us != TIMERS_NEVER)
            sift_up(timers, timers->count++, item);
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

uint64_t timers_next(const struct timers *timers, uint32_t *id)
{
    if (timers->count == 0)
        return TIMERS_NEVER;
    *id = timers->heap[0].id;
    return timers->heap[0].deadline_us;
}
