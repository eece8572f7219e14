/* SPDX-License-Identifier: Apache-2.0 */
#include "service/worker/forwards.h"

#include <stdlib.h>
#include <string.h>

void forwards_init(struct forwards *forwards, uint64_t seed)
{
    *forwards = (struct forwards){.seed = seed};
}

void forwards_clear(struct forwards *forwards)
{
    free(forwards->entries);
    forwards_init(forwards, forwards->seed);
}

static struct forward *set_of(const struct forwards *forwards, const struct address *source, uint16_t local_port)
{
    uint64_t hash = address_hash(source, forwards->seed) + local_port;
    return &forwards->entries[hash % FORWARDS_SETS * FORWARDS_WAYS];
}

/* NULL: not here. */
static struct forward *find(const struct forwards *forwards, const struct address *source, uint16_t local_port)
{
    if (forwards->count == 0)
        return NULL;
    struct forward *set = set_of(forwards, source, local_port);
    for (size_t i = 0; i < FORWARDS_WAYS; ++i)
        if (set[i].worker != 0 && set[i].local_port == local_port && address_equal(&set[i].source, source))
            return &set[i];
    return NULL;
}

/* Newest first; what was last in its set goes. */
void forwards_set(struct forwards *forwards, const struct address *source, uint16_t local_port, unsigned worker)
{
    if (!forwards->entries)
        forwards->entries = calloc(FORWARDS_SETS * FORWARDS_WAYS, sizeof *forwards->entries);
    if (!forwards->entries)
        return;
    forwards_remove(forwards, source, local_port);
    struct forward *set = set_of(forwards, source, local_port);
    forwards->count += set[FORWARDS_WAYS - 1].worker == 0;
    memmove(set + 1, set, (FORWARDS_WAYS - 1) * sizeof *set);
    set[0] = (struct forward){.source = *source, .local_port = local_port, .worker = (uint16_t)(worker + 1)};
}

void forwards_remove(struct forwards *forwards, const struct address *source, uint16_t local_port)
{
    struct forward *entry = find(forwards, source, local_port);
    if (!entry)
        return;
    size_t behind = FORWARDS_WAYS - 1 - (size_t)(entry - set_of(forwards, source, local_port));
    memmove(entry, entry + 1, behind * sizeof *entry);
    entry[behind].worker = 0;
    --forwards->count;
}

bool forwards_find(const struct forwards *forwards, const struct address *source, uint16_t local_port, unsigned *worker)
{
    const struct forward *entry = find(forwards, source, local_port);
    if (!entry)
        return false;
    *worker = entry->worker - 1U;
    return true;
}
