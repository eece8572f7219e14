/* SPDX-License-Identifier: Apache-2.0 */
#include "service/worker/ask.h"
#include "service/worker/deliver.h"
#include "service/worker/forward.h"
#include "service/worker/send.h"
#include "service/worker/solicit.h"

#include <stdlib.h>
#include <string.h>

#define HEARD_US 3500000U /* a machine pokes every 3 s: one that was heard within this time is ours */

struct target *ask_row(const struct worker *worker, const struct ask_machine *machine)
{
    struct target *row = targets_row(&worker->targets, machine->row);
    return row && strcmp(targets_name(row), machine->name) == 0 ? row : NULL;
}

static bool wants_asking(struct target *row, const struct ask_machine *machine, uint64_t now_us)
{
    if (row->handed_over || !targets_may_be(row, &machine->machine, machine->local.port))
        return false;
    if (!kdnet_session_is_connected(targets_session(row)))
        return true;
    if (now_us - kdnet_session_last_seen(targets_session(row)) < HEARD_US)
        return false;
    kdnet_session_doubt(targets_session(row));
    return true;
}

static void ask_machine(struct worker *worker, const struct ask_machine *machine, uint64_t now_us)
{
    struct target *row = ask_row(worker, machine);
    struct listener *listener = row ? worker_listener_at(worker, &machine->local) : NULL;
    struct kdnet_outgoing out;
    if (!listener || !wants_asking(row, machine, now_us) || bucket_take(&worker->solicits, 1, now_us) == 0 ||
        kdnet_session_solicit_poke(targets_session(row), machine->version, &out) != KDNET_OK)
        return;
    struct address to = machine->machine;
    if (address_is_any(&listener->local))
        to.via = locals_number(worker->env->locals, machine->local.ip);
    send_datagram(listener, &to, out.payload, out.length);
    ++listener->counts.solicited;
    worker->urgent_until_us = now_us + WORKER_URGENT_US;
}

static void handle_ask(struct message *message, void *owner)
{
    struct ask *ask = (struct ask *)message;
    struct worker *worker = owner;
    uint64_t now_us = worker_now_us();
    for (size_t i = 0; !worker->finished && !worker->stopping && i < ask->count; ++i)
        ask_machine(worker, &ask->machines[i], now_us);
    free(ask);
}

void ask_post(const struct worker_env *env, struct ask *ask, unsigned worker)
{
    ask->message.handle = handle_ask;
    mailbox_post(env->mailboxes[worker % env->worker_count], &ask->message);
}

/* Passes the question to the worker that has the row. */
static bool pass_on(const struct worker *worker, const struct ask_machine *machine, unsigned to)
{
    struct ask *ask = malloc(sizeof *ask);
    if (!ask)
        return false;
    ask->count = 1;
    ask->machines[0] = *machine;
    ask_post(worker->env, ask, to);
    return true;
}

bool ask_hinted(struct worker *worker, const struct arrival *a)
{
    struct ask_machine machine;
    unsigned at = 0;
    bool is_data = a->channel == KDNET_CHANNEL_DATA;
    if (!worker->env->hinted ||
        !worker->env->hinted(worker->env->user, a->source, a->listener->local.port, &at, &machine))
        return false;
    struct target *row = at == worker->number ? ask_row(worker, &machine) : NULL;
    if (!row || !targets_may_be(row, a->source, a->listener->local.port))
        return is_data && at != worker->number && solicit_allowance(worker, a) > 0 && pass_on(worker, &machine, at);
    if (is_data)
        return solicit_allowance(worker, a) > 0 && solicit_poke(row, a);
    return kdnet_session_may_open(targets_session(row), a->payload, a->length) && deliver_datagram(worker, row, a);
}
