/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "service/net/locals.h"

#include <cmocka.h>

static struct locals locals;

static const uint8_t *ip_of(unsigned number)
{
    static uint8_t ip[16];
    ip[14] = (uint8_t)(number >> 8);
    ip[15] = (uint8_t)number;
    return ip;
}

static void an_address_keeps_its_number(void **state)
{
    (void)state;
    assert_int_equal(locals_init(&locals), 0);
    assert_null(locals_ip(&locals, 0));
    assert_null(locals_ip(&locals, 1));
    for (unsigned round = 0; round < 2; ++round)
        for (unsigned i = 0; i < LOCALS_MAX; ++i)
            assert_int_equal(locals_number(&locals, ip_of(i)), i + 1);
    assert_memory_equal(locals_ip(&locals, 300), ip_of(299), 16);
    locals_clear(&locals);
}

static void without_room_an_address_has_no_number(void **state)
{
    (void)state;
    assert_int_equal(locals_init(&locals), 0);
    for (unsigned i = 0; i < LOCALS_MAX; ++i)
        (void)locals_number(&locals, ip_of(i));
    assert_int_equal(locals_number(&locals, ip_of(LOCALS_MAX)), 0);
    assert_int_equal(locals_number(&locals, ip_of(0)), 1);
    assert_null(locals_ip(&locals, LOCALS_MAX + 1));
    locals_clear(&locals);
}

static void add_all(void *user)
{
    for (unsigned i = 0; i < LOCALS_MAX; ++i) {
        uint8_t ip[16] = {0};
        ip[14] = (uint8_t)(i >> 8);
        ip[15] = (uint8_t)i;
        uint16_t number = locals_number(user, ip);
        if (number == 0 || memcmp(locals_ip(user, number), ip, sizeof ip) != 0)
            abort(); /* cmocka cannot fail on another thread */
    }
}

static void threads_agree(void **state)
{
    uv_thread_t threads[4];
    (void)state;
    assert_int_equal(locals_init(&locals), 0);
    for (size_t i = 0; i < 4; ++i)
        assert_int_equal(uv_thread_create(&threads[i], add_all, &locals), 0);
    for (size_t i = 0; i < 4; ++i)
        assert_int_equal(uv_thread_join(&threads[i]), 0);
    assert_int_equal(atomic_load(&locals.count), LOCALS_MAX);
    locals_clear(&locals);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_address_keeps_its_number),
        cmocka_unit_test(without_room_an_address_has_no_number),
        cmocka_unit_test(threads_agree),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
