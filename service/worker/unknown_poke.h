/* SPDX-License-Identifier: Apache-2.0 */
/*
 * unknown_poke: a poke from a source that no row has: tries the keys of its port (key_search.h).
 *
 * A poke that no key of this worker opens goes to the next worker; one that no worker's key opens is handed to the
 * server (worker_env.h).
 */
#ifndef SERVICE_UNKNOWN_POKE_H
#define SERVICE_UNKNOWN_POKE_H

#include "service/worker/worker.h"

/* Queues a poke that `hops` workers have tried already. */
void unknown_poke_add(const struct arrival *arrival, unsigned hops);

/* Handles a poke from an address of this worker that no worker's key opens; the row may have come here meanwhile. */
void unknown_poke_unopened(const struct arrival *arrival);

/* Tries keys in the next rounds of the loop, as the CPU budget allows. */
void unknown_poke_search(struct worker *worker);

/* The target of this worker whose key opens a poke, but which is configured for another address or port; NULL: none of
 * the first WORKER_OWNER_LOOK rows. */
const struct target *unknown_poke_owner(struct worker *worker, const struct search_poke *poke);

#endif
