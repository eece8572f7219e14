/* SPDX-License-Identifier: Apache-2.0 */
/*
 * handover: a machine that another debugger has for a while. kdnetd is silent to it: what comes from it is not opened,
 * and nothing is sent. The session has forgotten it: when it is taken back, its next poke begins anew, and a break that
 * it stands at is found again.
 *
 * Uses worker, send, totals.
 */
#ifndef SERVICE_HANDOVER_H
#define SERVICE_HANDOVER_H

#include "service/worker/worker.h"

/* From now on until then, by the worker's clock. False: out of memory, and nothing changed. */
bool handover_begin(struct worker *worker, struct target *target, uint64_t until_us);

/* It is over: the machine is asked to poke. */
void handover_end(struct worker *worker, struct target *target);

/* Of a target that is handed over: whether its time is not over yet; else it is taken back. */
bool handover_lasts(struct worker *worker, struct target *target, uint64_t now_us);

/* Of the same: whether a datagram may be its, as far as can be said without its session. */
bool handover_may_open(struct target *target, const struct arrival *arrival);

/* Its timer has come. */
void handover_expire(struct worker *worker, struct target *target, uint64_t now_us);

#endif
