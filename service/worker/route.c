/* SPDX-License-Identifier: Apache-2.0 */
#include "service/worker/ask.h"
#include "service/worker/deliver.h"
#include "service/worker/forward.h"
#include "service/worker/migration.h"
#include "service/worker/pump.h"
#include "service/worker/route.h"
#include "service/worker/solicit.h"
#include "service/worker/stray.h"
#include "service/worker/unknown_poke.h"

_Static_assert(RECEIVER_BATCH <= TARGETS_AHEAD, "a batch is looked up together");

/* The rows with the source's IP as their configured address: few, so they are tried without waiting. */
static bool deliver_to_configured(struct worker *worker, const struct arrival *a, bool *any)
{
    uint32_t id = targets_with_ip(&worker->targets, a->source->ip);
    size_t tried = 0;
    *any = false;
    for (struct target *row = targets_row(&worker->targets, id); row && tried < WORKER_SAME_IP_MAX;
         row = targets_row(&worker->targets, row->next_same_ip)) {
        if (!targets_may_be(row, a->source, a->listener->local.port))
            continue;
        *any = true;
        ++tried;
        if (a->channel == KDNET_CHANNEL_CONTROL && !kdnet_session_may_open(targets_session(row), a->payload, a->length))
            continue;
        if (deliver_datagram(worker, row, a))
            return true;
    }
    return false;
}

static void unknown_data(struct worker *worker, const struct arrival *a)
{
    bool configured = false;
    if (deliver_to_configured(worker, a, &configured))
        return;
    ++a->listener->counts.unknown_data;
    stray_show_unknown(worker, a);
    if (ask_hinted(worker, a))
        return;
    size_t allowance = solicit_allowance(worker, a);
    if (allowance == 0)
        return;
    if (configured)
        solicit_configured(worker, a, allowance);
    else if (!forward_solicit(a, allowance))
        solicit_rows(a, allowance);
}

static void unknown_poke(struct worker *worker, const struct arrival *a)
{
    bool configured = false;
    if (!deliver_to_configured(worker, a, &configured) && !ask_hinted(worker, a))
        unknown_poke_add(a, 0);
}

/* From a target's address, but of no session there. */
static void not_theirs(struct worker *worker, const struct arrival *a, struct target **rows, size_t count)
{
    ++a->listener->counts.forged;
    if (a->channel == KDNET_CHANNEL_CONTROL) {
        unknown_poke(worker, a); /* another machine behind this address, or one that took it over */
        return;
    }
    size_t allowance = solicit_allowance(worker, a);
    for (size_t i = 0; i < count; ++i) {
        if (allowance > 0 && solicit_poke(rows[i], a))
            --allowance;
        timers_set(&worker->timers, rows[i]->id, kdnet_session_deadline(targets_session(rows[i])), a->now_us);
    }
}

/* Tries rows without a place there, whose responses went there. */
static bool deliver_to_answered(struct worker *worker, const struct arrival *a)
{
    uint32_t ids[RESPONSES_WAYS];
    struct target *rows[RESPONSES_WAYS];
    uint16_t port = a->listener->local.port;
    size_t count = responses_at(&worker->responses, a->source, port, ids), may = 0;
    for (size_t i = 0; i < count; ++i) {
        struct target *row = targets_row(&worker->targets, ids[i]);
        if (row && targets_may_be(row, a->source, port))
            rows[may++] = row;
    }
    return deliver_to_targets(worker, a, rows, may);
}

/* Like targets_at. For a machine that another worker has just found, the mailbox may have to be read first: the
 * claim was posted before the poke was answered. */
static size_t rows_at(struct worker *worker, const struct arrival *a, struct target *rows[static TARGETS_SHARE_MAX])
{
    uint16_t port = a->listener->local.port;
    size_t count = targets_at_home(&worker->targets, a->source, port, a->home, rows);
    if (count > 0 || a->forwarded != FORWARD_NONE || a->channel != KDNET_CHANNEL_DATA || worker_is_alone(worker) ||
        !mailbox_handle(&worker->mailbox))
        return count;
    return targets_at(&worker->targets, a->source, port, rows);
}

void route_arrival(struct arrival *a)
{
    struct listener *listener = a->listener;
    struct worker *worker = listener->worker;
    struct target *rows[TARGETS_SHARE_MAX];
    size_t count = rows_at(worker, a, rows);
    if (listener->closed)
        return;
    if (worker->holds.count > 0) {
        if (forward_hold(a))
            return;
        count = rows_at(worker, a, rows); /* held datagrams may have moved rows */
    }
    if (count == 1 && a->channel == KDNET_CHANNEL_DATA && admission_is_in_line(&worker->admission, rows[0]->id)) {
        ++listener->counts.waiting_breaks; /* not even opened: many wait because there is no time */
        return;
    }
    worker->astray = false;
    bool taken = deliver_to_targets(worker, a, rows, count) || deliver_to_answered(worker, a);
    if (worker->astray)
        stray_show(worker, a);
    if (taken || forward_datagram(a, count > 0))
        return;
    if (count > 0)
        not_theirs(worker, a, rows, count);
    else if (a->channel == KDNET_CHANNEL_CONTROL)
        unknown_poke(worker, a);
    else
        unknown_data(worker, a);
}

static void route(struct arrival *a)
{
    if (kdnet_datagram_peek(a->payload, a->length, &a->version, &a->channel) == KDNET_OK)
        route_arrival(a);
    else
        ++a->listener->counts.malformed;
}

/* All of a batch wait for memory together, instead of each for itself. */
static void fetch(const struct listener *listener, const struct receiver_datagram *datagrams, size_t count,
                  struct targets_home homes[static TARGETS_AHEAD])
{
    const struct worker *worker = listener->worker;
    const struct address *sources[RECEIVER_BATCH];
    const struct target *rows[TARGETS_AHEAD];
    for (size_t i = 0; i < count; ++i)
        sources[i] = &datagrams[i].source;
    size_t found = targets_prefetch(&worker->targets, sources, count, listener->local.port, homes, rows);
    for (size_t i = 0; i < found; ++i) {
        kdnet_session_prefetch(targets_session(rows[i]));
        timers_prefetch(&worker->timers, rows[i]->id);
    }
}

/* Whether a source exceeds its share while more datagrams come than can be handled. */
static bool is_shed(struct listener *listener, const struct address *source, uint64_t now_us)
{
    struct worker *worker = listener->worker;
    if (source_limit_take(&worker->source_limit, address_hash(source, worker->seed), now_us))
        return false;
    ++listener->counts.shed;
    listener->shed_source = *source;
    return true;
}

void route_batch(struct listener *listener, const struct receiver_datagram *datagrams, size_t count)
{
    uint64_t now_us = worker_now_us();
    struct pending_sends pending_sends;
    struct targets_home homes[TARGETS_AHEAD];
    pending_sends.count = 0;
    listener->worker->in_batch = true;
    listener->counts.received += count;
    fetch(listener, datagrams, count, homes);
    for (size_t i = 0; i < count && !listener->closed; ++i) {
        if (listener->behind && is_shed(listener, &datagrams[i].source, now_us))
            continue;
        struct arrival a = {.listener = listener,
                            .pending_sends = &pending_sends,
                            .source = &datagrams[i].source,
                            .payload = datagrams[i].payload,
                            .length = datagrams[i].length,
                            .now_us = now_us,
                            .home = homes[i]};
        route(&a);
    }
    pump_send_due(listener->worker, listener, &pending_sends, now_us);
    listener->worker->in_batch = false;
}

/* What is nobody's here is another collector's matter. */
static void route_shown(struct arrival *a)
{
    struct worker *worker = a->listener->worker;
    struct target *rows[TARGETS_SHARE_MAX];
    size_t count = targets_at(&worker->targets, a->source, a->listener->local.port, rows);
    if (!deliver_to_targets(worker, a, rows, count))
        (void)deliver_to_answered(worker, a);
}

void route_forwarded(struct arrival *a, unsigned hops, size_t allowance)
{
    switch ((enum forward_kind)a->forwarded) {
    case FORWARD_TRY:
        unknown_poke_add(a, hops);
        break;
    case FORWARD_NOBODY:
        unknown_poke_unopened(a);
        break;
    case FORWARD_SOLICIT:
        solicit_rows(a, allowance);
        break;
    case FORWARD_SHOWN:
        route_shown(a);
        break;
    case FORWARD_NONE:
    case FORWARD_STRAY:
    case FORWARD_OWNER:
    case FORWARD_BACK:
    default:
        route_arrival(a);
        break;
    }
}
