/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "service/worker/release_gate.h"

#include <cmocka.h>

static struct release_gate queue;

static int setup(void **state)
{
    (void)state;
    release_gate_init(&queue);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    release_gate_clear(&queue);
    return 0;
}

static void expect_next(uint64_t settled, uint64_t now_us, uint32_t wanted)
{
    uint32_t id = UINT32_MAX;
    assert_true(release_gate_next(&queue, settled, false, now_us, &id));
    assert_int_equal(id, wanted);
}

static void expect_none(uint64_t settled, uint64_t now_us)
{
    uint32_t id;
    assert_false(release_gate_next(&queue, settled, false, now_us, &id));
}

static void each_waits_until_its_result_is_written(void **state)
{
    (void)state;
    assert_true(release_gate_add(&queue, 7, 10, 1000));
    assert_true(release_gate_add(&queue, 8, 12, 1100));
    expect_none(9, 1200);
    expect_next(11, 1300, 7);
    expect_none(11, 1300);
    expect_next(12, 1400, 8);
    expect_none(12, 1400);
    assert_true(release_gate_deadline(&queue) == UINT64_MAX);
}

static void a_disk_that_stands_still_is_waited_for_once(void **state)
{
    uint32_t id;
    (void)state;
    assert_true(release_gate_add(&queue, 7, 10, 1000));
    assert_true(release_gate_add(&queue, 8, 12, 2000));
    assert_true(release_gate_deadline(&queue) == 1000 + RELEASE_GATE_US);
    expect_none(0, 1000 + RELEASE_GATE_US - 1);
    expect_next(0, 1000 + RELEASE_GATE_US, 7);
    expect_next(0, 1000 + RELEASE_GATE_US, 8); /* the others do not wait as long */
    assert_false(release_gate_add(&queue, 9, 14, 50000));
    assert_false(release_gate_next(&queue, 14, true, 60000, &id)); /* caught up */
    assert_true(release_gate_add(&queue, 9, 16, 70000));
    expect_none(15, 70001);
}

static void thousands_wait_in_order(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 5000; ++i) {
        assert_true(release_gate_add(&queue, i, i, 0));
        if (i % 3 == 2)
            expect_next(i / 3, 1, i / 3);
    }
    for (uint32_t i = 1666; i < 5000; ++i)
        expect_next(5000, 1, i);
    expect_none(5000, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(each_waits_until_its_result_is_written),
        TEST(a_disk_that_stands_still_is_waited_for_once),
        TEST(thousands_wait_in_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
