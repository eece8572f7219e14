/* SPDX-License-Identifier: Apache-2.0 */
#include "service/worker/handover.h"
#include "service/worker/listening.h"
#include "service/worker/migration.h"
#include "service/worker/pump.h"
#include "service/worker/send.h"
#include "service/worker/totals.h"
#include "service/worker/word.h"

void pump_admit(struct worker *worker)
{
    uint64_t now_us = worker_now_us();
    uint32_t id;
    worker->admission.lag_us = worker_lag_us();
    for (size_t i = 0; i < WORKER_ADMIT_MAX && admission_next(&worker->admission, now_us, &id); ++i) {
        struct target *target = targets_row(&worker->targets, id);
        if (!target)
            continue;
        kdnet_session_admit(targets_session(target), now_us);
        pump_target(worker, target, NULL, NULL, now_us);
    }
}

/* Delays a release until its result, with this number, is written: release_gate.h. */
static void hold_back(struct worker *worker, struct target *target, uint64_t number, uint64_t now_us)
{
    if (number > event_log_settled(worker->env->publisher->log))
        target->gated = release_gate_add(&worker->release_gate, target->id, number, now_us);
}

void pump_release(struct worker *worker)
{
    const struct event_log *event_log = worker->env->publisher->log;
    uint64_t now_us = worker_now_us();
    uint32_t id;
    while (release_gate_next(&worker->release_gate, event_log_settled(event_log), event_log_is_settled(event_log),
                             now_us, &id)) {
        struct target *target = targets_row(&worker->targets, id);
        if (!target || !target->gated)
            continue; /* the target was removed meanwhile */
        target->gated = false;
        pump_target(worker, target, NULL, NULL, now_us);
    }
    atomic_store(&worker->waits_for_writes, worker->release_gate.count > 0);
}

/* Publishes a session's events, and counts whether its machine halts. */
void pump_drain_events(struct worker *worker, struct target *target, uint64_t now_us)
{
    struct kdnet_event event;
    uint64_t published = 0;
    bool changed = false, halted = target->halted, held = target->held;
    while (kdnet_session_next_event(
        targets_session(target), &event)) { /* before the datagrams: a machine that has gone on cannot be asked again */
        bool status = event.type == KDNET_EVENT_CRASH_STATUS;
        if (status) /* before the line is added: the worker must not miss that the line was written */
            atomic_store(&worker->waits_for_writes, true);
        uint64_t number = listening_publish(worker, target, &event);
        changed = true;
        if (status)
            word_tell(worker, target);
        published = status ? number : published;
    }
    if (published > 0 && !target->gated)
        hold_back(worker, target, published, now_us);
    totals_count(worker, target);
    if (changed || halted != target->halted || held != target->held)
        worker_target_changed(worker, target);
}

/* Sends a session's datagrams, and arms its deadline. */
void pump_send_pending(struct worker *worker, struct target *target, struct listener *listener,
                       const struct address *source, uint64_t now_us)
{
    struct kdnet_outgoing out;
    bool sent = false;
    while (target->gated ? kdnet_session_next_control(targets_session(target), &out)
                         : kdnet_session_next_datagram(targets_session(target), now_us, &out)) {
        send_outgoing(target, listener, source, &out);
        sent = true;
    }
    if (sent && kdnet_session_awaits(targets_session(target)))
        worker->urgent_until_us = now_us + WORKER_URGENT_US;
    timers_set(&worker->timers, target->id, kdnet_session_deadline(targets_session(target)), now_us);
}

void pump_target(struct worker *worker, struct target *target, struct listener *listener, const struct address *source,
                 uint64_t now_us)
{
    pump_drain_events(worker, target, now_us);
    pump_send_pending(worker, target, listener, source, now_us);
}

/* Rows migrate only here, and after single datagrams: within a batch other entries still refer to them. */
void pump_send_due(struct worker *worker, struct listener *listener, struct pending_sends *pending_sends,
                   uint64_t now_us)
{
    for (size_t i = 0; i < pending_sends->count; ++i) {
        struct target *target = pending_sends->due[i].target;
        pump_send_pending(worker, target, listener->closed ? NULL : listener, pending_sends->due[i].source, now_us);
    }
    for (size_t i = 0; i < pending_sends->count; ++i) /* at the end: pending datagrams go out before a row migrates */
        migration_consider(worker, pending_sends->due[i].target);
    pending_sends->count = 0;
}

/* The target answers at the end of the batch, where it was heard last. */
void pump_queue_send(struct worker *worker, struct target *target, const struct arrival *a)
{
    struct pending_sends *pending_sends = a->pending_sends;
    for (size_t i = pending_sends->count; i-- > 0;)
        if (pending_sends->due[i].target == target) {
            pending_sends->due[i].source = a->source;
            return;
        }
    if (pending_sends->count == RECEIVER_BATCH)
        pump_send_due(worker, a->listener, pending_sends, a->now_us);
    pending_sends->due[pending_sends->count].target = target;
    pending_sends->due[pending_sends->count++].source = a->source;
}

void pump_expire(struct worker *worker)
{
    uint64_t now_us = worker_now_us();
    uint32_t id = 0;
    for (size_t i = 0; i < WORKER_EXPIRE_MAX && timers_take(&worker->timers, now_us, &id); ++i) {
        struct target *target = targets_row(&worker->targets, id);
        if (!target)
            continue;
        if (target->handed_over) {
            handover_expire(worker, target, now_us);
            continue;
        }
        kdnet_session_expire(targets_session(target), now_us);
        pump_target(worker, target, NULL, NULL, now_us);
    }
}
