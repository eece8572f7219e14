/* SPDX-License-Identifier: Apache-2.0 */
#include "service/worker/forwarding_table.h"

#include <stdlib.h>
#include <string.h>

void forwarding_table_init(struct forwarding_table *forwarding_table, uint64_t seed)
{
    *forwarding_table = (struct forwarding_table){.seed = seed};
}

void forwarding_table_clear(struct forwarding_table *forwarding_table)
{
    free(forwarding_table->entries);
    forwarding_table_init(forwarding_table, forwarding_table->seed);
}

static struct forwarding_entry *set_of(const struct forwarding_table *forwarding_table, const struct address *source,
                                       uint16_t local_port)
{
    uint64_t hash = address_hash(source, forwarding_table->seed) + local_port;
    return &forwarding_table->entries[hash % FORWARDING_TABLE_SETS * FORWARDING_TABLE_WAYS];
}

/* NULL: not here. */
static struct forwarding_entry *find(const struct forwarding_table *forwarding_table, const struct address *source,
                                     uint16_t local_port)
{
    if (forwarding_table->count == 0)
        return NULL;
    struct forwarding_entry *set = set_of(forwarding_table, source, local_port);
    for (size_t i = 0; i < FORWARDING_TABLE_WAYS; ++i)
        if (set[i].worker != 0 && set[i].local_port == local_port && address_equal(&set[i].source, source))
            return &set[i];
    return NULL;
}

/* Inserts at the front of its set; the last entry is dropped. */
void forwarding_table_set(struct forwarding_table *forwarding_table, const struct address *source, uint16_t local_port,
                          unsigned worker)
{
    if (!forwarding_table->entries)
        forwarding_table->entries = calloc(FORWARDING_TABLE_SETS * FORWARDING_TABLE_WAYS,
                                           sizeof *forwarding_table->entries);
    if (!forwarding_table->entries)
        return;
    forwarding_table_remove(forwarding_table, source, local_port);
    struct forwarding_entry *set = set_of(forwarding_table, source, local_port);
    forwarding_table->count += set[FORWARDING_TABLE_WAYS - 1].worker == 0;
    memmove(set + 1, set, (FORWARDING_TABLE_WAYS - 1) * sizeof *set);
    set[0] = (struct forwarding_entry){.source = *source, .local_port = local_port, .worker = (uint16_t)(worker + 1)};
}

void forwarding_table_remove(struct forwarding_table *forwarding_table, const struct address *source,
                             uint16_t local_port)
{
    struct forwarding_entry *entry = find(forwarding_table, source, local_port);
    if (!entry)
        return;
    size_t behind = FORWARDING_TABLE_WAYS - 1 - (size_t)(entry - set_of(forwarding_table, source, local_port));
    memmove(entry, entry + 1, behind * sizeof *entry);
    entry[behind].worker = 0;
    --forwarding_table->count;
}

bool forwarding_table_find(const struct forwarding_table *forwarding_table, const struct address *source,
                           uint16_t local_port, unsigned *worker)
{
    const struct forwarding_entry *entry = find(forwarding_table, source, local_port);
    if (!entry)
        return false;
    *worker = entry->worker - 1U;
    return true;
}
