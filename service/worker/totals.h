/* SPDX-License-Identifier: Apache-2.0 */
/*
 * totals: how many machines of a worker are connected, halted and held.
 *
 * Uses worker, admission. The counts change with each row's state, so that nobody has to look through the rows.
 */
#ifndef SERVICE_TOTALS_H
#define SERVICE_TOTALS_H

#include "service/worker/worker.h"

/* Brings the totals and admission up to date with what a row's session is now. */
void totals_count(struct worker *worker, struct target *target);

/* Takes a row out of the totals, until totals_count. */
void totals_uncount(struct worker *worker, struct target *target);

/* Takes a row out of the totals and out of admission: its session ends here, or the row goes. */
void totals_forget(struct worker *worker, struct target *target);

#endif
