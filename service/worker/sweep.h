/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sweep: removes rows by themselves: of removed targets, and of keys that their machines no longer use.
 */
#ifndef SERVICE_SWEEP_H
#define SERVICE_SWEEP_H

#include "service/worker/worker.h"

/* Once a second; free while no key is an old one. Three minutes after the start it names targets that were never
 * heard. */
void sweep_look(struct worker *worker);

/* Removes a row; `report`: publishes its target as removed. */
void sweep_remove(struct worker *worker, struct target *target, bool report);

/* Whether the machine is halted, or writes its dump. */
bool sweep_is_busy(const struct target *target);

/* The target was removed: releases its machine, and lets its crash end. The row must be of an old key. */
void sweep_leave(struct worker *worker, struct target *target, const struct kdnet_policy *let_go);

#endif
