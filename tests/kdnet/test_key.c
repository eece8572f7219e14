/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "kdnet/error.h"
#include "kdnet/key.h"

static int parse(const char *text, struct kdnet_key *key, enum kdnet_key_fault *fault, int *part)
{
    return kdnet_key_parse(text, strlen(text), key, fault, part);
}

static void key_of_the_capture_is_four_little_endian_eights(void **state)
{
    (void)state;
    static const uint8_t expected[32] = {[0] = 8, [8] = 8, [16] = 8, [24] = 8};
    struct kdnet_key key;
    assert_int_equal(parse("8.8.8.8", &key, NULL, NULL), KDNET_OK);
    assert_memory_equal(key.bytes, expected, sizeof expected);
}

static void both_cases_and_largest_part_are_read(void **state)
{
    (void)state;
    struct kdnet_key lower, upper;
    assert_int_equal(parse("3w5e11264sgsf.0.z.10", &lower, NULL, NULL), KDNET_OK);
    assert_int_equal(parse("3W5E11264SGSF.00.Z.10", &upper, NULL, NULL), KDNET_OK);
    assert_memory_equal(lower.bytes, upper.bytes, KDNET_KEY_LENGTH);
    for (int i = 0; i < 8; ++i)
        assert_int_equal(lower.bytes[i], 0xff);
    assert_int_equal(lower.bytes[16], 35);
    assert_int_equal(lower.bytes[24], 36);
}

static void text_and_bytes_go_round(void **state)
{
    (void)state;
    static const char *const texts[] = {"8.8.8.8", "1.2.3.4", "0.0.0.0",
                                        "3w5e11264sgsf.3w5e11264sgsf.3w5e11264sgsf.3w5e11264sgsf"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; ++i) {
        struct kdnet_key key;
        char text[KDNET_KEY_TEXT_SIZE];
        assert_int_equal(parse(texts[i], &key, NULL, NULL), KDNET_OK);
        kdnet_key_format(&key, text);
        assert_string_equal(text, texts[i]);
    }
}

static void each_mistake_is_named_with_its_part(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum kdnet_key_fault fault;
        int part;
    } cases[] = {
        {"", KDNET_KEY_FAULT_PARTS, 1},
        {"1", KDNET_KEY_FAULT_PARTS, 2},
        {"1.2.3", KDNET_KEY_FAULT_PARTS, 4},
        {"1.2.3.", KDNET_KEY_FAULT_PARTS, 4},
        {"1..3.4", KDNET_KEY_FAULT_PARTS, 2},
        {"1.2.3.4.5", KDNET_KEY_FAULT_PARTS, 4},
        {"1.2.3.4.", KDNET_KEY_FAULT_PARTS, 4},
        {"1.2-.3.4", KDNET_KEY_FAULT_DIGIT, 2},
        {" 1.2.3.4", KDNET_KEY_FAULT_DIGIT, 1},
        {"1.2.3w5e11264sgsg.4", KDNET_KEY_FAULT_RANGE, 3},
        {"1.2.3.zzzzzzzzzzzzzz", KDNET_KEY_FAULT_RANGE, 4},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; ++i) {
        struct kdnet_key key, before;
        memset(&key, 0x5a, sizeof key);
        before = key;
        enum kdnet_key_fault fault = KDNET_KEY_FAULT_NONE;
        int part = 0;
        assert_int_equal(parse(cases[i].text, &key, &fault, &part), KDNET_ERR_KEY);
        assert_int_equal(fault, cases[i].fault);
        assert_int_equal(part, cases[i].part);
        assert_memory_equal(&key, &before, sizeof key);
    }
}

static void keys_that_can_be_guessed_are_known(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool guessable;
    } cases[] = {
        {"1.2.3.4", true},
        {"8.8.8.8", true},
        {"0.0.0.0", true},
        {"zzzz.zzzzzy.zzzzzx.zzzzzw", true}, /* 15 bytes */
        {"2steg4fzbj2sz.23418vzkd4ko3.1g34ou07z4pev.1sp3yo9yz874p", true},
        {"29p34y6n3wd25.2q4f5zr37e3p3.12z8iq9y7jzb6.2cn6z43dvyrkt", true},
        {"1m770ts6ru0p.1m770ts6ru0p.2b8djy3wt5et.1p99ir125v4q", true}, /* two are equal */
        {"1m770ts6ru0p.3671pemyie4i.2b8djy3wt5et.1p99ir125v4q", false},
        {"1.3671pemyie4i.2b8djy3wt5et.1p99ir125v4q", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; ++i) {
        struct kdnet_key key;
        assert_int_equal(parse(cases[i].text, &key, NULL, NULL), KDNET_OK);
        assert_int_equal(kdnet_key_is_guessable(&key), cases[i].guessable);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(key_of_the_capture_is_four_little_endian_eights),
        cmocka_unit_test(both_cases_and_largest_part_are_read),
        cmocka_unit_test(text_and_bytes_go_round),
        cmocka_unit_test(each_mistake_is_named_with_its_part),
        cmocka_unit_test(keys_that_can_be_guessed_are_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
