/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ask: machines are asked to poke where they were last, as a hint says, and not only what comes is answered.
 *
 * Uses worker, send. A hint proves nothing: what is sent is an empty control datagram, and only what comes back under
 * the target's key counts. A machine that we hear is not asked.
 */
#ifndef SERVICE_ASK_H
#define SERVICE_ASK_H

#include "service/worker/worker.h"

#define ASK_MACHINES 64U

/* A row, and where its machine was last. */
struct ask_machine {
    char name[CONFIG_NAME_SIZE];
    uint32_t row;
    struct address machine, local; /* `local`: of ours, that it sends to */
    uint8_t version;               /* of KDNET */
};

/* Its worker's message. */
struct ask {
    struct message message;
    size_t count;
    struct ask_machine machines[ASK_MACHINES];
};

/* Posts a request with `count` and `machines` set, which is freed when it is done. Thread: any. */
void ask_post(const struct worker_env *env, struct ask *ask, unsigned worker);

/* The row of a question; NULL: it is not here any more. */
struct target *ask_row(const struct worker *worker, const struct ask_machine *machine);

/* A datagram of nobody's. When a row is hinted to be its: true for data, and its machine is asked to poke; true for a
 * poke that the row's key opens, which it was given. */
bool ask_hinted(struct worker *worker, const struct arrival *arrival);

#endif
