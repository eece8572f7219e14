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

static struct kdnet_session_shared shared;
static struct kdnet_session_counts counts;

static int setup(void **state)
{
    (void)state;
    net_shared_init(&shared);
    shared.read_deadline_us = 30000000;
    shared.counts = &counts;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    net_shared_clear(&shared);
    return 0;
}

/* A crash from its first break to the reboot; returns what the session sent again. */
static uint64_t sent_again(uint32_t delay_us, uint32_t jitter_us, struct machine_result *result)
{
    struct machine_config config = {.scenario = "bugcheck", .status = 0xc0000185U, .delay_ms = 100};
    struct net_pair pair;
    counts = (struct kdnet_session_counts){0};
    net_pair_init(&pair, &shared, &config, 1 + delay_us);
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
    uint64_t quick = sent_again(100, 0, &result); /* what the refresh on the way into a crash costs: no time-out */
    for (size_t i = 0; i < COUNT(delays_us); ++i) {
        assert_int_equal(sent_again(delays_us[i], 0, &result), quick);
        assert_int_equal(result.host_repeats, 0);
        assert_int_equal(result.handshakes, 3);
    }
}

/* Where the status is still under way at the deadline of the last break, it is waited for. */
static void a_status_that_is_under_way_at_the_deadline_is_waited_for(void **state)
{
    static const uint32_t delays_us[] = {200000, 220000, 240000};
    (void)state;
    for (size_t i = 0; i < COUNT(delays_us); ++i) {
        struct machine_config config = {.scenario = "bugcheck", .status = 0xc0000185U, .delay_ms = 100};
        struct net_pair pair;
        shared.read_deadline_us = KDNET_READ_DEADLINE_US;
        net_pair_init(&pair, &shared, &config, 3);
        pair.weather.delay_us = delays_us[i];
        net_pair_run(&pair, LIMIT_US);
        const struct kdnet_event *last = net_event(&pair, KDNET_EVENT_CRASH_STATUS, 1);
        assert_non_null(last);
        assert_true(last->u.crash_status.status_known);
        assert_int_equal(last->u.crash_status.status, 0xc0000185U);
        net_pair_clear(&pair);
    }
    shared.read_deadline_us = 30000000;
}

/* Round trips that differ by half: the margin learns it. */
static void a_fitful_network_is_asked_twice_a_few_times_at_most(void **state)
{
    struct machine_result result;
    (void)state;
    assert_in_range(sent_again(40000, 40000, &result), 0, 6);
    assert_int_equal(result.traps_again, 0);
    assert_int_equal(machine_harm(&result), 0);
}

/* A fleet that connects is asked what it may wait with, and soon less and less often; a machine that had a host before,
 * and may stand still since, steadily for half a minute. */
static void a_machine_that_was_connected_to_nobody_is_asked_less(void **state)
{
    struct machine_config config = {.scenario = "idle"};
    struct machine_result first, again;
    struct net_pair pair;
    (void)state;
    net_pair_init(&pair, &shared, &config, 5);
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
        cmocka_unit_test(a_status_that_is_under_way_at_the_deadline_is_waited_for),
        cmocka_unit_test(a_fitful_network_is_asked_twice_a_few_times_at_most),
        cmocka_unit_test(a_machine_that_was_connected_to_nobody_is_asked_less),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
