/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "service/worker/responses.h"
#include "tests/service/machine_address.h"

#include <cmocka.h>

#define PORT 50000

static int setup(void **state)
{
    static struct responses responses;
    responses_init(&responses, 7);
    *state = &responses;
    return 0;
}

static int teardown(void **state)
{
    responses_clear(*state);
    return 0;
}

static void each_response_is_found_where_it_went(void **state)
{
    struct address here = machine_address(1), there = machine_address(2);
    uint32_t rows[RESPONSES_WAYS];
    assert_int_equal(responses_at(*state, &here, PORT, rows), 0);
    responses_note(*state, &here, PORT, 0);
    responses_note(*state, &here, PORT, 5);
    responses_note(*state, &here, PORT, 0);
    for (uint32_t i = 0; i < 100; ++i) { /* recordings, played from elsewhere */
        struct address elsewhere = machine_address(1000 + i);
        responses_note(*state, &elsewhere, PORT, 5);
    }
    assert_int_equal(responses_at(*state, &here, PORT, rows), 2);
    assert_int_equal(rows[0], 0);
    assert_int_equal(rows[1], 5);
    assert_int_equal(responses_at(*state, &here, PORT + 1, rows), 0);
    assert_int_equal(responses_at(*state, &there, PORT, rows), 0);
    responses_forget(*state, &here, PORT, 0);
    assert_int_equal(responses_at(*state, &here, PORT, rows), 1);
    assert_int_equal(rows[0], 5);
}

static void the_table_is_bounded(void **state)
{
    struct responses *responses = *state;
    struct address here = machine_address(1);
    uint32_t rows[RESPONSES_WAYS];
    for (uint32_t i = 0; i < 50000; ++i) {
        struct address elsewhere = machine_address(2 + i);
        responses_note(responses, &elsewhere, PORT, i);
    }
    assert_in_range(responses->count, 1, RESPONSES_SETS * RESPONSES_WAYS);
    for (uint32_t i = 0; i < 50; ++i)
        responses_note(responses, &here, PORT, i);
    assert_int_equal(responses_at(responses, &here, PORT, rows), RESPONSES_WAYS);
    assert_int_equal(rows[0], 49); /* the newest first */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(each_response_is_found_where_it_went, setup, teardown),
        cmocka_unit_test_setup_teardown(the_table_is_bounded, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
