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

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define DELAY_US     250U
#define SLICE_US     50000U
#define BASE_MAX_US  10000000U
#define GRACE_US     3500000U /* one poke interval, and the round trips after it */
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

static struct kdnet_session_shared shared;

static int setup(void **state)
{
    (void)state;
    net_shared_init(&shared);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    net_shared_clear(&shared);
    return 0;
}

static void begin(struct net_pair *pair, size_t scenario, enum kdnet_machine machine)
{
    struct machine_config config = {.scenario = scenarios[scenario].scenario,
                                    .no_reboot = scenarios[scenario].no_reboot,
                                    .machine = machine,
                                    .status = STATUS,
                                    .delay_ms = 100};
    net_pair_init(pair, &shared, &config, 5 + scenario);
    pair->weather.delay_us = DELAY_US;
}

/* Runs until the machine has ended, or at most until then; returns when. */
static uint64_t run_to_end(struct net_pair *pair, uint64_t limit_us)
{
    while (pair->now_us < limit_us && !machine_is_ended(pair->machine, pair->now_us))
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

static void check_results(const struct net_pair *pair)
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
    assert_true(first <= 2 && second <= 2 && shutdown <= 2 && plain <= 2);
    assert_int_equal(first + second + shutdown + plain, net_count(pair, KDNET_EVENT_CRASH_STATUS));
}

static void check_machine(const struct net_pair *pair, bool held)
{
    struct machine_result result;
    machine_result(pair->machine, pair->now_us, &result);
    assert_int_equal(result.state, MACHINE_ENDED);
    assert_int_equal(result.released_wrongly, 0);
    assert_int_equal(result.traps_again, 0);
    if (!held)
        assert_true(result.longest_halt_us <= GRACE_US);
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
    check_machine(&pair, scenarios[scenario].no_reboot);
    check_results(&pair);
    net_pair_clear(&pair);
    for (unsigned at = 1; at <= steps; ++at) {
        begin(&pair, scenario, machines[machine]);
        pair.dies_at = at;
        pair.context = words;
        run_to_end(&pair, base_us + GRACE_US);
        if (went_wrong(&pair, scenarios[scenario].no_reboot)) {
            say(&pair, scenario, names[machine], at);
            print_error("%s\n", words);
        }
        check_machine(&pair, scenarios[scenario].no_reboot);
        check_results(&pair);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_host_that_dies_after_any_datagram_costs_one_poke_interval),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
