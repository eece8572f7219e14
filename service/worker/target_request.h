/* SPDX-License-Identifier: Apache-2.0 */
/*
 * target_request: runs a function on a target, found by its name, on the thread of its worker.
 *
 * The request goes from worker to worker until one has the target: each visits TARGET_REQUEST_LOOK rows between two
 * rounds of its loop, so that no machine waits. A target may migrate meanwhile, so the request goes round twice.
 */
#ifndef SERVICE_TARGET_REQUEST_H
#define SERVICE_TARGET_REQUEST_H

#include "config/config.h"
#include "service/runtime/mailbox.h"
#include "service/worker/worker_env.h"

#include <stdint.h>

#define TARGET_REQUEST_LOOK 4096U

/* The first member of a struct of the caller's. */
struct target_request {
    struct message message;
    char name[CONFIG_NAME_SIZE];
    /*
     * Called once, on the thread of the worker that has the target; the callee owns the request. `target` NULL: no
     * worker has one of this name, or the service ends. For a target with several keys, the row that stands for all of
     * them. The session's datagrams go out when the callee calls pump_target.
     */
    void (*act)(struct target_request *request, struct worker *worker, struct target *target);

    unsigned worker, asked; /* the current worker; the workers visited. Not the caller's, like the members below */
    uint32_t at;            /* next row to visit */
};

/* Posts a request whose `name` and `act` are set. `worker`: the first to ask, a guess. Thread: any. */
void target_request_post(const struct worker_env *env, struct target_request *request, unsigned worker);

#endif
