/* SPDX-License-Identifier: Apache-2.0 */
/*
 * totals: how many machines of a worker are connected, halted and held.
 *
 * The counts change with each row's state, so that nobody has to visit all rows.
 */
#ifndef SERVICE_TOTALS_H
#define SERVICE_TOTALS_H

#include "service/worker/worker.h"

/* Updates the totals and admission from a row's session. */
void totals_count(struct worker *worker, struct target *target);

/* Takes a row out of the totals, until totals_count. */
void totals_uncount(struct worker *worker, struct target *target);

/* Removes a row from the totals and from admission: its session ends, or the row goes. */
void totals_forget(struct worker *worker, struct target *target);

#endif
