/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What operators do to a machine, from the API's call to its answer and the event that tells of it: a server and its
 * workers on a clock that the test sets, and a machine that answers as it is told.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "tests/service/fake_machine.h"
#include "tests/service/acting_server.h"

#include <cmocka.h>

static int setup_allowed(void **state)
{
    (void)state;
    return begin(LISTEN "break_in: allowed\n" WEB_17);
}

/* Returns how it ended. */
static enum http_outcome act_on_web(enum http_action action)
{
    start_act(&(struct http_act){.action = action, .target = "web-17", .by = "token-1"});
    assert_int_equal(told.count, 1);
    return told.acted.outcome;
}

static struct target *meet(void)
{
    captured_begin();
    struct target *row = fake_connect();
    (void)captured_end();
    return row;
}

static void wait_ms(uint64_t ms)
{
    captured_begin();
    fake_wait_ms(ms);
    (void)captured_end();
}

static void a_held_machine_is_let_go_and_an_event_tells_who_did_it(void **state)
{
    (void)state;
    struct target *row = hold();
    assert_string_equal(state_of("web-17"), "held");
    assert_int_equal(act_on_web(HTTP_ACTION_RELEASE), HTTP_ACTED);
    assert_int_equal(machine.puppet->continue_count, 1);
    assert_int_equal(machine.puppet->continue_status, 0x10001); /* DBG_EXCEPTION_HANDLED */
    assert_false(row->held);
    assert_string_equal(state_of("web-17"), "connected");
    assert_non_null(strstr(told.event, "\"event\":\"action\""));
    assert_non_null(strstr(told.event, "\"target\":\"web-17\""));
    assert_non_null(strstr(told.event, "\"action\":\"release\""));
    assert_non_null(strstr(told.event, "\"by\":\"token-1\""));
    assert_non_null(strstr(told.event, "\"ok\":true"));
    assert_null(strstr(told.event, "detail"));
    assert_non_null(strstr(told.event, told.acted.id));
}

static void a_machine_that_runs_is_left_alone(void **state)
{
    static const struct {
        enum http_action action;
        const char *detail;
    } wrong[] = {
        {HTTP_ACTION_RELEASE, "only a held machine can be let go"},
        {HTTP_ACTION_TO_DEBUGGER, "only a held machine can be let go"},
        {HTTP_ACTION_TAKE_BACK, "only a machine that is handed over can be taken back"},
        {HTTP_ACTION_REBOOT, "only a machine that is held or being read can be told to reboot"},
        {HTTP_ACTION_READ, "with break_in it is stopped"},
    };
    (void)state;
    (void)meet();
    unsigned sent = machine.sent;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; ++i) {
        assert_int_equal(act_on_web(wrong[i].action), HTTP_WRONG_STATE);
        assert_string_equal(told.state, "connected");
        assert_non_null(strstr(told.detail, wrong[i].detail));
        assert_non_null(strstr(told.event, "\"ok\":false"));
        assert_non_null(strstr(told.event, wrong[i].detail));
    }
    assert_int_equal(machine.sent, sent);
}

static void a_machine_of_which_nothing_came_is_left_alone(void **state)
{
    (void)state;
    assert_int_equal(act_on_web(HTTP_ACTION_READ), HTTP_WRONG_STATE);
    assert_string_equal(told.state, "never_seen");
    assert_non_null(strstr(told.detail, "nothing comes from the machine"));
    (void)meet();
    wait_ms(40000);
    assert_int_equal(act_on_web(HTTP_ACTION_READ), HTTP_WRONG_STATE);
    assert_string_equal(told.state, "lost");
}

static void a_name_that_no_target_has_is_refused_without_an_event(void **state)
{
    char name[300];
    struct http_act act = {.action = HTTP_ACTION_RELEASE, .target = "db-1", .by = "token-1"};
    (void)state;
    start_act(&act);
    assert_int_equal(told.acted.outcome, HTTP_NO_SUCH_TARGET);
    memset(name, 'a', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    act.target = name;
    start_act(&act);
    assert_int_equal(told.count, 1);
    assert_int_equal(told.acted.outcome, HTTP_NO_SUCH_TARGET);
    assert_string_equal(told.event, "");
}

/* Between the look for its worker and the worker's own. */
static void a_target_that_goes_meanwhile_is_refused(void **state)
{
    (void)state;
    assert_int_not_equal(snapshots_slot(fake.server->observe.snapshots, "gone", NULL), 0);
    start_act(&(struct http_act){.action = HTTP_ACTION_RELEASE, .target = "gone", .by = "token-1"});
    assert_int_equal(told.count, 1);
    assert_int_equal(told.acted.outcome, HTTP_NO_SUCH_TARGET);
}

static void another_debugger_gets_silence_until_the_machine_is_taken_back(void **state)
{
    (void)state;
    struct target *row = hold();
    assert_int_equal(act_on_web(HTTP_ACTION_TO_DEBUGGER), HTTP_ACTED);
    assert_true(row->handed_over);
    assert_false(row->held);
    assert_string_equal(state_of("web-17"), "handed_over");
    unsigned sent = machine.sent;
    (void)puppet_poke(machine.puppet);
    wait_ms(10000);
    assert_int_equal(machine.sent, sent);
    assert_int_equal(act_on_web(HTTP_ACTION_READ), HTTP_WRONG_STATE);
    assert_non_null(strstr(told.detail, "another debugger has the machine"));
    assert_int_equal(act_on_web(HTTP_ACTION_TAKE_BACK), HTTP_ACTED);
    assert_int_equal(machine.sent, sent + 1); /* it is asked to poke */
    assert_false(row->handed_over);
    assert_string_equal(state_of("web-17"), "lost");
    assert_ptr_equal(meet(), row);
}

static void a_handover_ends_by_itself(void **state)
{
    (void)state;
    struct target *row = hold();
    start_act(
        &(struct http_act){.action = HTTP_ACTION_TO_DEBUGGER, .target = "web-17", .by = "token-1", .for_us = 5000000});
    assert_int_equal(told.acted.outcome, HTTP_ACTED);
    wait_ms(4900);
    assert_true(row->handed_over);
    wait_ms(200);
    assert_false(row->handed_over);
    assert_true(meet()->connected);
}

static unsigned count_requests(uint32_t api)
{
    unsigned count = 0;
    for (unsigned i = 0; i < machine.puppet->packet_count && i < PUPPET_KEEP; ++i)
        count += !machine.puppet->packet[i].control && machine.puppet->packet[i].api == api;
    return count;
}

static void a_held_machine_reboots_when_it_is_told_to(void **state)
{
    (void)state;
    (void)hold();
    assert_int_equal(act_on_web(HTTP_ACTION_REBOOT), HTTP_ACTED);
    assert_int_equal(count_requests(KDNET_API_REBOOT), 1);
    assert_int_equal(machine.puppet->continue_count, 0);
    assert_int_equal(act_on_web(HTTP_ACTION_READ), HTTP_WRONG_STATE);
    assert_string_equal(told.state, "rebooting");
    assert_non_null(strstr(told.detail, "the machine starts anew"));
}

static void a_machine_that_is_being_read_reboots_when_that_is_over(void **state)
{
    (void)state;
    machine.puppet->replies = false;
    captured_begin();
    struct target *row = fake_halt();
    (void)captured_end();
    assert_true(row->halted);
    assert_int_equal(act_on_web(HTTP_ACTION_READ), HTTP_WRONG_STATE);
    assert_string_equal(told.state, "halted");
    assert_non_null(strstr(told.detail, "is being read now"));
    assert_int_equal(act_on_web(HTTP_ACTION_REBOOT), HTTP_ACTED);
    assert_int_equal(count_requests(KDNET_API_REBOOT), 0);
    machine.puppet->replies = true;
    captured_begin();
    fake_wait_ms(3000); /* our RESET comes, and the machine says again where it stands */
    (void)puppet_break(machine.puppet, KDNET_EXCEPTION_BREAKPOINT, 0xfffff80012345678U);
    fake_wait_ms(3000);
    (void)captured_end();
    assert_int_equal(count_requests(KDNET_API_REBOOT), 1);
}

static void a_held_machine_is_read_again_and_the_answer_waits_for_it(void **state)
{
    (void)state;
    struct target *row = hold();
    start_act(&(struct http_act){.action = HTTP_ACTION_READ, .target = "web-17", .by = "token-1"});
    assert_int_equal(told.count, 0);
    assert_int_equal(fake.server->reads, 1);
    wait_ms(1000);
    look();
    assert_int_equal(told.count, 1);
    assert_int_equal(told.acted.outcome, HTTP_ACTED);
    assert_int_equal(fake.server->reads, 0);
    assert_true(row->held);
    assert_int_equal(machine.puppet->continue_count, 0);
    assert_string_equal(state_of("web-17"), "held");
}

/* It answers nothing: who asked is told after 20 s that the result comes by itself. */
static void a_read_that_takes_long_is_left_to_itself(void **state)
{
    (void)state;
    (void)hold();
    machine.puppet->replies = machine.puppet->acks = false;
    start_act(&(struct http_act){.action = HTTP_ACTION_READ, .target = "web-17", .by = "token-1"});
    fake_pass_ms(19000);
    look();
    assert_int_equal(told.count, 0);
    fake_pass_ms(1000);
    look();
    assert_int_equal(told.count, 1);
    assert_int_equal(told.acted.outcome, HTTP_ACTED);
    assert_int_equal(fake.server->reads, 0);
}

static void a_running_machine_is_not_stopped_unless_the_configuration_allows_it(void **state)
{
    (void)state;
    (void)meet();
    unsigned sent = machine.sent;
    start_act(&(struct http_act){.action = HTTP_ACTION_READ, .target = "web-17", .by = "token-1", .break_in = true});
    assert_int_equal(told.acted.outcome, HTTP_FORBIDDEN);
    assert_non_null(strstr(told.detail, "`break_in: allowed`"));
    assert_int_equal(machine.sent, sent);
}

static void start_break_in(void)
{
    start_act(&(struct http_act){.action = HTTP_ACTION_READ, .target = "web-17", .by = "token-1", .break_in = true});
}

static void a_running_machine_is_stopped_and_read_once_a_minute(void **state)
{
    (void)state;
    (void)meet();
    start_break_in();
    assert_int_equal(told.count, 0);
    captured_begin();
    (void)puppet_break(machine.puppet, KDNET_EXCEPTION_BREAKPOINT, 0xfffff80012345678U);
    (void)captured_end();
    wait_ms(2000);
    look();
    assert_int_equal(told.count, 1);
    assert_int_equal(told.acted.outcome, HTTP_ACTED);
    assert_int_equal(machine.puppet->continue_count, 1); /* its policy holds at breaks, but not at this one */
    start_break_in();
    assert_int_equal(told.acted.outcome, HTTP_TOO_OFTEN);
    assert_in_range(told.acted.retry_s, 55, 60);
    unsigned left_ms = told.acted.retry_s * 1000;
    for (; left_ms > 3000; left_ms -= 3000) {
        (void)puppet_poke(machine.puppet);
        wait_ms(3000);
    }
    wait_ms(left_ms);
    (void)puppet_poke(machine.puppet);
    wait_ms(10);
    start_break_in();
    assert_int_equal(told.count, 0); /* under way */
}

static void a_machine_that_does_not_stop_is_told_of(void **state)
{
    (void)state;
    (void)meet();
    machine.puppet->acks = false;
    start_break_in();
    assert_int_equal(told.count, 0);
    wait_ms(6000);
    look();
    assert_int_equal(told.count, 1);
    assert_int_equal(told.acted.outcome, HTTP_WRONG_STATE);
    assert_string_equal(told.state, "connected");
    assert_non_null(strstr(told.detail, "has not answered within 5 s"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_held_machine_is_let_go_and_an_event_tells_who_did_it),
        TEST(a_machine_that_runs_is_left_alone),
        TEST(a_machine_of_which_nothing_came_is_left_alone),
        TEST(a_name_that_no_target_has_is_refused_without_an_event),
        TEST(a_target_that_goes_meanwhile_is_refused),
        TEST(another_debugger_gets_silence_until_the_machine_is_taken_back),
        TEST(a_handover_ends_by_itself),
        TEST(a_held_machine_reboots_when_it_is_told_to),
        TEST(a_machine_that_is_being_read_reboots_when_that_is_over),
        TEST(a_held_machine_is_read_again_and_the_answer_waits_for_it),
        TEST(a_read_that_takes_long_is_left_to_itself),
        TEST(a_running_machine_is_not_stopped_unless_the_configuration_allows_it),
        cmocka_unit_test_setup_teardown(a_running_machine_is_stopped_and_read_once_a_minute, setup_allowed,
                                        fake_machine_teardown),
        cmocka_unit_test_setup_teardown(a_machine_that_does_not_stop_is_told_of, setup_allowed, fake_machine_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
