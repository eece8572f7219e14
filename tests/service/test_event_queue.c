/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "service/output/event_queue.h"

#include <cmocka.h>

#define LINE_BYTES ((size_t)100)
#define MANY       1000000U

static struct event_queue queue;
static uint64_t number;

static int setup(void **state)
{
    (void)state;
    event_queue_init(&queue, (size_t)64 << 20, (size_t)64 << 10);
    number = 0;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    event_queue_clear(&queue);
    return 0;
}

static void push(uint64_t key, enum event_worth worth)
{
    char text[LINE_BYTES];
    memset(text, 'x', sizeof text);
    struct event_line *line = event_line_new(text, sizeof text, worth, ++number);
    assert_non_null(line);
    assert_true(event_queue_push(&queue, line, key));
}

/* Sheds one line, whatever the bound is, and says which it was. */
static uint64_t shed_one(void)
{
    queue.limit_bytes = queue.bytes - 1;
    struct event_line *line = event_queue_shed(&queue);
    assert_non_null(line);
    uint64_t shed = line->number;
    free(line);
    return shed;
}

static void expect_shed(uint64_t wanted)
{
    assert_int_equal(shed_one(), wanted);
}

static void lines_leave_in_the_order_in_which_they_came(void **state)
{
    (void)state;
    for (uint64_t i = 0; i < 1000; ++i)
        push(i % 7, (enum event_worth)(i % EVENT_WORTHS));
    for (uint64_t i = 1; i <= 1000; ++i) {
        struct event_line *line = event_queue_pop(&queue);
        assert_int_equal(line->number, i);
        free(line);
    }
    assert_null(event_queue_pop(&queue));
    assert_int_equal(queue.bytes, 0);
    assert_int_equal(queue.source_count, 0);
}

static void what_is_worth_least_is_shed_first_the_oldest_of_it(void **state)
{
    (void)state;
    push(1, EVENT_WORTH_VERDICT);
    push(1, EVENT_WORTH_STATUS);
    push(1, EVENT_WORTH_BREAK);
    push(1, EVENT_WORTH_CONNECTION);
    push(1, EVENT_WORTH_PRINT);
    push(1, EVENT_WORTH_PRINT);
    for (uint64_t wanted = 5; wanted <= 6; ++wanted)
        expect_shed(wanted);
    for (uint64_t wanted = 4; wanted >= 1; --wanted)
        expect_shed(wanted);
}

static void of_one_worth_the_machine_with_the_most_of_it_sheds(void **state)
{
    (void)state;
    push(1, EVENT_WORTH_BREAK);
    for (int i = 0; i < 20; ++i)
        push(2, EVENT_WORTH_BREAK);
    for (uint64_t wanted = 2; wanted < 10; ++wanted)
        expect_shed(wanted);
}

static void a_machine_with_too_much_sheds_its_own_verdicts_before_prints_of_others(void **state)
{
    (void)state;
    queue.machine_bytes = 10 * LINE_BYTES;
    push(1, EVENT_WORTH_PRINT);
    push(1, EVENT_WORTH_VERDICT);
    for (int i = 0; i < 100; ++i)
        push(2, EVENT_WORTH_VERDICT);
    for (uint64_t wanted = 3; wanted < 90; ++wanted)
        expect_shed(wanted);
    for (int i = 0; i < 20; ++i)
        if (shed_one() == 1)
            return; /* when it has no more than others may, worth counts */
    fail();
}

/* 40 machines with a result each, and one that floods, with whatever it can, before and behind them. */
static void a_flood_costs_no_other_machine_a_line(void **state)
{
    (void)state;
    queue.limit_bytes = (size_t)4 << 20;
    queue.machine_bytes = queue.limit_bytes / 1024;
    for (unsigned i = 0; i < MANY; ++i) {
        struct event_line *shed = NULL;
        push(1, (enum event_worth)(i % EVENT_WORTHS));
        if (i % (MANY / 40) == 0)
            for (unsigned worth = 0; worth < EVENT_WORTHS; ++worth)
                push(2 + i, (enum event_worth)worth);
        while ((shed = event_queue_shed(&queue)))
            free(shed);
    }
    size_t innocent = 0;
    for (const struct event_line *line = queue.first; line; line = line->next)
        innocent += line->source != queue.last->source;
    assert_true(innocent >= (size_t)39 * EVENT_WORTHS);
    assert_true(queue.bytes <= queue.limit_bytes);
}

static void as_many_machines_as_there_are_shed_within_the_bound(void **state)
{
    (void)state;
    queue.limit_bytes = (size_t)1 << 20;
    for (unsigned i = 0; i < 100000; ++i) {
        struct event_line *shed = NULL;
        push(i, (enum event_worth)(i % EVENT_WORTHS));
        while ((shed = event_queue_shed(&queue)))
            free(shed);
        assert_true(queue.bytes <= queue.limit_bytes);
    }
    for (const struct event_line *line = queue.first; line; line = line->next)
        assert_int_equal(line->worth, EVENT_WORTH_VERDICT);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(lines_leave_in_the_order_in_which_they_came),
        TEST(what_is_worth_least_is_shed_first_the_oldest_of_it),
        TEST(of_one_worth_the_machine_with_the_most_of_it_sheds),
        TEST(a_machine_with_too_much_sheds_its_own_verdicts_before_prints_of_others),
        TEST(a_flood_costs_no_other_machine_a_line),
        TEST(as_many_machines_as_there_are_shed_within_the_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
