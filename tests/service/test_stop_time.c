/* SPDX-License-Identifier: Apache-2.0 */
/* Who gets how much of the time that the end has: an end that is played on a clock of the test. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "service/server/stop_time.h"
#include "tests/support/random.h"

#include <cmocka.h>

#define NEVER    UINT64_MAX /* so long a stage takes that hangs */
#define BEGUN_US UINT64_C(123456789)
#define SECOND   UINT64_C(1000000)
#define ROUNDS   100000

/* Plays an end whose stages want so long. Returns how long it took; `got`: how long each was let. */
static uint64_t play(const uint64_t wants[static STOP_STAGES], uint64_t got[static STOP_STAGES])
{
    struct stop_time time = {.begun = false};
    uint64_t now_us = BEGUN_US;
    stop_time_begin(&time, now_us);
    for (unsigned stage = 0; stage < STOP_STAGES; ++stage) {
        uint64_t share_us = stop_time_share(&time, stage, now_us);
        got[stage] = wants[stage] < share_us ? wants[stage] : share_us;
        now_us += got[stage];
        stop_time_begin(&time, now_us); /* told twice: it has begun */
    }
    return now_us - BEGUN_US;
}

static void when_everything_hangs_it_is_over_in_time(void **state)
{
    uint64_t wants[STOP_STAGES], got[STOP_STAGES];
    (void)state;
    for (unsigned stage = 0; stage < STOP_STAGES; ++stage)
        wants[stage] = NEVER;
    assert_int_equal(play(wants, got), STOP_TIME_US);
    assert_in_range(STOP_TIME_US, 0, 15 * SECOND - 1);
    for (unsigned stage = 0; stage < STOP_STAGES; ++stage)
        assert_in_range(got[stage], SECOND / 10, STOP_TIME_US);
    assert_int_equal(got[STOP_MACHINES], STOP_TIME_MACHINES_US);
}

/* A slow disk takes all results in the time that others leave: as long as before there was one deadline. */
static void results_have_eight_seconds_when_machines_are_quick(void **state)
{
    uint64_t wants[STOP_STAGES], got[STOP_STAGES];
    (void)state;
    for (unsigned stage = 0; stage < STOP_STAGES; ++stage)
        wants[stage] = NEVER;
    wants[STOP_MACHINES] = 0;
    assert_int_equal(play(wants, got), STOP_TIME_US);
    assert_int_equal(got[STOP_CLOSING], 3 * SECOND);
    assert_int_equal(got[STOP_RESULTS], 8 * SECOND);
}

static void results_come_before_all_that_follows(void **state)
{
    uint64_t wants[STOP_STAGES], got[STOP_STAGES];
    (void)state;
    for (unsigned stage = 0; stage < STOP_STAGES; ++stage)
        wants[stage] = NEVER;
    wants[STOP_MACHINES] = 2 * SECOND + SECOND / 2; /* the default read_deadline */
    (void)play(wants, got);
    assert_in_range(got[STOP_RESULTS], 5 * SECOND, 8 * SECOND);
    for (unsigned stage = STOP_RESULTS + 1; stage < STOP_STAGES; ++stage)
        assert_in_range(got[stage], 1, got[STOP_RESULTS] / 4);
}

static void what_is_quick_leaves_its_time_to_the_others(void **state)
{
    uint64_t wants[STOP_STAGES] = {0}, got[STOP_STAGES];
    (void)state;
    for (unsigned stage = 0; stage < STOP_STAGES; ++stage) {
        memset(wants, 0, sizeof wants);
        wants[stage] = NEVER;
        uint64_t took_us = play(wants, got);
        assert_int_equal(took_us, got[stage]);
        assert_in_range(got[stage], 200000, 8 * SECOND);
        assert_true(stage == STOP_AGAIN || got[stage] >= SECOND);
    }
}

/* Machines are never cut short: what comes after them then has little, and each of it something. */
static void after_too_long_a_stage_each_has_its_least(void **state)
{
    struct stop_time time = {.begun = false};
    uint64_t sum_us = 0;
    (void)state;
    stop_time_begin(&time, BEGUN_US);
    for (unsigned stage = STOP_CLOSING; stage < STOP_STAGES; ++stage) {
        uint64_t share_us = stop_time_share(&time, stage, BEGUN_US + 10 * STOP_TIME_US);
        assert_in_range(share_us, SECOND / 10, 2 * SECOND);
        sum_us += share_us;
    }
    assert_in_range(sum_us, SECOND, STOP_TIME_US - STOP_TIME_MACHINES_US);
}

static void whatever_its_stages_take_it_is_over_in_time(void **state)
{
    struct test_random random;
    (void)state;
    test_random_init(&random);
    for (unsigned round = 0; round < ROUNDS; ++round) {
        uint64_t wants[STOP_STAGES], got[STOP_STAGES];
        for (unsigned stage = 0; stage < STOP_STAGES; ++stage)
            wants[stage] = test_random_below(&random, 4) == 0 ? NEVER : test_random_below(&random, 4000000);
        assert_in_range(play(wants, got), 0, STOP_TIME_US);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(when_everything_hangs_it_is_over_in_time),
        cmocka_unit_test(results_have_eight_seconds_when_machines_are_quick),
        cmocka_unit_test(results_come_before_all_that_follows),
        cmocka_unit_test(what_is_quick_leaves_its_time_to_the_others),
        cmocka_unit_test(after_too_long_a_stage_each_has_its_least),
        cmocka_unit_test(whatever_its_stages_take_it_is_over_in_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
