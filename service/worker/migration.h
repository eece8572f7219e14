/* SPDX-License-Identifier: Apache-2.0 */
/*
 * migration: moves a machine's row to the worker where the machine's datagrams arrive.
 *
 * A row without a configured address starts at any worker. When its machine is live at an address of another worker,
 * the row goes there with its session. Like a row's place in the table, it moves only on authentic new data, never on a
 * poke, which can be a replay.
 */
#ifndef SERVICE_MIGRATION_H
#define SERVICE_MIGRATION_H

#include "service/worker/worker.h"

/* Moves the row if it should move and nothing of it waits here. The row is then gone. */
void migration_consider(struct worker *worker, struct target *target);

#endif
