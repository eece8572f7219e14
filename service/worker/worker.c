/* SPDX-License-Identifier: Apache-2.0 */
#include "service/worker/worker.h"

bool worker_is_alone(const struct worker *worker)
{
    return worker->env->worker_count == 1;
}

unsigned worker_home(const struct worker *worker, const struct address *address)
{
    return steer_worker(&worker->env->steer, address->ip);
}

void worker_post(const struct worker *worker, unsigned to, struct message *message)
{
    mailbox_post(worker->env->mailboxes[to], message);
}

void worker_target_changed(struct worker *worker, struct target *target)
{
    if (worker->env->target_changed)
        worker->env->target_changed(worker->env->user, worker, target);
}

void worker_target_gone(struct worker *worker, struct target *target)
{
    if (worker->env->target_gone)
        worker->env->target_gone(worker->env->user, worker, target);
}

bool worker_reserve(struct worker *worker, size_t ids)
{
    return targets_reserve(&worker->targets, ids) && timers_reserve(&worker->timers, worker->targets.capacity) &&
           admission_reserve(&worker->admission, worker->targets.capacity);
}

struct listener *worker_listener(const struct worker *worker, uint32_t id)
{
    struct listener *listener = worker->listeners;
    while (listener && listener->id != id)
        listener = listener->next;
    return listener;
}

uint64_t worker_patience_us(const struct target *target)
{
    return 2 * kdnet_session_timeout(targets_session(target));
}

struct listener *worker_listener_at(const struct worker *worker, const struct address *local)
{
    for (struct listener *listener = worker->listeners; listener; listener = listener->next)
        if (!listener->closed && listener->local.port == local->port &&
            (address_is_any(&listener->local) || address_same_ip(&listener->local, local->ip)))
            return listener;
    return NULL;
}
