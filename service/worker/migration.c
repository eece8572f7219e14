/* SPDX-License-Identifier: Apache-2.0 */
#include "service/worker/forward.h"
#include "service/runtime/log.h"
#include "service/worker/migration.h"
#include "service/worker/send.h"
#include "service/worker/totals.h"

#include <stdlib.h>

struct migration {
    struct message message;
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

static void arrive(struct worker *worker, const struct migration *migration, struct target *target)
{
    struct listener *listener = worker_listener(worker, migration->listener_id);
    kdnet_session_move(targets_session(target), &worker->shared);
    if (listener) { /* otherwise the machine's next poke shows where it is */
        unsigned from = 0;
        if (forwarding_table_find(&worker->forwarding_table, &migration->live, listener->local.port, &from) &&
            from != worker->number)
            forward_await(worker, &migration->live, listener->local.port, from);
        forwarding_table_remove(&worker->forwarding_table, &migration->live, listener->local.port);
        (void)targets_set_live(&worker->targets, target, &migration->live, listener, listener->local.port);
    }
    worker->index_due = worker->index_due || target->has_address;
    timers_set(&worker->timers, target->id, kdnet_session_deadline(targets_session(target)), worker_now_us());
    totals_count(worker, target);
    worker_target_changed(worker, target);
}

/* The reload in progress makes a new row, because it finds none. */
static void give_up(struct worker *worker, const struct migration *migration)
{
    struct log_line line;
    log_begin(
        &line, CONFIG_LOG_ERROR,
        "out of memory while a target moved to another worker; its session begins anew, and the machine is served "
        "again from its next poke");
    log_text(&line, "target", targets_name(migration->target));
    log_end(&line);
    worker_target_gone(worker, migration->target);
    targets_free(migration->target);
}

/*
 * Without memory for the row here it goes back: its place there is free. Not while a configuration is applied: the
 * other worker may have gone through its rows already, and this row would keep a policy that is freed then.
 */
static void handle_migration(struct message *message, void *owner)
{
    struct migration *migration = (struct migration *)message;
    struct worker *worker = owner;
    struct target *target = make_room(worker) ? targets_adopt(&worker->targets, migration->target) : NULL;
    if (!target) {
        if (worker->finished || worker->frozen) {
            if (worker->frozen)
                give_up(worker, migration);
            else
                targets_free(migration->target);
            free(migration);
            return;
        }
        unsigned from = migration->from;
        migration->from = worker->number;
        worker_post(worker, from, message);
        return;
    }
    arrive(worker, migration, target);
    free(migration);
}

static bool may_move(const struct worker *worker, const struct target *target)
{
    return !worker->frozen && !worker->finished && !target->gated &&
           !admission_is_waiting(&worker->admission, target->id) && targets_is_live(target);
}

void migration_consider(struct worker *worker, struct target *target)
{
    if (worker_is_alone(worker) || !may_move(worker, target))
        return;
    struct address live = targets_route(target);
    unsigned home = worker_home(worker, &live);
    struct migration *migration = home != worker->number ? malloc(sizeof *migration) : NULL;
    if (!migration)
        return;
    *migration = (struct migration){.message.handle = handle_migration,
                                    .live = live,
                                    .listener_id = target->live.listener->id,
                                    .from = worker->number};
    migration->target = targets_release(&worker->targets, target);
    if (!migration->target) { /* the machine's next datagram comes here again */
        free(migration);
        return;
    }
    totals_forget(worker, migration->target);
    timers_set(&worker->timers, migration->target->id, TIMERS_NEVER, worker_now_us());
    ++worker->totals.moved_away;
    send_flush(worker); /* before the other worker sends later datagrams: the machine drops late ones */
    worker_post(worker, home, &migration->message);
}
