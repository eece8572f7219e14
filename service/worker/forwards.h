/* SPDX-License-Identifier: Apache-2.0 */
/*
 * forwards: sources whose machine is served by another worker for now.
 *
 * Uses address. A machine whose address was not known is found by its key, wherever its row is; until its row has moved
 * to the worker where its datagrams arrive (moves.h), they are passed on. So an entry is needed for a second, and the
 * table is small: FORWARDS_WAYS in each of FORWARDS_SETS, the oldest goes; what is lost is found again by its next
 * poke.
 */
#ifndef SERVICE_FORWARDS_H
#define SERVICE_FORWARDS_H

#include "service/net/address.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FORWARDS_WAYS ((size_t)4)
#define FORWARDS_SETS ((size_t)4096)

struct forward {
    struct address source;
    uint16_t local_port;
    uint16_t worker; /* + 1; 0: a free entry */
};

struct forwards {
    struct forward *entries; /* FORWARDS_SETS * FORWARDS_WAYS; NULL until the first */
    uint64_t seed;
    size_t count;
};

void forwards_init(struct forwards *forwards, uint64_t seed);
void forwards_clear(struct forwards *forwards);

/* Without memory for the table, nothing is remembered. */
void forwards_set(struct forwards *forwards, const struct address *source, uint16_t local_port, unsigned worker);
void forwards_remove(struct forwards *forwards, const struct address *source, uint16_t local_port);

/* False: not here. Cost: nothing while the table is empty, else one hash and FORWARDS_WAYS compares. */
bool forwards_find(const struct forwards *forwards, const struct address *source, uint16_t local_port,
                   unsigned *worker);

#endif
