/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "service/timers.h"

#include <cmocka.h>

#define IDS 500

static int setup(void **state)
{
    static struct timers timers;
    timers_init(&timers);
    *state = &timers;
    return timers_reserve(&timers, IDS) ? 0 : -1;
}

static int teardown(void **state)
{
    timers_clear(*state);
    return 0;
}

static void an_empty_heap_never_expires(void **state)
{
    uint32_t id = 7;
    assert_true(timers_next(*state, &id) == TIMERS_NEVER);
    assert_int_equal(id, 7);
}

static void the_earliest_deadline_comes_first_whatever_moves(void **state)
{
    struct timers *timers = *state;
    uint64_t wanted[IDS];
    uint32_t seed = 12345;
    for (uint32_t i = 0; i < IDS; ++i)
        wanted[i] = TIMERS_NEVER;
    for (int step = 0; step < 20000; ++step) {
        seed = seed * 1664525 + 1013904223;
        uint32_t id = (seed >> 8) % IDS, earliest = 0;
        wanted[id] = seed % 7 == 0 ? TIMERS_NEVER : seed >> 4;
        timers_set(timers, id, wanted[id]);
        uint64_t least = TIMERS_NEVER;
        size_t count = 0;
        for (uint32_t i = 0; i < IDS; ++i) {
            count += wanted[i] != TIMERS_NEVER;
            least = wanted[i] < least ? wanted[i] : least;
        }
        assert_true(timers_next(timers, &earliest) == least);
        assert_int_equal(timers->count, count);
        if (least != TIMERS_NEVER)
            assert_true(wanted[earliest] == least);
    }
}

static void removing_what_is_not_there_changes_nothing(void **state)
{
    uint32_t id = 0;
    timers_set(*state, 3, 30);
    timers_set(*state, 4, TIMERS_NEVER);
    timers_set(*state, 4, TIMERS_NEVER);
    assert_true(timers_next(*state, &id) == 30);
    assert_int_equal(id, 3);
}

static void more_room_keeps_what_is_set(void **state)
{
    uint32_t id = 0;
    timers_set(*state, 499, 10);
    assert_true(timers_reserve(*state, 4 * (size_t)IDS));
    timers_set(*state, 4 * IDS - 1, 5);
    assert_true(timers_next(*state, &id) == 5);
    timers_set(*state, 4 * IDS - 1, TIMERS_NEVER);
    assert_true(timers_next(*state, &id) == 10);
    assert_int_equal(id, 499);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(an_empty_heap_never_expires, setup, teardown),
        cmocka_unit_test_setup_teardown(the_earliest_deadline_comes_first_whatever_moves, setup, teardown),
        cmocka_unit_test_setup_teardown(removing_what_is_not_there_changes_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(more_room_keeps_what_is_set, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
