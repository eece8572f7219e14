/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sweep: rows that go by themselves: of targets that were removed, and of keys that their machines do not use any more.
 *
 * Uses publish, pump, totals.
 */
#ifndef SERVICE_SWEEP_H
#define SERVICE_SWEEP_H

#include "service/worker/worker.h"

/* Once a second; costs nothing while no key is an old one. Three minutes after the start it names targets that were
 * never heard. */
void sweep_look(struct worker *worker);

/* Takes a row out; `report`: its target is published as removed. */
void sweep_remove(struct worker *worker, struct target *target, bool report);

/* Its machine stands still, or writes its dump. */
bool sweep_is_busy(const struct target *target);

/* The target was removed: its machine is let go on, and its crash comes to its end. It must be a row of an old key. */
void sweep_leave(struct worker *worker, struct target *target, const struct kdnet_policy *let_go);

#endif
