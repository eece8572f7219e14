/* SPDX-License-Identifier: Apache-2.0 */
/*
 * solicit: asks machines to poke at once, when data of an unknown connection comes.
 *
 * After a restart, machines continue the previous process's connection: a poke from each makes a new one. A request is
 * never longer than the datagram that caused it, so that nobody can use it to flood another.
 */
#ifndef SERVICE_SOLICIT_H
#define SERVICE_SOLICIT_H

#include "service/worker/worker.h"

/* Asks one machine; a connected one only when its session wants that. Returns whether it was asked. */
bool solicit_poke(struct target *row, const struct arrival *arrival);

/* How many machines this datagram may cause to be asked; 0: not now. */
size_t solicit_allowance(struct worker *worker, const struct arrival *arrival);

/* Asks machines configured for the source's IP: all when they are few, else some in turn. */
void solicit_configured(struct worker *worker, const struct arrival *arrival, size_t allowance);

/* Asks some machines without a known address, in turn. */
void solicit_rows(const struct arrival *arrival, size_t allowance);

#endif
