/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A break that two hosts read, where the address that the machine sends to moves from one to the other: who has lost it
 * leaves the break to the other, asks whether the address is gone only when that counts, and an operator who wants a
 * machine read has the whole answer all the same.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "kdnet/session/state_internal.h"
#include "tests/session/net.h"
#include "tests/session/puppet.h"

#define ADDRESS   0xfffff80012345678U
#define SECOND_US UINT64_C(1000000)

static struct {
    bool gone;
    unsigned questions;
    const struct kdnet_session *session; /* that the last one was about */
} address;

static bool is_gone(void *user, const struct kdnet_session *session)
{
    (void)user;
    ++address.questions;
    address.session = session;
    return address.gone;
}

/* The machine counts packets as we do: else that is asked first. */
static void connect_puppet(struct puppet *p)
{
    puppet_connect(p);
    struct kdnet_link_memory *memory = p->session->active ? &p->session->active->link.memory : &p->session->link;
    memory->unsure = false;
}

static struct puppet *connected(void)
{
    struct puppet *p = puppet_new();
    memset(&address, 0, sizeof address);
    p->shared.away = is_gone;
    connect_puppet(p);
    return p;
}

/* Names the break that is being read, as another host would. */
static uint32_t break_of(const struct puppet *p)
{
    return p->session->active->halt.stop.checksum;
}

/* Its address has moved to a host that has told the result: there is none here, nor a loss, and nothing is sent. */
static void a_break_that_another_host_has_told_is_left_where_the_address_has_gone(void **state)
{
    struct puppet *p = connected();
    (void)state;
    address.gone = true;
    assert_false(kdnet_session_told(p->session, 7, p->now_us)); /* no break is read */
    assert_int_equal(address.questions, 0);
    assert_true(kdnet_session_is_connected(p->session));
    p->acks = p->replies = false;
    puppet_break(p, KDNET_EXCEPTION_BREAKPOINT, ADDRESS);
    puppet_wait(p, SECOND_US, false);
    uint32_t id = break_of(p);
    assert_int_equal(address.questions, 0);
    assert_true(kdnet_session_told(p->session, id, p->now_us));
    assert_ptr_equal(address.session, p->session);
    assert_false(kdnet_session_told(p->session, id, p->now_us));
    assert_int_equal(address.questions, 1);
    assert_false(kdnet_session_is_halted(p->session) || kdnet_session_is_connected(p->session));
    puppet_drain(p);
    unsigned sent = p->sent_count, told = p->event_count;
    puppet_wait(p, KDNET_READ_DEADLINE_US + 2 * p->shared.lost_after_us, false);
    assert_int_equal(p->event_count, told);
    assert_int_equal(puppet_events(p, KDNET_EVENT_CRASH_STATUS), 0);
    assert_int_equal(p->sent_count, sent);
    assert_int_equal(kdnet_session_deadline(p->session), KDNET_NEVER);
    address.gone = false; /* it comes back with the machine's next boot */
    p->acks = true;
    puppet_new_boot(p, 2);
    connect_puppet(p);
    puppet_break(p, KDNET_EXCEPTION_BREAKPOINT, ADDRESS);
    puppet_wait(p, 3 * SECOND_US, false);
    assert_true(kdnet_session_is_connected(p->session));
    assert_int_equal(puppet_events(p, KDNET_EVENT_CRASH_STATUS), 1);
    assert_int_equal(puppet_events(p, KDNET_EVENT_RELEASED), 1);
    assert_int_equal(p->continue_count, 1);
    puppet_free(p);
}

/* The other host needs its time, too. */
static void where_the_address_has_gone_the_word_of_its_host_is_awaited(void **state)
{
    (void)state;
    for (unsigned word = 0; word < 2; ++word) {
        struct puppet *p = connected();
        p->acks = p->replies = false;
        puppet_break(p, KDNET_EXCEPTION_BREAKPOINT, ADDRESS);
        address.gone = true;
        puppet_wait(p, KDNET_READ_DEADLINE_US - 1000, false);
        assert_int_equal(address.questions, 0); /* at no deadline of its retransmissions */
        puppet_wait(p, KDNET_READ_DEADLINE_US, false);
        assert_int_equal(address.questions, 1);
        assert_int_equal(puppet_events(p, KDNET_EVENT_CRASH_STATUS), 0);
        assert_true(kdnet_session_is_halted(p->session));
        if (word)
            assert_true(kdnet_session_told(p->session, break_of(p), p->now_us));
        puppet_wait(p, SECOND_US, false);
        assert_int_equal(puppet_events(p, KDNET_EVENT_CRASH_STATUS), word ? 0 : 1);
        puppet_free(p);
    }
}

/* The machine prints what it says of a bug check, and stops. */
static void crash(struct puppet *p)
{
    puppet_print(p, "\n*** Fatal System Error: 0x000000d1\n                       "
                    "(0x1,0x2,0x0,0x3)\n\n");
    puppet_break(p, KDNET_EXCEPTION_BREAKPOINT, ADDRESS);
}

/* Nothing of the machine is awaited here, nor sent to it. */
static void expect_left(struct puppet *p)
{
    assert_false(kdnet_session_is_halted(p->session) || kdnet_session_is_waiting(p->session) ||
                 kdnet_session_is_connected(p->session));
    puppet_drain(p);
    unsigned sent = p->sent_count, told = p->event_count;
    puppet_wait(p, 2 * p->shared.lost_after_us, false);
    assert_int_equal(p->event_count, told);
    assert_int_equal(p->sent_count, sent);
}

/*
 * The other host could not read the break that is read here, which is no word, and let the machine go on to its next
 * one. What is known of the break here is told if it says more than that.
 */
static void a_break_is_left_where_another_host_has_told_a_later_one(void **state)
{
    (void)state;
    for (unsigned crashes = 0; crashes < 2; ++crashes) {
        struct puppet *p = connected();
        p->acks = p->replies = false;
        if (crashes)
            crash(p);
        else
            puppet_break(p, KDNET_EXCEPTION_BREAKPOINT, ADDRESS);
        puppet_wait(p, SECOND_US, false);
        assert_false(kdnet_session_told(p->session, break_of(p) + 1, p->now_us)); /* the address is here: no matter */
        assert_true(kdnet_session_is_halted(p->session));
        address.gone = true;
        assert_true(kdnet_session_told(p->session, break_of(p) + 1, p->now_us));
        expect_left(p);
        assert_int_equal(puppet_events(p, KDNET_EVENT_CRASH_STATUS), crashes);
        if (crashes)
            assert_int_equal(puppet_event(p, KDNET_EVENT_CRASH_STATUS, 0)->u.crash_status.conclusion.verdict,
                             KDNET_VERDICT_NOT_STARTED);
        puppet_free(p);
    }
}

/* The machine has taken the Continue, whose ACK went with the address, and has made its last break elsewhere. */
static void a_release_whose_ack_went_with_the_address_is_over_with_the_last_break(void **state)
{
    struct puppet *p = connected();
    (void)state;
    p->answer = puppet_refuse;
    p->acks = false;
    crash(p);
    uint32_t first = break_of(p);
    puppet_wait(p, 3 * SECOND_US, false);
    assert_int_equal(puppet_events(p, KDNET_EVENT_CRASH_STATUS), 1);
    assert_int_equal(puppet_events(p, KDNET_EVENT_RELEASED), 0);
    address.gone = true;
    assert_true(kdnet_session_told(p->session, first + 1, p->now_us));
    expect_left(p);
    assert_int_equal(puppet_events(p, KDNET_EVENT_RELEASED), 1);
    address.gone = false;
    p->acks = true;
    puppet_wait(p, 60 * SECOND_US, true);
    assert_int_equal(puppet_events(p, KDNET_EVENT_NO_LAST_BREAK), 0);
    puppet_free(p);
}

/* It waits for its turn to be read, which has come at the other host. */
static void a_break_that_is_not_taken_is_left_where_another_host_has_told_it(void **state)
{
    struct puppet *p = connected();
    (void)state;
    p->shared.breaks_wait = true;
    puppet_break(p, KDNET_EXCEPTION_BREAKPOINT, ADDRESS);
    uint32_t id = p->session->history->stopped_checksum;
    assert_true(kdnet_session_is_waiting(p->session));
    assert_false(kdnet_session_told(p->session, id, p->now_us));
    assert_true(kdnet_session_is_waiting(p->session));
    address.gone = true;
    assert_true(kdnet_session_told(p->session, id, p->now_us));
    expect_left(p);
    puppet_free(p);
}

/* The word came before the address went: while the machine was read, or when it was released. */
static void a_break_that_was_told_before_the_address_went_is_left(void **state)
{
    (void)state;
    for (unsigned released = 0; released < 2; ++released) {
        struct puppet *p = connected();
        p->acks = p->replies = false;
        puppet_break(p, KDNET_EXCEPTION_BREAKPOINT, ADDRESS);
        assert_false(kdnet_session_told(p->session, break_of(p), p->now_us));
        puppet_wait(p, released ? KDNET_READ_DEADLINE_US + 1000 : SECOND_US, false);
        assert_int_equal(address.questions, 1 + released);
        address.gone = true;
        puppet_wait(p, KDNET_READ_DEADLINE_US, false);
        assert_int_equal(address.questions, 2 + released);
        expect_left(p);
        assert_int_equal(puppet_events(p, KDNET_EVENT_CRASH_STATUS), 0);
        puppet_free(p);
    }
}

/* Nobody has told anything: that nothing is heard after a crash's first break is no proof there that the machine has
 * gone on. */
static void where_the_address_has_gone_silence_is_no_release(void **state)
{
    (void)state;
    for (unsigned gone = 0; gone < 2; ++gone) {
        struct puppet *p = connected();
        p->answer = puppet_refuse;
        p->acks = false;
        crash(p);
        address.gone = gone > 0;
        puppet_wait(p, 60 * SECOND_US, false);
        assert_int_equal(puppet_events(p, KDNET_EVENT_CRASH_STATUS), 1);
        assert_int_equal(puppet_events(p, KDNET_EVENT_RELEASED), !gone);
        assert_int_equal(puppet_events(p, KDNET_EVENT_LOST), gone);
        if (gone)
            assert_true(puppet_event(p, KDNET_EVENT_LOST, 0)->u.lost.halted);
        puppet_free(p);
    }
}

/* To ask costs system calls: nothing is asked of a break that is read in time, however late its answers and ACKs are.
 */
static void nobody_asks_where_the_address_is_while_a_read_has_time(void **state)
{
    struct puppet *p = connected();
    (void)state;
    p->answer = puppet_refuse;
    puppet_break(p, KDNET_EXCEPTION_BREAKPOINT, ADDRESS);
    puppet_wait(p, SECOND_US, false);
    assert_int_equal(puppet_events(p, KDNET_EVENT_RELEASED), 1);
    p->acks = p->replies = false;
    puppet_break(p, KDNET_EXCEPTION_BREAKPOINT, ADDRESS + 16);
    unsigned sent = p->sent_count;
    puppet_wait(p, KDNET_READ_DEADLINE_US - 1000, false);
    assert_true(p->sent_count > sent + 3); /* a deadline each */
    p->acks = p->replies = true;
    puppet_wait(p, 60 * SECOND_US, true);
    assert_int_equal(address.questions, 1); /* its time was over then */
    puppet_free(p);
}

/* Both answer the machine: this one goes on, releases it, and says nothing when it could read nothing. */
static void a_break_that_another_host_has_told_has_no_second_result_without_an_answer(void **state)
{
    struct puppet *p = connected();
    (void)state;
    p->replies = false;
    puppet_break(p, KDNET_EXCEPTION_BREAKPOINT, ADDRESS);
    uint32_t id = break_of(p);
    assert_false(kdnet_session_told(p->session, id, p->now_us));
    assert_true(kdnet_session_is_halted(p->session) && kdnet_session_is_connected(p->session));
    puppet_wait(p, 3 * SECOND_US, false);
    assert_int_equal(puppet_events(p, KDNET_EVENT_CRASH_STATUS), 0);
    assert_int_equal(p->continue_count, 1);
    assert_int_equal(puppet_events(p, KDNET_EVENT_RELEASED), 1);
    puppet_break(p, KDNET_EXCEPTION_BREAKPOINT, ADDRESS + 16); /* another one: the word does not count */
    assert_int_not_equal(break_of(p), id);
    puppet_wait(p, 3 * SECOND_US, false);
    assert_int_equal(puppet_events(p, KDNET_EVENT_CRASH_STATUS), 1);
    assert_int_equal(kdnet_session_told_break(p->session), 0); /* it says only that time was over */
    puppet_free(p);
}

static struct kdnet_conclusion expect_one_result(const struct puppet *p)
{
    assert_int_equal(puppet_events(p, KDNET_EVENT_CRASH_STATUS), 1);
    assert_int_equal(kdnet_session_demand(p->session), KDNET_DEMAND_DONE);
    return puppet_event(p, KDNET_EVENT_CRASH_STATUS, 0)->u.crash_status.conclusion;
}

/* Nothing is told of the break itself, whose result the other host has told; an operator who then wants it read again
 * has the answer. */
static void an_operator_who_reads_a_held_machine_again_has_its_result_whatever_it_is(void **state)
{
    struct puppet *p = connected();
    (void)state;
    p->policy.action[KDNET_BREAK_KIND_BREAK] = KDNET_ACTION_HOLD;
    p->replies = false;
    puppet_break(p, KDNET_EXCEPTION_BREAKPOINT, ADDRESS);
    assert_false(kdnet_session_told(p->session, break_of(p), p->now_us));
    puppet_wait(p, 3 * SECOND_US, false);
    assert_int_equal(puppet_events(p, KDNET_EVENT_CRASH_STATUS), 0);
    assert_int_equal(kdnet_session_read(p->session, p->now_us), KDNET_OK);
    puppet_drain(p);
    puppet_wait(p, 3 * SECOND_US, false);
    assert_int_equal(expect_one_result(p).reason, KDNET_REASON_TIMEOUT);
    assert_true(kdnet_session_is_halted(p->session));
    assert_int_equal(p->continue_count, 0);
    puppet_free(p);
}

/* The same with a machine that is stopped for it: both hosts see the break. */
static void an_operator_who_stops_a_machine_has_its_result_whatever_it_is(void **state)
{
    (void)state;
    for (unsigned away = 0; away < 2; ++away) {
        struct puppet *p = connected();
        p->shared.break_in_allowed = true;
        p->replies = false;
        assert_int_equal(kdnet_session_break_in(p->session, p->now_us), KDNET_OK);
        puppet_drain(p);
        puppet_break(p, KDNET_EXCEPTION_BREAKPOINT, ADDRESS);
        address.gone = away > 0;
        assert_int_equal(kdnet_session_told(p->session, break_of(p), p->now_us), away);
        puppet_drain(p);
        puppet_wait(p, 3 * SECOND_US, false);
        assert_int_equal(expect_one_result(p).reason, away ? KDNET_REASON_LOST : KDNET_REASON_TIMEOUT);
        assert_false(kdnet_session_is_halted(p->session));
        puppet_free(p);
    }
}

/* The first break of a crash was here, and its last one at the other host: none is missing. */
static void a_last_break_that_another_host_has_told_is_not_missed(void **state)
{
    (void)state;
    for (uint32_t other = 0; other < 2; ++other) {
        struct puppet *p = connected();
        p->replies = false;
        crash(p);
        uint32_t first = break_of(p);
        puppet_wait(p, 3 * SECOND_US, false);
        assert_int_equal(p->continue_count, 1);
        assert_true(p->session->history->awaited.expected);
        assert_false(kdnet_session_told(p->session, first + other, p->now_us));
        puppet_wait(p, 60 * SECOND_US, true);
        assert_int_equal(puppet_events(p, KDNET_EVENT_NO_LAST_BREAK), 1 - other);
        puppet_free(p);
    }
}

static const struct puppet *teller;
static uint32_t at_break, named;

static void note_named(const struct kdnet_event *event)
{
    if (event->type == KDNET_EVENT_BREAK_IN)
        at_break = break_of(teller);
    if (event->type == KDNET_EVENT_CRASH_STATUS)
        named = kdnet_session_told_break(teller->session);
}

/* It names its break for the others. */
static void a_result_names_its_break(void **state)
{
    struct puppet *p = connected();
    (void)state;
    p->answer = puppet_refuse;
    p->told = note_named;
    teller = p;
    puppet_break(p, KDNET_EXCEPTION_BREAKPOINT, ADDRESS);
    puppet_wait(p, SECOND_US, false);
    assert_int_equal(puppet_events(p, KDNET_EVENT_CRASH_STATUS), 1);
    const struct kdnet_event_crash_status *status = &puppet_event(p, KDNET_EVENT_CRASH_STATUS, 0)->u.crash_status;
    assert_int_not_equal(status->conclusion.reason, KDNET_REASON_TIMEOUT);
    assert_true(named != 0 && named == at_break);
    puppet_free(p);
}

/* What was told is released all the same, as often as it takes; but not where the address has gone: the other host was
 * at the same break, so the machine has not gone on by our Continue. */
static void a_break_that_was_told_here_too_is_released_while_the_address_is_here(void **state)
{
    (void)state;
    for (unsigned away = 0; away < 2; ++away) {
        struct puppet *p = connected();
        p->replies = false;
        puppet_break(p, KDNET_EXCEPTION_BREAKPOINT, ADDRESS);
        uint32_t id = break_of(p);
        p->acks = false;
        puppet_wait(p, KDNET_READ_DEADLINE_US + 1000, false);
        assert_int_equal(puppet_events(p, KDNET_EVENT_CRASH_STATUS), 1);
        assert_true(kdnet_session_is_halted(p->session));
        address.gone = away > 0;
        assert_int_equal(kdnet_session_told(p->session, id, p->now_us), away);
        assert_int_equal(kdnet_session_is_connected(p->session), !away);
        p->acks = true;
        puppet_wait(p, 2 * SECOND_US, false);
        assert_int_equal(puppet_events(p, KDNET_EVENT_RELEASED), !away);
        assert_false(kdnet_session_is_halted(p->session));
        puppet_free(p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_break_that_another_host_has_told_is_left_where_the_address_has_gone),
        cmocka_unit_test(where_the_address_has_gone_the_word_of_its_host_is_awaited),
        cmocka_unit_test(a_break_is_left_where_another_host_has_told_a_later_one),
        cmocka_unit_test(a_release_whose_ack_went_with_the_address_is_over_with_the_last_break),
        cmocka_unit_test(a_break_that_is_not_taken_is_left_where_another_host_has_told_it),
        cmocka_unit_test(a_break_that_was_told_before_the_address_went_is_left),
        cmocka_unit_test(where_the_address_has_gone_silence_is_no_release),
        cmocka_unit_test(nobody_asks_where_the_address_is_while_a_read_has_time),
        cmocka_unit_test(a_break_that_another_host_has_told_has_no_second_result_without_an_answer),
        cmocka_unit_test(an_operator_who_reads_a_held_machine_again_has_its_result_whatever_it_is),
        cmocka_unit_test(an_operator_who_stops_a_machine_has_its_result_whatever_it_is),
        cmocka_unit_test(a_last_break_that_another_host_has_told_is_not_missed),
        cmocka_unit_test(a_result_names_its_break),
        cmocka_unit_test(a_break_that_was_told_here_too_is_released_while_the_address_is_here),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
