/* SPDX-License-Identifier: Apache-2.0 */
#include "service/runtime/log.h"
#include "service/worker/forward.h"
#include "service/worker/migration.h"
#include "service/worker/worker.h"

#include <string.h>

#define BACK_AND_FORTH      3 /* moves to where it came from within a minute: two machines with one key */
#define OTHER_HOST_EVERY_US UINT64_C(600000000)
#define NEWEST_VERSION      5 /* of KDNET, that was seen */

/*
 * Targets that have something to send, perhaps, once all of a batch is through: what comes together is answered
 * together, an ACK and the reply behind it with one look, and nothing is asked for that is already there.
 */
struct pending_sends {
    struct {
        struct target *target;
        const struct address *source;
    } due[RECEIVER_BATCH];
    size_t count;
};

/* For the first answer of a machine: two timeouts. */
static uint64_t patience_us(const struct target *target)
{
    return 2 * kdnet_session_timeout(target->session);
}

void dispatch_count(struct worker *worker, struct target *target)
{
    bool connected = kdnet_session_is_connected(target->session);
    bool halted = kdnet_session_is_halted(target->session);
    dispatch_uncount(worker, target);
    target->connected = connected;
    target->halted = halted;
    target->held = target->held && halted;
    worker->totals.connected += connected;
    worker->totals.halted += halted;
    worker->totals.held += target->held;
    if (halted || target->noted) /* else it costs a look at another cache line, for each poke */
        admission_note(&worker->admission, target->id, halted, target->held, halted ? patience_us(target) : 0,
                       worker_now_us());
    target->noted = halted;
}

void dispatch_uncount(struct worker *worker, struct target *target)
{
    worker->totals.connected -= target->connected;
    worker->totals.halted -= target->halted;
    worker->totals.held -= target->held && target->halted;
    target->connected = target->halted = false;
}

void dispatch_forget(struct worker *worker, struct target *target)
{
    dispatch_uncount(worker, target);
    admission_forget(&worker->admission, target->id);
    target->noted = false;
}

void dispatch_admit(struct worker *worker)
{
    uint64_t now_us = worker_now_us();
    uint32_t id;
    for (size_t i = 0; i < WORKER_ADMIT_MAX && admission_next(&worker->admission, now_us, &id); ++i) {
        struct target *target = targets_row(&worker->targets, id);
        if (!target)
            continue;
        kdnet_session_admit(target->session, now_us);
        dispatch_pump(worker, target, NULL, NULL, now_us);
    }
}

static void send_outgoing(struct target *target, struct listener *listener, const struct address *source,
                          const struct kdnet_outgoing *out)
{
    const struct target_endpoint *endpoint = targets_destination(target);
    if (out->to_sender && listener) {
        listener_send(listener, source, out->payload, out->length);
    } else if (endpoint) {
        struct address address = targets_route(target);
        listener_send(endpoint->listener, &address, out->payload, out->length);
    }
}

/* Its result, with this number, comes before its release: release_gate.h. */
static void hold_back(struct worker *worker, struct target *target, uint64_t number, uint64_t now_us)
{
    if (number > event_log_settled(worker->env->publisher->log))
        target->gated = release_gate_add(&worker->release_gate, target->id, number, now_us);
}

void dispatch_release(struct worker *worker)
{
    const struct event_log *event_log = worker->env->publisher->log;
    uint64_t now_us = worker_now_us();
    uint32_t id;
    while (release_gate_next(&worker->release_gate, event_log_settled(event_log), event_log_is_settled(event_log),
                             now_us, &id)) {
        struct target *target = targets_row(&worker->targets, id);
        if (!target || !target->gated)
            continue; /* it was taken out meanwhile */
        target->gated = false;
        dispatch_pump(worker, target, NULL, NULL, now_us);
    }
    atomic_store(&worker->waits_for_writes, worker->release_gate.count > 0);
}

/* Publishes what a session has to say, and says whether its machine halts. */
static void drain_events(struct worker *worker, struct target *target, uint64_t now_us)
{
    struct kdnet_event event;
    uint64_t published = 0;
    bool changed = false, halted = target->halted, held = target->held;
    while (kdnet_session_next_event(target->session, &event)) { /* first: when it has gone on, nobody can ask */
        bool status = event.type == KDNET_EVENT_CRASH_STATUS;
        if (status) /* before the line is there: when it is written at once, the worker is told all the same */
            atomic_store(&worker->waits_for_writes, true);
        uint64_t number = publish_event(worker, target, &event);
        changed = true;
        published = status ? number : published;
    }
    if (published > 0 && !target->gated)
        hold_back(worker, target, published, now_us);
    dispatch_count(worker, target);
    if (changed || halted != target->halted || held != target->held)
        worker_target_changed(worker, target);
}

/* Sends what a session has, and arms its deadline. */
static void send_pending(struct worker *worker, struct target *target, struct listener *listener,
                         const struct address *source, uint64_t now_us)
{
    struct kdnet_outgoing out;
    bool sent = false;
    while (target->gated ? kdnet_session_next_control(target->session, &out)
                         : kdnet_session_next_datagram(target->session, now_us, &out)) {
        send_outgoing(target, listener, source, &out);
        sent = true;
    }
    if (sent && kdnet_session_awaits(target->session))
        worker->urgent_until_us = now_us + WORKER_URGENT_US;
    timers_set(&worker->timers, target->id, kdnet_session_deadline(target->session), now_us);
}

void dispatch_pump(struct worker *worker, struct target *target, struct listener *listener,
                   const struct address *source, uint64_t now_us)
{
    drain_events(worker, target, now_us);
    send_pending(worker, target, listener, source, now_us);
}

/* Rows move only here, and for what came alone: in a batch they are waiting for this. */
static void send_due(struct worker *worker, struct listener *listener, struct pending_sends *pending_sends,
                     uint64_t now_us)
{
    for (size_t i = 0; i < pending_sends->count; ++i) {
        struct target *target = pending_sends->due[i].target;
        send_pending(worker, target, listener->closed ? NULL : listener, pending_sends->due[i].source, now_us);
    }
    for (size_t i = 0; i < pending_sends->count; ++i) /* after all: what is sent goes out before a row moves */
        migration_consider(worker, pending_sends->due[i].target);
    pending_sends->count = 0;
}

/* The target answers at the end of the batch, where it was heard last. */
static void queue_send(struct worker *worker, struct target *target, const struct arrival *a)
{
    struct pending_sends *pending_sends = a->pending_sends;
    for (size_t i = pending_sends->count; i-- > 0;)
        if (pending_sends->due[i].target == target) {
            pending_sends->due[i].source = a->source;
            return;
        }
    if (pending_sends->count == RECEIVER_BATCH)
        send_due(worker, a->listener, pending_sends, a->now_us);
    pending_sends->due[pending_sends->count].target = target;
    pending_sends->due[pending_sends->count++].source = a->source;
}

/* Memory or OpenSSL failed: the session starts anew; its machine's next poke finds it. */
static void give_up(struct worker *worker, struct target *target, int code)
{
    struct log_line line;
    log_begin(&line, CONFIG_LOG_ERROR,
              "session given up and begun anew; the machine is served again from its next poke");
    log_text(&line, "target", targets_name(target));
    log_text(&line, "error", kdnet_error_text(code));
    log_end(&line);
    dispatch_forget(worker, target);
    timers_set(&worker->timers, target->id, TIMERS_NEVER, worker_now_us());
    kdnet_session_restart(target->session);
    worker_target_changed(worker, target);
}

static void say_two_machines(struct target *target, const struct address *one, const struct address *other)
{
    struct log_line line;
    char first[ADDRESS_TEXT_SIZE], second[ADDRESS_TEXT_SIZE];
    address_format(one, first);
    address_format(other, second);
    log_begin(&line, CONFIG_LOG_WARNING,
              "two machines seem to share the key of this target; give each its own: "
              "`kdnetctl keygen` makes one and the bcdedit line for it");
    log_text(&line, "target", targets_name(target));
    log_text(&line, "address", first);
    log_text(&line, "other", second);
    log_end(&line);
}

static void log_moved(struct target *target, const struct address *from, const struct address *to, uint64_t now_us)
{
    struct log_line line;
    char old[ADDRESS_TEXT_SIZE], new[ADDRESS_TEXT_SIZE];
    struct target_more *more = targets_more(target);
    if (!more)
        return; /* out of memory: nothing is missed but this line */
    bool back = address_equal(&more->moved_from, to) && now_us - more->moved_us < WORKER_MINUTE_US;
    more->back_and_forth = back ? more->back_and_forth + 1 : 0;
    more->moved_from = *from;
    more->moved_us = now_us;
    if (more->back_and_forth >= BACK_AND_FORTH) {
        if (more->warned_us == 0 || now_us - more->warned_us >= WORKER_MINUTE_US) {
            more->warned_us = now_us;
            say_two_machines(target, from, to);
        }
        return;
    }
    address_format(from, old);
    address_format(to, new);
    log_begin(&line, CONFIG_LOG_INFO, "target has another address");
    log_text(&line, "target", targets_name(target));
    log_text(&line, "address", new);
    log_text(&line, "before", old);
    log_end(&line);
}

/* Another debugger answers this machine, too. It keeps what it takes: we only say so, now and then. */
static void say_other_host(struct target *target, const struct arrival *a, const struct kdnet_received *received)
{
    struct log_line line;
    char machine[ADDRESS_TEXT_SIZE], host[ADDRESS_TEXT_SIZE];
    struct address other = {.port = received->other.port};
    struct target_more *more = targets_more(target);
    if (!more || (more->warned_us != 0 && a->now_us - more->warned_us < OTHER_HOST_EVERY_US))
        return;
    more->warned_us = a->now_us;
    bool named = !kdnet_address_is_none(&received->other);
    memcpy(other.ip, received->other.ip, sizeof other.ip);
    address_format(a->source, machine);
    address_format(&other, host);
    log_begin(&line, CONFIG_LOG_WARNING,
              named
                  ? "this machine names another host as its debugger: only one can have it. kdnetd does not fight for "
                    "it, and misses its crashes while the other has it; stop that debugger (WinDbg, kd, another "
                    "kdnetd), or take this target out of this configuration"
                  : "another host seems to answer this machine at the address where kdnetd does: its keys change again "
                    "and again; stop the other debugger (WinDbg, kd, another kdnetd at this address), or take this "
                    "target out of this configuration");
    log_text(&line, "target", targets_name(target));
    log_text(&line, "address", machine);
    if (named)
        log_text(&line, "other", host);
    log_end(&line);
}

/* A recorded poke moves no row; but data may come from where its response goes. */
static void update_candidate(struct worker *worker, struct target *target, const struct arrival *a,
                             const struct kdnet_received *received)
{
    uint16_t port = a->listener->local.port;
    if (received->answered)
        responses_note(&worker->responses, a->source, port, target->id);
    if (received->fresh || (received->answered && !targets_destination(target)))
        targets_set_candidate(&worker->targets, target, a->source, a->listener, port);
}

/* Once for each address. */
static void say_elsewhere(const struct target *target, const struct address *from)
{
    struct log_line line;
    struct address configured = targets_configured(target);
    char here[ADDRESS_TEXT_SIZE], there[ADDRESS_TEXT_SIZE];
    address_format(from, here);
    address_format_ip(&configured, there);
    log_begin(&line, CONFIG_LOG_WARNING,
              "target is heard from another address than the configured one, and served there; correct its address: or "
              "leave it out, or say strict: true");
    log_text(&line, "target", targets_name(target));
    log_text(&line, "address", here);
    log_text(&line, "configured", there);
    log_end(&line);
}

static void update_address(struct worker *worker, struct target *target, const struct arrival *a,
                           const struct kdnet_received *received)
{
    uint16_t port = a->listener->local.port;
    bool was_live = targets_is_live(target);
    struct address before = targets_address(&target->live);
    if (!received->live) {
        update_candidate(worker, target, a, received);
        return;
    }
    if (!targets_set_live(&worker->targets, target, a->source, a->listener, port))
        return;
    responses_forget(&worker->responses, a->source, port, target->id);
    worker_target_changed(worker, target);
    if (was_live)
        log_moved(target, &before, a->source, a->now_us);
    if (target->elsewhere && !(was_live && address_same_ip(&before, a->source->ip)))
        say_elsewhere(target, a->source);
}

/* A future Windows must not be invisible: what opens with a target's key, but is not what we know. */
static void say_unexpected(struct worker *worker, const struct target *target, const struct arrival *a,
                           const struct kdnet_received *received, int code)
{
    struct log_line line;
    char source[ADDRESS_TEXT_SIZE];
    bool known = code == KDNET_OK || code == KDNET_ERR_REPEAT || kdnet_error_family(code) != KDNET_FAMILY_DROP;
    if ((known && received->version <= NEWEST_VERSION) ||
        (worker->unexpected_us != 0 && a->now_us - worker->unexpected_us < WORKER_MINUTE_US))
        return;
    worker->unexpected_us = a->now_us;
    address_format(a->source, source);
    log_begin(&line, CONFIG_LOG_WARNING,
              known ? "a machine speaks a version of KDNET that kdnetd has not seen; please report it"
                    : "an authentic datagram is not of a form that kdnetd knows; please report it");
    log_text(&line, "target", targets_name(target));
    log_text(&line, "address", source);
    log_number(&line, "version", received->version);
    log_number(&line, "channel", a->payload[KDNET_VERSION_AT + 1]);
    log_number(&line, "length", a->length);
    log_text(&line, "error", kdnet_error_text(code));
    log_end(&line);
}

/* What a datagram says about whether the machine hears us, and whether its break has to wait. */
static void note_admission(struct worker *worker, struct target *target, const struct arrival *a,
                           const struct kdnet_received *received)
{
    if (received->waits) {
        admission_wait(&worker->admission, target->id, patience_us(target), a->now_us);
        ++a->listener->counts.waiting_breaks;
    } else if (received->hears) {
        admission_heard(&worker->admission, target->id, a->now_us);
    } else if (received->said) {
        admission_said(&worker->admission, target->id, a->now_us);
    }
}

/* Gives a datagram to a session. Returns whether it was the target's. */
static bool deliver(struct worker *worker, struct target *target, const struct arrival *a)
{
    struct kdnet_received received = {.authentic = false};
    worker->shared.breaks_wait = a->channel == KDNET_CHANNEL_DATA &&
                                 !admission_takes(&worker->admission, target->id, a->now_us);
    int code = kdnet_session_receive(target->session, a->payload, a->length, a->now_us, &received);
    if (kdnet_error_family(code) == KDNET_FAMILY_GIVE_UP) {
        give_up(worker, target, code);
        return true;
    }
    if (!received.authentic)
        return false;
    if (kdnet_session_last_seen(target->session) == a->now_us)
        a->listener->heard_us = a->now_us;
    say_unexpected(worker, target, a, &received, code);
    update_address(worker, target, a, &received);
    note_admission(worker, target, a, &received);
    if (received.other_host)
        say_other_host(target, a, &received);
    drain_events(worker, target, a->now_us);
    if (a->pending_sends && a->channel == KDNET_CHANNEL_DATA)
        queue_send(worker, target, a);
    else
        send_pending(worker, target, a->listener, a->source, a->now_us);
    return true;
}

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
        if (a->channel == KDNET_CHANNEL_CONTROL && !kdnet_session_may_open(row->session, a->payload, a->length))
            continue;
        if (deliver(worker, row, a))
            return true;
    }
    return false;
}

/* Asks one machine to poke at once; one that we hold only when its session wants it. Returns whether it was asked. */
static bool solicit_poke(struct target *row, const struct arrival *a)
{
    struct kdnet_outgoing out;
    if (!targets_may_be(row, a->source, a->listener->local.port))
        return false;
    bool made = kdnet_session_is_connected(row->session)
                    ? kdnet_session_next_control(row->session, &out)
                    : kdnet_session_solicit_poke(row->session, a->version, &out) == KDNET_OK;
    if (!made)
        return false;
    send_outgoing(row, a->listener, a->source, &out);
    ++a->listener->counts.solicited;
    return true;
}

/* How many pokes this datagram may solicit: together never longer than itself, and not all the time. */
static size_t solicit_allowance(struct worker *worker, const struct arrival *a)
{
    uint64_t *last = &worker->solicited_us[address_hash(a->source, worker->seed) % WORKER_SOLICIT_SLOTS];
    if (*last != 0 && a->now_us - *last < WORKER_SOLICIT_GAP_US)
        return 0;
    *last = a->now_us;
    return (size_t)bucket_take(&worker->solicits, a->length / WORKER_SOLICIT_COST, a->now_us);
}

/* Rows with this configured IP: all of them when they are few, in turn when many machines share an address. */
static void solicit_configured(struct worker *worker, const struct arrival *a, size_t allowance)
{
    uint32_t first = targets_with_ip(&worker->targets, a->source->ip);
    size_t count = 0, at = 0;
    for (struct target *row = targets_row(&worker->targets, first); row && count < WORKER_EXPIRE_MAX;
         row = targets_row(&worker->targets, row->next_same_ip))
        ++count;
    size_t skip = count > allowance ? worker->solicit_turn++ * allowance % count : 0;
    for (struct target *row = targets_row(&worker->targets, first); row && at < count && allowance > 0;
         row = targets_row(&worker->targets, row->next_same_ip))
        if (at++ >= skip && solicit_poke(row, a))
            --allowance;
}

/* Rows of a group, in turn. Returns how many were asked. */
static size_t solicit_group(struct worker *worker, const struct arrival *a, const struct key_group *group, bool seen,
                            size_t allowance)
{
    size_t looks = seen ? group->count - group->unseen : group->unseen, asked = 0;
    if (looks > WORKER_SOLICIT_LOOK)
        looks = WORKER_SOLICIT_LOOK;
    for (; looks > 0 && asked < allowance; --looks) {
        size_t at = key_group_next(group, seen, worker->solicit_turn % group->count);
        if (at == group->count)
            at = key_group_next(group, seen, 0);
        worker->solicit_turn = at + 1;
        struct target *row = targets_row(&worker->targets, group->ids[at]);
        asked += row && solicit_poke(row, a);
    }
    return asked;
}

/* Rows whose address is not known, in turn. */
void dispatch_solicit(const struct arrival *a, size_t allowance)
{
    struct worker *worker = a->listener->worker;
    uint16_t port = a->listener->local.port;
    for (unsigned i = 0; i < 6 && allowance > 0; ++i) {
        const struct key_group *group = key_groups_find(&worker->targets, i % 2 == 0 ? port : 0, i >= 4);
        if (group)
            allowance -= solicit_group(worker, a, group, i >= 2, allowance);
    }
}

static void unknown_data(struct worker *worker, const struct arrival *a)
{
    bool configured = false;
    if (deliver_to_configured(worker, a, &configured))
        return;
    ++a->listener->counts.unknown_data;
    size_t allowance = solicit_allowance(worker, a);
    if (allowance == 0)
        return;
    if (configured)
        solicit_configured(worker, a, allowance);
    else if (!forward_solicit(a, allowance))
        dispatch_solicit(a, allowance);
}

void dispatch_try(const struct arrival *a, unsigned hops)
{
    struct worker *worker = a->listener->worker;
    const struct key_search_origin origin = {
        .listener_id = a->listener->id, .local_port = a->listener->local.port, .hops = (uint8_t)hops};
    if (a->length > KEY_SEARCH_PAYLOAD)
        ++a->listener->counts.malformed;
    else if (!key_search_add(&worker->key_search, a->source, &origin, a->payload, a->length))
        ++a->listener->counts.refused;
}

static void unknown_poke(struct worker *worker, const struct arrival *a)
{
    bool configured = false;
    if (!deliver_to_configured(worker, a, &configured))
        dispatch_try(a, 0);
}

/* From a target's address, but of no session there. */
static void not_theirs(struct worker *worker, const struct arrival *a, struct target **rows, size_t count)
{
    ++a->listener->counts.forged;
    if (a->channel == KDNET_CHANNEL_CONTROL) {
        unknown_poke(worker, a); /* another machine behind this address, or one that got it */
        return;
    }
    size_t allowance = solicit_allowance(worker, a);
    for (size_t i = 0; i < count && allowance > 0; ++i)
        if (solicit_poke(rows[i], a))
            --allowance;
}

/* Whether a row of its source's took it. */
static bool deliver_to_targets(struct worker *worker, const struct arrival *a, struct target **rows, size_t count)
{
    for (size_t i = 0; i < count; ++i)
        if (deliver(worker, rows[i], a)) {
            if (!worker->in_batch)
                migration_consider(worker, rows[i]);
            return true;
        }
    return false;
}

/* Rows that have no place there, but whose responses went there. */
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

/* As targets_at. Of a machine that another worker has just found, we may have to read first: its claim was posted
 * before it was answered. */
static size_t rows_at(struct worker *worker, const struct arrival *a, struct target *rows[static TARGETS_SHARE_MAX])
{
    uint16_t port = a->listener->local.port;
    size_t count = targets_at(&worker->targets, a->source, port, rows);
    if (count > 0 || a->forwarded != FORWARD_NONE || a->channel != KDNET_CHANNEL_DATA || worker_is_alone(worker) ||
        !mailbox_handle(&worker->mailbox))
        return count;
    return targets_at(&worker->targets, a->source, port, rows);
}

void dispatch_arrival(struct arrival *a)
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
        count = rows_at(worker, a, rows); /* what waited may have moved some */
    }
    if (count == 1 && a->channel == KDNET_CHANNEL_DATA && admission_is_in_line(&worker->admission, rows[0]->id)) {
        ++listener->counts.waiting_breaks; /* not even opened: many wait because there is no time */
        return;
    }
    if (deliver_to_targets(worker, a, rows, count) || deliver_to_answered(worker, a) || forward_datagram(a, count > 0))
        return;
    if (count > 0)
        not_theirs(worker, a, rows, count);
    else if (a->channel == KDNET_CHANNEL_CONTROL)
        unknown_poke(worker, a);
    else
        unknown_data(worker, a);
}

static void dispatch(struct arrival *a)
{
    if (kdnet_datagram_peek(a->payload, a->length, &a->version, &a->channel) == KDNET_OK)
        dispatch_arrival(a);
    else
        ++a->listener->counts.malformed;
}

/* All of a batch wait for memory together, instead of each for itself. */
static void fetch(const struct listener *listener, const struct receiver_datagram *datagrams, size_t count)
{
    const struct worker *worker = listener->worker;
    const struct address *sources[RECEIVER_BATCH];
    const struct target *rows[TARGETS_AHEAD];
    for (size_t i = 0; i < count; ++i)
        sources[i] = &datagrams[i].source;
    size_t found = targets_prefetch(&worker->targets, sources, count, listener->local.port, rows);
    for (size_t i = 0; i < found; ++i) {
        kdnet_session_prefetch(rows[i]->session);
        timers_prefetch(&worker->timers, rows[i]->id);
    }
}

/* More comes than can be handled: then no source has more than its share. */
static bool is_shed(struct listener *listener, const struct address *source, uint64_t now_us)
{
    struct worker *worker = listener->worker;
    if (source_limit_take(&worker->source_limit, address_hash(source, worker->seed), now_us))
        return false;
    ++listener->counts.shed;
    listener->shed_source = *source;
    return true;
}

void dispatch_batch(struct listener *listener, const struct receiver_datagram *datagrams, size_t count)
{
    uint64_t now_us = worker_now_us();
    struct pending_sends pending_sends;
    pending_sends.count = 0;
    listener->worker->in_batch = true;
    listener->counts.received += count;
    fetch(listener, datagrams, count);
    for (size_t i = 0; i < count && !listener->closed; ++i) {
        if (listener->behind && is_shed(listener, &datagrams[i].source, now_us))
            continue;
        struct arrival a = {.listener = listener,
                            .pending_sends = &pending_sends,
                            .source = &datagrams[i].source,
                            .payload = datagrams[i].payload,
                            .length = datagrams[i].length,
                            .now_us = now_us};
        dispatch(&a);
    }
    send_due(listener->worker, listener, &pending_sends, now_us);
    listener->worker->in_batch = false;
}

void dispatch_expire(struct worker *worker)
{
    uint64_t now_us = worker_now_us();
    uint32_t id = 0;
    for (size_t i = 0; i < WORKER_EXPIRE_MAX && timers_take(&worker->timers, now_us, &id); ++i) {
        struct target *target = targets_row(&worker->targets, id);
        if (!target)
            continue;
        kdnet_session_expire(target->session, now_us);
        dispatch_pump(worker, target, NULL, NULL, now_us);
    }
}

/* A row that has its key may have come here while others tried theirs. */
void dispatch_unopened(const struct arrival *a)
{
    struct worker *worker = a->listener->worker;
    struct target *rows[TARGETS_SHARE_MAX];
    unsigned other = 0;
    size_t count = targets_at(&worker->targets, a->source, a->listener->local.port, rows);
    if (deliver_to_targets(worker, a, rows, count) ||
        forwarding_table_find(&worker->forwarding_table, a->source, a->listener->local.port, &other))
        return;
    ++a->listener->counts.unknown;
    struct search_poke search_poke = {
        .source = *a->source, .local_port = a->listener->local.port, .length = (uint16_t)a->length};
    if (a->length <= sizeof search_poke.payload) {
        memcpy(search_poke.payload, a->payload, a->length);
        worker->env->unknown_poke(worker->env->user, &search_poke);
    }
}

/* Keys on pokes from new addresses. */

static size_t filter(void *user, struct target *const *rows, size_t row_count,
                     const struct kdnet_key_filter_batch *candidates, struct kdnet_key_filter_hit *hits,
                     size_t *hit_count)
{
    struct worker *worker = user;
    const uint8_t *keys[KEY_SEARCH_KEYS];
    for (size_t i = 0; i < row_count; ++i)
        keys[i] = kdnet_session_key(targets_session(rows[i]))->bytes;
    return kdnet_key_filter(worker->shared.crypto, keys, row_count, candidates, hits, hit_count);
}

/* Its listener is NULL when nobody listens there any more. */
static struct arrival arrival_of(const struct worker *worker, const struct search_poke *search_poke)
{
    return (struct arrival){
        .listener = listener_by_id(worker, search_poke->listener_id),
        .source = &search_poke->source,
        .payload = search_poke->payload,
        .length = search_poke->length,
        .now_us = worker_now_us(),
        .version = search_poke->payload[KDNET_VERSION_AT],
        .channel = KDNET_CHANNEL_CONTROL,
    };
}

static bool try_row(void *user, struct target *target, const struct search_poke *search_poke)
{
    struct worker *worker = user;
    struct arrival a = arrival_of(worker, search_poke);
    if (!a.listener)
        return true; /* the search for it is over */
    if (!targets_may_be(target, &search_poke->source, search_poke->local_port))
        return false;
    forward_claim(worker, &search_poke->source, search_poke->local_port); /* before its answer can be answered */
    return deliver(worker, target, &a);
}

static void no_key(void *user, const struct search_poke *search_poke)
{
    struct worker *worker = user;
    struct arrival a = arrival_of(worker, search_poke);
    if (a.listener && forward_unopened(&a, search_poke->hops))
        return;
    if (a.listener)
        ++a.listener->counts.unknown;
    worker->env->unknown_poke(worker->env->user, search_poke);
}

static void on_search_idle(uv_idle_t *idle);

static void on_search_timer(uv_timer_t *timer)
{
    dispatch_try_keys(timer->data);
}

static void on_search_idle(uv_idle_t *idle)
{
    struct worker *worker = idle->data;
    const struct key_search_calls calls = {.filter = filter,
                                           .key_units = kdnet_key_filter_key_cost(worker->shared.crypto),
                                           .open = try_row,
                                           .unknown = no_key,
                                           .user = worker};
    uint64_t from_us = worker_now_us();
    cpu_budget_pass(&worker->cpu_budget, from_us, worker->idle_us);
    worker->idle_us = 0;
    size_t units = cpu_budget_units(&worker->cpu_budget);
    if (worker->key_search.count == 0 || units == 0 || worker->frozen) {
        (void)uv_idle_stop(idle);
        if (worker->key_search.count > 0)
            (void)uv_timer_start(&worker->search_timer, on_search_timer, WORKER_SEARCH_WAIT_MS, 0);
        return;
    }
    uint64_t opened = worker->key_search.opened, unknown = worker->key_search.unknown;
    size_t done = key_search_work(&worker->key_search, &worker->targets, units, &calls);
    opened = worker->key_search.opened - opened;
    unknown = worker->key_search.unknown - unknown;
    cpu_budget_judge(&worker->cpu_budget, opened, opened + unknown);
    cpu_budget_spent(&worker->cpu_budget, done, worker_now_us() - from_us);
}

void dispatch_try_keys(struct worker *worker)
{
    if (worker->key_search.count > 0 && !uv_is_active((uv_handle_t *)&worker->search_timer))
        (void)uv_idle_start(&worker->search_idle, on_search_idle);
}

/* Whether the row's key opens a poke. Without its session: that would answer. */
static bool key_opens(struct worker *worker, const struct target *row, const struct search_poke *poke)
{
    uint8_t plain[KEY_SEARCH_PAYLOAD];
    struct kdnet_datagram datagram;
    struct kdnet_keys keys;
    if (!kdnet_session_may_open(row->session, poke->payload, poke->length))
        return false;
    kdnet_keys_init(&keys, kdnet_session_key(row->session));
    int code = kdnet_datagram_open(worker->shared.crypto, keys.control.bytes, &keys.hmac, poke->payload, poke->length,
                                   plain, &datagram);
    kdnet_keys_clear(&keys);
    return code == KDNET_OK;
}

const struct target *dispatch_owner_elsewhere(struct worker *worker, const struct search_poke *poke)
{
    size_t looks = 0;
    for (uint32_t id = 0; id < worker->targets.ids && looks < WORKER_OWNER_LOOK; ++id) {
        const struct target *row = targets_row(&worker->targets, id);
        if (!row || targets_may_be(row, &poke->source, poke->local_port))
            continue; /* its key was tried before */
        ++looks;
        if (key_opens(worker, row, poke))
            return row;
    }
    return NULL;
}
