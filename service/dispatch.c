/* SPDX-License-Identifier: Apache-2.0 */
#include "service/log.h"
#include "service/server_internal.h"

#include <string.h>

#define BACK_AND_FORTH      3 /* moves to where it came from within a minute: two machines with one key */
#define OTHER_HOST_EVERY_US UINT64_C(600000000)

/* Where and when a datagram arrived. */
struct arrival {
    struct listener *listener;
    const struct address *source;
    const uint8_t *payload;
    size_t length;
    uint64_t now_us;
    uint8_t version, channel;
};

/* Additive increase, multiplicative decrease: as many inquiries at a time as this machine and its network can do. */
static void adapt_limit(struct server *server, uint64_t took_us, uint64_t now_us)
{
    size_t *limit = &server->totals.inquiries_limit;
    if (server->totals.inquiring < *limit / 2)
        return; /* it was not their number */
    if (took_us < server->shared.read_deadline_us / 8) {
        *limit += *limit < SERVER_INQUIRIES_MAX;
    } else if (took_us > server->shared.read_deadline_us / 4 && now_us - server->slowed_us >= took_us) {
        server->slowed_us = now_us;
        *limit = *limit * 3 / 4 > SERVER_INQUIRIES_MIN ? *limit * 3 / 4 : SERVER_INQUIRIES_MIN;
    }
}

static uint64_t halted_for_us(const struct target *target, uint64_t now_us)
{
    return (uint64_t)((uint32_t)(now_us / 1000) - target->halted_ms) * 1000;
}

/* A row is as it was counted last: says what has changed since. */
static bool note_halt(struct server *server, struct target *target, bool halted)
{
    if (halted == target->halted)
        return target->inquiring;
    uint64_t now_us = server_now_us();
    if (halted)
        target->halted_ms = (uint32_t)(now_us / 1000);
    else if (target->inquiring)
        adapt_limit(server, halted_for_us(target, now_us), now_us);
    return halted;
}

void dispatch_count(struct server *server, struct target *target)
{
    bool connected = kdnet_session_is_connected(target->session);
    bool halted = kdnet_session_is_halted(target->session);
    bool inquiring = note_halt(server, target, halted);
    dispatch_uncount(server, target);
    target->connected = connected;
    target->halted = halted;
    target->held = target->held && halted;
    target->inquiring = inquiring && !target->held;
    server->totals.connected += connected;
    server->totals.halted += halted;
    server->totals.held += target->held;
    server->totals.inquiring += target->inquiring;
}

void dispatch_uncount(struct server *server, struct target *target)
{
    server->totals.connected -= target->connected;
    server->totals.halted -= target->halted;
    server->totals.held -= target->held && target->halted;
    server->totals.inquiring -= target->inquiring;
    target->connected = target->halted = target->inquiring = false;
}

/* Machines that fell silent in a break are not waited for by others. */
static void recount_inquiries(struct server *server, uint64_t now_us)
{
    server->recounted_us = now_us;
    for (uint32_t id = 0; id < server->targets.ids; ++id) {
        struct target *row = targets_row(&server->targets, id);
        if (!row || !row->inquiring || halted_for_us(row, now_us) < server->shared.read_deadline_us)
            continue;
        adapt_limit(server, halted_for_us(row, now_us), now_us);
        row->inquiring = false;
        --server->totals.inquiring;
    }
}

static void defer(struct server *server, struct target *target)
{
    struct deferred *deferred = &server->deferred;
    if (target->deferred || deferred->count == SERVER_DEFERRED)
        return;
    deferred->ids[(deferred->first + deferred->count++) % SERVER_DEFERRED] = target->id;
    target->deferred = true;
}

/*
 * When very many machines crash at once, asking all of them at a time ends in no answer from any within its deadline:
 * sockets overflow, and every datagram is sent again. So a new break waits until others are done, and is recalled then.
 * Its deadline counts from when it is taken. A handshake is finished in any case: without its key nothing is recalled.
 */
static bool must_wait(struct server *server, struct target *target, const struct arrival *a)
{
    if (a->channel != KDNET_CHANNEL_DATA || server->totals.inquiring < server->totals.inquiries_limit ||
        kdnet_session_awaits(target->session))
        return false;
    if (a->now_us - server->recounted_us >= SERVER_RECOUNT_US)
        recount_inquiries(server, a->now_us);
    if (server->totals.inquiring < server->totals.inquiries_limit)
        return false;
    defer(server, target);
    return true;
}

void dispatch_recall(struct server *server)
{
    struct deferred *deferred = &server->deferred;
    if (deferred->count == 0)
        return;
    uint64_t now_us = server_now_us();
    if (now_us - server->recounted_us >= SERVER_RECOUNT_US)
        recount_inquiries(server, now_us);
    if (now_us - deferred->recalled_us >= SERVER_RECALL_US) {
        deferred->recalled_us = now_us;
        deferred->recalled = 0;
    }
    while (deferred->count > 0 && server->totals.inquiring + deferred->recalled < server->totals.inquiries_limit) {
        struct target *target = targets_row(&server->targets, deferred->ids[deferred->first]);
        deferred->first = (deferred->first + 1) % SERVER_DEFERRED;
        --deferred->count;
        if (!target || !target->deferred)
            continue; /* another row has its number by now */
        target->deferred = false;
        ++deferred->recalled;
        kdnet_session_recall(target->session);
        dispatch_pump(server, target, NULL, NULL, now_us);
    }
}

static void send_outgoing(struct target *target, struct listener *listener, const struct address *source,
                          const struct kdnet_outgoing *out)
{
    const struct target_place *place = targets_destination(target);
    if (out->to_sender && listener) {
        listener_send(listener, source, out->payload, out->length);
    } else if (place) {
        struct address address = targets_address(place);
        listener_send(place->listener, &address, out->payload, out->length);
    }
}

/* Its result comes before its release: withheld.h. */
static void withhold(struct server *server, struct target *target, uint64_t now_us)
{
    uint64_t added = results_added(&server->results);
    if (added > results_settled(&server->results))
        target->withheld = withheld_add(&server->withheld, target->id, added, now_us);
}

void dispatch_withheld(struct server *server)
{
    uint64_t now_us = server_now_us();
    uint32_t id;
    while (withheld_next(&server->withheld, results_settled(&server->results), results_is_idle(&server->results),
                         now_us, &id)) {
        struct target *target = targets_row(&server->targets, id);
        if (!target || !target->withheld)
            continue; /* it was taken out meanwhile */
        target->withheld = false;
        dispatch_pump(server, target, NULL, NULL, now_us);
    }
}

void dispatch_pump(struct server *server, struct target *target, struct listener *listener,
                   const struct address *source, uint64_t now_us)
{
    struct kdnet_outgoing out;
    struct kdnet_event event;
    bool told = false;
    while (kdnet_session_next_event(target->session, &event)) { /* first: when it has gone on, nobody can ask */
        announce_event(server, target, &event);
        told = told || event.type == KDNET_EVENT_CRASH_STATUS;
    }
    if (told && !target->withheld)
        withhold(server, target, now_us);
    bool sent = false;
    while (!target->withheld && kdnet_session_next_datagram(target->session, now_us, &out)) {
        send_outgoing(target, listener, source, &out);
        sent = true;
    }
    if (sent && kdnet_session_awaits(target->session))
        server->urgent_until_us = now_us + SERVER_URGENT_US;
    timers_set(&server->timers, target->id, kdnet_session_deadline(target->session), now_us);
    dispatch_count(server, target);
}

/* Memory or OpenSSL failed: the session starts anew; its machine's next poke finds it. */
static void give_up(struct server *server, struct target *target, int code)
{
    struct log_line line;
    log_begin(&line, CONFIG_LOG_ERROR,
              "session given up and begun anew; the machine is served again from its next poke");
    log_text(&line, "target", target->name);
    log_text(&line, "error", kdnet_error_text(code));
    log_end(&line);
    dispatch_uncount(server, target);
    timers_set(&server->timers, target->id, TIMERS_NEVER, server_now_us());
    kdnet_session_restart(target->session);
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
    log_text(&line, "target", target->name);
    log_text(&line, "address", first);
    log_text(&line, "other", second);
    log_end(&line);
}

static void moved(struct target *target, const struct address *from, const struct address *to, uint64_t now_us)
{
    struct log_line line;
    char old[ADDRESS_TEXT_SIZE], new[ADDRESS_TEXT_SIZE];
    struct target_more *more = targets_more(target);
    if (!more)
        return; /* out of memory: nothing is missed but this line */
    bool back = address_equal(&more->moved_from, to) && now_us - more->moved_us < SERVER_MINUTE_US;
    more->back_and_forth = back ? more->back_and_forth + 1 : 0;
    more->moved_from = *from;
    more->moved_us = now_us;
    if (more->back_and_forth >= BACK_AND_FORTH) {
        if (more->warned_us == 0 || now_us - more->warned_us >= SERVER_MINUTE_US) {
            more->warned_us = now_us;
            say_two_machines(target, from, to);
        }
        return;
    }
    address_format(from, old);
    address_format(to, new);
    log_begin(&line, CONFIG_LOG_INFO, "target has another address");
    log_text(&line, "target", target->name);
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
    log_text(&line, "target", target->name);
    log_text(&line, "address", machine);
    if (named)
        log_text(&line, "other", host);
    log_end(&line);
}

static void learn(struct server *server, struct target *target, const struct arrival *a,
                  const struct kdnet_received *received)
{
    uint16_t port = a->listener->local.port;
    bool was_live = targets_is_live(target);
    struct address before = targets_address(&target->live);
    if (!received->live) {
        if (received->poke)
            targets_set_candidate(&server->targets, target, a->source, a->listener, port);
        return;
    }
    if (targets_set_live(&server->targets, target, a->source, a->listener, port) && was_live)
        moved(target, &before, a->source, a->now_us);
}

/* Gives a datagram to a session. Returns whether it was the target's. */
static bool offer(struct server *server, struct target *target, const struct arrival *a)
{
    struct kdnet_received received = {.authentic = false};
    int code = kdnet_session_receive(target->session, a->payload, a->length, a->now_us, &received);
    if (kdnet_error_family(code) == KDNET_FAMILY_GIVE_UP) {
        give_up(server, target, code);
        return true;
    }
    if (!received.authentic)
        return false;
    learn(server, target, a, &received);
    if (received.other_host)
        say_other_host(target, a, &received);
    dispatch_pump(server, target, a->listener, a->source, a->now_us);
    return true;
}

/* The rows with the source's IP as their configured address: few, so they are tried without waiting. */
static bool offer_to_configured(struct server *server, const struct arrival *a, bool *any)
{
    uint32_t id = targets_with_ip(&server->targets, a->source->ip);
    size_t tried = 0;
    *any = false;
    for (struct target *row = targets_row(&server->targets, id); row && tried < SERVER_SAME_IP_MAX;
         row = targets_row(&server->targets, row->next_same_ip)) {
        if (!targets_may_be(row, a->source, a->listener->local.port))
            continue;
        *any = true;
        ++tried;
        if (a->channel == KDNET_CHANNEL_CONTROL && !kdnet_session_may_open(row->session, a->payload, a->length))
            continue;
        if (offer(server, row, a))
            return true;
    }
    return false;
}

/* Asks one machine to poke at once. Returns whether it was asked. */
static bool nudge(struct target *row, const struct arrival *a)
{
    struct kdnet_outgoing out;
    if (kdnet_session_is_connected(row->session) || !targets_may_be(row, a->source, a->listener->local.port) ||
        kdnet_session_nudge(row->session, a->version, &out) != KDNET_OK)
        return false;
    listener_send(a->listener, a->source, out.payload, out.length);
    ++a->listener->counts.nudged;
    return true;
}

/* How many nudges this datagram may cause: together never longer than itself, and not all the time. */
static size_t nudge_allowance(struct server *server, const struct arrival *a)
{
    uint64_t *last = &server->nudged_us[address_hash(a->source, server->seed) % SERVER_NUDGE_SLOTS];
    if (*last != 0 && a->now_us - *last < SERVER_NUDGE_GAP_US)
        return 0;
    *last = a->now_us;
    return (size_t)bucket_take(&server->nudges, a->length / SERVER_NUDGE_COST, a->now_us);
}

/* Rows with this configured IP: all of them when they are few, in turn when many machines share an address. */
static void nudge_configured(struct server *server, const struct arrival *a, size_t allowance)
{
    uint32_t first = targets_with_ip(&server->targets, a->source->ip);
    size_t count = 0, at = 0;
    for (struct target *row = targets_row(&server->targets, first); row && count < SERVER_EXPIRE_MAX;
         row = targets_row(&server->targets, row->next_same_ip))
        ++count;
    size_t skip = count > allowance ? server->nudge_turn++ * allowance % count : 0;
    for (struct target *row = targets_row(&server->targets, first); row && at < count && allowance > 0;
         row = targets_row(&server->targets, row->next_same_ip))
        if (at++ >= skip && nudge(row, a))
            --allowance;
}

/* Rows of a group, in turn. Returns how many were asked. */
static size_t nudge_group(struct server *server, const struct arrival *a, const struct targets_group *group, bool seen,
                          size_t allowance)
{
    size_t looks = seen ? group->count - group->unseen : group->unseen, asked = 0;
    if (looks > SERVER_NUDGE_LOOK)
        looks = SERVER_NUDGE_LOOK;
    for (; looks > 0 && asked < allowance; --looks) {
        size_t at = targets_group_next(group, seen, server->nudge_turn % group->count);
        if (at == group->count)
            at = targets_group_next(group, seen, 0);
        server->nudge_turn = at + 1;
        asked += nudge(targets_row(&server->targets, group->ids[at]), a);
    }
    return asked;
}

/* Rows whose address is not known, in turn. */
static void nudge_others(struct server *server, const struct arrival *a, size_t allowance)
{
    const struct targets_group *groups[2] = {targets_group_of(&server->targets, a->listener->local.port),
                                             targets_group_of(&server->targets, 0)};
    for (unsigned i = 0; i < 4 && allowance > 0; ++i)
        if (groups[i % 2])
            allowance -= nudge_group(server, a, groups[i % 2], i >= 2, allowance);
}

static void unknown_data(struct server *server, const struct arrival *a)
{
    bool configured = false;
    if (offer_to_configured(server, a, &configured))
        return;
    ++a->listener->counts.unknown_data;
    size_t allowance = nudge_allowance(server, a);
    if (allowance == 0)
        return;
    if (configured)
        nudge_configured(server, a, allowance);
    else
        nudge_others(server, a, allowance);
}

static void unknown_poke(struct server *server, const struct arrival *a)
{
    bool configured = false;
    if (offer_to_configured(server, a, &configured))
        return;
    if (a->length > TRIALS_PAYLOAD)
        ++a->listener->counts.malformed;
    else if (!trials_add(&server->trials, a->source, a->listener->id, a->listener->local.port, a->payload, a->length))
        ++a->listener->counts.refused;
}

/* From a target's address, but of no session there. */
static void not_theirs(struct server *server, const struct arrival *a, struct target **rows, size_t count)
{
    ++a->listener->counts.forged;
    if (a->channel == KDNET_CHANNEL_CONTROL) {
        unknown_poke(server, a); /* another machine behind this address, or one that got it */
        return;
    }
    size_t allowance = nudge_allowance(server, a);
    for (size_t i = 0; i < count && allowance > 0; ++i)
        if (nudge(rows[i], a))
            --allowance;
}

static void dispatch(struct arrival *a)
{
    struct listener *listener = a->listener;
    struct server *server = listener->server;
    struct target *rows[TARGETS_SHARE_MAX];
    if (kdnet_datagram_peek(a->payload, a->length, &a->version, &a->channel) != KDNET_OK) {
        ++listener->counts.malformed;
        return;
    }
    size_t count = targets_at(&server->targets, a->source, listener->local.port, rows);
    if (count > 0 && must_wait(server, rows[0], a)) {
        ++listener->counts.deferred;
        return;
    }
    for (size_t i = 0; i < count; ++i)
        if (offer(server, rows[i], a))
            return;
    if (count > 0)
        not_theirs(server, a, rows, count);
    else if (a->channel == KDNET_CHANNEL_CONTROL)
        unknown_poke(server, a);
    else
        unknown_data(server, a);
}

/* All of a batch wait for memory together, instead of each for itself. */
static void fetch(const struct listener *listener, const struct receiver_datagram *datagrams, size_t count)
{
    const struct server *server = listener->server;
    const struct address *sources[RECEIVER_BATCH];
    const struct target *rows[TARGETS_AHEAD];
    for (size_t i = 0; i < count; ++i)
        sources[i] = &datagrams[i].source;
    size_t found = targets_fetch(&server->targets, sources, count, listener->local.port, rows);
    for (size_t i = 0; i < found; ++i) {
        kdnet_session_fetch(rows[i]->session);
        timers_fetch(&server->timers, rows[i]->id);
    }
}

/* More comes than can be handled: then no source has more than its share. */
static bool is_shed(struct listener *listener, const struct address *source, uint64_t now_us)
{
    struct server *server = listener->server;
    if (shares_take(&server->shares, address_hash(source, server->seed), now_us))
        return false;
    ++listener->counts.shed;
    listener->shed_source = *source;
    return true;
}

void dispatch_batch(struct listener *listener, const struct receiver_datagram *datagrams, size_t count)
{
    uint64_t now_us = server_now_us();
    listener->counts.received += count;
    fetch(listener, datagrams, count);
    for (size_t i = 0; i < count; ++i) {
        if (listener->behind && is_shed(listener, &datagrams[i].source, now_us))
            continue;
        struct arrival a = {.listener = listener,
                            .source = &datagrams[i].source,
                            .payload = datagrams[i].payload,
                            .length = datagrams[i].length,
                            .now_us = now_us};
        dispatch(&a);
    }
}

void dispatch_expire(struct server *server)
{
    uint64_t now_us = server_now_us();
    uint32_t id = 0;
    for (size_t i = 0; i < SERVER_EXPIRE_MAX && timers_take(&server->timers, now_us, &id); ++i) {
        struct target *target = targets_row(&server->targets, id);
        if (!target)
            continue;
        kdnet_session_expire(target->session, now_us);
        dispatch_pump(server, target, NULL, NULL, now_us);
    }
}

/* Keys on pokes from new addresses. */

static size_t sift(void *user, const struct target *target, const struct kdnet_sift_block *blocks, const uint32_t *tags,
                   size_t count, uint16_t *hits)
{
    struct server *server = user;
    return kdnet_sift(server->shared.crypto, kdnet_session_key(target->session)->bytes, blocks, tags, count, hits);
}

static bool try_row(void *user, struct target *target, const struct trial *trial)
{
    struct server *server = user;
    struct arrival a = {
        .listener = listener_by_id(server, trial->listener_id),
        .source = &trial->source,
        .payload = trial->payload,
        .length = trial->length,
    };
    if (!a.listener)
        return true; /* nobody listens there any more: the trial is over */
    a.now_us = server_now_us();
    a.version = trial->payload[4];
    a.channel = KDNET_CHANNEL_CONTROL;
    return offer(server, target, &a);
}

static void no_key(void *user, const struct trial *trial)
{
    struct server *server = user;
    struct listener *listener = listener_by_id(server, trial->listener_id);
    if (listener)
        ++listener->counts.unknown;
    strangers_note(&server->strangers, trial, trial->payload[4], server_now_us());
}

static void on_trial_idle(uv_idle_t *idle);

static void on_trial_timer(uv_timer_t *timer)
{
    dispatch_try_keys(timer->data);
}

static void on_trial_idle(uv_idle_t *idle)
{
    struct server *server = idle->data;
    const struct trials_calls calls = {.sift = sift, .open = try_row, .unknown = no_key, .user = server};
    uint64_t from_us = server_now_us();
    pace_pass(&server->pace, from_us, server->idle_us);
    server->idle_us = 0;
    size_t units = pace_units(&server->pace);
    if (server->trials.count == 0 || units == 0 || reload_is_applying(server)) {
        (void)uv_idle_stop(idle);
        if (server->trials.count > 0)
            (void)uv_timer_start(&server->trial_timer, on_trial_timer, SERVER_TRIAL_WAIT_MS, 0);
        return;
    }
    uint64_t opened = server->trials.opened, unknown = server->trials.unknown;
    size_t done = trials_work(&server->trials, &server->targets, units, &calls);
    opened = server->trials.opened - opened;
    unknown = server->trials.unknown - unknown;
    pace_judge(&server->pace, opened, opened + unknown);
    pace_spent(&server->pace, done, server_now_us() - from_us);
}

void dispatch_try_keys(struct server *server)
{
    if (server->trials.count > 0 && !uv_is_active((uv_handle_t *)&server->trial_timer))
        (void)uv_idle_start(&server->trial_idle, on_trial_idle);
}

/* Whether the row's key opens a poke. Without its session: that would answer. */
static bool key_opens(struct server *server, const struct target *row, const struct stranger *stranger)
{
    uint8_t plain[TRIALS_PAYLOAD];
    struct kdnet_datagram datagram;
    struct kdnet_keys keys;
    if (!kdnet_session_may_open(row->session, stranger->payload, stranger->length))
        return false;
    kdnet_keys_init(&keys, kdnet_session_key(row->session));
    int code = kdnet_datagram_open(server->shared.crypto, keys.control.bytes, &keys.hmac, stranger->payload,
                                   stranger->length, plain, &datagram);
    kdnet_keys_clear(&keys);
    return code == KDNET_OK;
}

const struct target *dispatch_owner_elsewhere(struct server *server, const struct stranger *stranger)
{
    size_t looks = 0;
    for (uint32_t id = 0; id < server->targets.ids && looks < SERVER_OWNER_LOOK; ++id) {
        const struct target *row = targets_row(&server->targets, id);
        if (!row || targets_may_be(row, &stranger->source, stranger->listen_port))
            continue; /* its key was tried before */
        ++looks;
        if (key_opens(server, row, stranger))
            return row;
    }
    return NULL;
}
