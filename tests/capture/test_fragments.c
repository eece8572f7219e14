/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "service/capture/fragments.h"
#include "tests/support/random.h"

#define PIECE 512U

static uint8_t whole[FRAGMENTS_LENGTH];

static int fill(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof whole; ++i)
        whole[i] = (uint8_t)(i * 7 + i / 251);
    return 0;
}

static struct frame_fragment part_of(uint32_t id, size_t offset, size_t length, size_t total)
{
    return (struct frame_fragment){.from.ip[15] = 1,
                                   .to.ip[15] = 2,
                                   .id = id,
                                   .protocol = 17,
                                   .offset = (uint16_t)offset,
                                   .more = offset + length < total,
                                   .data = whole + offset,
                                   .length = length};
}

/* Piece `i` of a packet of `total` bytes. */
static struct frame_fragment piece(uint32_t id, size_t i, size_t total)
{
    size_t offset = i * PIECE;
    return part_of(id, offset, total - offset < PIECE ? total - offset : PIECE, total);
}

static void parts_in_any_order_make_the_packet(void **state)
{
    (void)state;
    static const size_t totals[] = {1, PIECE - 1, PIECE, PIECE + 1, 4000, 9 * PIECE + 5, 65535 - 8};
    struct fragments *fragments = fragments_new();
    struct test_random random;
    test_random_init(&random);
    for (size_t t = 0; t < sizeof totals / sizeof totals[0]; ++t) {
        size_t count = (totals[t] + PIECE - 1) / PIECE, order[200], length = 0;
        const uint8_t *data = NULL;
        for (size_t i = 0; i < count; ++i)
            order[i] = i;
        for (size_t i = count; i > 1; --i) {
            size_t j = test_random_below(&random, i), kept = order[i - 1];
            order[i - 1] = order[j];
            order[j] = kept;
        }
        for (size_t i = 0; i < count; ++i) {
            struct frame_fragment part = piece((uint32_t)t, order[i], totals[t]);
            assert_int_equal(fragments_add(fragments, &part, &data, &length), i + 1 == count ? count : 0);
        }
        assert_int_equal(length, totals[t]);
        assert_memory_equal(data, whole, length);
    }
    fragments_free(fragments);
}

static void part_that_comes_twice_completes_nothing(void **state)
{
    (void)state;
    struct fragments *fragments = fragments_new();
    const uint8_t *data;
    size_t length;
    struct frame_fragment first = piece(1, 0, 1000), last = piece(1, 1, 1000);
    assert_int_equal(fragments_add(fragments, &first, &data, &length), 0);
    assert_int_equal(fragments_add(fragments, &first, &data, &length), 0);
    assert_int_equal(fragments_add(fragments, &last, &data, &length), 3);
    assert_int_equal(length, 1000);
    fragments_free(fragments);
}

static void packets_do_not_mix(void **state)
{
    (void)state;
    struct fragments *fragments = fragments_new();
    const uint8_t *data;
    size_t length;
    struct frame_fragment first = piece(1, 0, 1000), last = piece(1, 1, 1000);
    assert_int_equal(fragments_add(fragments, &first, &data, &length), 0);
    struct frame_fragment other = last;
    other.id = 2;
    assert_int_equal(fragments_add(fragments, &other, &data, &length), 0);
    other = last;
    other.protocol = 6;
    assert_int_equal(fragments_add(fragments, &other, &data, &length), 0);
    other = last;
    other.from.ip[15] = 3;
    assert_int_equal(fragments_add(fragments, &other, &data, &length), 0);
    assert_int_equal(fragments_add(fragments, &last, &data, &length), 2);
    fragments_free(fragments);
}

static void packet_that_waits_longest_gives_way(void **state)
{
    (void)state;
    struct fragments *fragments = fragments_new();
    const uint8_t *data;
    size_t length;
    for (uint32_t id = 0; id <= FRAGMENTS_PENDING; ++id) {
        struct frame_fragment first = piece(id, 0, 1000);
        assert_int_equal(fragments_add(fragments, &first, &data, &length), 0);
    }
    for (uint32_t id = FRAGMENTS_PENDING; id > 0; --id) {
        struct frame_fragment last = piece(id, 1, 1000);
        assert_int_equal(fragments_add(fragments, &last, &data, &length), 2);
    }
    struct frame_fragment last = piece(0, 1, 1000);
    assert_int_equal(fragments_add(fragments, &last, &data, &length), 0);
    fragments_free(fragments);
}

static void impossible_parts_are_passed_over(void **state)
{
    (void)state;
    struct fragments *fragments = fragments_new();
    const uint8_t *data;
    size_t length;
    struct frame_fragment part = part_of(1, 65528, 8, 65536);
    part.length = 9; /* beyond the longest packet */
    assert_int_equal(fragments_add(fragments, &part, &data, &length), 0);
    part = part_of(1, 0, 8, 8);
    part.length = 0;
    assert_int_equal(fragments_add(fragments, &part, &data, &length), 0);
    part = part_of(1, 0, 8, 8);
    part.cut = true;
    assert_int_equal(fragments_add(fragments, &part, &data, &length), 0);
    part = part_of(1, 0, 13, 100); /* only the last may have an odd length */
    assert_int_equal(fragments_add(fragments, &part, &data, &length), 0);
    part = part_of(1, 65528, 8, 65536);
    assert_int_equal(fragments_add(fragments, &part, &data, &length), 0);
    fragments_free(fragments);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parts_in_any_order_make_the_packet),
        cmocka_unit_test(part_that_comes_twice_completes_nothing),
        cmocka_unit_test(packets_do_not_mix),
        cmocka_unit_test(packet_that_waits_longest_gives_way),
        cmocka_unit_test(impossible_parts_are_passed_over),
    };
    return cmocka_run_group_tests(tests, fill, NULL);
}
