/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "service/worker/worker_clock.h"

#include <cmocka.h>

#define MS  1000U
#define S   1000000U
#define NOW (UINT64_C(5000) * S)

static struct worker_clock_stalls stalls;
static struct worker_clock one, other;
static uint64_t system_us;

/* Two threads that have just looked, and say how long they sleep. */
static int setup(void **state)
{
    (void)state;
    memset(&stalls, 0, sizeof stalls);
    memset(&one, 0, sizeof one);
    memset(&other, 0, sizeof other);
    system_us = NOW;
    worker_clock_look(&one, &stalls, system_us);
    worker_clock_look(&other, &stalls, system_us);
    worker_clock_sleep(&one, 0);
    worker_clock_sleep(&other, 0);
    return 0;
}

static uint64_t look(struct worker_clock *clock)
{
    return worker_clock_look(clock, &stalls, system_us);
}

/* Of a loop that looks every millisecond. */
static void run(struct worker_clock *clock, uint64_t for_us)
{
    for (uint64_t end_us = system_us + for_us; system_us < end_us; system_us += MS)
        (void)look(clock);
}

static void run_both(uint64_t for_us)
{
    for (uint64_t end_us = system_us + for_us; system_us < end_us; system_us += MS) {
        (void)look(&one);
        (void)look(&other);
    }
}

static void it_is_the_systems_time_while_nothing_stands_still(void **state)
{
    (void)state;
    run(&one, 2 * S);
    assert_int_equal(look(&one), NOW + 2 * S);
    worker_clock_sleep(&one, 7 * S);
    system_us += 7 * S + 50 * MS; /* woken late, as it happens */
    assert_int_equal(look(&one), NOW + 9 * S + 50 * MS);
    assert_int_equal(stalls.sum_us, 0);
    assert_int_equal(worker_clock_stalled_us(&one), 0);
}

static void a_stall_between_two_looks_is_left_out(void **state)
{
    (void)state;
    system_us += 3 * S;
    assert_int_equal(look(&one), NOW);
    assert_int_equal(worker_clock_stalled_us(&one), NOW);
    run(&one, S);
    assert_int_equal(look(&one), NOW + S);
    assert_int_equal(system_us - look(&one), 3 * S);
}

static void a_stall_in_a_sleep_costs_no_more_than_the_sleep(void **state)
{
    (void)state;
    worker_clock_sleep(&one, 40 * MS);
    system_us += 3600U * UINT64_C(1000000);
    assert_int_equal(look(&one), NOW + 40 * MS);
}

/* It may have been woken by a datagram before, but no more than the sleep is credited. */
static void a_sleep_is_credited_once(void **state)
{
    (void)state;
    worker_clock_sleep(&one, 10 * S);
    system_us += MS;
    (void)look(&one);
    system_us += 3 * S;
    assert_int_equal(look(&one), NOW + MS);
}

static void all_threads_leave_the_same_stall_out_once(void **state)
{
    (void)state;
    worker_clock_sleep(&one, 40 * MS);
    worker_clock_sleep(&other, 500 * MS);
    system_us += 3 * S;
    assert_int_equal(look(&one), NOW + 40 * MS);
    assert_in_range(look(&other), NOW + 40 * MS, NOW + 500 * MS);
    assert_int_equal(stalls.sum_us, 3 * S - 40 * MS);
    assert_true(worker_clock_stalled_us(&other) != 0); /* it noticed too: its sockets come first */
    run_both(S);
    assert_int_equal(look(&other), look(&one));
}

/* One alone: the times of the two stay comparable, and the other's goes on. */
static void the_clock_of_a_thread_that_ran_goes_slower_and_never_back(void **state)
{
    (void)state;
    run(&other, 3 * S);
    uint64_t before_us = look(&other);
    assert_int_equal(look(&one), NOW);
    assert_int_equal(look(&other), before_us);
    assert_int_equal(worker_clock_stalled_us(&other), 0);
    run_both(S);
    assert_in_range(look(&other), before_us + S / 2, before_us + S / 2 + MS);
    assert_int_equal(look(&one), NOW + S);
    run_both(5 * S); /* twice as long as the stall: even again */
    assert_int_equal(look(&other), look(&one));
    assert_int_equal(stalls.sum_us, 3 * S);
}

/* How long something took for the people, stalls included. */
static void it_knows_how_far_it_was_behind(void **state)
{
    (void)state;
    assert_int_equal(worker_clock_lag_at(&one, NOW), 0);
    uint64_t logged_us[2 * WORKER_CLOCK_PAST], then_us[2 * WORKER_CLOCK_PAST];
    for (unsigned i = 0; i < 2 * WORKER_CLOCK_PAST; ++i) {
        logged_us[i] = look(&one);
        then_us[i] = system_us;
        system_us += MS;
        (void)look(&one);
        system_us += S;
    }
    (void)look(&one);
    for (unsigned i = WORKER_CLOCK_PAST; i < 2 * WORKER_CLOCK_PAST; ++i)
        assert_int_equal(logged_us[i] + worker_clock_lag_at(&one, logged_us[i]), then_us[i]);
    assert_int_equal(worker_clock_lag_at(&one, 0), WORKER_CLOCK_PAST * S); /* the oldest that it remembers */
    assert_int_equal(look(&one) + worker_clock_lag_at(&one, look(&one)), system_us);
}

/* Such as one that works for the others, and waits for disks: it neither notices nor goes back. */
static void a_thread_that_never_says_how_long_it_sleeps_stops_nobody(void **state)
{
    (void)state;
    struct worker_clock third = {0};
    (void)look(&third);
    system_us += 3 * S;
    assert_int_equal(look(&third), NOW + 3 * S);
    assert_int_equal(stalls.sum_us, 0);
    (void)look(&one);
    assert_int_equal(look(&third), NOW + 3 * S);
    system_us += 4 * S;
    assert_int_equal(look(&third), NOW + 4 * S);
}

static void an_endless_sleep_is_no_stall(void **state)
{
    (void)state;
    worker_clock_sleep(&one, WORKER_CLOCK_ENDLESS);
    system_us += 86400U * UINT64_C(1000000);
    assert_int_equal(look(&one), system_us);
    assert_int_equal(stalls.sum_us, 0);
}

#define TEST(name) cmocka_unit_test_setup(name, setup)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(it_is_the_systems_time_while_nothing_stands_still),
        TEST(a_stall_between_two_looks_is_left_out),
        TEST(a_stall_in_a_sleep_costs_no_more_than_the_sleep),
        TEST(a_sleep_is_credited_once),
        TEST(all_threads_leave_the_same_stall_out_once),
        TEST(the_clock_of_a_thread_that_ran_goes_slower_and_never_back),
        TEST(it_knows_how_far_it_was_behind),
        TEST(a_thread_that_never_says_how_long_it_sleeps_stops_nobody),
        TEST(an_endless_sleep_is_no_stall),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
