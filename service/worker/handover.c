/* SPDX-License-Identifier: Apache-2.0 */
#include "service/worker/handover.h"
#include "service/runtime/log.h"
#include "service/worker/send.h"
#include "service/worker/totals.h"

#define NEWEST_VERSION 5 /* version of KDNET assumed for a machine that has shown none */

static void say(const struct target *target, const char *message)
{
    struct log_line line;
    log_begin(&line, CONFIG_LOG_NOTICE, message);
    log_text(&line, "target", targets_name(target));
    log_end(&line);
}

bool handover_begin(struct worker *worker, struct target *target, uint64_t until_us)
{
    struct target_more *more = targets_more(target);
    if (!more)
        return false;
    totals_forget(worker, target);
    target->held = target->gated = false;
    kdnet_session_restart(targets_session(target));
    more->silent_until_us = until_us;
    target->handed_over = true;
    timers_set(&worker->timers, target->id, until_us, worker_now_us());
    worker_target_changed(worker, target);
    say(target, "target is handed over to another debugger: kdnetd is silent to it until it is taken back");
    return true;
}

/* Asks the machine to poke now. */
static void call_machine(struct target *target)
{
    const struct target_endpoint *endpoint = targets_destination(target);
    uint8_t version = kdnet_session_version(targets_session(target));
    struct kdnet_outgoing out;
    if (!endpoint ||
        kdnet_session_solicit_poke(targets_session(target), version > 0 ? version : NEWEST_VERSION, &out) != KDNET_OK)
        return;
    struct address address = targets_route(target);
    send_datagram(endpoint->listener, &address, out.payload, out.length);
}

void handover_end(struct worker *worker, struct target *target)
{
    target->handed_over = false;
    timers_set(&worker->timers, target->id, kdnet_session_deadline(targets_session(target)), worker_now_us());
    call_machine(target);
    worker_target_changed(worker, target);
    say(target, "target is taken back from another debugger; it is served again when it speaks");
}

bool handover_lasts(struct worker *worker, struct target *target, uint64_t now_us)
{
    if (target->more && now_us < target->more->silent_until_us)
        return true;
    handover_end(worker, target);
    return false;
}

bool handover_may_open(struct target *target, const struct arrival *a)
{
    return a->channel == KDNET_CHANNEL_DATA || kdnet_session_may_open(targets_session(target), a->payload, a->length);
}

void handover_expire(struct worker *worker, struct target *target, uint64_t now_us)
{
    if (handover_lasts(worker, target, now_us)) /* the timer was set for something else before */
        timers_set(&worker->timers, target->id, target->more->silent_until_us, now_us);
}
