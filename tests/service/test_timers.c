/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "service/net/timers.h"

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

static uint64_t next_random(uint64_t *seed)
{
    *seed = *seed * 6364136223846793005U + 1442695040888963407U;
    return *seed >> 33;
}

static void without_deadlines_nothing_is_due(void **state)
{
    uint32_t id = 7;
    assert_true(timers_next(*state) == TIMERS_NEVER);
    assert_false(timers_take(*state, TIMERS_NEVER - 1, &id));
    assert_int_equal(id, 7);
}

/*
 * What is asked of a caller: an id that is due is asked for its deadline; when that has passed it fires, else it is set
 * again. Then each fires in the very round its deadline has passed in, whether it was near or far, moved or not.
 */
static void each_id_fires_when_its_deadline_has_passed_however_it_moved(void **state)
{
    struct timers *timers = *state;
    uint64_t wanted[IDS], now_us = 5000000000U, seed = 12345;
    size_t fired = 0;
    for (uint32_t i = 0; i < IDS; ++i)
        wanted[i] = TIMERS_NEVER;
    for (int step = 0; step < 40000; ++step) {
        uint32_t id = (uint32_t)next_random(&seed) % IDS;
        uint64_t kind = next_random(&seed) % 8, range_us = kind < 4 ? 100000 : kind < 7 ? 60000000 : 500000000;
        wanted[id] = kind == 2 ? TIMERS_NEVER : now_us + next_random(&seed) % range_us;
        timers_set(timers, id, wanted[id], now_us);
        now_us += next_random(&seed) % 20000;
        while (timers_take(timers, now_us, &id)) {
            if (wanted[id] <= now_us) {
                wanted[id] = TIMERS_NEVER;
                ++fired;
            }
            timers_set(timers, id, wanted[id], now_us);
        }
        for (uint32_t i = 0; step % 100 == 0 && i < IDS; ++i)
            assert_true(wanted[i] > now_us);
        uint64_t next_us = timers_next(timers), least_us = TIMERS_NEVER;
        for (uint32_t i = 0; step % 100 == 0 && i < IDS; ++i)
            least_us = wanted[i] < least_us ? wanted[i] : least_us;
        assert_true(step % 100 != 0 || next_us <= least_us); /* the one timer wakes in time */
        assert_true(next_us > now_us);
    }
    assert_true(fired > 1000);
}

/* A poke every three seconds moves the deadline of an idle machine thirty seconds away. */
static void a_deadline_that_moves_away_costs_nothing(void **state)
{
    struct timers *timers = *state;
    uint64_t now_us = 1000000000U;
    uint32_t id = 0;
    size_t taken = 0;
    for (unsigned second = 0; second < 300; ++second) {
        for (uint32_t i = second % 3; i < IDS; i += 3)
            timers_set(timers, i, now_us + 30000000, now_us);
        assert_int_equal(timers->count, 0); /* none is in the heap */
        now_us += 1000000;
        while (timers_take(timers, now_us, &id)) {
            timers_set(timers, id, now_us + 28000000, now_us);
            ++taken;
        }
    }
    assert_in_range(taken, 8 * IDS, 12 * IDS); /* each about once in thirty seconds */
}

static void removing_what_is_not_there_changes_nothing(void **state)
{
    uint32_t id = 0;
    timers_set(*state, 3, 30, 0);
    timers_set(*state, 4, TIMERS_NEVER, 0);
    timers_set(*state, 4, TIMERS_NEVER, 0);
    assert_true(timers_next(*state) == 30);
    assert_false(timers_take(*state, 29, &id));
    assert_true(timers_take(*state, 30, &id));
    assert_int_equal(id, 3);
}

static void more_room_keeps_what_is_set(void **state)
{
    uint32_t id = 0;
    timers_set(*state, 499, 10, 0);
    timers_set(*state, 498, 7500000, 0);
    assert_true(timers_reserve(*state, 4 * (size_t)IDS));
    timers_set(*state, 4 * IDS - 1, 5, 0);
    assert_true(timers_next(*state) == 5);
    timers_set(*state, 4 * IDS - 1, TIMERS_NEVER, 0);
    assert_true(timers_take(*state, 10, &id));
    assert_int_equal(id, 499);
    assert_true(timers_next(*state) == 7000000);
    assert_true(timers_take(*state, 7500000, &id));
    assert_int_equal(id, 498);
}

/* Very many talk at once, and then few: the heap moves to fresh memory, and what it holds comes due as it was set. */
static void a_heap_that_was_large_gets_fresh_memory(void **state)
{
    enum { MANY = 100000, FEW = 100 };
    struct timers *timers = *state;
    uint64_t seed = 5, last_us = 0;
    uint32_t id;
    assert_true(timers_reserve(timers, MANY));
    for (uint32_t i = 0; i < MANY; ++i)
        timers_set(timers, i, 1000000 + next_random(&seed) % 1000000, 0);
    assert_int_equal(timers->most, MANY);
    for (uint32_t i = FEW; i < MANY; ++i)
        timers_set(timers, i, TIMERS_NEVER, 0);
    assert_int_equal(timers->count, FEW);
    assert_in_range(timers->most, FEW, MANY / 4);
    for (unsigned taken = 0; taken < FEW; ++taken) {
        uint64_t due_us = timers_next(timers);
        assert_true(due_us >= last_us);
        assert_true(timers_take(timers, due_us, &id));
        assert_in_range(id, 0, FEW - 1);
        last_us = due_us;
    }
    assert_false(timers_take(timers, TIMERS_NEVER - 1, &id));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(without_deadlines_nothing_is_due, setup, teardown),
        cmocka_unit_test_setup_teardown(each_id_fires_when_its_deadline_has_passed_however_it_moved, setup, teardown),
        cmocka_unit_test_setup_teardown(a_deadline_that_moves_away_costs_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(removing_what_is_not_there_changes_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(more_room_keeps_what_is_set, setup, teardown),
        cmocka_unit_test_setup_teardown(a_heap_that_was_large_gets_fresh_memory, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
