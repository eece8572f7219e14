/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "service/worker/forwarding_table.h"
#include "tests/service/machine_address.h"

#include <cmocka.h>

#define PORT 50000

static int setup(void **state)
{
    static struct forwarding_table forwarding_table;
    forwarding_table_init(&forwarding_table, 7);
    *state = &forwarding_table;
    return 0;
}

static int teardown(void **state)
{
    forwarding_table_clear(*state);
    return 0;
}

static void a_source_is_found_at_its_port_until_it_is_removed(void **state)
{
    struct forwarding_table *forwarding_table = *state;
    struct address one = machine_address(1), two = machine_address(2);
    unsigned worker = 99;
    assert_false(forwarding_table_find(forwarding_table, &one, PORT, &worker));
    forwarding_table_set(forwarding_table, &one, PORT, 3);
    forwarding_table_set(forwarding_table, &two, PORT, 0);
    assert_true(forwarding_table_find(forwarding_table, &one, PORT, &worker));
    assert_int_equal(worker, 3);
    assert_true(forwarding_table_find(forwarding_table, &two, PORT, &worker));
    assert_int_equal(worker, 0);
    assert_false(forwarding_table_find(forwarding_table, &one, PORT + 1, &worker));
    forwarding_table_set(forwarding_table, &one, PORT, 1); /* it is another worker's now */
    assert_true(forwarding_table_find(forwarding_table, &one, PORT, &worker));
    assert_int_equal(worker, 1);
    assert_int_equal(forwarding_table->count, 2);
    forwarding_table_remove(forwarding_table, &one, PORT);
    forwarding_table_remove(forwarding_table, &one, PORT);
    assert_false(forwarding_table_find(forwarding_table, &one, PORT, &worker));
    assert_int_equal(forwarding_table->count, 1);
}

/* A flood of claims costs no memory: old ones go. The newest of each set is there. */
static void the_table_is_bounded_and_keeps_the_newest(void **state)
{
    struct forwarding_table *forwarding_table = *state;
    unsigned worker = 0;
    size_t found = 0;
    for (uint32_t i = 0; i < 100000; ++i) {
        struct address source = machine_address(i);
        forwarding_table_set(forwarding_table, &source, PORT, 1);
        assert_true(forwarding_table_find(forwarding_table, &source, PORT, &worker));
    }
    assert_true(forwarding_table->count <= FORWARDING_TABLE_WAYS * FORWARDING_TABLE_SETS);
    for (uint32_t i = 0; i < 100000; ++i) {
        struct address source = machine_address(i);
        found += forwarding_table_find(forwarding_table, &source, PORT, &worker);
    }
    assert_int_equal(found, forwarding_table->count);
    for (uint32_t i = 0; i < 100000; ++i) {
        struct address source = machine_address(i);
        forwarding_table_remove(forwarding_table, &source, PORT);
    }
    assert_int_equal(forwarding_table->count, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_source_is_found_at_its_port_until_it_is_removed),
        TEST(the_table_is_bounded_and_keeps_the_newest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
