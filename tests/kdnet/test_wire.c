/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "kdnet/base/wire.h"
#include "tests/support/bytes.h"

static const uint8_t ascending[8] = {0x81, 0x92, 0xa3, 0xb4, 0xc5, 0xd6, 0xe7, 0xf8};

static void little_endian_numbers_start_with_their_lowest_byte(void **state)
{
    (void)state;
    assert_int_equal(kdnet_get_le16(ascending), 0x9281);
    assert_int_equal(kdnet_get_le32(ascending), 0xb4a39281);
    assert_true(kdnet_get_le64(ascending) == 0xf8e7d6c5b4a39281U);
}

static void big_endian_numbers_start_with_their_highest_byte(void **state)
{
    (void)state;
    assert_int_equal(kdnet_get_be16(ascending), 0x8192);
    assert_true(kdnet_get_be32(ascending) == 0x8192a3b4);
    assert_true(kdnet_get_be64(ascending) == 0x8192a3b4c5d6e7f8U);
}

static void putting_writes_what_getting_read(void **state)
{
    (void)state;
    uint8_t out[8];
    memset(out, 0, sizeof out);
    kdnet_put_le16(out, 0x9281);
    assert_memory_equal(out, ascending, 2);
    kdnet_put_le32(out, 0xb4a39281);
    assert_memory_equal(out, ascending, 4);
    kdnet_put_le64(out, 0xf8e7d6c5b4a39281U);
    assert_memory_equal(out, ascending, 8);
    memset(out, 0, sizeof out);
    kdnet_put_be16(out, 0x8192);
    assert_memory_equal(out, ascending, 2);
    kdnet_put_be32(out, 0x8192a3b4);
    assert_memory_equal(out, ascending, 4);
    kdnet_put_be64(out, 0x8192a3b4c5d6e7f8U);
    assert_memory_equal(out, ascending, 8);
}

static void numbers_keep_to_their_bytes_at_any_alignment(void **state)
{
    (void)state;
    for (size_t shift = 0; shift < 8; ++shift) {
        uint8_t *block = bytes_copy((uint8_t[16]){0}, shift + 8);
        memset(block, 0xee, shift);
        kdnet_put_le64(block + shift, 0x0123456789abcdefU);
        assert_true(kdnet_get_le64(block + shift) == 0x0123456789abcdefU);
        assert_true(kdnet_get_be64(block + shift) == 0xefcdab8967452301U);
        kdnet_put_be16(block + shift + 6, 0xfffe);
        assert_int_equal(kdnet_get_be16(block + shift + 6), 0xfffe);
        assert_int_equal(kdnet_get_le16(block + shift + 6), 0xfeff);
        for (size_t i = 0; i < shift; ++i)
            assert_int_equal(block[i], 0xee);
        free(block);
    }
}

static void all_ones_and_zero_go_round(void **state)
{
    (void)state;
    static const uint64_t values[] = {0, 1, UINT16_MAX, UINT32_MAX, 0x8000000000000000U, UINT64_MAX};
    for (size_t i = 0; i < sizeof values / sizeof values[0]; ++i) {
        uint8_t out[8];
        kdnet_put_le64(out, values[i]);
        assert_true(kdnet_get_le64(out) == values[i]);
        kdnet_put_be64(out, values[i]);
        assert_true(kdnet_get_be64(out) == values[i]);
        kdnet_put_le32(out, (uint32_t)values[i]);
        assert_int_equal(kdnet_get_le32(out), (uint32_t)values[i]);
        kdnet_put_le16(out, (uint16_t)values[i]);
        assert_int_equal(kdnet_get_le16(out), (uint16_t)values[i]);
        kdnet_put_be16(out, (uint16_t)values[i]);
        assert_int_equal(kdnet_get_be16(out), (uint16_t)values[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(little_endian_numbers_start_with_their_lowest_byte),
        cmocka_unit_test(big_endian_numbers_start_with_their_highest_byte),
        cmocka_unit_test(putting_writes_what_getting_read),
        cmocka_unit_test(numbers_keep_to_their_bytes_at_any_alignment),
        cmocka_unit_test(all_ones_and_zero_go_round),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
