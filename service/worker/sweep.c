/* SPDX-License-Identifier: Apache-2.0 */
/* Removes rows by themselves: of removed targets, and of keys that their machines no longer use. */
#include "service/runtime/log.h"
#include "service/worker/sweep.h"
#include "service/worker/publish.h"
#include "service/worker/pump.h"
#include "service/worker/totals.h"

#include <stdint.h>

void sweep_remove(struct worker *worker, struct target *target, bool report)
{
    if (report)
        publish_removed(worker, target);
    worker_target_gone(worker, target);
    totals_forget(worker, target);
    timers_set(&worker->timers, target->id, TIMERS_NEVER, worker_now_us());
    worker->index_due = worker->index_due || (target->has_address && !worker->frozen);
    targets_remove(&worker->targets, target);
}

bool sweep_is_busy(const struct target *target)
{
    return kdnet_session_is_halted(targets_session(target)) || kdnet_session_is_waiting(targets_session(target)) ||
           kdnet_session_is_dumping(targets_session(target));
}

void sweep_leave(struct worker *worker, struct target *target, const struct kdnet_policy *let_go)
{
    struct log_line line;
    uint64_t now_us = worker_now_us();
    kdnet_session_set_policy(targets_session(target), let_go);
    worker_target_changed(worker, target); /* its labels were the old policy's */
    if (kdnet_session_resume(targets_session(target), KDNET_ACTION_CONTINUE, now_us) == KDNET_OK)
        pump_target(worker, target, NULL, NULL, now_us);
    target->leaving = true;
    worker->sweep_due = true;
    log_begin(&line, CONFIG_LOG_NOTICE, "target is taken out when its machine has been let go on");
    log_text(&line, "target", targets_name(target));
    log_end(&line);
}

/* The machine uses another key by now: nothing of the old session can be of use, or may be told as lost. */
static void end_session(struct worker *worker, struct target *target)
{
    totals_forget(worker, target);
    timers_set(&worker->timers, target->id, TIMERS_NEVER, worker_now_us());
    kdnet_session_restart(targets_session(target));
    worker_target_changed(worker, target);
}

/* Returns whether the row has to be checked again. */
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

static bool is_unheard(const struct target *row)
{
    return !row->seen && !row->old_key &&
           !(row->more && row->more->ring && keyring_shown(row->more->ring) != KEYRING_NONE);
}

static void say_unheard(const struct target *row)
{
    struct log_line line;
    log_begin(
        &line, CONFIG_LOG_WARNING,
        "target was never heard in the three minutes since the start; run `bcdedit /dbgsettings` and `bcdedit "
        "/enum` on it: hostip must be an address of this computer, the port one of listen:, the key its target's, "
        "and debug Yes; it counts from the machine's next start");
    log_text(&line, "target", targets_name(row));
    if (row->has_address) {
        char text[ADDRESS_TEXT_SIZE];
        struct address configured = targets_configured(row);
        address_format_ip(&configured, text);
        log_text(&line, "address", text);
    }
    log_end(&line);
}

/* Once, some rows at a time. */
static void look_for_unheard(struct worker *worker)
{
    struct log_line line;
    size_t ids = worker->targets.ids, until = worker->unheard_at + WORKER_UNHEARD_LOOK;
    if (worker->unheard_at == SIZE_MAX || worker->stopping || worker_now_us() - worker->started_us < WORKER_UNHEARD_US)
        return;
    for (; worker->unheard_at < ids && worker->unheard_at < until; ++worker->unheard_at) {
        const struct target *row = targets_row(&worker->targets, (uint32_t)worker->unheard_at);
        if (row && is_unheard(row) && ++worker->unheard <= WORKER_UNHEARD_NAMES)
            say_unheard(row);
    }
    if (worker->unheard_at < ids)
        return;
    worker->unheard_at = SIZE_MAX;
    if (worker->unheard <= WORKER_UNHEARD_NAMES)
        return;
    log_begin(&line, CONFIG_LOG_WARNING, "more targets were never heard since the start than are told by name");
    log_number(&line, "targets", worker->unheard);
    log_end(&line);
}

void sweep_look(struct worker *worker)
{
    look_for_unheard(worker);
    unsigned news = atomic_load(worker->env->keys_shown);
    if (worker->frozen || worker->targets.old_keys == 0 || (!worker->sweep_due && news == worker->keys_shown))
        return;
    worker->keys_shown = news;
    worker->sweep_due = false;
    for (uint32_t group = 0; group < worker->targets.group_count; ++group)
        for (size_t at = 0; worker->targets.key_groups[group].old_keys && at < worker->targets.key_groups[group].count;
             ++at) {
            struct target *row = targets_row(&worker->targets, worker->targets.key_groups[group].ids[at]);
            if (row && row->old_key)
                worker->sweep_due = sweep_row(worker, row) || worker->sweep_due;
        }
}
