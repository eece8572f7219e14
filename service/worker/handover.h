/* SPDX-License-Identifier: Apache-2.0 */
/*
 * handover: lends a machine to another debugger for a while. kdnetd is silent to it: its datagrams are not opened, and
 * nothing is sent. The session is reset: after the end, the machine's next poke starts anew, and a break that it is at
 * is found again.
 */
#ifndef SERVICE_HANDOVER_H
#define SERVICE_HANDOVER_H

#include "service/worker/worker.h"

/* From now on until then, by the worker's clock. False: out of memory, and nothing changed. */
bool handover_begin(struct worker *worker, struct target *target, uint64_t until_us);

/* Ends the handover: the machine is asked to poke. */
void handover_end(struct worker *worker, struct target *target);

/* Whether a handover's time is not over yet; otherwise takes the machine back. */
bool handover_lasts(struct worker *worker, struct target *target, uint64_t now_us);

/* Whether a datagram may be from a machine that is handed over, judged without its session. */
bool handover_may_open(struct target *target, const struct arrival *arrival);

/* Handles the handover's timer. */
void handover_expire(struct worker *worker, struct target *target, uint64_t now_us);

#endif
