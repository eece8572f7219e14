/* SPDX-License-Identifier: Apache-2.0 */
/*
 * forwarding_table: sources whose machine another worker serves for now.
 *
 * A machine at an unknown address is found by its key, whichever worker has its row. Until the row has moved to the
 * worker where its datagrams arrive (migration.h), the datagrams are forwarded. So an entry is needed for a second
 * only, and the table is small: FORWARDING_TABLE_WAYS in each of FORWARDING_TABLE_SETS; the oldest is dropped, and the
 * machine's next poke finds it again.
 */
#ifndef SERVICE_FORWARDING_TABLE_H
#define SERVICE_FORWARDING_TABLE_H

#include "service/net/address.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FORWARDING_TABLE_WAYS ((size_t)4)
#define FORWARDING_TABLE_SETS ((size_t)4096)

struct forwarding_entry {
    struct address source;
    uint16_t local_port;
    uint16_t worker; /* + 1; 0: a free entry */
};

struct forwarding_table {
    struct forwarding_entry *entries; /* FORWARDING_TABLE_SETS * FORWARDING_TABLE_WAYS; NULL until the first */
    uint64_t seed;
    size_t count;
};

void forwarding_table_init(struct forwarding_table *forwarding_table, uint64_t seed);
void forwarding_table_clear(struct forwarding_table *forwarding_table);

/* Without memory for the table, nothing is remembered. */
void forwarding_table_set(struct forwarding_table *forwarding_table, const struct address *source, uint16_t local_port,
                          unsigned worker);
void forwarding_table_remove(struct forwarding_table *forwarding_table, const struct address *source,
                             uint16_t local_port);

/* False: not here. Cost: nothing while the table is empty, else one hash and FORWARDING_TABLE_WAYS compares. */
bool forwarding_table_find(const struct forwarding_table *forwarding_table, const struct address *source,
                           uint16_t local_port, unsigned *worker);

#endif
