/* SPDX-License-Identifier: Apache-2.0 */
/*
 * migration: a machine's row goes to the worker where the machine's datagrams arrive.
 *
 * Uses worker, forward. A row without a configured address begins anywhere; when its machine is live at an address of
 * another worker, it goes there, with its session and all that it knows. As a row's place in the table, it moves only
 * on authentic new data, never on a poke, which can be a recording.
 */
#ifndef SERVICE_MIGRATION_H
#define SERVICE_MIGRATION_H

#include "service/worker/worker.h"

/* Moves the row if it should, and may: nothing of it waits here. The row is gone then. */
void migration_consider(struct worker *worker, struct target *target);

#endif
