/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a halted machine may leave unsaid: it is silent, it acknowledges only, it is deaf. There is always one result,
 * and the machine goes on by the deadline of reading.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "kdnet/session/state_internal.h"
#include "tests/session/net.h"
#include "tests/session/puppet.h"
#include "tests/session/late_answers.h"

static void expect_one_timeout(const struct puppet *p)
{
    assert_int_equal(puppet_events(p, KDNET_EVENT_CRASH_STATUS), 1);
    assert_int_equal(puppet_events(p, KDNET_EVENT_BREAK_IN), 1);
    const struct kdnet_event_crash_status *status = &puppet_event(p, KDNET_EVENT_CRASH_STATUS, 0)->u.crash_status;
    assert_int_equal(status->conclusion.verdict, KDNET_VERDICT_UNKNOWN);
    assert_int_equal(status->conclusion.reason, KDNET_REASON_TIMEOUT);
    assert_false(status->status_known);
    assert_in_range(status->read_us, KDNET_READ_DEADLINE_US, KDNET_READ_DEADLINE_US + 1000);
}

/* As after an answer: both sides count packets alike. Else, with a machine that nobody knows yet, that is asked first.
 */
static void be_sure(struct puppet *p)
{
    struct kdnet_link_memory *memory = p->session->active ? &p->session->active->link.memory : &p->session->link;
    memory->unsure = false;
}

static void a_machine_that_acknowledges_and_answers_nothing_goes_on_at_the_deadline(void **state)
{
    struct puppet *p = puppet_new();
    (void)state;
    puppet_connect(p);
    be_sure(p);
    uint64_t since_us = p->now_us;
    p->replies = false;
    puppet_break(p, KDNET_EXCEPTION_BREAKPOINT, ADDRESS);
    puppet_wait(p, 3 * SECOND_US, false);
    expect_one_timeout(p);
    assert_int_equal(p->continue_count, 1);
    assert_in_range(p->continue_us - since_us, KDNET_READ_DEADLINE_US, KDNET_READ_DEADLINE_US + SECOND_US / 10);
    assert_int_equal(puppet_events(p, KDNET_EVENT_RELEASED), 1);
    assert_false(kdnet_session_is_halted(p->session));
    puppet_free(p);
}

static void the_deadline_is_the_configured_one(void **state)
{
    struct puppet *p = puppet_new();
    (void)state;
    p->shared.read_deadline_us = 300000;
    puppet_connect(p);
    be_sure(p);
    uint64_t since_us = p->now_us;
    p->replies = false;
    puppet_break(p, KDNET_EXCEPTION_BREAKPOINT, ADDRESS);
    puppet_wait(p, SECOND_US, false);
    assert_int_equal(p->continue_count, 1);
    assert_in_range(p->continue_us - since_us, 300000, 400000);
    puppet_free(p);
}

/* Its host ends: what the read has by then is told, and the machine goes on. */
static void a_host_that_ends_lets_the_machine_go_on_earlier(void **state)
{
    struct puppet *p = puppet_new();
    (void)state;
    p->shared.read_deadline_us = 60 * SECOND_US;
    puppet_connect(p);
    be_sure(p);
    kdnet_session_end_read(p->session, p->now_us); /* nothing is read */
    uint64_t since_us = p->now_us;
    p->replies = false;
    puppet_break(p, KDNET_EXCEPTION_BREAKPOINT, ADDRESS);
    puppet_wait(p, SECOND_US, false);
    assert_true(kdnet_session_is_halted(p->session));
    kdnet_session_end_read(p->session, since_us + 4 * SECOND_US);
    kdnet_session_end_read(p->session, since_us + 9 * SECOND_US); /* never later */
    puppet_wait(p, 8 * SECOND_US, false);
    assert_int_equal(puppet_events(p, KDNET_EVENT_CRASH_STATUS), 1);
    assert_int_equal(puppet_event(p, KDNET_EVENT_CRASH_STATUS, 0)->u.crash_status.conclusion.reason,
                     KDNET_REASON_TIMEOUT);
    assert_int_equal(p->continue_count, 1);
    assert_in_range(p->continue_us - since_us, 4 * SECOND_US, 4 * SECOND_US + SECOND_US / 10);
    puppet_free(p);
}

static uint64_t lag_us;

static uint64_t lag(void *user)
{
    (void)user;
    return lag_us;
}

/* Its times leave out what it stood still: so do deadlines, and people are told how long it took for the machine. */
static void what_the_caller_stood_still_counts_only_in_what_is_told(void **state)
{
    struct puppet *p = puppet_new();
    (void)state;
    lag_us = SECOND_US;
    p->shared.lag_us = lag;
    puppet_connect(p);
    be_sure(p);
    uint64_t since_us = p->now_us;
    p->replies = false;
    puppet_break(p, KDNET_EXCEPTION_BREAKPOINT, ADDRESS);
    puppet_wait(p, SECOND_US, false);
    lag_us += 100 * SECOND_US;
    puppet_wait(p, 2 * SECOND_US, false);
    assert_in_range(p->continue_us - since_us, KDNET_READ_DEADLINE_US, KDNET_READ_DEADLINE_US + SECOND_US / 10);
    uint64_t halted_us = puppet_event(p, KDNET_EVENT_RELEASED, 0)->u.released.halted_us;
    assert_in_range(halted_us, 102 * SECOND_US, 103 * SECOND_US);
    uint64_t read_us = puppet_event(p, KDNET_EVENT_CRASH_STATUS, 0)->u.crash_status.read_us;
    assert_in_range(read_us, 102 * SECOND_US, 103 * SECOND_US);
    puppet_free(p);
}

/* Neither ACK nor reply, but pokes: it hears nothing of ours. The result comes; and we do not shout. */
static void a_machine_that_does_not_even_acknowledge_gets_bounded_chatter(void **state)
{
    struct puppet *p = puppet_new();
    (void)state;
    puppet_connect(p);
    p->acks = p->replies = false;
    puppet_break(p, KDNET_EXCEPTION_BREAKPOINT, ADDRESS);
    puppet_wait(p, 10 * SECOND_US, true);
    expect_one_timeout(p);
    unsigned sent = p->sent_count;
    puppet_wait(p, 600 * SECOND_US, true);
    print_message("%u datagrams in ten minutes\n", p->sent_count - sent);
    assert_true(p->sent_count - sent <= 1200);
    assert_int_equal(puppet_events(p, KDNET_EVENT_CRASH_STATUS), 1);
    puppet_free(p);
}

static void a_silent_machine_is_lost_after_lost_after_and_once(void **state)
{
    struct puppet *p = puppet_new();
    (void)state;
    p->shared.lost_after_us = 7 * SECOND_US;
    puppet_connect(p);
    puppet_wait(p, 7 * SECOND_US - 1, false);
    assert_int_equal(puppet_events(p, KDNET_EVENT_LOST), 0);
    assert_true(kdnet_session_is_connected(p->session));
    puppet_wait(p, 1, false);
    assert_int_equal(puppet_events(p, KDNET_EVENT_LOST), 1);
    assert_false(kdnet_session_is_connected(p->session));
    assert_int_equal(puppet_event(p, KDNET_EVENT_LOST, 0)->u.lost.silent_us, 7 * SECOND_US);
    assert_false(puppet_event(p, KDNET_EVENT_LOST, 0)->u.lost.halted);
    puppet_wait(p, 3600 * SECOND_US, false);
    assert_int_equal(puppet_events(p, KDNET_EVENT_LOST), 1);
    assert_true(kdnet_session_deadline(p->session) == UINT64_MAX);
    puppet_poke(p); /* it was only the network */
    assert_true(kdnet_session_is_connected(p->session));
    puppet_wait(p, 7 * SECOND_US, false);
    assert_int_equal(puppet_events(p, KDNET_EVENT_LOST), 2);
    puppet_free(p);
}

static void pokes_keep_a_machine_from_being_lost(void **state)
{
    struct puppet *p = puppet_new();
    (void)state;
    puppet_connect(p);
    puppet_wait(p, 600 * SECOND_US, true);
    assert_int_equal(puppet_events(p, KDNET_EVENT_LOST), 0);
    assert_int_equal(puppet_events(p, KDNET_EVENT_CONNECTED), 1);
    puppet_free(p);
}

/* Silence after the first break of a crash: the machine writes its dump. */
static void a_dumping_machine_has_dump_for(void **state)
{
    struct kdnet_session_shared shared;
    struct machine_config config = {.scenario = "bugcheck", .dump_ms = 100000000};
    struct net_pair pair;
    (void)state;
    net_shared_init(&shared);
    shared.dump_for_us = 90 * SECOND_US;
    net_pair_init(&pair, &shared, &config, 9);
    net_pair_run(&pair, 80 * SECOND_US);
    assert_int_equal(net_count(&pair, KDNET_EVENT_RELEASED), 1);
    assert_int_equal(net_count(&pair, KDNET_EVENT_LOST), 0);
    net_pair_run(&pair, 100 * SECOND_US);
    assert_int_equal(net_count(&pair, KDNET_EVENT_LOST), 1);
    net_pair_clear(&pair);
    net_shared_clear(&shared);
}

static void a_machine_that_falls_silent_in_a_break_has_its_result_and_is_lost_halted(void **state)
{
    struct puppet *p = puppet_new();
    (void)state;
    puppet_connect(p);
    p->acks = p->replies = false;
    puppet_break(p, KDNET_EXCEPTION_BREAKPOINT, ADDRESS);
    puppet_wait(p, 3600 * SECOND_US, false);
    expect_one_timeout(p);
    assert_int_equal(puppet_events(p, KDNET_EVENT_LOST), 1);
    assert_true(puppet_event(p, KDNET_EVENT_LOST, 0)->u.lost.halted);
    assert_true(kdnet_session_deadline(p->session) == UINT64_MAX); /* nobody is there to hear it */
    puppet_free(p);
}

static bool only_version(struct puppet *p, struct kdnet_manipulate *reply, uint8_t *data)
{
    (void)p;
    (void)data;
    return puppet_version(reply);
}

/* It says who it is and then nothing more, also not its registers: the breakpoint cannot be stepped over. That it does
 * not think shows only in time. */
static void a_machine_that_answers_only_who_it_is_goes_on_soon_after_the_deadline(void **state)
{
    struct puppet *p = puppet_new();
    (void)state;
    puppet_connect(p);
    p->answer = only_version;
    uint64_t since_us = p->now_us;
    puppet_break(p, KDNET_EXCEPTION_BREAKPOINT, ADDRESS);
    puppet_wait(p, 600 * SECOND_US, true);
    assert_int_equal(puppet_events(p, KDNET_EVENT_CRASH_STATUS), 1);
    assert_true(p->continue_count > 0);
    print_message("continued after %llu ms\n", (unsigned long long)(p->continue_us - since_us) / 1000);
    assert_true(p->continue_us - since_us <= KDNET_READ_DEADLINE_US + THINKS_MAX_US + 2 * SECOND_US);
    puppet_free(p);
}

/* All is answered, only the Continue gets no ACK, while the machine pokes on. */
static bool deaf_to_continue(struct puppet *p, struct kdnet_manipulate *reply, uint8_t *data)
{
    if (reply->api == KDNET_API_CONTINUE || reply->api == KDNET_API_CONTINUE2)
        return false;
    return answers_all(p, reply, data);
}

static void a_continue_without_ack_is_repeated_but_not_for_ever(void **state)
{
    struct puppet *p = puppet_new();
    (void)state;
    puppet_connect(p);
    p->acks = false; /* replies are enough for all that has one */
    p->answer = deaf_to_continue;
    puppet_break(p, 0xc0000005, ADDRESS);
    puppet_wait(p, 120 * SECOND_US, true);
    assert_int_equal(puppet_events(p, KDNET_EVENT_CRASH_STATUS), 1);
    assert_int_equal(puppet_events(p, KDNET_EVENT_RELEASED), 1);
    assert_true(p->continue_count > 5);
    print_message("%u datagrams in two minutes, ", p->sent_count);
    assert_true(p->sent_count < 150);
    puppet_wait(p, 3600 * SECOND_US, true);
    unsigned sent = p->sent_count;
    puppet_wait(p, 3600 * SECOND_US, true);
    print_message("%u datagrams in an hour, then %u\n", sent, p->sent_count - sent);
    assert_true(sent < 2000);
    assert_true(p->sent_count - sent < 10);
    assert_false(kdnet_session_is_halted(p->session));
    assert_int_equal(puppet_events(p, KDNET_EVENT_RELEASED), 1);
    puppet_free(p);
}

/* A driver's int 3: the Continue is taken, its ACK is lost, and a running kernel does not look at what comes. */
static bool runs_on(struct puppet *p, struct kdnet_manipulate *reply, uint8_t *data)
{
    if (reply->api == KDNET_API_CONTINUE || reply->api == KDNET_API_CONTINUE2)
        p->acks = p->replies = false;
    return deaf_to_continue(p, reply, data);
}

static void a_lost_ack_of_a_continue_does_not_make_handshake_after_handshake(void **state)
{
    struct puppet *p = puppet_new();
    (void)state;
    puppet_connect(p);
    p->acks = false;
    p->answer = runs_on;
    p->heeds_solicits = true;
    puppet_break(p, 0xc0000005, ADDRESS);
    puppet_wait(p, 60 * SECOND_US, true);
    print_message("%u datagrams, %u handshakes in a minute\n", p->sent_count,
                  puppet_events(p, KDNET_EVENT_CONNECTED) - 1);
    assert_true(puppet_events(p, KDNET_EVENT_CONNECTED) <= 5);
    assert_int_equal(puppet_events(p, KDNET_EVENT_RELEASED), 1);
    assert_false(kdnet_session_is_halted(p->session));
    puppet_free(p);
}

/* A host that comes late cannot know how the machine counts, and this machine answers no question: it goes on all the
 * same, soon. */
static void a_machine_that_answers_nothing_to_a_late_host_goes_on(void **state)
{
    struct puppet *p = puppet_new();
    (void)state;
    p->connected = (struct kdnet_address){.ip = {1}, .port = 1}; /* to a host before us */
    puppet_connect(p);
    p->replies = false;
    uint64_t since_us = p->now_us;
    puppet_break(p, KDNET_EXCEPTION_BREAKPOINT, ADDRESS);
    puppet_wait(p, 600 * SECOND_US, true);
    assert_int_equal(puppet_events(p, KDNET_EVENT_CRASH_STATUS), 1);
    assert_true(p->continue_count > 0);
    print_message("continued after %llu ms\n", (unsigned long long)(p->continue_us - since_us) / 1000);
    assert_true(p->continue_us - since_us <= KDNET_READ_DEADLINE_US + THINKS_MAX_US + 3 * SECOND_US);
    puppet_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_machine_that_acknowledges_and_answers_nothing_goes_on_at_the_deadline),
        cmocka_unit_test(the_deadline_is_the_configured_one),
        cmocka_unit_test(a_host_that_ends_lets_the_machine_go_on_earlier),
        cmocka_unit_test(what_the_caller_stood_still_counts_only_in_what_is_told),
        cmocka_unit_test(a_machine_that_does_not_even_acknowledge_gets_bounded_chatter),
        cmocka_unit_test(a_silent_machine_is_lost_after_lost_after_and_once),
        cmocka_unit_test(pokes_keep_a_machine_from_being_lost),
        cmocka_unit_test(a_dumping_machine_has_dump_for),
        cmocka_unit_test(a_machine_that_falls_silent_in_a_break_has_its_result_and_is_lost_halted),
        cmocka_unit_test(a_machine_that_answers_only_who_it_is_goes_on_soon_after_the_deadline),
        cmocka_unit_test(a_continue_without_ack_is_repeated_but_not_for_ever),
        cmocka_unit_test(a_lost_ack_of_a_continue_does_not_make_handshake_after_handshake),
        cmocka_unit_test(a_machine_that_answers_nothing_to_a_late_host_goes_on),
    };
    return cmocka_run_group_tests(tests, net_setup, net_teardown);
}
