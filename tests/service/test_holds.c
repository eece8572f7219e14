/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "service/worker/holds.h"
#include "tests/service/machine_address.h"

#include <cmocka.h>

#define PORT 50000

static void messages_of_a_source_come_out_in_order(void **state)
{
    struct holds holds = {.count = 0};
    struct address one = machine_address(1), two = machine_address(2);
    struct message messages[5];
    (void)state;
    assert_null(holds_find(&holds, &one, PORT));
    assert_true(holds_begin(&holds, &one, PORT, 1000));
    assert_false(holds_begin(&holds, &one, PORT, 1000));
    assert_null(holds_find(&holds, &two, PORT));
    assert_null(holds_find(&holds, &one, PORT + 1));
    struct hold *hold = holds_find(&holds, &one, PORT);
    for (size_t i = 0; i < 5; ++i)
        holds_put(hold, &messages[i]);
    const struct message *message = holds_end(&holds, hold);
    for (size_t i = 0; i < 5; ++i, message = message->next)
        assert_ptr_equal(message, &messages[i]);
    assert_null(message);
    assert_null(holds_find(&holds, &one, PORT));
    assert_int_equal(holds.count, 0);
}

static void few_wait_and_not_for_long(void **state)
{
    struct holds holds = {.count = 0};
    struct address one = machine_address(1);
    struct message messages[HOLDS_MAILS];
    (void)state;
    assert_true(holds_begin(&holds, &one, PORT, 1000));
    struct hold *hold = holds_find(&holds, &one, PORT);
    assert_true(holds_may_wait(hold, 1000));
    assert_false(holds_may_wait(hold, 1000 + HOLDS_FOR_US));
    for (size_t i = 0; i < HOLDS_MAILS; ++i)
        holds_put(hold, &messages[i]);
    assert_false(holds_may_wait(hold, 1000));
    for (uint8_t i = 2; holds.count < HOLDS_MAX; ++i) {
        struct address other = machine_address(i);
        assert_true(holds_begin(&holds, &other, PORT, 1000));
    }
    struct address late = machine_address(200);
    assert_false(holds_begin(&holds, &late, PORT, 1000));
    (void)holds_end(&holds, hold);
    assert_true(holds_begin(&holds, &late, PORT, 1000));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_of_a_source_come_out_in_order),
        cmocka_unit_test(few_wait_and_not_for_long),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
