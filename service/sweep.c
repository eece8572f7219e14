/* SPDX-License-Identifier: Apache-2.0 */
/* Rows that go by themselves: of targets that were removed, and of keys that their machines do not use any more. */
#include "service/log.h"
#include "service/server_internal.h"

void sweep_remove(struct worker *worker, struct target *target, bool told)
{
    if (told)
        announce_removed(worker, target);
    dispatch_uncount(worker, target);
    timers_set(&worker->timers, target->id, TIMERS_NEVER, worker_now_us());
    worker->index_due = worker->index_due || (target->has_address && !worker->frozen);
    targets_remove(&worker->targets, target);
}

bool sweep_is_busy(const struct target *target)
{
    return kdnet_session_is_halted(target->session) || kdnet_session_is_dumping(target->session);
}

void sweep_leave(struct worker *worker, struct target *target, const struct kdnet_policy *let_go)
{
    struct log_line line;
    uint64_t now_us = worker_now_us();
    kdnet_session_set_policy(target->session, let_go);
    if (kdnet_session_release(target->session, KDNET_ACTION_CONTINUE, now_us) == KDNET_OK)
        dispatch_pump(worker, target, NULL, NULL, now_us);
    target->leaving = true;
    worker->sweep_due = true;
    log_begin(&line, CONFIG_LOG_NOTICE, "target is taken out when its machine has been let go on");
    log_text(&line, "target", targets_name(target));
    log_end(&line);
}

/* The machine uses another key by now: nothing of the old session can be of use, or may be told as lost. */
static void end_session(struct worker *worker, struct target *target)
{
    dispatch_uncount(worker, target);
    timers_set(&worker->timers, target->id, TIMERS_NEVER, worker_now_us());
    kdnet_session_restart(target->session);
}

/* Returns whether it is to be looked at again. */
static bool sweep_row(struct worker *worker, struct target *target)
{
    if (target->leaving) {
        if (sweep_is_busy(target))
            return true;
        sweep_remove(worker, target, true);
    } else if (targets_is_superseded(target)) {
        if (target->more->slot == KEYRING_UNLISTED)
            sweep_remove(worker, target, false);
        else if (target->connected)
            end_session(worker, target);
    }
    return false;
}

void sweep_look(struct worker *worker)
{
    unsigned news = atomic_load(&worker->server->key_news);
    if (worker->frozen || worker->targets.old_keys == 0 || (!worker->sweep_due && news == worker->key_news))
        return;
    worker->key_news = news;
    worker->sweep_due = false;
    for (uint32_t group = 0; group < worker->targets.group_count; ++group)
        for (size_t at = 0; worker->targets.groups[group].old_keys && at < worker->targets.groups[group].count; ++at) {
            struct target *row = targets_row(&worker->targets, worker->targets.groups[group].ids[at]);
            if (row && row->old_key)
                worker->sweep_due = sweep_row(worker, row) || worker->sweep_due;
        }
}
