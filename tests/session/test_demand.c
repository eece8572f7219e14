/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A read that an operator demands: of a held machine, and of a running one, which is stopped for it and never left so:
 * not by loss, not by a policy that holds or reboots at breaks, not by a host that dies meanwhile.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "kdnet/error.h"
#include "tests/session/net.h"

#define STATUS    0xc000007fU
#define SECOND_US UINT64_C(1000000)
#define MINUTE_US (60 * SECOND_US)
#define SEEDS     150U

static const enum kdnet_machine machines[] = {KDNET_MACHINE_X64, KDNET_MACHINE_X86, KDNET_MACHINE_ARM64};

static int setup(void **state)
{
    (void)net_setup(state);
    net_shared_evidence(&net_shared);
    net_shared.break_in_allowed = true;
    return 0;
}

static void begin(struct net_pair *pair, const char *scenario, enum kdnet_machine machine, uint64_t seed)
{
    struct machine_config config = {
        .scenario = scenario, .machine = machine, .status = STATUS, .no_reboot = true, .delay_ms = 100};
    net_pair_init(pair, &net_shared, &config, seed);
    pair->weather.delay_us = 250;
}

static void run_for(struct net_pair *pair, uint64_t us)
{
    net_pair_run(pair, pair->now_us + us);
}

/* A machine that runs and is connected. */
static void begin_running(struct net_pair *pair, enum kdnet_machine machine, uint64_t seed)
{
    begin(pair, "idle", machine, seed);
    run_for(pair, 10 * SECOND_US);
    assert_true(kdnet_session_is_connected(pair->session));
}

static void break_in(struct net_pair *pair)
{
    assert_int_equal(kdnet_session_break_in(pair->session, pair->now_us), KDNET_OK);
    net_pair_poll(pair);
}

static struct machine_result result_of(const struct net_pair *pair)
{
    struct machine_result result;
    machine_result(pair->machine, pair->now_us, &result);
    return result;
}

static void assert_runs_unharmed(const struct net_pair *pair)
{
    struct machine_result result = result_of(pair);
    assert_false(machine_is_halted(pair->machine));
    assert_int_equal(machine_harm(&result), 0);
    assert_int_equal(result.traps_again, 0);
    assert_int_equal(result.boots, 1);
}

static void a_running_machine_is_read_and_goes_on_at_once(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof machines / sizeof machines[0]; ++i) {
        struct net_pair pair;
        begin_running(&pair, machines[i], i);
        break_in(&pair);
        assert_int_equal(kdnet_session_demand(pair.session), KDNET_DEMAND_ASKED);
        assert_int_equal(kdnet_session_break_in(pair.session, pair.now_us), KDNET_ERR_STATE); /* one at a time */
        run_for(&pair, SECOND_US);
        assert_int_equal(kdnet_session_demand(pair.session), KDNET_DEMAND_DONE);
        const struct kdnet_event *status = net_event(&pair, KDNET_EVENT_CRASH_STATUS, 0);
        assert_non_null(status);
        assert_int_equal(status->u.crash_status.phase, KDNET_PHASE_BREAK);
        assert_int_equal(status->u.crash_status.conclusion.verdict, KDNET_VERDICT_NOT_STARTED);
        assert_true(result_of(&pair).longest_halt_us < 100000);
        run_for(&pair, MINUTE_US);
        assert_runs_unharmed(&pair);
        assert_int_equal(net_count(&pair, KDNET_EVENT_CRASH_STATUS), 1);
        assert_int_equal(net_count(&pair, KDNET_EVENT_RELEASED), 1);
        assert_int_equal(result_of(&pair).breaks, 1);
        net_pair_clear(&pair);
    }
}

/* Whatever is lost, and though a request that comes while it stands stops it once more. */
static void loss_leaves_no_machine_stopped(void **state)
{
    static const enum kdnet_action actions[] = {KDNET_ACTION_CONTINUE, KDNET_ACTION_HOLD, KDNET_ACTION_REBOOT};
    unsigned read = 0;
    (void)state;
    for (uint64_t seed = 0; seed < SEEDS; ++seed) {
        struct net_pair pair;
        begin_running(&pair, machines[seed % 3], seed);
        pair.policy.action[KDNET_BREAK_KIND_BREAK] = actions[seed / 3 % 3];
        pair.weather = (struct net_weather){
            .loss_percent = 10 + 10 * (unsigned)(seed % 5), .repeat_percent = 20, .delay_us = 3000, .jitter_us = 5000};
        break_in(&pair);
        run_for(&pair, 2 * MINUTE_US);
        pair.weather.loss_percent = 0;
        run_for(&pair, 2 * MINUTE_US);
        assert_runs_unharmed(&pair);
        assert_false(kdnet_session_is_halted(pair.session));
        read += net_count(&pair, KDNET_EVENT_CRASH_STATUS) > 0;
        net_pair_clear(&pair);
    }
    assert_true(read > SEEDS * 9 / 10);
}

static void a_policy_of_breaks_is_not_for_those_that_are_asked_for(void **state)
{
    static const enum kdnet_action actions[] = {KDNET_ACTION_HOLD, KDNET_ACTION_REBOOT};
    (void)state;
    for (size_t i = 0; i < 2; ++i)
        for (unsigned allowed = 0; allowed < 2; ++allowed) {
            struct net_pair pair;
            net_shared.break_in_allowed = allowed != 0; /* a reload may have come between */
            begin_running(&pair, KDNET_MACHINE_X64, i);
            pair.policy.action[KDNET_BREAK_KIND_BREAK] = actions[i];
            break_in(&pair);
            run_for(&pair, 10 * SECOND_US);
            assert_runs_unharmed(&pair);
            assert_int_equal(net_count(&pair, KDNET_EVENT_CRASH_STATUS), 1);
            net_pair_clear(&pair);
        }
}

static void a_driver_that_breaks_in_is_still_held(void **state)
{
    struct net_pair pair;
    (void)state;
    begin(&pair, "int3", KDNET_MACHINE_X64, 1);
    pair.policy.action[KDNET_BREAK_KIND_BREAK] = KDNET_ACTION_HOLD;
    run_for(&pair, MINUTE_US);
    assert_true(machine_is_halted(pair.machine));
    assert_true(kdnet_session_is_halted(pair.session));
    net_pair_clear(&pair);
}

static bool is_deaf_watch(struct net_pair *pair, bool to_host, const uint8_t *payload, size_t length)
{
    const bool *deaf = pair->context;
    (void)payload;
    (void)length;
    return to_host || !*deaf;
}

static void what_does_not_answer_is_told_and_read_if_it_stops_later(void **state)
{
    struct net_pair pair;
    bool deaf = false;
    (void)state;
    begin_running(&pair, KDNET_MACHINE_X64, 3);
    pair.policy.action[KDNET_BREAK_KIND_BREAK] = KDNET_ACTION_HOLD;
    pair.context = &deaf;
    pair.watch = is_deaf_watch;
    deaf = true;
    break_in(&pair);
    run_for(&pair, 4 * SECOND_US);
    assert_int_equal(kdnet_session_demand(pair.session), KDNET_DEMAND_ASKED);
    run_for(&pair, 2 * SECOND_US);
    assert_int_equal(kdnet_session_demand(pair.session), KDNET_DEMAND_UNANSWERED);
    deaf = false;
    run_for(&pair, MINUTE_US);
    assert_runs_unharmed(&pair);
    assert_int_equal(net_count(&pair, KDNET_EVENT_CRASH_STATUS), 0);
    break_in(&pair); /* it is asked again, and now it hears */
    run_for(&pair, MINUTE_US);
    assert_int_equal(kdnet_session_demand(pair.session), KDNET_DEMAND_DONE);
    assert_runs_unharmed(&pair);
    net_pair_clear(&pair);
}

/* The state change comes only when the request has been given up. */
static bool is_mute_watch(struct net_pair *pair, bool to_host, const uint8_t *payload, size_t length)
{
    const bool *mute = pair->context;
    (void)length;
    return !to_host || !*mute || payload[5] == KDNET_CHANNEL_CONTROL;
}

static void a_break_that_comes_too_late_goes_on_all_the_same(void **state)
{
    struct net_pair pair;
    bool mute = true;
    (void)state;
    net_shared.break_in_allowed = false;
    begin_running(&pair, KDNET_MACHINE_X64, 4);
    pair.policy.action[KDNET_BREAK_KIND_BREAK] = KDNET_ACTION_HOLD;
    pair.context = &mute;
    pair.watch = is_mute_watch;
    break_in(&pair);
    run_for(&pair, 20 * SECOND_US);
    assert_int_equal(kdnet_session_demand(pair.session), KDNET_DEMAND_UNANSWERED);
    assert_true(machine_is_halted(pair.machine));
    mute = false;
    run_for(&pair, 10 * SECOND_US);
    assert_runs_unharmed(&pair);
    assert_true(net_count(&pair, KDNET_EVENT_CRASH_STATUS) > 0);
    net_pair_clear(&pair);
}

/* After each datagram from the request on: the next host knows nothing of it. */
static void a_host_that_dies_meanwhile_leaves_no_machine_stopped(void **state)
{
    (void)state;
    for (unsigned at = 1; at < 80; ++at) {
        struct net_pair pair;
        begin_running(&pair, machines[at % 3], at);
        pair.policy.action[KDNET_BREAK_KIND_BREAK] = at % 2 ? KDNET_ACTION_HOLD : KDNET_ACTION_REBOOT;
        pair.dies_at = pair.steps + at;
        break_in(&pair);
        run_for(&pair, 30 * SECOND_US);
        assert_runs_unharmed(&pair);
        assert_true(result_of(&pair).longest_halt_us < 4 * SECOND_US); /* the next poke */
        net_pair_clear(&pair);
    }
}

/* A machine that would run waits for no look-up. */
static bool saw_pending;
static enum kdnet_rva_answer rva_pending(void *user, const struct kdnet_pdb *pdb, const char *symbol, uint32_t *rva,
                                         enum kdnet_source *source)
{
    (void)user;
    (void)pdb;
    (void)symbol;
    (void)rva;
    (void)source;
    saw_pending = true;
    return KDNET_RVA_PENDING;
}

static void no_look_up_keeps_it_stopped(void **state)
{
    struct net_pair pair;
    (void)state;
    net_shared.find_rva = rva_pending;
    begin_running(&pair, KDNET_MACHINE_X64, 5);
    saw_pending = false;
    break_in(&pair);
    run_for(&pair, 10 * SECOND_US);
    assert_true(saw_pending);
    assert_runs_unharmed(&pair);
    assert_true(result_of(&pair).longest_halt_us < 100000);
    const struct kdnet_event *status = net_event(&pair, KDNET_EVENT_CRASH_STATUS, 0);
    assert_non_null(status);
    assert_int_equal(status->u.crash_status.conclusion.reason, KDNET_REASON_NO_SYMBOLS);
    assert_true(status->u.crash_status.symbols_pending);
    net_pair_clear(&pair);
}

/* Again and again at the same place, on a machine that has survived a bug check: that is no last break. */
static void it_is_read_as_often_as_it_is_asked(void **state)
{
    struct net_pair pair;
    (void)state;
    begin_running(&pair, KDNET_MACHINE_X64, 6);
    for (unsigned i = 1; i <= 12; ++i) {
        break_in(&pair);
        run_for(&pair, MINUTE_US);
        assert_int_equal(net_count(&pair, KDNET_EVENT_CRASH_STATUS), i);
    }
    assert_runs_unharmed(&pair);
    assert_true(result_of(&pair).longest_halt_us < 100000);
    net_pair_clear(&pair);
}

static void only_a_machine_that_runs_is_stopped(void **state)
{
    struct net_pair pair;
    (void)state;
    begin(&pair, "bugcheck", KDNET_MACHINE_X64, 7); /* automatic reboot is off: held at its second break */
    assert_int_equal(kdnet_session_break_in(pair.session, pair.now_us), KDNET_ERR_STATE); /* never seen */
    bool dumped = false;
    while (net_count(&pair, KDNET_EVENT_CRASH_STATUS) < 2) {
        run_for(&pair, 1000);
        if (!kdnet_session_is_dumping(pair.session))
            continue;
        dumped = true;
        assert_int_equal(kdnet_session_break_in(pair.session, pair.now_us), KDNET_ERR_STATE);
        assert_int_equal(kdnet_session_read(pair.session, pair.now_us), KDNET_ERR_STATE);
    }
    assert_true(dumped);
    assert_true(kdnet_session_is_halted(pair.session));
    assert_int_equal(kdnet_session_break_in(pair.session, pair.now_us), KDNET_ERR_STATE);
    net_pair_clear(&pair);
}

static void a_held_machine_is_read_again_and_held_as_before(void **state)
{
    struct net_pair pair;
    (void)state;
    begin(&pair, "bugcheck", KDNET_MACHINE_X64, 8);
    pair.policy.hold_for_us = 10 * MINUTE_US;
    run_for(&pair, MINUTE_US);
    assert_int_equal(net_count(&pair, KDNET_EVENT_CRASH_STATUS), 2);
    for (unsigned i = 3; i < 6; ++i) {
        assert_int_equal(kdnet_session_read(pair.session, pair.now_us), KDNET_OK);
        assert_int_equal(kdnet_session_demand(pair.session), KDNET_DEMAND_HALTED);
        net_pair_poll(&pair);
        run_for(&pair, SECOND_US);
        assert_int_equal(kdnet_session_demand(pair.session), KDNET_DEMAND_DONE);
        assert_int_equal(net_count(&pair, KDNET_EVENT_CRASH_STATUS), i);
        const struct kdnet_event_crash_status *status =
            &net_event(&pair, KDNET_EVENT_CRASH_STATUS, i - 1)->u.crash_status;
        assert_int_equal(status->phase, KDNET_PHASE_BUGCHECK_SECOND);
        assert_int_equal(status->status, STATUS);
        assert_true(status->read_us < SECOND_US);
        assert_true(machine_is_halted(pair.machine));
    }
    assert_int_equal(net_count(&pair, KDNET_EVENT_BREAK_IN), 2);
    assert_int_equal(net_count(&pair, KDNET_EVENT_RELEASED), 2); /* continue, hold */
    run_for(&pair, 8 * MINUTE_US);
    assert_int_equal(net_count(&pair, KDNET_EVENT_RELEASED), 2);
    run_for(&pair, 2 * MINUTE_US); /* held until when it was held before */
    assert_true(net_count(&pair, KDNET_EVENT_RELEASED) > 2);
    net_pair_clear(&pair);
}

static void a_machine_that_is_read_again_and_falls_silent_is_held_still(void **state)
{
    struct net_pair pair;
    bool mute = false;
    (void)state;
    begin(&pair, "int3", KDNET_MACHINE_X64, 9);
    pair.policy.action[KDNET_BREAK_KIND_BREAK] = KDNET_ACTION_HOLD;
    pair.context = &mute;
    pair.watch = is_mute_watch;
    run_for(&pair, MINUTE_US);
    mute = true;
    assert_int_equal(kdnet_session_read(pair.session, pair.now_us), KDNET_OK);
    net_pair_poll(&pair);
    run_for(&pair, 10 * SECOND_US);
    const struct kdnet_event *status = net_event(&pair, KDNET_EVENT_CRASH_STATUS, 1);
    assert_non_null(status);
    assert_int_equal(status->u.crash_status.conclusion.verdict, KDNET_VERDICT_UNKNOWN);
    mute = false;
    run_for(&pair, MINUTE_US);
    assert_true(kdnet_session_is_halted(pair.session));
    assert_int_equal(kdnet_session_resume(pair.session, KDNET_ACTION_CONTINUE, pair.now_us), KDNET_OK);
    net_pair_poll(&pair);
    run_for(&pair, MINUTE_US);
    assert_runs_unharmed(&pair);
    net_pair_clear(&pair);
}

static void a_machine_that_is_read_again_reboots_when_told(void **state)
{
    struct net_pair pair;
    (void)state;
    begin(&pair, "bugcheck", KDNET_MACHINE_X64, 10);
    run_for(&pair, MINUTE_US);
    assert_int_equal(kdnet_session_read(pair.session, pair.now_us), KDNET_OK);
    assert_int_equal(kdnet_session_reboot(pair.session), KDNET_OK);
    net_pair_poll(&pair);
    run_for(&pair, MINUTE_US);
    assert_false(machine_is_halted(pair.machine));
    assert_int_equal(result_of(&pair).boots, 2);
    net_pair_clear(&pair);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, net_teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_running_machine_is_read_and_goes_on_at_once),
        TEST(loss_leaves_no_machine_stopped),
        TEST(a_policy_of_breaks_is_not_for_those_that_are_asked_for),
        TEST(a_driver_that_breaks_in_is_still_held),
        TEST(what_does_not_answer_is_told_and_read_if_it_stops_later),
        TEST(a_break_that_comes_too_late_goes_on_all_the_same),
        TEST(a_host_that_dies_meanwhile_leaves_no_machine_stopped),
        TEST(no_look_up_keeps_it_stopped),
        TEST(it_is_read_as_often_as_it_is_asked),
        TEST(only_a_machine_that_runs_is_stopped),
        TEST(a_held_machine_is_read_again_and_held_as_before),
        TEST(a_machine_that_is_read_again_and_falls_silent_is_held_still),
        TEST(a_machine_that_is_read_again_reboots_when_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
