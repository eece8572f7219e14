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
#include "tests/service/captured_log.h"
#include "tests/service/fake_env.h"
#include "tests/session/puppet.h"
#include "tests/service/two_workers.h"

#include <cmocka.h>

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
        TEST(machines_of_a_listener_that_closes_are_heard_at_another),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
