/* SPDX-License-Identifier: Apache-2.0 */
/*
 * deliver: gives a datagram to a target's session, and notes what the datagram shows.
 *
 * Noted are: where the machine is (responses.h, targets.h), whether it hears us (admission.h), and news for an
 * operator: two machines with one key, another host, an unknown form of KDNET.
 */
#ifndef SERVICE_DELIVER_H
#define SERVICE_DELIVER_H

#include "service/worker/worker.h"

/* Gives a datagram to a row's session. Returns whether it was the target's. */
bool deliver_datagram(struct worker *worker, struct target *target, const struct arrival *arrival);

/* Tries rows in order until one takes the datagram. Returns whether one did. */
bool deliver_to_targets(struct worker *worker, const struct arrival *arrival, struct target **rows, size_t count);

#endif
