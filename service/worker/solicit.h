/* SPDX-License-Identifier: Apache-2.0 */
/*
 * solicit: asks machines to poke at once, when data comes of a connection that this process does not know.
 *
 * Uses send. After a restart, machines go on with the connection of the previous process: a poke from each makes a new
 * one. What is sent for a datagram is never longer than the datagram, so that nobody can use it to flood another.
 */
#ifndef SERVICE_SOLICIT_H
#define SERVICE_SOLICIT_H

#include "service/worker/worker.h"

/* Asks one machine; one that is connected only when its session wants it. Returns whether it was asked. */
bool solicit_poke(struct target *row, const struct arrival *arrival);

/* How many machines this datagram may cause to be asked; 0: not now. */
size_t solicit_allowance(struct worker *worker, const struct arrival *arrival);

/* Asks those that are configured for the source's IP: all when they are few, else some in turn. */
void solicit_configured(struct worker *worker, const struct arrival *arrival, size_t allowance);

/* Asks some of those whose address is not known, in turn. */
void solicit_rows(const struct arrival *arrival, size_t allowance);

#endif
