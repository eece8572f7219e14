/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reload_apply: a worker's part of each step in which a configuration is applied (reload.c has the steps).
 *
 * Uses worker, targets. Rows that could not be changed for want of memory keep what they have; the others go on.
 *
 * Thread: the worker's, or any while no worker runs.
 */
#ifndef SERVICE_RELOAD_APPLY_H
#define SERVICE_RELOAD_APPLY_H

#include "service/server/reload_state_internal.h"

/* Begins the step that apply->reload is at: rows apply->at to apply->end are to be done. */
void reload_apply_begin(struct worker *worker, struct apply *apply);

/* Does row apply->at, which is less than apply->end. */
void reload_apply_next(struct worker *worker, struct apply *apply);

void reload_apply_end(struct worker *worker, struct apply *apply);

/* The message that does all of a step, in slices between the rounds of the loop, and comes back to `done`. */
void reload_apply_step(struct message *message, void *owner);

#endif
