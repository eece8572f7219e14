/* SPDX-License-Identifier: Apache-2.0 */
/* Losses of machines that may be their listener's fault, on the worker's side: hearing.h. */
#include "service/worker/listening.h"
#include "service/worker/publish.h"

#include <string.h>

static bool defer_loss(struct worker *worker, const struct target *target, const struct kdnet_event *event)
{
    const struct listener *listener = target->live.listener;
    uint64_t last_seen_us = kdnet_session_last_seen(targets_session(target));
    if (!listener ||
        (!listener->silent && losses_outlived(listener->heard_us, last_seen_us, worker->shared.lost_after_us)))
        return false;
    struct loss loss = {.row = target->id,
                        .listener = listener->id,
                        .number = event->of.number,
                        .last_seen_us = last_seen_us,
                        .halted = event->u.lost.halted,
                        .silent = listener->silent};
    memcpy(loss.session, event->session, sizeof loss.session);
    return losses_add(&worker->losses, &loss);
}

static struct target *row_of(const struct worker *worker, const struct loss *loss)
{
    struct target *target = targets_row(&worker->targets, loss->row);
    if (!target || !target->has_session || kdnet_session_last_seen(targets_session(target)) != loss->last_seen_us ||
        kdnet_session_is_connected(targets_session(target)))
        return NULL;
    return target;
}

static bool is_still(void *user, const struct loss *loss)
{
    return row_of(user, loss) != NULL;
}

static void publish_loss(void *user, const struct loss *loss)
{
    struct worker *worker = user;
    struct target *target = row_of(worker, loss);
    struct kdnet_event event = {.type = KDNET_EVENT_LOST};
    memcpy(event.session, loss->session, sizeof event.session);
    kdnet_session_identify(targets_session(target), &event);
    event.of.number = loss->number;
    event.u.lost.silent_us = worker_now_us() - loss->last_seen_us;
    event.u.lost.halted = loss->halted;
    (void)publish_event(worker, target, &event);
}

void listening_settle(struct worker *worker, struct listener *listener, enum hearing_verdict verdict, uint64_t heard_us)
{
    const struct losses_calls calls = {.is_still = is_still, .publish = publish_loss, .user = worker};
    bool was_silent = listener->silent;
    listener->silent = verdict == HEARING_SILENT;
    if (worker->losses.count == 0 || (was_silent && listener->silent))
        return;
    losses_settle(&worker->losses, listener->id, verdict, heard_us, worker->shared.lost_after_us, worker_now_us(),
                  &calls);
}

/* A machine that writes its dump is silent for a reason. */
size_t listening_count(const struct worker *worker, const struct listener *listener)
{
    uint64_t now_us = worker_now_us(), soon_us = now_us + worker->shared.lost_after_us;
    size_t count = losses_of(&worker->losses, listener->id);
    for (uint32_t id = 0; id < worker->targets.ids; ++id) {
        const struct target *row = targets_row(&worker->targets, id);
        count += row && row->live.listener == listener && kdnet_session_is_connected(targets_session(row)) &&
                 now_us - kdnet_session_last_seen(targets_session(row)) < HEARING_HOUR_US &&
                 kdnet_session_deadline(targets_session(row)) <= soon_us;
    }
    return count;
}

/* Losses of a closed listener belong to the listener that has its machines now. */
void listening_pass(struct worker *worker, const struct listener *from)
{
    struct losses *losses = &worker->losses;
    for (size_t i = 0; i < losses->count;) {
        struct loss *loss = &losses->items[i];
        const struct target *target = loss->listener == from->id ? row_of(worker, loss) : NULL;
        if (target && target->live.listener)
            loss->listener = target->live.listener->id;
        if (loss->listener != from->id) {
            ++i;
            continue;
        }
        struct loss done = *loss;
        losses->items[i] = losses->items[--losses->count];
        if (target && !worker->finished)
            publish_loss(worker, &done);
    }
}

uint64_t listening_publish(struct worker *worker, struct target *target, const struct kdnet_event *event)
{
    if (event->type == KDNET_EVENT_LOST && defer_loss(worker, target, event))
        return 0;
    return publish_event(worker, target, event);
}
