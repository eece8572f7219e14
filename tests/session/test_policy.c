/* SPDX-License-Identifier: Apache-2.0 */
/* What a policy does to a machine that broke in: hold, release, reboot, ignore, and how long a hold lasts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "kdnet/error.h"
#include "service/kdnet-target/machine_internal.h"
#include "tests/session/net.h"
#include "tests/session/scenario_pair.h"

static void a_held_machine_costs_nothing_and_goes_on_when_it_is_released(void **state)
{
    struct machine_config config = {.scenario = "int3"};
    struct net_pair pair;
    (void)state;
    begin(&pair, &config);
    pair.policy.action[KDNET_BREAK_KIND_BREAK] = KDNET_ACTION_HOLD;
    net_pair_run(&pair, SECOND_US);
    expect_story(&pair, "connected v5; break_in break 80000003; kernel nt x64 lab pdb; crash_status break not_started "
                        "ffffffff from rva; released hold");
    assert_true(kdnet_session_is_halted(pair.session));
    unsigned sent = pair.sent_by_host;
    net_pair_run(&pair, 60 * SECOND_US); /* twenty pokes come */
    assert_int_equal(pair.sent_by_host, sent);
    assert_true(machine_is_halted(pair.machine));
    assert_true(kdnet_session_is_connected(pair.session));
    assert_int_equal(kdnet_session_resume(pair.session, KDNET_ACTION_HOLD, pair.now_us), KDNET_ERR_STATE);
    assert_int_equal(kdnet_session_resume(pair.session, KDNET_ACTION_CONTINUE, pair.now_us), KDNET_OK);
    assert_int_equal(kdnet_session_resume(pair.session, KDNET_ACTION_CONTINUE, pair.now_us), KDNET_ERR_STATE);
    net_pair_poll(&pair);
    net_pair_run(&pair, 61 * SECOND_US);
    expect_harmless(&pair);
    expect_story(&pair, "connected v5; break_in break 80000003; kernel nt x64 lab pdb; crash_status break not_started "
                        "ffffffff from rva; released hold; released continue");
    assert_in_range(net_event(&pair, KDNET_EVENT_RELEASED, 1)->u.released.halted_us, 59 * SECOND_US, 60 * SECOND_US);
    assert_false(kdnet_session_is_halted(pair.session));
    net_pair_clear(&pair);
}

static void a_running_machine_cannot_be_released(void **state)
{
    struct machine_config config = {.scenario = "idle"};
    struct net_pair pair;
    (void)state;
    begin(&pair, &config);
    assert_int_equal(kdnet_session_resume(pair.session, KDNET_ACTION_CONTINUE, pair.now_us), KDNET_ERR_STATE);
    net_pair_run(&pair, SECOND_US);
    assert_int_equal(kdnet_session_resume(pair.session, KDNET_ACTION_CONTINUE, pair.now_us), KDNET_ERR_STATE);
    net_pair_clear(&pair);
}

/* Runs to the next time that it begins, or ends, to go down. */
static void run_until_going_down(struct net_pair *pair, bool down)
{
    while (kdnet_session_is_going_down(pair->session) != down) {
        assert_true(pair->now_us < LIMIT_US);
        net_pair_run(pair, pair->now_us + 100);
    }
}

static void a_machine_goes_down_until_it_is_there_again(void **state)
{
    static const char *const scenarios[] = {"restart", "bugcheck"};
    (void)state;
    for (unsigned i = 0; i < 2; ++i) {
        struct machine_config config = {.scenario = scenarios[i]};
        struct net_pair pair;
        begin(&pair, &config);
        run_until_going_down(&pair, true);
        assert_int_equal(net_count(&pair, KDNET_EVENT_CRASH_STATUS), i == 0 ? 0 : 2);
        assert_true(kdnet_session_is_connected(pair.session));
        run_until_going_down(&pair, false);
        assert_false(kdnet_session_is_halted(pair.session) && i == 1);
        net_pair_clear(&pair);
    }
}

static void the_second_break_is_held_in_silence_and_can_be_rebooted(void **state)
{
    struct machine_config config = {.scenario = "bugcheck", .no_reboot = true};
    struct machine_result result;
    struct net_pair pair;
    (void)state;
    begin(&pair, &config);
    net_pair_run(&pair, 5 * SECOND_US);
    unsigned sent = pair.sent_by_host;
    net_pair_run(&pair, 120 * SECOND_US);
    assert_int_equal(pair.sent_by_host, sent);
    assert_int_equal(kdnet_session_resume(pair.session, KDNET_ACTION_REBOOT, pair.now_us), KDNET_OK);
    net_pair_poll(&pair);
    net_pair_run(&pair, 125 * SECOND_US);
    machine_result(pair.machine, pair.now_us, &result);
    assert_int_equal(result.boots, 2);
    assert_int_equal(result.continues, 1); /* of the first break */
    assert_int_equal(net_event(&pair, KDNET_EVENT_RELEASED, 2)->u.released.action, KDNET_ACTION_REBOOT);
    assert_int_equal(net_count(&pair, KDNET_EVENT_CRASH_STATUS), 2);
    net_pair_clear(&pair);
}

static void hold_for_ends_a_hold(void **state)
{
    struct machine_config config = {.scenario = "int3"};
    struct net_pair pair;
    (void)state;
    begin(&pair, &config);
    pair.policy.action[KDNET_BREAK_KIND_BREAK] = KDNET_ACTION_HOLD;
    pair.policy.hold_for_us = 7 * SECOND_US;
    net_pair_run(&pair, 6 * SECOND_US);
    assert_true(machine_is_halted(pair.machine));
    net_pair_run(&pair, 8 * SECOND_US);
    expect_harmless(&pair);
    const struct kdnet_event *event = net_event(&pair, KDNET_EVENT_RELEASED, 1);
    assert_int_equal(event->u.released.action, KDNET_ACTION_CONTINUE);
    assert_in_range(event->u.released.halted_us, 7 * SECOND_US, 7 * SECOND_US + SECOND_US / 10);
    net_pair_clear(&pair);
}

static void a_policy_of_reboot_reboots_at_the_break(void **state)
{
    static const struct {
        const char *scenario;
        enum kdnet_break_kind kind;
    } breaks[] = {
        {"bugcheck", KDNET_BREAK_KIND_BUGCHECK_FIRST},
        {"int3", KDNET_BREAK_KIND_BREAK},
        {"exception", KDNET_BREAK_KIND_EXCEPTION},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(breaks); ++i) {
        struct machine_config config = {.scenario = breaks[i].scenario};
        struct machine_result result;
        struct net_pair pair;
        begin(&pair, &config);
        pair.policy.action[breaks[i].kind] = KDNET_ACTION_REBOOT;
        net_pair_run(&pair, LIMIT_US);
        machine_result(pair.machine, pair.now_us, &result);
        assert_int_equal(result.boots, 2);
        assert_int_equal(result.continues, 0);
        assert_int_equal(net_count(&pair, KDNET_EVENT_CRASH_STATUS), 1);
        assert_int_equal(net_event(&pair, KDNET_EVENT_RELEASED, 0)->u.released.action, KDNET_ACTION_REBOOT);
        assert_true(
            net_event(&pair, KDNET_EVENT_CONNECTED, net_count(&pair, KDNET_EVENT_CONNECTED) - 1)->u.connected.rebooted);
        net_pair_clear(&pair);
    }
}

static void a_hold_at_the_shutdown_keeps_the_machine_until_it_is_released(void **state)
{
    struct machine_config config = {.scenario = "bugcheck", .status = 0xc000007f};
    struct net_pair pair;
    (void)state;
    begin(&pair, &config);
    pair.policy.action[KDNET_BREAK_KIND_SHUTDOWN] = KDNET_ACTION_HOLD;
    net_pair_run(&pair, 20 * SECOND_US);
    assert_true(machine_is_halted(pair.machine));
    assert_int_equal(net_event(&pair, KDNET_EVENT_RELEASED, 1)->u.released.action, KDNET_ACTION_HOLD);
    assert_int_equal(net_event(&pair, KDNET_EVENT_CRASH_STATUS, 1)->u.crash_status.status, 0xc000007f);
    assert_int_equal(kdnet_session_resume(pair.session, KDNET_ACTION_CONTINUE, pair.now_us), KDNET_OK);
    net_pair_poll(&pair);
    net_pair_run(&pair, 25 * SECOND_US);
    expect_harmless(&pair);
    net_pair_clear(&pair);
}

static void held_load_symbols_can_be_released_one_by_one(void **state)
{
    struct machine_config config = {.scenario = "boot"};
    struct machine_result result;
    struct net_pair pair;
    uint64_t now_us = 0;
    (void)state;
    begin(&pair, &config);
    pair.policy.action[KDNET_BREAK_KIND_LOAD_SYMBOLS] = KDNET_ACTION_HOLD;
    for (uint32_t images = 1; images <= 3; ++images) {
        now_us += 5 * SECOND_US;
        net_pair_run(&pair, now_us);
        machine_result(pair.machine, pair.now_us, &result);
        assert_true(machine_is_halted(pair.machine));
        assert_int_equal(result.load_symbols, images);
        assert_int_equal(kdnet_session_resume(pair.session, KDNET_ACTION_CONTINUE, pair.now_us), KDNET_OK);
        net_pair_poll(&pair);
    }
    net_pair_run(&pair, now_us + 5 * SECOND_US);
    expect_harmless(&pair);
    net_pair_clear(&pair);
}

static void a_held_prompt_is_not_answered(void **state)
{
    struct machine_config config = {.scenario = "prompt"};
    struct machine_result result;
    struct net_pair pair;
    (void)state;
    begin(&pair, &config);
    pair.policy.action[KDNET_BREAK_KIND_PROMPT] = KDNET_ACTION_HOLD;
    net_pair_run(&pair, 30 * SECOND_US);
    machine_result(pair.machine, pair.now_us, &result);
    assert_true(machine_is_halted(pair.machine));
    assert_int_equal(result.answers, 0);
    assert_true(kdnet_session_is_halted(pair.session));
    unsigned sent = pair.sent_by_host;
    net_pair_run(&pair, 7200 * SECOND_US);
    assert_int_equal(pair.sent_by_host, sent);
    assert_int_equal(kdnet_session_resume(pair.session, KDNET_ACTION_CONTINUE, pair.now_us), KDNET_OK);
    net_pair_poll(&pair);
    net_pair_run(&pair, 7201 * SECOND_US);
    machine_result(pair.machine, pair.now_us, &result);
    assert_string_equal(result.answer, "i");
    expect_harmless(&pair);
    assert_false(kdnet_session_is_halted(pair.session));
    expect_story(&pair, "connected v5; held prompt; released continue");
    assert_int_equal(net_event(&pair, KDNET_EVENT_HELD, 0)->u.held.hold_for_us, 0);
    net_pair_clear(&pair);
}

/* A machine that the policy holds where it has no break: somebody is told that it stands still, and until when. */
static void what_is_held_without_a_break_is_told_all_the_same(void **state)
{
    static const struct {
        const char *scenario;
        enum kdnet_break_kind kind;
    } holds[] = {{"prompt", KDNET_BREAK_KIND_PROMPT}, {"boot", KDNET_BREAK_KIND_LOAD_SYMBOLS}};
    (void)state;
    for (size_t i = 0; i < COUNT(holds); ++i) {
        struct machine_config config = {.scenario = holds[i].scenario};
        struct net_pair pair;
        begin(&pair, &config);
        pair.policy.action[holds[i].kind] = KDNET_ACTION_HOLD;
        pair.policy.hold_for_us = 7 * SECOND_US;
        net_pair_run(&pair, 6 * SECOND_US);
        unsigned released = net_count(&pair, KDNET_EVENT_RELEASED);
        assert_int_equal(net_count(&pair, KDNET_EVENT_HELD), 1);
        const struct kdnet_event_held *held = &net_event(&pair, KDNET_EVENT_HELD, 0)->u.held;
        assert_int_equal(held->why, holds[i].kind);
        assert_int_equal(held->hold_for_us, 7 * SECOND_US);
        net_pair_run(&pair, 8 * SECOND_US);
        assert_int_equal(net_count(&pair, KDNET_EVENT_RELEASED), released + 1);
        const struct kdnet_event_released *gone = &net_event(&pair, KDNET_EVENT_RELEASED, released)->u.released;
        assert_int_equal(gone->action, KDNET_ACTION_CONTINUE);
        assert_in_range(gone->halted_us, 7 * SECOND_US, 7 * SECOND_US + SECOND_US / 10);
        net_pair_clear(&pair);
    }
}

/* Whatever it is that is held: no hold is longer than hold_for. */
static void hold_for_ends_a_hold_of_any_kind(void **state)
{
    static const struct {
        const char *scenario;
        enum kdnet_break_kind kind;
        unsigned times;
    } holds[] = {
        {"prompt", KDNET_BREAK_KIND_PROMPT, 1},     {"boot", KDNET_BREAK_KIND_LOAD_SYMBOLS, 3},
        {"e2", KDNET_BREAK_KIND_SHUTDOWN, 1},       {"exception", KDNET_BREAK_KIND_EXCEPTION, 1},
        {"command", KDNET_BREAK_KIND_BREAK, 1},     {"bugcheck", KDNET_BREAK_KIND_BUGCHECK_FIRST, 1},
        {"bugcheck", KDNET_BREAK_KIND_SHUTDOWN, 1},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(holds); ++i) {
        struct machine_config config = {.scenario = holds[i].scenario};
        struct machine_result result;
        struct net_pair pair;
        begin(&pair, &config);
        pair.policy.action[holds[i].kind] = KDNET_ACTION_HOLD;
        pair.policy.hold_for_us = 7 * SECOND_US;
        net_pair_run(&pair, 6 * SECOND_US);
        assert_true(machine_is_halted(pair.machine));
        net_pair_run(&pair, (7 * holds[i].times + 5) * SECOND_US);
        machine_result(pair.machine, pair.now_us, &result);
        assert_int_equal(result.state, MACHINE_ENDED);
        assert_in_range(result.longest_halt_us, 7 * SECOND_US - 100000, 7 * SECOND_US + 100000);
        net_pair_clear(&pair);
    }
}

static void a_prompt_is_answered_with_ignore(void **state)
{
    struct machine_config config = {.scenario = "prompt"};
    struct machine_result result;
    struct net_pair pair;
    (void)state;
    begin(&pair, &config);
    net_pair_run(&pair, SECOND_US);
    machine_result(pair.machine, pair.now_us, &result);
    assert_string_equal(result.answer, "i");
    assert_int_equal(result.answers, 1);
    expect_harmless(&pair);
    net_pair_clear(&pair);
}

static void a_new_policy_counts_from_the_next_break(void **state)
{
    struct machine_config config = {.scenario = "bugcheck"};
    struct kdnet_policy other;
    struct net_pair pair;
    (void)state;
    begin(&pair, &config);
    net_pair_run(&pair, SECOND_US / 10); /* the first break is over */
    assert_int_equal(net_count(&pair, KDNET_EVENT_RELEASED), 1);
    kdnet_policy_init(&other);
    other.action[KDNET_BREAK_KIND_SHUTDOWN] = KDNET_ACTION_REBOOT;
    kdnet_session_set_policy(pair.session, &other);
    net_pair_run(&pair, LIMIT_US);
    assert_int_equal(net_event(&pair, KDNET_EVENT_RELEASED, 1)->u.released.action, KDNET_ACTION_REBOOT);
    net_pair_clear(&pair);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_held_machine_costs_nothing_and_goes_on_when_it_is_released, net_afresh),
        cmocka_unit_test_setup(a_running_machine_cannot_be_released, net_afresh),
        cmocka_unit_test_setup(a_machine_goes_down_until_it_is_there_again, net_afresh),
        cmocka_unit_test_setup(the_second_break_is_held_in_silence_and_can_be_rebooted, net_afresh),
        cmocka_unit_test_setup(hold_for_ends_a_hold, net_afresh),
        cmocka_unit_test_setup(a_policy_of_reboot_reboots_at_the_break, net_afresh),
        cmocka_unit_test_setup(a_hold_at_the_shutdown_keeps_the_machine_until_it_is_released, net_afresh),
        cmocka_unit_test_setup(held_load_symbols_can_be_released_one_by_one, net_afresh),
        cmocka_unit_test_setup(a_held_prompt_is_not_answered, net_afresh),
        cmocka_unit_test_setup(what_is_held_without_a_break_is_told_all_the_same, net_afresh),
        cmocka_unit_test_setup(hold_for_ends_a_hold_of_any_kind, net_afresh),
        cmocka_unit_test_setup(a_prompt_is_answered_with_ignore, net_afresh),
        cmocka_unit_test_setup(a_new_policy_counts_from_the_next_break, net_afresh),
    };
    return cmocka_run_group_tests(tests, net_setup, net_teardown);
}
