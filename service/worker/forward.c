/* SPDX-License-Identifier: Apache-2.0 */
#include "service/worker/forward.h"
#include "service/worker/worker.h"

#include <stdlib.h>
#include <string.h>

struct forward {
    struct message message;
    enum forward_kind kind;
    unsigned hops;    /* TRY: workers that have tried their keys */
    size_t allowance; /* SOLICIT */
    uint32_t listener_id;
    struct address source;
    uint8_t version, channel;
    size_t length;
    uint8_t payload[];
};

/* A message to the worker that had the row and back, behind the earlier forwards. */
struct turn {
    struct message message;
    struct address source;
    uint16_t local_port;
    unsigned home;
};

struct claim {
    struct message message;
    struct address source;
    uint16_t local_port;
    unsigned worker;
};

static void handle_forward(struct message *message, void *owner)
{
    struct forward *forward = (struct forward *)message;
    struct worker *worker = owner;
    struct arrival arrival = {
        .listener = worker_listener(worker, forward->listener_id),
        .source = &forward->source,
        .payload = forward->payload,
        .length = forward->length,
        .now_us = worker_now_us(),
        .version = forward->version,
        .channel = forward->channel,
        .forwarded = (uint8_t)forward->kind,
    };
    if (arrival.listener)
        worker->forwarded(&arrival, forward->hops, forward->allowance);
    free(forward);
}

/* `as` has the forward's own fields; the rest is the datagram's. NULL: out of memory. */
static struct forward *new_forward(const struct arrival *arrival, const struct forward *as)
{
    struct forward *forward = malloc(sizeof *forward + arrival->length);
    if (!forward)
        return NULL;
    *forward = *as;
    forward->message.handle = handle_forward;
    forward->listener_id = arrival->listener->id;
    forward->source = *arrival->source;
    forward->version = arrival->version;
    forward->channel = arrival->channel;
    forward->length = arrival->length;
    memcpy(forward->payload, arrival->payload, arrival->length);
    return forward;
}

static void post(const struct arrival *arrival, unsigned to, const struct forward *as)
{
    struct listener_counts *counts = &arrival->listener->counts;
    struct forward *forward = new_forward(arrival, as);
    if (!forward) {
        ++counts->pass_dropped;
        return;
    }
    if (mailbox_try_post(arrival->listener->worker->env->mailboxes[to], &forward->message, FORWARD_MAX)) {
        ++counts->passed;
        return;
    }
    ++counts->pass_dropped;
    free(forward);
}

bool forward_datagram(const struct arrival *arrival, bool rows_here)
{
    struct worker *worker = arrival->listener->worker;
    uint16_t port = arrival->listener->local.port;
    unsigned owner = 0;
    if (worker_is_alone(worker))
        return false;
    unsigned home = worker_home(worker, arrival->source);
    switch ((enum forward_kind)arrival->forwarded) {
    case FORWARD_NONE:
    case FORWARD_STRAY:
        if (forwarding_table_find(&worker->forwarding_table, arrival->source, port, &owner)) {
            post(arrival, owner, &(struct forward){.kind = FORWARD_OWNER});
            return true;
        }
        if (home == worker->number)
            return false;
        post(arrival, home, &(struct forward){.kind = FORWARD_STRAY});
        return true;
    case FORWARD_OWNER:
        if (home == worker->number || rows_here)
            return false;
        post(arrival, home, &(struct forward){.kind = FORWARD_BACK});
        return true;
    case FORWARD_BACK:
        forwarding_table_remove(&worker->forwarding_table, arrival->source, port);
        return false;
    case FORWARD_TRY:
    case FORWARD_NOBODY:
    case FORWARD_SOLICIT:
    case FORWARD_SHOWN:
    default:
        return false;
    }
}

bool forward_unopened(const struct arrival *arrival, unsigned hops)
{
    struct worker *worker = arrival->listener->worker;
    if (worker_is_alone(worker))
        return false;
    if (hops + 1 < worker->env->worker_count)
        post(arrival, (worker->number + 1) % worker->env->worker_count,
             &(struct forward){.kind = FORWARD_TRY, .hops = hops + 1});
    else
        post(arrival, worker_home(worker, arrival->source), &(struct forward){.kind = FORWARD_NOBODY});
    return true;
}

bool forward_solicit(const struct arrival *arrival, size_t allowance)
{
    struct worker *worker = arrival->listener->worker;
    unsigned turn = worker->solicit_worker++ % worker->env->worker_count;
    if (turn == worker->number)
        return false;
    post(arrival, turn, &(struct forward){.kind = FORWARD_SOLICIT, .allowance = allowance});
    return true;
}

static void handle_claim(struct message *message, void *owner)
{
    struct claim *claim = (struct claim *)message;
    struct worker *worker = owner;
    forwarding_table_set(&worker->forwarding_table, &claim->source, claim->local_port, claim->worker);
    free(claim);
}

void forward_claim(struct worker *worker, const struct address *source, uint16_t local_port)
{
    unsigned home = worker_home(worker, source);
    struct claim *claim = home != worker->number ? malloc(sizeof *claim) : NULL;
    if (!claim)
        return; /* the machine's next poke leads to the same result */
    *claim = (struct claim){
        .message.handle = handle_claim, .source = *source, .local_port = local_port, .worker = worker->number};
    worker_post(worker, home, &claim->message);
}

static void release(struct worker *worker, struct hold *hold)
{
    struct message *message = holds_end(&worker->holds, hold);
    while (message) {
        struct message *next = message->next;
        message->handle(message, worker);
        message = next;
    }
}

static void handle_returned(struct message *message, void *owner)
{
    const struct turn *turn = (const struct turn *)message;
    struct worker *worker = owner;
    struct hold *hold = holds_find(&worker->holds, &turn->source, turn->local_port);
    if (hold)
        release(worker, hold);
    free(message);
}

static void handle_turn(struct message *message, void *owner)
{
    const struct turn *turn = (const struct turn *)message;
    struct worker *worker = owner;
    message->handle = handle_returned;
    worker_post(worker, turn->home, message);
}

void forward_await(struct worker *worker, const struct address *source, uint16_t local_port, unsigned from)
{
    struct turn *turn = malloc(sizeof *turn);
    if (!turn || !holds_begin(&worker->holds, source, local_port, worker_now_us())) {
        free(turn);
        return; /* the order is not kept */
    }
    *turn = (struct turn){
        .message.handle = handle_turn, .source = *source, .local_port = local_port, .home = worker->number};
    worker_post(worker, from, &turn->message);
}

bool forward_hold(const struct arrival *arrival)
{
    struct worker *worker = arrival->listener->worker;
    if (arrival->forwarded != FORWARD_NONE && arrival->forwarded != FORWARD_STRAY)
        return false;
    struct hold *hold = holds_find(&worker->holds, arrival->source, arrival->listener->local.port);
    if (!hold)
        return false;
    struct forward *forward = NULL;
    if (holds_may_wait(hold, arrival->now_us))
        forward = new_forward(arrival, &(struct forward){.kind = FORWARD_STRAY});
    if (forward)
        holds_put(hold, &forward->message);
    else
        release(worker, hold);
    return forward;
}

void forward_clear(struct worker *worker)
{
    for (size_t i = 0; i < HOLDS_MAX; ++i)
        if (worker->holds.hold[i].used)
            for (struct message *message = holds_end(&worker->holds, &worker->holds.hold[i]), *next; message;
                 message = next) {
                next = message->next;
                free(message);
            }
}
