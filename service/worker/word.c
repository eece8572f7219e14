/* SPDX-License-Identifier: Apache-2.0 */
#include "service/worker/word.h"

#include <string.h>

bool word_has_others(const struct worker *worker)
{
    return worker->env->others && atomic_load_explicit(worker->env->others, memory_order_relaxed);
}

bool word_is_here(const struct worker *worker, const struct address *local)
{
    return !worker->env->here || worker->env->here(worker->env->user, local);
}

bool word_local(const struct worker *worker, const struct target *row, struct address *out)
{
    const struct target_endpoint *endpoint = targets_destination(row);
    if (!endpoint)
        return false;
    *out = endpoint->listener->local;
    if (!address_is_any(out))
        return true;
    const uint8_t *ip = locals_ip(worker->env->locals, targets_route(row).via);
    if (ip)
        memcpy(out->ip, ip, sizeof out->ip);
    return ip != NULL;
}

bool word_is_away(void *user, const struct kdnet_session *session)
{
    const struct worker *worker = user;
    struct address local;
    return word_has_others(worker) && word_local(worker, targets_of_session(session), &local) &&
           !word_is_here(worker, &local);
}

void word_tell(const struct worker *worker, const struct target *target)
{
    struct address local;
    uint32_t told = kdnet_session_told_break(targets_session(target));
    if (told == 0 || !worker->env->kept || !word_has_others(worker) || !word_local(worker, target, &local))
        return;
    const struct address machine = targets_route(target);
    worker->env->kept(worker->env->user, &machine, &local, targets_name(target), told);
}
