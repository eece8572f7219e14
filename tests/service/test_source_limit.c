/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "service/net/source_limit.h"

#include <cmocka.h>

static struct source_limit source_limit;

static int setup(void **state)
{
    (void)state;
    source_limit_init(&source_limit, 77);
    return 0;
}

/* Sources are told apart by what address_hash makes of them: any 64 bits. */
static uint64_t source(uint64_t number)
{
    return number * 0xbf58476d1ce4e5b9U;
}

static void a_machine_that_is_read_is_never_shed(void **state)
{
    (void)state;
    for (uint64_t now_us = 1000000; now_us < 2000000; now_us += 2000)
        assert_true(source_limit_take(&source_limit, source(1), now_us));
}

static void a_source_that_floods_keeps_a_quarter_of_what_is_too_much(void **state)
{
    (void)state;
    size_t taken = 0;
    for (size_t i = 0; i < 200064; ++i)
        taken += source_limit_take(&source_limit, source(1), 1000000);
    assert_in_range(taken, 50000, 50100);
}

/* A hundred thousand idle machines beside one that floods: each of their pokes is taken. */
static void idle_machines_do_not_pay_for_one_that_floods(void **state)
{
    (void)state;
    size_t shed = 0;
    for (uint64_t i = 0; i < 30000; ++i) {
        uint64_t now_us = 1000000 + i * 30; /* a second */
        for (int flood = 0; flood < 10; ++flood)
            (void)source_limit_take(&source_limit, source(0), now_us);
        shed += !source_limit_take(&source_limit, source(1 + i), now_us);
    }
    assert_in_range(shed, 0, 10); /* those that have the flood's counter in one window */
}

static void a_new_window_begins_anew(void **state)
{
    (void)state;
    for (size_t i = 0; i < SOURCE_LIMIT_DATAGRAMS; ++i)
        assert_true(source_limit_take(&source_limit, source(1), 1000000));
    assert_false(source_limit_take(&source_limit, source(1), 1000000));
    assert_true(source_limit_take(&source_limit, source(1), 1000000 + SOURCE_LIMIT_WINDOW_US));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_machine_that_is_read_is_never_shed, setup),
        cmocka_unit_test_setup(a_source_that_floods_keeps_a_quarter_of_what_is_too_much, setup),
        cmocka_unit_test_setup(idle_machines_do_not_pay_for_one_that_floods, setup),
        cmocka_unit_test_setup(a_new_window_begins_anew, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
