/* SPDX-License-Identifier: Apache-2.0 */
/* http/pace: how often something may begin, on a clock of the test's own. */
#include "service/http/pace.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#define BEGUN_US UINT64_C(1000000000)

static unsigned take_all(struct pace *pace, uint64_t now_us)
{
    unsigned taken = 0;
    while (pace_take(pace, now_us))
        ++taken;
    return taken;
}

static void after_a_rest_half_a_second_begins_at_once(void **state)
{
    struct pace pace = {.a_second = 1000};
    (void)state;
    unsigned at_once = take_all(&pace, BEGUN_US);
    assert_in_range(at_once, 500, 501);
    assert_int_equal(take_all(&pace, BEGUN_US), 0);
    assert_int_equal(take_all(&pace, BEGUN_US + UINT64_C(3600000000)),
                     at_once); /* a long rest gives no more than a short one */
}

static void then_as_many_a_second_as_it_says(void **state)
{
    static const unsigned rates[] = {1, 7, 250, 1000, 1000000};
    (void)state;
    for (size_t i = 0; i < sizeof rates / sizeof rates[0]; ++i) {
        struct pace pace = {.a_second = rates[i]};
        uint64_t now_us = BEGUN_US, taken = 0;
        (void)take_all(&pace, now_us);
        for (unsigned ms = 0; ms < 10000; ++ms)
            taken += take_all(&pace, now_us += 1000);
        assert_in_range(taken, 10 * rates[i] - 1, 10 * rates[i] + 1 + rates[i] / 1000);
    }
}

static void what_is_left_is_told_to_the_microsecond(void **state)
{
    struct pace pace = {.a_second = 3};
    (void)state;
    assert_int_equal(pace_left_us(&pace, BEGUN_US), 0);
    (void)take_all(&pace, BEGUN_US);
    uint64_t left = pace_left_us(&pace, BEGUN_US);
    assert_true(left > 0);
    assert_false(pace_take(&pace, BEGUN_US + left - 1));
    assert_true(pace_take(&pace, BEGUN_US + left));
}

static void at_the_clocks_ends_it_goes_on(void **state)
{
    struct pace pace = {.a_second = 1000};
    (void)state;
    assert_true(pace_take(&pace, 0));
    assert_true(pace_take(&pace, UINT64_MAX / 2));
    assert_true(pace_now_us() <= pace_now_us());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(after_a_rest_half_a_second_begins_at_once),
        cmocka_unit_test(then_as_many_a_second_as_it_says),
        cmocka_unit_test(what_is_left_is_told_to_the_microsecond),
        cmocka_unit_test(at_the_clocks_ends_it_goes_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
