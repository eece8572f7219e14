/* SPDX-License-Identifier: Apache-2.0 */
/* Slow networks: a session's patience follows the round trips that it measures, so that no machine is asked twice. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/session/net.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define LIMIT_US     60000000U
#define SECOND_US    UINT64_C(1000000)

static struct kdnet_session_counts counts;

static int setup(void **state)
{
    (void)net_setup(state);
    net_shared.read_deadline_us = 30000000;
    net_shared.counts = &counts;
    return 0;
}

/* A crash from its first break to the reboot; returns what the session sent again. */
static uint64_t sent_again(uint64_t seed, uint32_t delay_us, uint32_t jitter_us, struct machine_result *result)
{
    struct machine_config config = {.scenario = "bugcheck", .status = 0xc0000185U, .delay_ms = 100};
    struct net_pair pair;
    counts = (struct kdnet_session_counts){0};
    net_pair_init(&pair, &net_shared, &config, seed);
    pair.weather.delay_us = delay_us;
    pair.weather.jitter_us = jitter_us;
    net_pair_run(&pair, LIMIT_US);
    machine_result(pair.machine, pair.now_us, result);
    assert_int_equal(result->state, MACHINE_ENDED);
    assert_int_equal(net_count(&pair, KDNET_EVENT_CRASH_STATUS), 2);
    net_pair_clear(&pair);
    return counts.sent_again;
}

/* The handshake measures the first round trip, so even the first request waits long enough. */
static void a_slow_network_is_not_asked_twice(void **state)
{
    static const uint32_t delays_us[] = {1000, 10000, 60000, 120000, 200000};
    struct machine_result result;
    (void)state;
    uint64_t quick = sent_again(1, 100, 0, &result); /* what the refresh on the way into a crash costs: no time-out */
    for (size_t i = 0; i < COUNT(delays_us); ++i) {
        assert_int_equal(sent_again(1 + i, delays_us[i], 0, &result), quick);
        assert_int_equal(result.host_repeats, 0);
        assert_int_equal(result.handshakes, 3);
    }
}

/* --- far away, and narrow ----------------------------------------------------------------------------------------- */

struct reach {
    const char *scenario;
    bool no_reboot, evidence;
    uint32_t rtt_ms;
    size_t longest; /* datagram that the network carries; 0: any */
};

static bool carry(struct net_pair *pair, bool to_host, const uint8_t *payload, size_t length)
{
    const struct reach *reach = pair->context;
    (void)to_host;
    (void)payload;
    return reach->longest == 0 || length <= reach->longest;
}

/* Whether the last break has its status, each break its result, and nothing was done to the machine. */
static bool is_told(const struct net_pair *pair, const struct reach *reach, const struct machine_result *result)
{
    struct machine_expectation expected;
    unsigned results = net_count(pair, KDNET_EVENT_CRASH_STATUS);
    const struct kdnet_event *last = net_event(pair, KDNET_EVENT_CRASH_STATUS, results - 1);
    machine_expectation(pair->machine, &expected);
    /* A second break that is not known as one in time is continued, and comes again. */
    bool one_each = results == expected.breaks || (reach->no_reboot && reach->rtt_ms > 1000);
    return last && last->u.crash_status.status_known && last->u.crash_status.status == expected.status && one_each &&
           machine_harm(result) == 0;
}

/* Returns how long the machine stood still at most. */
static uint64_t try_reach(const struct reach *reach, uint64_t bound_us)
{
    struct machine_config config = {
        .scenario = reach->scenario, .no_reboot = reach->no_reboot, .status = 0xc0000185U, .delay_ms = 8000};
    struct kdnet_session_shared own = net_shared;
    struct machine_result result;
    struct net_pair pair;
    char story[NET_STORY_SIZE];
    own.read_deadline_us = KDNET_READ_DEADLINE_US;
    if (reach->evidence)
        net_shared_evidence(&own);
    net_pair_init(&pair, &own, &config, 3 + reach->rtt_ms);
    pair.weather.delay_us = reach->rtt_ms * 500;
    pair.watch = carry;
    pair.context = (void *)(uintptr_t)reach;
    net_pair_run(&pair, LIMIT_US);
    machine_result(pair.machine, pair.now_us, &result);
    net_story(&pair, story);
    uint64_t halt_us = reach->no_reboot ? 0 : result.longest_halt_us; /* one that holds goes on never */
    if (!is_told(&pair, reach, &result) || halt_us > bound_us)
        fail_msg("%s%s, %u ms, datagrams up to %zu: halted %llu ms: %s", reach->scenario,
                 reach->no_reboot ? " (no reboot)" : "", (unsigned)reach->rtt_ms, reach->longest,
                 (unsigned long long)halt_us / 1000, story);
    net_pair_clear(&pair);
    return halt_us;
}

static const struct reach crashes[] = {
    {.scenario = "bugcheck"},
    {.scenario = "bugcheck", .evidence = true},
    {.scenario = "bugcheck", .no_reboot = true},
};

/* The default deadline holds a few round trips only: the status comes before all that is not needed for it, what was
 * learnt at the first break counts at the last, and what is under way at a deadline is waited for. */
static void the_last_status_is_read_however_far_the_machine_is(void **state)
{
    static const uint32_t rtts_ms[] = {100, 166, 170, 250, 333,  400,  450,  500,  600,
                                       700, 800, 900, 999, 1000, 1200, 1500, 1800, 2000};
    (void)state;
    for (size_t i = 0; i < COUNT(rtts_ms); ++i)
        for (size_t n = 0; n < COUNT(crashes); ++n) {
            struct reach reach = crashes[n];
            reach.rtt_ms = rtts_ms[i];
            uint64_t halt_us = try_reach(&reach, KDNET_READ_DEADLINE_US + 6000ULL * reach.rtt_ms);
            if (n == 0)
                print_message("%5u ms: halted %llu ms\n", (unsigned)reach.rtt_ms, (unsigned long long)halt_us / 1000);
        }
}

static void try_narrow(size_t longest, uint32_t rtt_ms, uint64_t bound_us)
{
    for (size_t n = 0; n < COUNT(crashes); ++n) {
        struct reach reach = crashes[n];
        reach.longest = longest;
        reach.rtt_ms = rtt_ms;
        uint64_t halt_us = try_reach(&reach, bound_us);
        if (n == 0)
            print_message("%5zu bytes, %4u ms: halted %llu ms\n", longest, (unsigned)rtt_ms,
                          (unsigned long long)halt_us / 1000);
    }
}

/* Replies that are too long for the network never come: reads and registers are asked for in parts. Far away, it takes
 * a few round trips more until that is known. */
static void the_last_status_is_read_however_short_datagrams_have_to_be(void **state)
{
    static const size_t longest[] = {1400, 1330, 1300, 1200, 1130, 1100, 1000, 800, 700, 600, 500};
    static const uint32_t rtts_ms[] = {0, 1, 20, 60, 150, 200}, far_ms[] = {400, 700};
    (void)state;
    for (size_t i = 0; i < COUNT(longest); ++i) {
        for (size_t r = 0; r < COUNT(rtts_ms); ++r)
            try_narrow(longest[i], rtts_ms[r], KDNET_READ_DEADLINE_US + SECOND_US / 2 + 6000ULL * rtts_ms[r]);
        for (size_t r = 0; r < COUNT(far_ms) && longest[i] >= 700; ++r)
            try_narrow(longest[i], far_ms[r], KDNET_READ_DEADLINE_US + SECOND_US / 2 + 11000ULL * far_ms[r]);
    }
}

#define FITFUL 200U /* crashes, each on a network of its own */

/* Round trips that differ by half: the margin learns it. */
static void a_fitful_network_is_asked_twice_a_few_times_at_most(void **state)
{
    struct machine_result result;
    (void)state;
    uint64_t again = 0;
    for (uint64_t seed = 1; seed <= FITFUL; ++seed) {
        uint64_t now = sent_again(seed, 40000, 40000, &result);
        assert_in_range(now, 0, 20);
        again += now;
        assert_int_equal(result.traps_again, 0);
        assert_int_equal(machine_harm(&result), 0);
    }
    print_message("%.1f packets again in the mean\n", (double)again / FITFUL);
    assert_in_range(again, 0, 10 * FITFUL);
}

/* A fleet that connects is asked what it may wait with, and soon less and less often; a machine that had a host before,
 * and may stand still since, steadily for half a minute. */
static void a_machine_that_was_connected_to_nobody_is_asked_less(void **state)
{
    struct machine_config config = {.scenario = "idle"};
    struct machine_result first, again;
    struct net_pair pair;
    (void)state;
    net_pair_init(&pair, &net_shared, &config, 5);
    net_pair_run(&pair, 36000000);
    machine_result(pair.machine, pair.now_us, &first);
    assert_int_equal(first.resends, 4 + 3); /* four at once, then after 5, 15 and 35 s */
    net_pair_restart(&pair);
    net_pair_run(&pair, 36000000 + 3100000 + 36000000);
    machine_result(pair.machine, pair.now_us, &again);
    assert_int_equal(again.resends - first.resends, 9 + 5); /* nine with its first three pokes, then each 5 s */
    net_pair_clear(&pair);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_slow_network_is_not_asked_twice),
        cmocka_unit_test(the_last_status_is_read_however_far_the_machine_is),
        cmocka_unit_test(the_last_status_is_read_however_short_datagrams_have_to_be),
        cmocka_unit_test(a_fitful_network_is_asked_twice_a_few_times_at_most),
        cmocka_unit_test(a_machine_that_was_connected_to_nobody_is_asked_less),
    };
    return cmocka_run_group_tests(tests, setup, net_teardown);
}
