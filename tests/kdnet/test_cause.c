/* SPDX-License-Identifier: Apache-2.0 */
/* Which parameter of a bug check says where it came from, what a group is called, what codes mean. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "kdnet/crash/cause.h"
#include "kdnet/crash/explain.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define IN_DRIVER    0xfffff80012345678U

static void each_rule_gives_its_parameter(void **state)
{
    (void)state;
    for (size_t i = 0; i < kdnet_cause_rule_count; ++i) {
        const struct kdnet_cause_rule *rule = &kdnet_cause_rules[i];
        assert_true(i == 0 || kdnet_cause_rules[i - 1].code < rule->code);
        assert_in_range(rule->parameter, 1, 4);
        struct kdnet_bugcheck bugcheck = {.code = rule->code, .parameters = {1, 2, 3, 4}};
        enum kdnet_cause_kind kind = KDNET_CAUSE_ADDRESS;
        assert_int_equal(kdnet_cause_address(KDNET_MACHINE_X64, &bugcheck, &kind), 0); /* no address of the kernel */
        bugcheck.parameters[rule->parameter - 1] = IN_DRIVER;
        assert_int_equal(kdnet_cause_address(KDNET_MACHINE_X64, &bugcheck, &kind), IN_DRIVER);
        assert_int_equal(kind, rule->kind);
    }
}

static void parameters_are_those_of_the_reference(void **state)
{
    static const struct {
        uint32_t code;
        unsigned parameter;
    } rows[] = {{0x0a, 4}, {0x1e, 2}, {0x3b, 2}, {0x50, 3}, {0x7e, 2},       {0x8e, 2},
                {0xc5, 4}, {0xce, 3}, {0xd1, 4}, {0xd5, 3}, {0x1000007e, 2}, {0x100000d1, 4}};
    (void)state;
    for (size_t i = 0; i < COUNT(rows); ++i)
        assert_int_equal(kdnet_cause_rule(rows[i].code)->parameter, rows[i].parameter);
    assert_null(kdnet_cause_rule(0xe2));
    assert_null(kdnet_cause_rule(0));
    assert_null(kdnet_cause_rule(UINT32_MAX));
}

static void addresses_of_32_bits_are_extended(void **state)
{
    (void)state;
    struct kdnet_bugcheck bugcheck = {.code = 0xd1, .parameters = {0, 2, 0, 0x8abc1234U}};
    enum kdnet_cause_kind kind;
    assert_int_equal(kdnet_cause_address(KDNET_MACHINE_X86, &bugcheck, &kind), 0xffffffff8abc1234U);
    bugcheck.parameters[3] = 0x00401000;
    assert_int_equal(kdnet_cause_address(KDNET_MACHINE_X86, &bugcheck, &kind), 0);
}

static void bucket_names_the_fault_and_not_the_machine(void **state)
{
    (void)state;
    struct kdnet_image_place place = {
        .name = "examplenic.sys", .base = 0xfffff80055550000U, .size = 0x20000, .stamp = 0x5f3a1b2c};
    char one[KDNET_BUCKET_SIZE], other[KDNET_BUCKET_SIZE];
    kdnet_bucket_text(0xd1, &place, place.base + 0x1234, 20348, one);
    assert_string_equal(one, "D1 examplenic.sys+0x1234@5F3A1B2C");
    place.base = 0xfffff80000010000U;
    kdnet_bucket_text(0xd1, &place, place.base + 0x1234, 20348, other);
    assert_string_equal(one, other);
    kdnet_bucket_text(0x1000007e, NULL, 0, 20348, one);
    assert_string_equal(one, "1000007E build 20348");
    memset(place.name, 'x', sizeof place.name);
    kdnet_bucket_text(UINT32_MAX, &place, place.base - 1, 0, one);
    assert_in_range(strnlen(one, sizeof one), 1, sizeof one - 1);
}

static void crash_path_is_not_blamed(void **state)
{
    static const char *const own[] = {"ntoskrnl.exe",   "hal.dll",      "kdnet.dll",
                                      "kd_02_8086.dll", "crashdmp.sys", "dump_storport.sys"};
    static const char *const others[] = {"examplenic.sys", "kdriver.sys", "halmacpi.sys", "ntfs.sys", ""};
    (void)state;
    for (size_t i = 0; i < COUNT(own); ++i)
        assert_true(kdnet_image_is_of_crash_path(own[i]));
    for (size_t i = 0; i < COUNT(others); ++i)
        assert_false(kdnet_image_is_of_crash_path(others[i]));
}

static void frequent_codes_are_explained(void **state)
{
    (void)state;
    assert_in_range(kdnet_bugcheck_text_count, 60, 200);
    for (size_t i = 0; i < kdnet_bugcheck_text_count; ++i) {
        const struct kdnet_bugcheck_text *text = &kdnet_bugcheck_texts[i];
        assert_true(i == 0 || kdnet_bugcheck_texts[i - 1].code < text->code);
        assert_ptr_equal(kdnet_bugcheck_explain(text->code), text);
        assert_in_range(strlen(text->what), 10, 120);
        assert_int_equal(text->what[strlen(text->what) - 1], '.');
        assert_in_range(strlen(text->next), 5, 120);
        for (size_t p = 0; p < 4; ++p)
            assert_true(!text->parameters[p] || strlen(text->parameters[p]) < 100);
    }
    assert_ptr_equal(kdnet_bugcheck_explain(0x1000007e), kdnet_bugcheck_explain(0x7e));
    assert_null(kdnet_bugcheck_explain(0));
    assert_null(kdnet_bugcheck_explain(0xdeadbeef));
    assert_string_equal(kdnet_bugcheck_explain(0xd1)->parameters[3], "instruction that did it");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_rule_gives_its_parameter),
        cmocka_unit_test(parameters_are_those_of_the_reference),
        cmocka_unit_test(addresses_of_32_bits_are_extended),
        cmocka_unit_test(bucket_names_the_fault_and_not_the_machine),
        cmocka_unit_test(crash_path_is_not_blamed),
        cmocka_unit_test(frequent_codes_are_explained),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
