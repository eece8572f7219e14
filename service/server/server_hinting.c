/* SPDX-License-Identifier: Apache-2.0 */
#include "service/server/hinting.h"
#include "service/platform/platform.h"
#include "service/platform/successor.h"
#include "service/runtime/log.h"
#include "service/server/server_internal.h"
#include "service/worker/stray.h"

#include <stdlib.h>
#include <string.h>

#define ROUND_MS       5                  /* between two slices of a round */
#define ROUND_SLICE    ASK_MACHINES       /* machines asked in a slice, of a worker */
#define ROUND_GAP_US   UINT64_C(5000000)  /* between two rounds that machines cause */
#define LATE_US        UINT64_C(10000000) /* hints that come so long after a round's start are asked, too */
#define LATE_GAP_US    UINT64_C(100000)
#define FEEL_US        UINT64_C(15000)   /* an address has come: how long its neighbours may take to notice */
#define FEEL_LEFT_US   UINT64_C(1500000) /* a collector has stopped serving: how long the network may take to notice */
#define LEFT_SEVERAL   UINT8_MAX
#define FEEL_MACHINES  2U
#define FEEL_GAP_US    UINT64_C(5000)
#define PLACE_MS       10 /* between two looks for our addresses, with freebind */
#define LOOPBACK       127
#define US_A_SECOND    UINT64_C(1000000)
#define HINTS_FILE     "hints"
#define PASSED_ON_US   UINT64_C(600000000) /* hints that the file may not have, and some more */
#define RELEASED_MAX_S UINT64_C(864000)    /* older first breaks are not believed */

static uint64_t wall_us(void)
{
    uv_timeval64_t now = {0};
    (void)uv_gettimeofday(&now);
    return (uint64_t)now.tv_sec * US_A_SECOND + (uint64_t)now.tv_usec;
}

/* The time by which sessions tell people how long something took. */
static uint64_t people_us(void)
{
    return worker_now_us() + worker_lag_us();
}

/* Makes hints from workers' reports. */

static void note_crash(const struct kdnet_crash_memory *crash, struct hint *hint)
{
    uint64_t ago_us = people_us() - crash->released_us, wall = wall_us();
    hint->crash_known = crash->known;
    if (!crash->known)
        return;
    memcpy(hint->crash, crash->crash, sizeof hint->crash);
    memcpy(hint->crash_boot, crash->boot, sizeof hint->crash_boot);
    hint->released_us = crash->released && ago_us < wall ? wall - ago_us : 0;
}

/* Recalls the crash that another host knew; it counts when the machine confirms it. */
static void recall_crash(const struct hint *hint, struct target *target)
{
    uint64_t wall = wall_us(), ago_us = wall - hint->released_us, people = people_us();
    struct kdnet_crash_memory crash = {.known = hint->crash_known,
                                       .released = hint->released_us > 0 && hint->released_us <= wall &&
                                                   ago_us < RELEASED_MAX_S * US_A_SECOND};
    if (!crash.known)
        return;
    memcpy(crash.crash, hint->crash, sizeof crash.crash);
    memcpy(crash.boot, hint->crash_boot, sizeof crash.boot);
    crash.released_us = people - ago_us; /* before our clock's start the time is negative, and differences stay right */
    (void)kdnet_session_recall_crash(targets_session(target), &crash);
}

static bool make_hint(const struct worker *worker, const struct target *target, struct hint *out)
{
    const struct address route = targets_route(target);
    const struct listener *listener = target->live.listener;
    struct kdnet_event event = {.type = KDNET_EVENT_CONNECTED};
    struct kdnet_crash_memory crash;
    const uint8_t *local = address_is_any(&listener->local) ? locals_ip(worker->env->locals, route.via)
                                                            : listener->local.ip;
    if (!local)
        return false;
    *out = (struct hint){.machine = route, .version = kdnet_session_version(targets_session(target))};
    out->local.port = listener->local.port;
    memcpy(out->local.ip, local, sizeof out->local.ip);
    kdnet_session_identify(targets_session(target), &event);
    out->boot_known = event.of.boot_known;
    memcpy(out->boot, event.of.boot, sizeof out->boot);
    kdnet_session_crash(targets_session(target), &crash);
    note_crash(&crash, out);
    return true;
}

static void handle_wanted(struct message *message, void *owner);

/* Machines may have come here from another collector. */
static void want_round(struct server *server)
{
    struct hinting *hinting = &server->hinting;
    if (atomic_exchange(&hinting->wanted, true))
        return;
    hinting->wanted_message.handle = handle_wanted;
    mailbox_post(&server->mailbox, &hinting->wanted_message);
}

void hinting_target_changed(struct server *server, struct worker *worker, struct target *target)
{
    struct hints *hints = server->hinting.hints;
    struct hint before, hint;
    if (!hints || !targets_stands_for_all(target))
        return;
    hints_place(hints, targets_name(target), (struct hint_place){.row = target->id, .worker = worker->number});
    if (!kdnet_session_is_connected(targets_session(target)) || !targets_is_live(target))
        return;
    if (hints_take_others(hints, targets_name(target), &before)) {
        recall_crash(&before, target);
        atomic_store(&server->hinting.shown, true);
        want_round(server);
    }
    if (make_hint(worker, target, &hint))
        (void)hints_note(hints, targets_name(target), &hint, wall_us());
}

void hinting_target_gone(struct server *server, struct target *target)
{
    if (server->hinting.hints && targets_stands_for_all(target))
        hints_leave(server->hinting.hints, targets_name(target));
}

void hinting_target_renamed(struct server *server, struct target *target, const char *name)
{
    if (server->hinting.hints && targets_stands_for_all(target))
        hints_rename(server->hinting.hints, targets_name(target), name);
}

static void fill_machine(const struct hint_question *question, struct ask_machine *out)
{
    memcpy(out->name, question->name, sizeof out->name);
    out->row = question->place.row;
    out->machine = question->hint.machine;
    out->local = question->hint.local;
    out->version = question->hint.version;
}

bool hinting_hinted(void *user, const struct address *source, uint16_t local_port, unsigned *worker,
                    struct ask_machine *out)
{
    struct server *server = user;
    struct hint_question question;
    if (!server->hinting.hints || !hints_at(server->hinting.hints, source, local_port, &question))
        return false;
    fill_machine(&question, out);
    *worker = question.place.worker;
    return true;
}

uint8_t hinting_home(struct server *server, const char *name)
{
    struct hint hint;
    if (!server->hinting.hints || !hints_find(server->hinting.hints, name, &hint))
        return HINTING_ANYWHERE;
    return (uint8_t)steer_worker(&server->env.steer, hint.machine.ip);
}

/* Rounds. */

/* Whether an address is local: datagrams sent to it would come from it. All of 127.0.0.0/8 is local, but replies
 * from 127.0.0.1. Not tested by bind, which ip_nonlocal_bind lets through, nor by netlink, which the unit forbids. */
bool hinting_here(void *user, const struct address *local)
{
    struct sockaddr_storage to, from = {0};
    struct address source;
    (void)user;
    if (address_is_ipv4(local) && local->ip[12] == LOOPBACK)
        return true;
    address_to_socket(local, &to);
    return platform_source_of(&to, &from) && address_from_socket((const struct sockaddr *)&from, &source) &&
           address_same_ip(&source, local->ip);
}

/* Like hinting_here, remembered for the round, which may have a million hints with one address. */
static bool was_here(struct hinting *hinting, const struct address *local)
{
    for (size_t i = 0; i < hinting->place_count; ++i)
        if (address_same_ip(&hinting->places[i].local, local->ip))
            return hinting->places[i].here;
    bool here = hinting_here(NULL, local);
    if (hinting->place_count < HINTING_PLACES) {
        hinting->places[hinting->place_count].local = *local;
        hinting->places[hinting->place_count++].here = here;
    }
    return here;
}

/* Sends nothing from an address that is elsewhere. */
static bool may_ask(void *user, const struct hint *hint)
{
    struct server *server = user;
    return !server->config.freebind || was_here(&server->hinting, &hint->local);
}

/* A slice: so many machines of each worker at the most. False: the round is over. */
static bool ask_some(struct server *server, unsigned left)
{
    struct hinting *hinting = &server->hinting;
    struct ask *asks[CONFIG_WORKERS_MAX] = {NULL};
    struct hint_question question;
    while (left > 0 && hints_next_question(hinting->hints, &hinting->round, &question)) {
        struct ask **ask = &asks[question.place.worker % server->worker_count];
        --left;
        if (!*ask && !(*ask = calloc(1, sizeof **ask)))
            break;
        fill_machine(&question, &(*ask)->machines[(*ask)->count++]);
    }
    for (unsigned i = 0; i < server->worker_count; ++i)
        if (asks[i])
            ask_post(&server->env, asks[i], i);
    if (hinting->round.at != HINTS_NO_ROW)
        return true;
    hinting->round.at = 0;
    hinting->round.crashed = !hinting->round.crashed;
    return !hinting->round.crashed;
}

/* A halted machine can be asked once a minute: not before its answer would arrive here. */
static void feel(struct server *server)
{
    struct hinting *hinting = &server->hinting;
    uint64_t now_us = worker_now_us();
    if (now_us >= hinting->feel_until_us) {
        hinting->feeling = false;
        hinting->round.at = 0;
        hinting->round.crashed = true;
    } else if (now_us >= hinting->feel_next_us && hinting->round.at != HINTS_NO_ROW && !hinting->round.crashed) {
        hinting->feel_next_us = now_us + hinting->feel_gap_us;
        hinting->feel_gap_us += hinting->feel_gap_us / 2;
        (void)ask_some(server, FEEL_MACHINES);
    }
}

static void on_round(uv_timer_t *timer)
{
    struct server *server = timer->data;
    struct hinting *hinting = &server->hinting;
    if (!server->joined && hinting->feeling)
        feel(server);
    if (!server->joined && (hinting->feeling || ask_some(server, ROUND_SLICE)))
        return;
    hinting->asking = false;
    (void)uv_timer_stop(timer);
}

/* `collector`: whose machines are asked, 0 everybody's. */
static void begin_round(struct server *server, uint8_t collector, uint64_t feel_us)
{
    struct hinting *hinting = &server->hinting;
    if (!hinting->timers_ready || server->stopping)
        return;
    hinting->begun_us = worker_now_us();
    atomic_store(&hinting->round_hr_us, uv_hrtime() / 1000);
    hinting->round = (struct hints_round){.crashed = feel_us == 0,
                                          .collector = collector,
                                          .now_s = hinting->begun_us / US_A_SECOND + 1,
                                          .may_ask = may_ask,
                                          .user = server};
    hinting->place_count = 0;
    hinting->asking = true;
    hinting->feeling = feel_us > 0;
    hinting->feel_until_us = hinting->begun_us + feel_us;
    hinting->feel_next_us = 0;
    hinting->feel_gap_us = FEEL_GAP_US;
    (void)uv_timer_start(&hinting->round_timer, on_round, 0, ROUND_MS);
}

static void handle_wanted(struct message *message, void *owner)
{
    struct server *server = owner;
    struct hinting *hinting = &server->hinting;
    uint64_t since_us = worker_now_us() - hinting->begun_us;
    (void)message;
    atomic_store(&hinting->wanted, false);
    bool shown = atomic_exchange(&hinting->shown, false);
    bool late = atomic_exchange(&hinting->late, false) && since_us < LATE_US && since_us >= LATE_GAP_US;
    if (hinting->feeling)
        hinting->feel_until_us = shown ? 0 : hinting->feel_until_us; /* they come */
    else if (!hinting->asking && (late || since_us >= ROUND_GAP_US))
        begin_round(server, 0, 0);
}

static void handle_left(struct message *message, void *owner)
{
    struct server *server = owner;
    unsigned collector = atomic_exchange(&server->hinting.left_collector, 0);
    (void)message;
    struct hinting *hinting = &server->hinting;
    bool others = hinting->feeling && hinting->round.collector != collector;
    if (!hinting->asking || hinting->feeling)
        begin_round(server, collector == LEFT_SEVERAL || others ? 0 : (uint8_t)collector, FEEL_LEFT_US);
}

/* On a thread of the bucket's. */
static void on_left(void *user, uint8_t collector)
{
    struct server *server = user;
    unsigned before = 0, left = collector;
    while (!atomic_compare_exchange_weak(&server->hinting.left_collector, &before, left))
        left = before == 0 ? collector : LEFT_SEVERAL;
    if (before != 0)
        return;
    server->hinting.left_message.handle = handle_left;
    mailbox_post(&server->mailbox, &server->hinting.left_message);
}

/* On the thread that watches the bucket. Hints long after a round are for the next one. */
static void on_others(void *user)
{
    struct server *server = user;
    atomic_store(&server->hinting.late, true);
    if (uv_hrtime() / 1000 - atomic_load(&server->hinting.round_hr_us) < LATE_US)
        want_round(server);
}

/* On a thread of the bucket's. */
static void on_beats(void *user, bool some)
{
    struct server *server = user;
    atomic_store(&server->hinting.others, some);
}

/* Datagrams that went astray. */

void hinting_astray(void *user, const struct address *machine, const struct address *local, const uint8_t *payload,
                    size_t length)
{
    struct server *server = user;
    strays_show(server->hinting.strays,
                &(struct stray){.machine = *machine, .local = *local, .payload = payload, .length = length});
}

void hinting_kept(void *user, const struct address *machine, const struct address *local, const char *target,
                  uint32_t told)
{
    struct server *server = user;
    struct stray word = {.kept = true, .told = told, .machine = *machine, .local = *local};
    memcpy(word.target, target, strnlen(target, sizeof word.target - 1));
    strays_show(server->hinting.strays, &word);
}

/* On a thread of its own. */
static void on_stray(void *user, const struct stray *stray)
{
    struct server *server = user;
    if (stray->kept)
        stray_post_kept(&server->env, &stray->machine, &stray->local, stray->target, stray->told);
    else
        stray_post(&server->env, &stray->machine, &stray->local, stray->payload, stray->length);
}

/* Our addresses. */

/* Whether an address of a listener has come since the last look. */
static bool look_at_places(struct server *server)
{
    bool came = false;
    for (struct port *port = server->ports; port; port = port->next) {
        bool here = address_is_any(&port->local) || hinting_here(NULL, &port->local);
        came = came || (here && port->elsewhere);
        port->elsewhere = !here;
    }
    return came;
}

static void say_came(void)
{
    log_plain(CONFIG_LOG_NOTICE, "an address that is listened on has come to this computer: machines that another "
                                 "collector had are asked to poke");
}

static void look_for_places(struct server *server)
{
    if (server->stopping || !server->config.freebind || !look_at_places(server))
        return;
    say_came();
    begin_round(server, 0, FEEL_US);
}

static void on_place_timer(uv_timer_t *timer)
{
    look_for_places(timer->data);
}

/* Start and end. */

static void open_hints(struct server *server, const char *path, bool has_bucket)
{
    const struct hints_kv_user to = {.came = on_others, .left = on_left, .others = on_beats, .user = server};
    struct hinting *hinting = &server->hinting;
    hinting->hints = hints_new(server->seed);
    for (size_t i = 0; hinting->hints && i < server->config.target_count; ++i)
        hints_place(hinting->hints, server->config.targets[i].name, (struct hint_place){.row = HINTS_NO_ROW});
    hinting->file = hinting->hints && path ? hints_file_open(hinting->hints, path) : NULL;
    hints_file_hold(hinting->file, successor_waits());
    hinting->kv = hinting->hints ? hints_kv_open(hinting->hints, &server->config, &to) : NULL;
    hinting->strays = hinting->kv ? strays_open(&server->config, on_stray, server) : NULL;
    if ((path && !hinting->file) || (has_bucket && !hinting->kv))
        log_plain(CONFIG_LOG_ERROR,
                  "address hints: out of memory or threads, or this build has no NATS: where machines "
                  "are is not remembered, or not told to other collectors");
}

void hinting_init(struct server *server)
{
    const struct config_nats *nats = &server->config.nats;
    bool has_bucket = nats->servers.count > 0 && config_nats_hints(nats) != NULL;
    char *path = observe_state_path(&server->config, HINTS_FILE);
    if (path || has_bucket)
        open_hints(server, path, has_bucket);
    free(path);
}

void hinting_begin(struct server *server)
{
    struct hinting *hinting = &server->hinting;
    if (!hinting->hints)
        return;
    (void)uv_timer_init(&server->loop, &hinting->round_timer);
    (void)uv_timer_init(&server->loop, &hinting->place_timer);
    hinting->round_timer.data = hinting->place_timer.data = server;
    hinting->timers_ready = true;
    (void)look_at_places(server);
    if (server->config.freebind)
        (void)uv_timer_start(&hinting->place_timer, on_place_timer, PLACE_MS, PLACE_MS);
    (void)hints_has_new(hinting->hints); /* the hints of the start are in the file and the bucket's first reading */
    begin_round(server, 0, 0);
}

void hinting_reloaded(struct server *server)
{
    struct hinting *hinting = &server->hinting;
    if (!hinting->hints)
        return;
    hints_remove_left(hinting->hints);
    if (!hints_has_new(hinting->hints))
        return;
    hints_file_look(hinting->file);
    hints_kv_look(hinting->kv);
    begin_round(server, 0, 0); /* later hints are asked, too */
}

void hinting_drain(struct server *server, bool draining)
{
    hints_kv_drain(server->hinting.kv, draining);
}

char *hinting_pass_on(struct server *server, size_t *length)
{
    struct hinting *hinting = &server->hinting;
    *length = 0;
    hints_kv_stay(hinting->kv);
    return hinting->hints ? hints_file_text(hinting->hints, wall_us() - PASSED_ON_US, length) : NULL;
}

void hinting_take_over(struct server *server, const char *text, size_t length)
{
    size_t passed_over;
    if (!server->hinting.hints)
        return;
    (void)hints_file_parse(server->hinting.hints, text, length, &passed_over);
    hints_file_hold(server->hinting.file, false);
}

void hinting_stop(struct server *server)
{
    struct hinting *hinting = &server->hinting;
    if (!hinting->timers_ready)
        return;
    hinting->timers_ready = false;
    uv_close((uv_handle_t *)&hinting->round_timer, NULL);
    uv_close((uv_handle_t *)&hinting->place_timer, NULL);
}

/* A broker that hangs keeps no hints from the disk. */
bool hinting_end(struct server *server, uint64_t by_us)
{
    struct hinting *hinting = &server->hinting;
    if (strays_close(hinting->strays, stopping_left_ms(by_us)))
        hinting->strays = NULL;
    if (hints_kv_close(hinting->kv, stopping_left_ms(by_us)))
        hinting->kv = NULL;
    if (hints_file_close(hinting->file, stopping_left_ms(by_us)))
        hinting->file = NULL;
    if (hinting->strays || hinting->kv || hinting->file)
        return false;
    hints_free(hinting->hints);
    hinting->hints = NULL;
    return true;
}
