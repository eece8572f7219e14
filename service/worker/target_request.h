/* SPDX-License-Identifier: Apache-2.0 */
/*
 * target_request: asks for something to be done to a target, by its name, on the thread of the worker that has it.
 *
 * Uses worker and mailbox. The request goes from worker to worker until one has the target: each looks through
 * TARGET_REQUEST_LOOK rows between two rounds of its loop, so that no machine waits for it. A target may move from one
 * worker to another meanwhile: the request goes round twice.
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
     * Called once, on the thread of the worker that has the target; the request is the callee's then. `target` NULL: no
     * worker has one of this name, or the service ends. When it has several keys, the row that stands for all of them.
     * What the session has to send after the callee's calls goes out when it calls pump_target.
     */
    void (*act)(struct target_request *request, struct worker *worker, struct target *target);

    unsigned worker, asked; /* where it is; how many workers it has been at. As all below: not the caller's */
    uint32_t at;            /* the row that is looked at next */
};

/* Posts a request whose `name` and `act` are set. `worker`: who is asked first, as a guess. Thread: any. */
void target_request_post(const struct worker_env *env, struct target_request *request, unsigned worker);

#endif
