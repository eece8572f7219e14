/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "service/runtime/cpu_budget.h"

#include <cmocka.h>

#define ROUND_US 500U

/* A loop that is busy for `busy_us` of each round, and does the paced work in the rest as far as it may. Returns the
 * microseconds of paced work in a second. A unit takes 10 ns. */
static uint64_t run(uint64_t busy_us)
{
    struct cpu_budget cpu_budget;
    uint64_t now_us = 1000000, worked_us = 0, end_us = now_us + 10000000;
    cpu_budget_init(&cpu_budget, now_us);
    while (now_us < end_us) {
        size_t units = cpu_budget_units(&cpu_budget);
        uint64_t took_us = units / 100, idle_us = 0;
        cpu_budget_spent(&cpu_budget, units, took_us);
        worked_us += took_us;
        if (busy_us + took_us < ROUND_US)
            idle_us = ROUND_US - busy_us - took_us;
        now_us += busy_us + took_us + idle_us;
        cpu_budget_pass(&cpu_budget, now_us, idle_us);
    }
    return worked_us / 10;
}

static void a_loop_with_nothing_else_to_do_gives_half_of_its_time(void **state)
{
    (void)state;
    assert_in_range(run(0), 450000, 550000);
}

static void a_busy_loop_gives_half_of_what_is_free(void **state)
{
    (void)state;
    assert_in_range(run(ROUND_US * 8 / 10), 80000, 140000);
}

static void a_loop_without_free_time_gives_a_twentieth(void **state)
{
    (void)state;
    assert_in_range(run(ROUND_US), 40000, 60000);
}

static void work_that_leads_to_nothing_gets_little(void **state)
{
    (void)state;
    struct cpu_budget cpu_budget;
    uint64_t now_us = 1000000, worked_us = 0;
    cpu_budget_init(&cpu_budget, now_us);
    cpu_budget_judge(&cpu_budget, 5, 1000);
    for (int i = 0; i < 20000; ++i) {
        size_t units = cpu_budget_units(&cpu_budget);
        uint64_t took_us = units / 100;
        cpu_budget_spent(&cpu_budget, units, took_us);
        worked_us += took_us;
        now_us += ROUND_US;
        cpu_budget_pass(&cpu_budget, now_us, ROUND_US - took_us);
    }
    assert_in_range(worked_us / 10, 50000, 70000); /* a sixteenth of each second */
    for (int i = 0; i < 10; ++i)
        cpu_budget_judge(&cpu_budget, 100, 200);
    cpu_budget.credit_us = 0;
    cpu_budget_pass(&cpu_budget, now_us + 1000, 1000);
    assert_int_equal(cpu_budget.credit_us, 1000);
}

static void a_slice_is_short_on_a_slow_machine_too(void **state)
{
    (void)state;
    struct cpu_budget cpu_budget;
    uint64_t now_us = 1000000;
    cpu_budget_init(&cpu_budget, now_us);
    for (int i = 0; i < 100; ++i) { /* a unit takes 500 ns: no AES instructions */
        size_t units = cpu_budget_units(&cpu_budget);
        cpu_budget_spent(&cpu_budget, units, units / 2);
        now_us += 10000;
        cpu_budget_pass(&cpu_budget, now_us, 10000);
    }
    assert_in_range(cpu_budget_units(&cpu_budget) / 2, CPU_BUDGET_SLICE_US / 2, CPU_BUDGET_SLICE_US * 2);
}

static void what_is_saved_up_is_bounded(void **state)
{
    (void)state;
    struct cpu_budget cpu_budget;
    cpu_budget_init(&cpu_budget, 0);
    cpu_budget_pass(&cpu_budget, 3600000000U, 3600000000U);
    assert_int_equal(cpu_budget.credit_us, CPU_BUDGET_CREDIT_US);
    cpu_budget_spent(&cpu_budget, 1, UINT64_MAX);
    assert_int_equal(cpu_budget_units(&cpu_budget), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_loop_with_nothing_else_to_do_gives_half_of_its_time),
        cmocka_unit_test(a_busy_loop_gives_half_of_what_is_free),
        cmocka_unit_test(a_loop_without_free_time_gives_a_twentieth),
        cmocka_unit_test(work_that_leads_to_nothing_gets_little),
        cmocka_unit_test(a_slice_is_short_on_a_slow_machine_too),
        cmocka_unit_test(what_is_saved_up_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
