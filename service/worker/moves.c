/* SPDX-License-Identifier: Apache-2.0 */
#include "service/worker/letters.h"
#include "service/runtime/log.h"
#include "service/worker/moves.h"
#include "service/server/server_internal.h"

#include <stdlib.h>

struct move {
    struct mail mail;
    struct target *target;
    struct address live;
    uint32_t listener_id;
    unsigned from;
};

static bool make_room(struct worker *worker)
{
    size_t capacity = worker->targets.capacity;
    return worker_reserve(worker, worker->targets.count < capacity ? capacity : capacity + capacity / 8 + 64);
}

static void arrive(struct worker *worker, const struct move *move, struct target *target)
{
    struct listener *listener = listener_by_id(worker, move->listener_id);
    kdnet_session_move(target->session, &worker->shared);
    if (listener) { /* else its next poke says where it is */
        unsigned from = 0;
        if (forwards_find(&worker->forwards, &move->live, listener->local.port, &from) && from != worker->number)
            letters_await(worker, &move->live, listener->local.port, from);
        forwards_remove(&worker->forwards, &move->live, listener->local.port);
        (void)targets_set_live(&worker->targets, target, &move->live, listener, listener->local.port);
    }
    worker->index_due = worker->index_due || target->has_address;
    timers_set(&worker->timers, target->id, kdnet_session_deadline(target->session), worker_now_us());
    dispatch_count(worker, target);
}

/* The reload that is under way makes a new row, for it finds none. */
static void give_up(const struct move *move)
{
    struct log_line line;
    log_begin(
        &line, CONFIG_LOG_ERROR,
        "out of memory while a target moved to another worker; its session begins anew, and the machine is served "
        "again from its next poke");
    log_text(&line, "target", targets_name(move->target));
    log_end(&line);
    targets_free(move->target);
}

/*
 * When there is no memory for it here, it goes back: its place there is free. Not while a configuration is applied: the
 * other worker may have looked at its rows, and this one would keep a policy that is freed then.
 */
static void open_move(struct mail *mail, void *owner)
{
    struct move *move = (struct move *)mail;
    struct worker *worker = owner;
    struct target *target = make_room(worker) ? targets_adopt(&worker->targets, move->target) : NULL;
    if (!target) {
        if (worker->finished || worker->frozen) {
            if (worker->frozen)
                give_up(move);
            else
                targets_free(move->target);
            free(move);
            return;
        }
        unsigned from = move->from;
        move->from = worker->number;
        mailbox_post(&worker->server->workers[from].mailbox, mail);
        return;
    }
    arrive(worker, move, target);
    free(move);
}

static bool may_move(const struct worker *worker, const struct target *target)
{
    return !worker->frozen && !worker->finished && !target->withheld &&
           !admission_is_waiting(&worker->admission, target->id) && targets_is_live(target);
}

void moves_consider(struct worker *worker, struct target *target)
{
    if (worker_is_alone(worker) || !may_move(worker, target))
        return;
    struct address live = targets_route(target);
    struct worker *home = worker_of(worker, &live);
    struct move *move = home != worker ? malloc(sizeof *move) : NULL;
    if (!move)
        return;
    *move = (struct move){
        .mail.open = open_move, .live = live, .listener_id = target->live.listener->id, .from = worker->number};
    move->target = targets_release(&worker->targets, target);
    if (!move->target) { /* its next datagram comes here again */
        free(move);
        return;
    }
    dispatch_forget(worker, move->target);
    timers_set(&worker->timers, move->target->id, TIMERS_NEVER, worker_now_us());
    ++worker->totals.moved_away;
    listener_flush(worker); /* before the other worker sends what comes next: the machine drops what comes late */
    mailbox_post(&home->mailbox, &move->mail);
}
