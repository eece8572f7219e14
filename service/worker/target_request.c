/* SPDX-License-Identifier: Apache-2.0 */
#include "service/worker/target_request.h"
#include "service/worker/worker.h"

#include <string.h>

#define ROUNDS 2U

/* Returns the row that stands for the target, among the rows of this slice. */
static struct target *find_in_slice(const struct worker *worker, struct target_request *request)
{
    uint32_t end = request->at + TARGET_REQUEST_LOOK;
    for (; request->at < end && request->at < worker->targets.ids; ++request->at) {
        struct target *row = targets_row(&worker->targets, request->at);
        if (row && targets_stands_for_all(row) && strcmp(targets_name(row), request->name) == 0)
            return row;
    }
    return NULL;
}

static void post(const struct worker_env *env, struct target_request *request)
{
    mailbox_post(env->mailboxes[request->worker], &request->message);
}

static void handle_request(struct message *message, void *owner)
{
    struct target_request *request = (struct target_request *)message;
    struct worker *worker = owner;
    const struct worker_env *env = worker->env;
    struct target *target = worker->finished ? NULL : find_in_slice(worker, request);
    if (target || worker->finished) {
        request->act(request, worker, target);
        return;
    }
    if (request->at < worker->targets.ids) {
        post(env, request);
        return;
    }
    if (++request->asked == ROUNDS * env->worker_count) {
        request->act(request, worker, NULL);
        return;
    }
    request->at = 0;
    request->worker = (request->worker + 1) % env->worker_count;
    post(env, request);
}

void target_request_post(const struct worker_env *env, struct target_request *request, unsigned worker)
{
    request->message.handle = handle_request;
    request->worker = worker % env->worker_count;
    request->asked = 0;
    request->at = 0;
    post(env, request);
}
