/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "service/server/unknown_sources.h"

#include <cmocka.h>

#define SECOND ((uint64_t)1000000)
#define START  (100 * SECOND)

static struct unknown_sources unknown_sources;

static struct address source(uint32_t number)
{
    struct address address = {.port = 1};
    memcpy(address.ip, &number, sizeof number);
    return address;
}

static void note(uint32_t number, uint64_t now_us)
{
    struct search_poke poke = {.source = source(number), .local_port = 50000, .length = KEY_SEARCH_PAYLOAD};
    unknown_sources_note(&unknown_sources, &poke, 5, now_us);
}

static size_t told(uint64_t now_us, struct unknown_source *last)
{
    size_t at = 0, count = 0;
    while (unknown_sources_next(&unknown_sources, &at, now_us, last))
        ++count;
    return count;
}

static int setup(void **state)
{
    (void)state;
    unknown_sources_init(&unknown_sources, 7);
    return 0;
}

static void a_source_is_told_of_a_second_after_its_first_poke(void **state)
{
    (void)state;
    struct unknown_source last;
    note(1, START);
    note(1, START + 1);
    assert_int_equal(told(START + SECOND - 1, &last), 0);
    assert_int_equal(told(START + SECOND, &last), 1);
    assert_int_equal(last.count, 2);
    assert_int_equal(last.version, 5);
    assert_int_equal(last.listen_port, 50000);
}

static void a_source_that_goes_on_is_told_of_once_a_minute(void **state)
{
    (void)state;
    struct unknown_source last;
    size_t times = 0;
    for (uint64_t second = 0; second < 180; ++second) {
        note(1, START + second * SECOND);
        times += told(START + second * SECOND, &last);
    }
    assert_int_equal(times, 3);
    assert_int_equal(last.count, 60);
}

static void a_source_that_stopped_is_not_told_of_again(void **state)
{
    (void)state;
    struct unknown_source last;
    note(1, START);
    assert_int_equal(told(START + SECOND, &last), 1);
    assert_int_equal(told(START + 1000 * SECOND, &last), 0);
}

static void many_sources_make_few_lines(void **state)
{
    (void)state;
    struct unknown_source last;
    size_t times = 0;
    for (uint64_t second = 0; second < 60; ++second) {
        for (uint32_t i = 0; i < 5000; ++i)
            note(i * 60 + (uint32_t)second, START + second * SECOND);
        size_t now = told(START + second * SECOND, &last);
        assert_true(now <= UNKNOWN_SOURCES_PER_SECOND);
        times += now;
    }
    assert_int_equal(times, UNKNOWN_SOURCES_PER_MINUTE);
    assert_true(unknown_sources_unreported(&unknown_sources) > 100000);
    assert_int_equal(unknown_sources_unreported(&unknown_sources), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_source_is_told_of_a_second_after_its_first_poke, setup),
        cmocka_unit_test_setup(a_source_that_goes_on_is_told_of_once_a_minute, setup),
        cmocka_unit_test_setup(a_source_that_stopped_is_not_told_of_again, setup),
        cmocka_unit_test_setup(many_sources_make_few_lines, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
