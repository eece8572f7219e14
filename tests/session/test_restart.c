/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The host dies and a new one starts that remembers nothing: after each single datagram of each scenario. Each machine
 * goes on within one poke interval, each result comes, and nothing harms the machine.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "tests/session/net.h"
#include "tests/support/part.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define DELAY_US     250U
#define SLICE_US     50000U
#define BASE_MAX_US  10000000U
#define GRACE_US     UINT64_C(3500000) /* one poke interval, and the round trips after it */
#define STATUS       0xc000007fU

static const enum kdnet_machine machines[] = {KDNET_MACHINE_X64, KDNET_MACHINE_X86, KDNET_MACHINE_ARM64};
static const char *const names[] = {"x64", "x86", "arm64"};

static const struct {
    const char *scenario;
    bool no_reboot;
} scenarios[] = {
    {"bugcheck", false}, {"bugcheck", true}, {"int3", false},   {"exception", false},
    {"boot", false},     {"prompt", false},  {"fileio", false}, {"idle", false},
};

static void begin(struct net_pair *pair, size_t scenario, enum kdnet_machine machine)
{
    struct machine_config config = {.scenario = scenarios[scenario].scenario,
                                    .no_reboot = scenarios[scenario].no_reboot,
                                    .machine = machine,
                                    .status = STATUS,
                                    .delay_ms = 100};
    net_pair_init(pair, &net_shared, &config, 5 + scenario);
    pair->weather.delay_us = DELAY_US;
}

/* A second break counts as ended once it was acknowledged, by whomever; it is over when it was read. */
static bool is_over(const struct net_pair *pair)
{
    struct machine_expectation expected;
    machine_expectation(pair->machine, &expected);
    if (!machine_is_ended(pair->machine, pair->now_us))
        return false;
    for (unsigned i = 0; expected.second; ++i) {
        const struct kdnet_event *event = net_event(pair, KDNET_EVENT_CRASH_STATUS, i);
        if (!event)
            return false;
        if (event->u.crash_status.phase == KDNET_PHASE_BUGCHECK_SECOND)
            return true;
    }
    return true;
}

/* Runs until the machine has ended, or at most until then; returns when. */
static uint64_t run_to_end(struct net_pair *pair, uint64_t limit_us)
{
    while (pair->now_us < limit_us && !is_over(pair))
        net_pair_run(pair, pair->now_us + SLICE_US);
    return pair->now_us;
}

/* How many results there are of a phase, all of which are right. Of a crash, the first break says that nothing has been
 * written yet, and the last one says the status. */
static unsigned results(const struct net_pair *pair, enum kdnet_phase phase, uint32_t status)
{
    unsigned count = 0;
    const struct kdnet_event *event;
    for (unsigned i = 0; (event = net_event(pair, KDNET_EVENT_CRASH_STATUS, i)) != NULL; ++i) {
        if (event->u.crash_status.phase != phase)
            continue;
        assert_true(event->u.crash_status.status_known);
        assert_int_equal(event->u.crash_status.status, status);
        ++count;
    }
    return count;
}

static void check_results(const struct net_pair *pair, unsigned deaths)
{
    struct machine_expectation expected;
    unsigned first = results(pair, KDNET_PHASE_BUGCHECK_FIRST, KDNET_DUMP_NOT_STARTED);
    unsigned second = results(pair, KDNET_PHASE_BUGCHECK_SECOND, STATUS);
    unsigned shutdown = results(pair, KDNET_PHASE_SHUTDOWN, STATUS);
    unsigned plain = results(pair, KDNET_PHASE_BREAK, KDNET_DUMP_NOT_STARTED);
    machine_expectation(pair->machine, &expected);
    assert_int_equal(first > 0, expected.crash);
    assert_int_equal(second > 0, expected.second);
    assert_int_equal(shutdown > 0, expected.shutdown);
    assert_int_equal(plain > 0, !expected.crash && expected.breaks > 0);
    assert_in_range(first, 0, deaths + 1); /* each host that saw the break may say it */
    assert_in_range(second, 0, deaths + 1);
    assert_in_range(shutdown, 0, deaths + 1);
    assert_in_range(plain, 0, deaths + 1);
    assert_int_equal(first + second + shutdown + plain, net_count(pair, KDNET_EVENT_CRASH_STATUS));
}

static void check_machine(const struct net_pair *pair, bool held, unsigned deaths)
{
    struct machine_result result;
    machine_result(pair->machine, pair->now_us, &result);
    assert_int_equal(result.state, MACHINE_ENDED);
    assert_int_equal(machine_harm(&result), 0);
    assert_int_equal(result.traps_again, 0);
    if (!held)
        assert_true(result.longest_halt_us <= deaths * GRACE_US);
}

static void say(const struct net_pair *pair, size_t scenario, const char *name, unsigned at)
{
    char story[NET_STORY_SIZE];
    struct machine_result r;
    machine_result(pair->machine, pair->now_us, &r);
    net_story(pair, story);
    (void)snprintf((char *)pair->context, (size_t)2 * NET_STORY_SIZE,
                   "%s%s %s, died after datagram %u: state %d, halted %llu us, wrong %u, traps %u; %s",
                   scenarios[scenario].scenario, scenarios[scenario].no_reboot ? " (no reboot)" : "", name, at,
                   (int)r.state, (unsigned long long)r.longest_halt_us, r.released_wrongly, r.traps_again, story);
}

static bool went_wrong(const struct net_pair *pair, bool held)
{
    struct machine_result r;
    machine_result(pair->machine, pair->now_us, &r);
    return r.state != MACHINE_ENDED || r.released_wrongly > 0 || r.traps_again > 0 ||
           (!held && r.longest_halt_us > GRACE_US);
}

/* One host that dies after its n-th datagram, for each n. */
static unsigned walk(size_t scenario, size_t machine)
{
    static char words[(size_t)2 * NET_STORY_SIZE];
    struct net_pair pair;
    begin(&pair, scenario, machines[machine]);
    uint64_t base_us = run_to_end(&pair, BASE_MAX_US);
    unsigned steps = pair.steps;
    check_machine(&pair, scenarios[scenario].no_reboot, 1);
    check_results(&pair, 1);
    net_pair_clear(&pair);
    for (unsigned at = 1; at <= steps; at += TEST_ONE_IN(2U)) {
        begin(&pair, scenario, machines[machine]);
        pair.dies_at = at;
        pair.context = words;
        run_to_end(&pair, base_us + GRACE_US);
        if (went_wrong(&pair, scenarios[scenario].no_reboot)) {
            say(&pair, scenario, names[machine], at);
            print_error("%s\n", words);
        }
        check_machine(&pair, scenarios[scenario].no_reboot, 1);
        check_results(&pair, 1);
        net_pair_clear(&pair);
    }
    return steps;
}

static void a_host_that_dies_after_any_datagram_costs_one_poke_interval(void **state)
{
    unsigned points = 0;
    (void)state;
    for (size_t scenario = 0; scenario < COUNT(scenarios); ++scenario)
        for (size_t machine = 0; machine < COUNT(machines); ++machine)
            points += walk(scenario, machine);
    print_message("%u deaths\n", points);
}

/* Two deaths: the second at each point of what comes after the first. Every seventh first death, to save time. */
static void a_host_that_dies_twice_is_no_worse(void **state)
{
    unsigned points = 0;
    (void)state;
    for (size_t scenario = 0; scenario < COUNT(scenarios); ++scenario)
        for (unsigned first = 1; first < 90; first += 7 * TEST_ONE_IN(3U)) {
            unsigned steps = first;
            for (unsigned second = first + 1; second <= steps + 1; ++second, ++points) {
                struct net_pair pair;
                begin(&pair, scenario, KDNET_MACHINE_X64);
                pair.dies_at = first;
                pair.dies_again_at = second <= steps || second == first + 1 ? second : 0;
                run_to_end(&pair, BASE_MAX_US + 2 * GRACE_US);
                steps = pair.steps > steps ? pair.steps : steps;
                check_machine(&pair, scenarios[scenario].no_reboot, 2);
                check_results(&pair, 2);
                net_pair_clear(&pair);
                if (second > first + 60)
                    break;
            }
        }
    print_message("%u pairs of deaths\n", points);
}

/* --- solicited pokes ------------------------------------------------------------------------------------------------
 */

struct solicit {
    uint64_t data_us; /* of the machine's first data datagram after the host's death; 0: none yet */
};

static bool watch_data(struct net_pair *pair, bool to_host, const uint8_t *payload, size_t length)
{
    struct solicit *solicit = pair->context;
    (void)length;
    if (to_host && payload[5] == KDNET_CHANNEL_DATA && solicit->data_us == 0 && pair->steps > pair->dies_at)
        solicit->data_us = pair->now_us;
    return true;
}

/* The first handshake after a time; 0: there is none. */
static uint64_t connected_after(const struct net_pair *pair, uint64_t from_us)
{
    for (unsigned i = 0; i < pair->event_count && i < NET_EVENTS; ++i)
        if (pair->event[i].type == KDNET_EVENT_CONNECTED && pair->event_us[i] >= from_us)
            return pair->event_us[i];
    return 0;
}

/* What a machine says to our former life is answered with a request to poke: it pokes at once, not in three seconds. */
static void a_machine_that_speaks_is_taken_over_within_100_ms(void **state)
{
    unsigned solicited = 0;
    (void)state;
    for (size_t scenario = 0; scenario < COUNT(scenarios); ++scenario)
        for (unsigned at = 1; at < 90; ++at) {
            struct solicit solicit = {0};
            struct net_pair pair;
            begin(&pair, scenario, KDNET_MACHINE_X64);
            pair.dies_at = at;
            pair.context = &solicit;
            pair.watch = watch_data;
            run_to_end(&pair, BASE_MAX_US);
            bool holds = kdnet_session_is_connected(pair.session);
            if (solicit.data_us != 0 && holds) {
                uint64_t connected_us = connected_after(&pair, solicit.data_us);
                /* a machine that was rebooting has told nobody anything yet: it pokes by itself */
                if (connected_us == 0 || connected_us - solicit.data_us > 100000)
                    fail_msg("%s, died after datagram %u: data at %llu us, connected at %llu us",
                             scenarios[scenario].scenario, at, (unsigned long long)solicit.data_us,
                             (unsigned long long)connected_us);
                ++solicited;
            }
            net_pair_clear(&pair);
        }
    print_message("%u solicited\n", solicited);
    assert_true(solicited > 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_host_that_dies_after_any_datagram_costs_one_poke_interval),
        cmocka_unit_test(a_host_that_dies_twice_is_no_worse),
        cmocka_unit_test(a_machine_that_speaks_is_taken_over_within_100_ms),
    };
    int failed = cmocka_run_group_tests_name("plain", tests, net_setup, net_teardown);
    return failed + cmocka_run_group_tests_name("with evidence", tests, net_setup_evidence, net_teardown);
}
