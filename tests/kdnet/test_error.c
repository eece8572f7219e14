/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <limits.h>
#include <string.h>
#include <cmocka.h>

#include "kdnet/error.h"

#define CODE(name, value, family, text) KDNET_ERR_##name,
static const int codes[] = {KDNET_ERROR_MAP(CODE)};
#undef CODE
#define CODES (sizeof codes / sizeof codes[0])

static void codes_are_negative_and_differ(void **state)
{
    (void)state;
    assert_int_equal(KDNET_OK, 0);
    for (size_t i = 0; i < CODES; ++i) {
        assert_true(codes[i] < 0);
        for (size_t j = 0; j < i; ++j)
            assert_int_not_equal(codes[i], codes[j]);
    }
}

static void each_code_has_its_own_text_without_full_stop(void **state)
{
    (void)state;
    for (size_t i = 0; i < CODES; ++i) {
        const char *text = kdnet_error_text(codes[i]);
        assert_true(strlen(text) > 0);
        assert_int_not_equal(text[strlen(text) - 1], '.');
        assert_string_not_equal(text, kdnet_error_text(1));
        for (size_t j = 0; j < i; ++j)
            assert_string_not_equal(text, kdnet_error_text(codes[j]));
    }
    assert_string_equal(kdnet_error_text(KDNET_OK), "success");
    assert_string_equal(kdnet_error_text(KDNET_ERR_AUTH), "wrong key or damaged");
}

static void unknown_codes_have_a_text_and_give_up(void **state)
{
    (void)state;
    static const int unknown[] = {1, -1000, INT_MIN, INT_MAX};
    for (size_t i = 0; i < sizeof unknown / sizeof unknown[0]; ++i) {
        assert_string_equal(kdnet_error_text(unknown[i]), "unknown error");
        assert_int_equal(kdnet_error_family(unknown[i]), KDNET_FAMILY_GIVE_UP);
    }
}

static void families_say_what_a_caller_does(void **state)
{
    (void)state;
    assert_int_equal(kdnet_error_family(KDNET_OK), KDNET_FAMILY_NONE);
    assert_int_equal(kdnet_error_family(KDNET_ERR_SHORT), KDNET_FAMILY_DROP);
    assert_int_equal(kdnet_error_family(KDNET_ERR_AUTH), KDNET_FAMILY_DROP);
    assert_int_equal(kdnet_error_family(KDNET_ERR_FORMAT), KDNET_FAMILY_DROP);
    assert_int_equal(kdnet_error_family(KDNET_ERR_CHECKSUM), KDNET_FAMILY_RESYNC);
    assert_int_equal(kdnet_error_family(KDNET_ERR_REPEAT), KDNET_FAMILY_RESYNC);
    assert_int_equal(kdnet_error_family(KDNET_ERR_MEMORY), KDNET_FAMILY_GIVE_UP);
    assert_int_equal(kdnet_error_family(KDNET_ERR_CRYPTO), KDNET_FAMILY_GIVE_UP);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(codes_are_negative_and_differ),
        cmocka_unit_test(each_code_has_its_own_text_without_full_stop),
        cmocka_unit_test(unknown_codes_have_a_text_and_give_up),
        cmocka_unit_test(families_say_what_a_caller_does),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
