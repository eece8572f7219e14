/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which target a datagram is for, and which worker has the target: two workers whose loops a test turns, sockets that
 * keep what is sent, and a clock that a test sets.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "service/runtime/log.h"
#include "service/worker/listener.h"
#include "service/worker/route.h"
#include "service/worker/stray.h"
#include "tests/service/captured_log.h"
#include "tests/service/fake_env.h"
#include "tests/session/puppet.h"
#include "tests/service/two_workers.h"

#include <cmocka.h>

#define ROUNDS 200U /* of both loops, at most, until something has happened */

static void pass_us(uint64_t us)
{
    now_ns += us * 1000;
}

/* An address, one of many, whose machines this worker serves. */
static struct address address_of(unsigned worker, unsigned number)
{
    struct address address = {.ip = {[10] = 0xff, [11] = 0xff, 192, 0, 2, 0}, .port = 9};
    for (;; ++address.ip[15])
        if (steer_worker(&fake.env.steer, address.ip) == worker && number-- == 0)
            return address;
}

static struct target *add_target(struct worker *worker, const char *name, const struct kdnet_key *key,
                                 const struct address *configured)
{
    struct config_target target = {.key = *key, .has_address = configured != NULL};
    (void)snprintf(target.name, sizeof target.name, "%s", name);
    if (configured)
        memcpy(target.address.ip, configured->ip, sizeof target.address.ip);
    assert_true(worker_reserve(worker, worker->targets.count + 1));
    struct target *row = targets_add(&worker->targets, &target, false);
    assert_non_null(row);
    targets_begin_session(row, &worker->shared, policy, key);
    assert_true(targets_index(&worker->targets));
    return row;
}

/* A datagram arrives at a worker. */
static void arrive(unsigned worker, const struct address *source, const struct puppet_bytes *bytes)
{
    const struct receiver_datagram datagram = {.source = *source, .payload = bytes->payload, .length = bytes->length};
    route_batch(fake.workers[worker].listeners, &datagram, 1);
}

static void arrive_poke(unsigned worker, const struct address *source)
{
    struct puppet_bytes bytes;
    puppet_next_poke(machine, &bytes);
    arrive(worker, source, &bytes);
}

static void arrive_check(unsigned worker, const struct address *source)
{
    struct puppet_bytes bytes;
    puppet_make_check(machine, &bytes);
    arrive(worker, source, &bytes);
}

/* Turns the loops until so much was sent; keys are tried as the CPU budget allows, so time passes. */
static void turn_until_sent(unsigned count)
{
    for (unsigned i = 0; i < ROUNDS && sent.count < count; ++i) {
        pass_us(1000);
        fake_turn();
    }
    assert_true(sent.count >= count);
}

/* The machine is live at this address. */
static void connect_at(unsigned worker, const struct address *source)
{
    arrive_poke(worker, source);
    turn_until_sent(1);
    puppet_take(machine, &sent.bytes);
    assert_true(machine->keyed);
    arrive_check(worker, source);
    fake_turn();
}

/* The key is with the other worker: its worker answers, and the row moves to where the machine's datagrams arrive. */
static void a_poke_finds_its_key_at_another_worker_and_the_row_moves_here(void **state)
{
    struct address source = address_of(0, 0);
    struct target *rows[TARGETS_SHARE_MAX];
    (void)state;
    (void)add_target(&fake.workers[1], "web-17", &machine->key, NULL);
    arrive_poke(0, &source);
    turn_until_sent(1);
    assert_true(address_equal(&sent.to, &source));
    assert_int_equal(fake.workers[0].listeners->counts.passed, 1);
    fake_turn();
    assert_int_equal(fake.workers[0].forwarding_table.count, 1);
    puppet_take(machine, &sent.bytes);
    assert_true(machine->keyed);
    arrive_check(0, &source); /* it is passed on by the forwarding table */
    for (unsigned i = 0; i < 5; ++i)
        fake_turn();
    assert_int_equal(fake.workers[1].targets.count, 0);
    assert_int_equal(fake.workers[0].targets.count, 1);
    assert_int_equal(fake.workers[1].totals.moved_away, 1);
    assert_int_equal(targets_at(&fake.workers[0].targets, &source, 50000, rows), 1);
    assert_string_equal(targets_name(rows[0]), "web-17");
    assert_int_equal(fake.workers[0].totals.connected, 1);
    assert_true(fake.changed > 0);
}

static void a_poke_that_no_key_opens_goes_round_all_workers_once(void **state)
{
    static const struct kdnet_key other = {.bytes = {7}};
    struct address source = address_of(0, 0);
    (void)state;
    for (unsigned i = 0; i < WORKERS; ++i)
        (void)add_target(&fake.workers[i], "web-18", &other, NULL);
    arrive_poke(0, &source);
    for (unsigned i = 0; i < ROUNDS && fake.unknown_pokes == 0; ++i) {
        pass_us(1000);
        fake_turn();
    }
    assert_int_equal(fake.unknown_pokes, 1);
    assert_int_equal(sent.count, 0);
    assert_int_equal(fake.workers[0].key_search.tried + fake.workers[1].key_search.tried, 2);
    assert_int_equal(fake.workers[0].listeners->counts.unknown, 1);
}

static void a_datagram_at_the_wrong_worker_is_passed_to_that_of_its_address(void **state)
{
    struct address source = address_of(1, 0);
    (void)state;
    (void)add_target(&fake.workers[1], "web-17", &machine->key, &source);
    arrive_poke(0, &source);
    turn_until_sent(1);
    assert_true(address_equal(&sent.to, &source));
    assert_int_equal(fake.workers[0].listeners->counts.passed, 1);
}

/* Two machines with one key: the log says so after a while, and once a minute. */
static void a_row_that_goes_back_and_forth_is_told(void **state)
{
    struct address one = address_of(0, 0), other = address_of(0, 1);
    (void)state;
    (void)add_target(&fake.workers[0], "web-17", &machine->key, NULL);
    connect_at(0, &one);
    log_set_level(CONFIG_LOG_INFO);
    captured_begin();
    for (unsigned i = 0; i < 20; ++i) {
        pass_us(1000000);
        machine->connected = (struct kdnet_address){.port = 0}; /* the other machine: it is new, too */
        puppet_new_boot(machine, (uint8_t)(i + 2));
        arrive_poke(0, i % 2 == 0 ? &other : &one);
        turn_until_sent(sent.count + 1);
        puppet_take(machine, &sent.bytes);
        arrive_check(0, i % 2 == 0 ? &other : &one);
    }
    const char *text = captured_end();
    log_set_level(CONFIG_LOG_NOTICE);
    print_message("%s", text);
    assert_non_null(strstr(text, "level=info msg=\"target has another address\" target=web-17"));
    const char *found = strstr(text, "two machines seem to share the key of this target");
    assert_non_null(found);
    assert_null(strstr(found + 1, "two machines seem to share"));
}

static void a_machine_at_another_address_than_configured_is_served_and_told(void **state)
{
    struct address configured = address_of(0, 0), source = address_of(0, 1);
    (void)state;
    (void)add_target(&fake.workers[0], "web-17", &machine->key, &configured);
    captured_begin();
    connect_at(0, &source);
    const char *text = captured_end();
    print_message("%s", text);
    assert_non_null(strstr(text, "msg=\"target is heard from another address than the configured one"));
    assert_int_equal(fake.workers[0].totals.connected, 1);
}

/* What is asked for is never longer than what came. */
static void data_of_an_unknown_connection_solicits_pokes(void **state)
{
    struct address source = address_of(0, 0);
    struct puppet_bytes bytes;
    (void)state;
    for (unsigned i = 0; i < 64; ++i) {
        struct kdnet_key key = {.bytes = {(uint8_t)(i + 1), 9}};
        (void)add_target(&fake.workers[0], "web", &key, NULL);
    }
    puppet_make_check(machine, &bytes);
    for (unsigned i = 0; i < 4; ++i) { /* workers take turns */
        pass_us(1000000);
        arrive(0, &source, &bytes);
        fake_turn();
    }
    assert_true(sent.count > 0);
    assert_true(sent.total <= 4 * bytes.length);
    assert_int_equal(fake.workers[0].listeners->counts.solicited, sent.count);
    unsigned before = sent.count;
    arrive(0, &source, &bytes); /* at once again: nothing */
    arrive(0, &source, &bytes);
    fake_turn();
    assert_int_equal(sent.count, before);
}

/* More comes than can be handled. */
static void a_source_that_sends_too_much_is_shed_while_the_socket_is_behind(void **state)
{
    struct address source = address_of(0, 0), other = address_of(0, 1);
    struct listener *listener = fake.workers[0].listeners;
    struct puppet_bytes bytes;
    (void)state;
    puppet_make_check(machine, &bytes);
    listener->behind = true;
    for (unsigned i = 0; i < 5 * SOURCE_LIMIT_DATAGRAMS; ++i)
        arrive(0, &source, &bytes);
    const uint64_t shed = 3 * SOURCE_LIMIT_DATAGRAMS; /* of those beyond its limit one of four is taken */
    assert_int_equal(listener->counts.shed, shed);
    assert_true(address_equal(&listener->shed_source, &source));
    arrive(0, &other, &bytes);
    assert_int_equal(listener->counts.shed, shed);
}

static void what_is_no_kdnet_datagram_is_counted(void **state)
{
    struct address source = address_of(0, 0);
    struct puppet_bytes bytes = {.length = 100};
    (void)state;
    arrive(0, &source, &bytes);
    assert_int_equal(fake.workers[0].listeners->counts.malformed, 1);
}

/* A listener goes away: another of its port goes on with the machines. */
static void machines_of_a_listener_that_closes_are_heard_at_another(void **state)
{
    struct worker *worker = &fake.workers[0];
    struct address source = address_of(0, 0);
    struct target *target = add_target(worker, "web-17", &machine->key, NULL);
    (void)state;
    connect_at(0, &source);
    struct listener *first = worker->listeners;
    open_listener(worker);
    assert_ptr_equal(target->live.listener, first);
    struct listener *second = worker->listeners;
    listener_close(first);
    assert_ptr_equal(target->live.listener, second);
    assert_ptr_equal(worker->listeners, second);
    fake_turn();
}

/* Other collectors. */

static struct {
    atomic_bool heard;
    unsigned shown, kept;
    struct address machine, local; /* of the last one */
    size_t length;
    char target[CONFIG_NAME_SIZE];
    struct address here[2]; /* addresses of this computer */
    unsigned looks;         /* at them */
} others;

static void note_astray(void *user, const struct address *from, const struct address *local, const uint8_t *payload,
                        size_t length)
{
    (void)user;
    (void)payload;
    ++others.shown;
    others.machine = *from;
    others.local = *local;
    others.length = length;
}

static void note_kept(void *user, const struct address *from, const struct address *local, const char *target)
{
    (void)user;
    (void)from;
    (void)local;
    ++others.kept;
    (void)snprintf(others.target, sizeof others.target, "%s", target);
}

static bool look_here(void *user, const struct address *local)
{
    (void)user;
    assert_true(local->port != 0);
    ++others.looks;
    return address_same_ip(local, others.here[0].ip) || address_same_ip(local, others.here[1].ip);
}

static struct target *connect_among_others(const struct address *source)
{
    memset(&others, 0, sizeof others);
    atomic_store(&others.heard, true);
    fake.env.others = &others.heard;
    fake.env.astray = note_astray;
    fake.env.kept = note_kept;
    struct target *row = add_target(&fake.workers[0], "web-17", &machine->key, NULL);
    connect_at(0, source);
    pass_us(1000);
    return row;
}

/* Under another collector's key. */
static void make_foreign(struct puppet_bytes *out)
{
    puppet_make_check(machine, out);
    out->payload[out->length - 1] ^= 1;
}

static void data_that_no_key_opens_is_shown_and_the_word_is_awaited(void **state)
{
    struct address source = address_of(0, 0);
    struct puppet_bytes bytes;
    (void)state;
    const struct target *row = connect_among_others(&source);
    unsigned before = sent.count;
    make_foreign(&bytes);
    arrive(0, &source, &bytes);
    assert_int_equal(others.shown, 1);
    assert_true(address_equal(&others.machine, &source) && others.local.port == 50000);
    assert_int_equal(others.length, bytes.length);
    assert_int_equal(sent.count, before);
    uint64_t awaited_us = kdnet_session_deadline(targets_session(row));
    assert_true(awaited_us <= worker_now_us() + 100000);
    stray_post_kept(&fake.env, &source, &others.local, "web-18"); /* another machine of that address */
    fake_turn();
    assert_int_equal(kdnet_session_deadline(targets_session(row)), awaited_us);
    stray_post_kept(&fake.env, &source, &others.local, "web-17");
    fake_turn();
    assert_true(kdnet_session_deadline(targets_session(row)) > awaited_us);
    atomic_store(&others.heard, false);
    arrive(0, &source, &bytes);
    assert_int_equal(others.shown, 1);
}

static void what_is_shown_is_taken_by_the_key_that_opens_it(void **state)
{
    struct address source = address_of(0, 0);
    const struct address local = {.ip = {[10] = 0xff, [11] = 0xff, 127, 0, 0, 1}, .port = 50000};
    struct puppet_bytes bytes;
    (void)state;
    const struct target *row = connect_among_others(&source);
    make_foreign(&bytes);
    stray_post(&fake.env, &source, &local, bytes.payload, bytes.length);
    fake_turn();
    assert_int_equal(others.kept + others.shown, 0);
    puppet_make_check(machine, &bytes);
    stray_post(&fake.env, &source, &local, bytes.payload, bytes.length);
    fake_turn();
    assert_int_equal(others.kept, 1);
    assert_string_equal(others.target, "web-17");
    assert_int_equal(fake.workers[0].listeners->counts.shown, 1);
    assert_int_equal(kdnet_session_last_seen(targets_session(row)), worker_now_us());
}

static struct address ours(uint8_t last, uint16_t port)
{
    return (struct address){.ip = {[10] = 0xff, [11] = 0xff, 198, 51, 100, last}, .port = port};
}

/* The machine's break, which came to another collector at its address `local`. */
static struct address shown_from, shown_to;

static int show(struct puppet *puppet, const uint8_t *payload, size_t length)
{
    (void)puppet;
    stray_post(&fake.env, &shown_from, &shown_to, payload, length);
    fake_turn();
    return KDNET_OK;
}

static void show_break(const struct address *source, const struct address *local)
{
    shown_from = *source;
    shown_from.via = 0; /* numbers are each collector's own */
    shown_to = *local;
    machine->give = show;
    (void)puppet_break(machine, KDNET_EXCEPTION_BREAKPOINT, 0xfffff80012345678U);
}

static void expect_taken(const struct target *row, bool taken)
{
    assert_int_equal(others.kept, taken);
    assert_int_equal(fake.workers[0].listeners->counts.shown, taken);
    assert_int_equal(row->halted, taken);
    assert_int_equal(kdnet_session_last_seen(targets_session(row)) == worker_now_us(), taken);
}

/* Its address has moved to the collector that shows the break. What is opened without it could not be answered, and
 * would be told as a result all the same. */
static void who_has_lost_the_address_takes_nothing_that_is_shown(void **state)
{
    struct address source = address_of(0, 0), elsewhere = address_of(0, 1);
    const struct address local = ours(1, 50000);
    (void)state;
    const struct target *row = connect_among_others(&source);
    fake.env.here = look_here;
    fake.workers[0].listeners->local = local;
    others.here[0] = ours(2, 50000);
    unsigned before = sent.count;
    show_break(&source, &local);
    expect_taken(row, false);
    assert_int_equal(sent.count, before);
    assert_int_equal(others.looks, 1);
    show_break(&elsewhere, &local); /* no machine of ours: nobody looks */
    assert_int_equal(others.looks, 1);
    others.here[0] = local; /* it has come back */
    show_break(&source, &local);
    expect_taken(row, true);
    assert_true(sent.count > before);
}

/* Its word tells that it has the machine, wherever the address is. */
static void a_word_counts_without_the_address(void **state)
{
    struct address source = address_of(0, 0);
    struct puppet_bytes bytes;
    (void)state;
    const struct target *row = connect_among_others(&source);
    fake.env.here = look_here;
    make_foreign(&bytes);
    arrive(0, &source, &bytes);
    uint64_t awaited_us = kdnet_session_deadline(targets_session(row));
    stray_post_kept(&fake.env, &source, &others.local, "web-17");
    fake_turn();
    assert_true(kdnet_session_deadline(targets_session(row)) > awaited_us);
    assert_int_equal(others.looks, 0);
}

/* Collectors with an address each: a machine is answered from where it sends to us. */
static void a_listener_of_another_address_takes_what_is_shown_while_its_own_is_here(void **state)
{
    struct address source = address_of(0, 0);
    const struct address theirs = ours(9, 50001);
    (void)state;
    const struct target *row = connect_among_others(&source);
    fake.env.here = look_here;
    fake.workers[0].listeners->local = ours(1, 50000);
    show_break(&source, &theirs);
    expect_taken(row, false);
    others.here[0] = ours(1, 50000);
    show_break(&source, &theirs);
    expect_taken(row, true);
}

static const struct target *connect_at_wildcard(struct address *source, const struct address *local)
{
    struct listener *listener = fake.workers[0].listeners;
    memset(listener->local.ip, 0, sizeof listener->local.ip);
    source->via = locals_number(&fake.locals, local->ip);
    const struct target *row = connect_among_others(source);
    fake.env.here = look_here;
    return row;
}

/* The address that the machine sends to comes and goes; the computer keeps another one. */
static void a_wildcard_listener_takes_what_is_shown_while_the_address_is_here(void **state)
{
    struct address source = address_of(0, 0);
    const struct address local = ours(1, 50000), own = ours(2, 50000);
    (void)state;
    const struct target *row = connect_at_wildcard(&source, &local);
    others.here[0] = own;
    show_break(&source, &local);
    expect_taken(row, false);
    others.here[1] = local;
    show_break(&source, &local);
    expect_taken(row, true);
    assert_memory_equal(locals_ip(&fake.locals, sent.to.via), local.ip, sizeof local.ip);
}

/* Collectors with an address each: the other's is never here, and nothing can be sent from it. */
static void a_wildcard_listener_answers_from_its_own_address_what_came_to_another(void **state)
{
    struct address source = address_of(0, 0);
    const struct address own = ours(1, 50000), theirs = ours(9, 50000);
    (void)state;
    const struct target *row = connect_at_wildcard(&source, &own);
    show_break(&source, &theirs);
    expect_taken(row, false);
    others.here[0] = own;
    show_break(&source, &theirs);
    expect_taken(row, true);
    assert_memory_equal(locals_ip(&fake.locals, sent.to.via), own.ip, sizeof own.ip);
    assert_memory_equal(locals_ip(&fake.locals, targets_route(row).via), own.ip, sizeof own.ip);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_poke_finds_its_key_at_another_worker_and_the_row_moves_here),
        TEST(a_poke_that_no_key_opens_goes_round_all_workers_once),
        TEST(a_datagram_at_the_wrong_worker_is_passed_to_that_of_its_address),
        TEST(a_row_that_goes_back_and_forth_is_told),
        TEST(a_machine_at_another_address_than_configured_is_served_and_told),
        TEST(data_of_an_unknown_connection_solicits_pokes),
        TEST(a_source_that_sends_too_much_is_shed_while_the_socket_is_behind),
        TEST(what_is_no_kdnet_datagram_is_counted),
        TEST(data_that_no_key_opens_is_shown_and_the_word_is_awaited),
        TEST(what_is_shown_is_taken_by_the_key_that_opens_it),
        TEST(who_has_lost_the_address_takes_nothing_that_is_shown),
        TEST(a_word_counts_without_the_address),
        TEST(a_listener_of_another_address_takes_what_is_shown_while_its_own_is_here),
        TEST(a_wildcard_listener_takes_what_is_shown_while_the_address_is_here),
        TEST(a_wildcard_listener_answers_from_its_own_address_what_came_to_another),
        TEST(machines_of_a_listener_that_closes_are_heard_at_another),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
