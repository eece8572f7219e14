/* SPDX-License-Identifier: Apache-2.0 */
/* Thousands of machines that crash behind a network that loses a fifth of all datagrams, repeats and reorders the rest.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "kdnet/kernel/layout_cache.h"
#include "tests/session/net.h"
#include "tests/support/part.h"

#define SESSIONS      (10000U / TEST_ONE_IN(4U))
#define SLICE_US      250000U
#define LIMIT_US      90000000U
#define DEADLINE_US   20000000U  /* of reading: with one datagram in five lost, two seconds are not always enough */
#define LOST_AFTER_US 120000000U /* nor 30 s for a handshake after a reboot, in one of ten thousand */

static const uint32_t statuses[] = {0, 0xffffffff, 0xc000007f, 0xc0000185, 0x00000103};
static const enum kdnet_machine machines[] = {KDNET_MACHINE_X64, KDNET_MACHINE_X86, KDNET_MACHINE_ARM64};
static const uint8_t versions[] = {2, 4, 5};

static enum kdnet_verdict verdict_of(uint32_t status)
{
    return status == 0            ? KDNET_VERDICT_WRITTEN
           : status == 0xffffffff ? KDNET_VERDICT_NOT_STARTED
                                  : KDNET_VERDICT_FAILED;
}

static bool ended(const struct net_pair *pair)
{
    return machine_is_ended(pair->machine, pair->now_us) && net_event(pair, KDNET_EVENT_CRASH_STATUS, 1) != NULL &&
           !(kdnet_session_is_halted(pair->session) && net_event(pair, KDNET_EVENT_RELEASED, 1) == NULL);
}

/* One crash: first break, then shutdown or second break, each with one result. */
static void check_pair(const struct net_pair *pair, unsigned n)
{
    struct machine_expectation expected;
    struct machine_result result;
    machine_expectation(pair->machine, &expected);
    machine_result(pair->machine, pair->now_us, &result);
    const struct kdnet_event *first = net_event(pair, KDNET_EVENT_CRASH_STATUS, 0);
    const struct kdnet_event *last = net_event(pair, KDNET_EVENT_CRASH_STATUS, 1);
    if (!ended(pair) || net_count(pair, KDNET_EVENT_CRASH_STATUS) != 2 || result.released_wrongly || result.traps_again)
        fail_msg("session %u: state %d, %u results, %u events, wrong %u, traps %u", n, (int)result.state,
                 net_count(pair, KDNET_EVENT_CRASH_STATUS), pair->event_count, result.released_wrongly,
                 result.traps_again);
    assert_int_equal(first->u.crash_status.phase, KDNET_PHASE_BUGCHECK_FIRST);
    assert_int_equal(first->u.crash_status.conclusion.verdict, KDNET_VERDICT_NOT_STARTED);
    assert_int_equal(last->u.crash_status.phase, expected.second ? KDNET_PHASE_BUGCHECK_SECOND : KDNET_PHASE_SHUTDOWN);
    assert_true(last->u.crash_status.status_known);
    assert_int_equal(last->u.crash_status.status, expected.status);
    assert_int_equal(last->u.crash_status.conclusion.verdict, verdict_of(expected.status));
    assert_true(last->u.crash_status.bugcheck.known);
    assert_int_equal(last->u.crash_status.bugcheck.data.code, expected.bugcheck.code);
    assert_memory_equal(last->u.crash_status.bugcheck.data.parameters, expected.bugcheck.parameters,
                        sizeof expected.bugcheck.parameters);
    assert_int_equal(net_count(pair, KDNET_EVENT_BREAK_IN), 2);
    assert_int_equal(net_count(pair, KDNET_EVENT_BUGCHECK), 1);
    assert_int_equal(net_count(pair, KDNET_EVENT_RELEASED), 2);
    assert_int_equal(net_count(pair, KDNET_EVENT_LOST), 0);
}

static void thousands_of_lossy_sessions_end_in_the_right_result(void **state)
{
    (void)state;
    struct kdnet_session_shared shared;
    struct test_random random;
    test_random_init(&random);
    net_shared_init(&shared);
    struct kdnet_layout_cache layout_cache = {.count = 0};
    shared.layout_cache = &layout_cache;
    shared.read_deadline_us = DEADLINE_US;
    shared.lost_after_us = LOST_AFTER_US;
    struct net_pair *pairs = calloc(SESSIONS, sizeof *pairs);
    assert_non_null(pairs);
    for (unsigned i = 0; i < SESSIONS; ++i) {
        struct machine_config config = {.scenario = "bugcheck",
                                        .machine = machines[i % 3],
                                        .version = versions[i / 3 % 3],
                                        .status = statuses[i % 5],
                                        .no_reboot = i % 7 == 0,
                                        .delay_ms = 50 + i % 400};
        net_pair_init(&pairs[i], &shared, &config, test_random_next(&random));
        pairs[i].weather =
            (struct net_weather){.loss_percent = 20, .repeat_percent = 10, .delay_us = 300, .jitter_us = 3000};
    }
    unsigned running = SESSIONS;
    for (uint64_t now_us = SLICE_US; running > 0 && now_us <= LIMIT_US; now_us += SLICE_US) {
        running = 0;
        for (unsigned i = 0; i < SESSIONS; ++i) {
            if (ended(&pairs[i]))
                continue;
            net_pair_run(&pairs[i], now_us);
            ++running;
        }
    }
    unsigned long long sent = 0, halted_us = 0, longest_us = 0;
    for (unsigned i = 0; i < SESSIONS; ++i) {
        struct machine_result result;
        check_pair(&pairs[i], i);
        machine_result(pairs[i].machine, pairs[i].now_us, &result);
        sent += pairs[i].sent_by_host;
        const struct kdnet_event *released = net_event(&pairs[i], KDNET_EVENT_RELEASED, 0);
        halted_us += released->u.released.halted_us;
        if (released->u.released.halted_us > longest_us)
            longest_us = released->u.released.halted_us;
    }
    print_message("%u sessions: %llu datagrams sent; first break halted %llu us on average, %llu us at most\n",
                  SESSIONS, sent, halted_us / SESSIONS, longest_us);
    for (unsigned i = 0; i < SESSIONS; ++i)
        net_pair_clear(&pairs[i]);
    free(pairs);
    net_shared_clear(&shared);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(thousands_of_lossy_sessions_end_in_the_right_result),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
