/* SPDX-License-Identifier: Apache-2.0 */
#include "service/server/reload_apply.h"
#include "service/server/server_internal.h"
#include "service/worker/sweep.h"
#include "service/worker/worker_loop.h"

#include <string.h>

#define RELOAD_SLICE_US 1000U
#define RELOAD_LOOK     64 /* rows between two looks at the clock */

/* Makes a target's keyring on first use; a row that is in a ring already brings it. */
static bool join_ring(struct reload *reload, struct target *row, size_t index, uint16_t slot)
{
    struct keyring *own = row->more ? row->more->ring : NULL;
    bool shows = own ? keyring_shown(own) == row->more->slot : row->connected;
    uv_mutex_lock(&reload->rings_lock);
    struct keyring **ring = &reload->rings[index];
    if (!*ring)
        *ring = own ? keyring_take(own) : keyring_new();
    bool good = *ring && targets_join_ring(row, *ring, slot);
    uv_mutex_unlock(&reload->rings_lock);
    if (good && shows)
        (void)keyring_show(reload->rings[index], slot);
    return good;
}

static bool is_in_ring(const struct reload *reload, const struct target *row, size_t index, uint16_t slot)
{
    return slot != KEYRING_CURRENT || (row->more && row->more->ring) || reload->rings[index] ||
           config_has_old_keys(&reload->config, index);
}

static bool is_changed(const struct target *row, const struct config_target *config, bool old_key)
{
    struct address address = targets_configured(row);
    return row->port != config->port || row->old_key != old_key || row->has_address != config->has_address ||
           row->strict != (config->strict && config->has_address) ||
           (row->has_address && !address_same_ip(&address, config->address.ip));
}

/* The session continues with its key. */
static bool update_target(struct worker *worker, struct apply *apply, struct target *row, size_t index, uint16_t slot)
{
    struct reload *reload = apply->reload;
    const struct config_target *target = &reload->config.targets[index];
    const struct kdnet_policy *policy = reload->policy_of[index];
    bool old_key = slot != KEYRING_CURRENT, good = policy != NULL;
    if (policy)
        kdnet_session_set_policy(targets_session(row), policy);
    if (strcmp(targets_name(row), target->name) != 0) {
        if (worker->env->target_renamed)
            worker->env->target_renamed(worker->env->user, row, target->name);
        worker_target_gone(worker, row);
        good = targets_rename(row, target->name) && good;
    }
    if (is_changed(row, target, old_key)) {
        targets_change(&worker->targets, row, target, old_key);
        apply->index_due = true;
    }
    row->leaving = false;
    if (is_in_ring(reload, row, index, slot))
        good = join_ring(reload, row, index, slot) && good;
    worker_target_changed(worker, row);
    return good;
}

/* No target has the row's key any more. The machine may use the key until its next start, so the row stays while it
 * is in use. */
static bool keep_unlisted(struct worker *worker, struct apply *apply, struct target *row)
{
    const struct reload *reload = apply->reload;
    const struct config_target *target = config_find_target(&reload->config, targets_name(row));
    if (target && row->seen && !targets_is_superseded(row))
        return update_target(worker, apply, row, (size_t)(target - reload->config.targets), KEYRING_UNLISTED);
    apply->index_due = apply->index_due || row->has_address;
    if (target) {
        sweep_remove(worker, row, false);
    } else if (sweep_is_busy(row)) {
        targets_age_key(&worker->targets, row);
        sweep_leave(worker, row, reload->let_go);
    } else {
        sweep_remove(worker, row, row->leaving || targets_stands_for_all(row));
    }
    return true;
}

/* Updates a row that stays; removes another. */
static bool keep_target(struct worker *worker, struct apply *apply, uint32_t id)
{
    struct reload *reload = apply->reload;
    struct target *row = targets_row(&worker->targets, id);
    if (!row)
        return true;
    size_t number = config_find_key(&reload->config, kdnet_session_key(targets_session(row)), row->port,
                                    targets_name(row));
    if (number == CONFIG_NO_KEY)
        return keep_unlisted(worker, apply, row);
    reload->stays[number] = true;
    return update_target(worker, apply, row, config_key_target(&reload->config, number),
                         (uint16_t)config_key_slot(&reload->config, number));
}

/* A machine without an address starts at any worker, and moves to the one where its datagrams arrive. */
static bool is_its_worker(const struct worker *worker, const struct reload *reload, size_t number)
{
    size_t index = config_key_target(&reload->config, number);
    const struct config_target *target = &reload->config.targets[index];
    const struct worker_env *env = worker->env;
    if (target->has_address)
        return steer_worker(&env->steer, target->address.ip) == worker->number;
    bool hinted = reload->homes && reload->homes[index] != HINTING_ANYWHERE;
    return (hinted ? reload->homes[index] : (unsigned)(index % env->worker_count)) == worker->number;
}

static bool add_target(struct worker *worker, struct apply *apply, size_t number)
{
    struct reload *reload = apply->reload;
    size_t index = config_key_target(&reload->config, number);
    uint16_t slot = (uint16_t)config_key_slot(&reload->config, number);
    const struct config_target *target = &reload->config.targets[index];
    const struct kdnet_policy *policy = reload->policy_of[index];
    struct target *row = policy ? targets_add(&worker->targets, target, slot != KEYRING_CURRENT) : NULL;
    if (!row)
        return false;
    targets_begin_session(row, &worker->shared, policy, config_key(&reload->config, number));
    apply->index_due = apply->index_due || row->has_address;
    bool good = !is_in_ring(reload, row, index, slot) || join_ring(reload, row, index, slot);
    worker_target_changed(worker, row);
    return good;
}

/* Makes room for all rows to be added. */
static bool reserve(struct worker *worker, const struct reload *reload)
{
    size_t ids = worker->targets.count;
    for (size_t i = 0; i < config_key_count(&reload->config); ++i)
        ids += !reload->stays[i] && is_its_worker(worker, reload, i);
    if (ids < worker->targets.ids)
        ids = worker->targets.ids;
    return worker_reserve(worker, ids);
}

void reload_apply_begin(struct worker *worker, struct apply *apply)
{
    const struct reload *reload = apply->reload;
    apply->at = apply->end = 0;
    apply->good = true;
    if (reload->step == STEP_FREEZE) {
        worker->frozen = true;
        worker_configure(worker, &reload->config);
    } else if (reload->step == STEP_KEEP) {
        apply->end = worker->targets.ids;
    } else if (reload->step == STEP_ADD) {
        apply->good = reserve(worker, reload);
        apply->end = apply->good ? config_key_count(&reload->config) : 0;
    }
}

/* A row that cannot be changed, for lack of memory, stays as it is; the others are done. */
void reload_apply_next(struct worker *worker, struct apply *apply)
{
    const struct reload *reload = apply->reload;
    size_t at = apply->at++;
    bool good = true;
    if (reload->step == STEP_KEEP)
        good = keep_target(worker, apply, (uint32_t)at);
    else if (!reload->stays[at] && is_its_worker(worker, reload, at))
        good = add_target(worker, apply, at);
    apply->good = good && apply->good;
}

void reload_apply_end(struct worker *worker, struct apply *apply)
{
    enum reload_step step = apply->reload->step;
    if (step == STEP_ADD && apply->index_due) {
        apply->good = targets_index(&worker->targets) && apply->good;
        apply->index_due = false;
    }
    if (step == STEP_THAW)
        worker->frozen = false;
}

static void reply(struct apply *apply)
{
    apply->message.handle = apply->reload->done;
    mailbox_post(&apply->reload->server->mailbox, &apply->message);
}

static void end_work(struct worker *worker, struct apply *apply)
{
    worker->apply = NULL;
    (void)uv_idle_stop(&worker->apply_idle);
    reload_apply_end(worker, apply);
    reply(apply);
}

/* Some rows between two rounds of the loop: machines do not wait for the others' rows. */
static void on_idle(uv_idle_t *idle)
{
    struct worker *worker = idle->data;
    struct apply *apply = worker->apply;
    uint64_t until_us = worker_now_us() + RELOAD_SLICE_US;
    do
        for (size_t i = 0; i < RELOAD_LOOK && apply->at < apply->end; ++i)
            reload_apply_next(worker, apply);
    while (apply->at < apply->end && worker_now_us() < until_us);
    if (apply->at == apply->end)
        end_work(worker, apply);
}

void reload_apply_step(struct message *message, void *owner)
{
    struct apply *apply = (struct apply *)message;
    struct worker *worker = owner;
    if (worker->finished) {
        reply(apply);
        return;
    }
    reload_apply_begin(worker, apply);
    worker->apply = apply;
    if (apply->at < apply->end)
        (void)uv_idle_start(&worker->apply_idle, on_idle);
    else
        end_work(worker, apply);
}
