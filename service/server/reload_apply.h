/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reload_apply: a worker's part of each step of applying a configuration (reload.c has the steps).
 *
 * A row that cannot be changed, for lack of memory, stays as it is; the others are done.
 *
 * Thread: the worker's, or any while no worker runs.
 */
#ifndef SERVICE_RELOAD_APPLY_H
#define SERVICE_RELOAD_APPLY_H

#include "service/server/reload_state_internal.h"

/* Begins the current step of apply->reload: rows apply->at to apply->end are to be done. */
void reload_apply_begin(struct worker *worker, struct apply *apply);

/* Does row apply->at, which is less than apply->end. */
void reload_apply_next(struct worker *worker, struct apply *apply);

void reload_apply_end(struct worker *worker, struct apply *apply);

/* Handles the message that does all of a step, in slices between the rounds of the loop, and returns to `done`. */
void reload_apply_step(struct message *message, void *owner);

#endif
