/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ask: asks machines to poke at the address that a hint gives, instead of waiting for them.
 *
 * A hint proves nothing: the datagram sent is an empty control datagram, and only an answer under the target's key
 * counts. A machine that is being heard is not asked.
 */
#ifndef SERVICE_ASK_H
#define SERVICE_ASK_H

#include "service/worker/worker.h"

#define ASK_MACHINES 64U

/* A row, and the last known place of its machine. */
struct ask_machine {
    char name[CONFIG_NAME_SIZE];
    uint32_t row;
    struct address machine, local; /* `local`: our address that the machine sends to */
    uint8_t version;               /* of KDNET */
};

/* A message to a worker. */
struct ask {
    struct message message;
    size_t count;
    struct ask_machine machines[ASK_MACHINES];
};

/* Posts a request with `count` and `machines` set; it frees itself. Thread: any. */
void ask_post(const struct worker_env *env, struct ask *ask, unsigned worker);

/* Returns the row of a question; NULL: gone. */
struct target *ask_row(const struct worker *worker, const struct ask_machine *machine);

/* Handles a datagram that no row takes. When a hint names a row for its source: true for data, whose machine is
 * asked to poke; true for a poke that the row's key opens, which the row gets. */
bool ask_hinted(struct worker *worker, const struct arrival *arrival);

#endif
