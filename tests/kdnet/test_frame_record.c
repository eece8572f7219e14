/* SPDX-License-Identifier: Apache-2.0 */
/* Records of registers: which bug checks have one, where it has what, and what is not believed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "kdnet/base/wire.h"
#include "kdnet/crash/frame_record.h"
#include "tests/support/random.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define AT           0xffffb00012345600U
#define CODE         0xfffff80011223344U
#define STACK        0xffffb00012346000U

static uint8_t record[KDNET_FRAME_RECORD_MAX];

static int set_up(void **state)
{
    (void)state;
    memset(record, 0xa5, sizeof record);
    return 0;
}

static void parameters_are_those_of_the_reference(void **state)
{
    static const struct {
        uint32_t code;
        unsigned parameter;
        enum kdnet_frame_record kind;
    } rows[] = {{0x24, 3, KDNET_FRAME_CONTEXT},   {0x3b, 3, KDNET_FRAME_CONTEXT}, {0x7e, 4, KDNET_FRAME_CONTEXT},
                {0x8e, 3, KDNET_FRAME_TRAP},      {0x139, 2, KDNET_FRAME_TRAP},   {0x1000007e, 4, KDNET_FRAME_CONTEXT},
                {0x1000008e, 3, KDNET_FRAME_TRAP}};
    (void)state;
    for (size_t i = 0; i < COUNT(rows); ++i) {
        enum kdnet_frame_record kind = 9;
        struct kdnet_bugcheck bugcheck = {.code = rows[i].code, .parameters = {1, 2, 3, 4}};
        assert_int_equal(kdnet_frame_record_address(KDNET_MACHINE_X64, &bugcheck, &kind), 0); /* not in the kernel */
        bugcheck.parameters[rows[i].parameter - 1] = AT;
        assert_int_equal(kdnet_frame_record_address(KDNET_MACHINE_X64, &bugcheck, &kind), AT);
        assert_int_equal(kind, rows[i].kind);
    }
    for (size_t i = 1; i < kdnet_frame_rule_count; ++i)
        assert_true(kdnet_frame_rules[i - 1].code < kdnet_frame_rules[i].code);
    enum kdnet_frame_record kind;
    const struct kdnet_bugcheck other = {.code = 0xd1, .parameters = {AT, AT, AT, AT}};
    assert_int_equal(kdnet_frame_record_address(KDNET_MACHINE_X64, &other, &kind), 0);
}

/* Offsets as winnt.h, the types of six kernels' symbols, and ReactOS have them. */
static void contexts_have_their_registers(void **state)
{
    (void)state;
    struct kdnet_frame frame;
    kdnet_put_le32(record + 0x30, 0x10001f);
    kdnet_put_le64(record + 0xf8, CODE);
    kdnet_put_le64(record + 0x98, STACK);
    kdnet_put_le64(record + 0xa0, 0x1234); /* Rbp */
    kdnet_put_le64(record + 0xf0, 0x5678); /* R15 */
    assert_true(kdnet_frame_from_record(KDNET_MACHINE_X64, KDNET_FRAME_CONTEXT, AT, record, &frame));
    assert_int_equal(frame.pc, CODE);
    assert_int_equal(frame.sp, STACK);
    assert_int_equal(frame.x[KDNET_X64_RSP], STACK);
    assert_int_equal(frame.x[KDNET_X64_RBP], 0x1234);
    assert_int_equal(frame.x[15], 0x5678);
    assert_true(frame.exact);
    (void)set_up(NULL);
    kdnet_put_le32(record, 0x400007);
    kdnet_put_le64(record + 0x108, CODE);
    kdnet_put_le64(record + 0x100, STACK);
    kdnet_put_le64(record + 0xf8, 0x9abc); /* Lr */
    assert_true(kdnet_frame_from_record(KDNET_MACHINE_ARM64, KDNET_FRAME_CONTEXT, AT, record, &frame));
    assert_int_equal(frame.pc, CODE);
    assert_int_equal(frame.sp, STACK);
    assert_int_equal(frame.x[KDNET_ARM64_LR], 0x9abc);
    (void)set_up(NULL);
    kdnet_put_le32(record, 0x1001f);
    kdnet_put_le32(record + 0xb8, 0x81234567);
    kdnet_put_le32(record + 0xc4, 0x8a000010);
    kdnet_put_le32(record + 0xb4, 0x8a000040);
    assert_true(kdnet_frame_from_record(KDNET_MACHINE_X86, KDNET_FRAME_CONTEXT, AT, record, &frame));
    assert_int_equal(frame.pc, 0xffffffff81234567U);
    assert_int_equal(frame.sp, 0xffffffff8a000010U);
    assert_int_equal(frame.x[KDNET_X64_RBP], 0xffffffff8a000040U);
}

static void trap_frames_have_their_registers(void **state)
{
    (void)state;
    struct kdnet_frame frame;
    kdnet_put_le64(record + 0x168, CODE);
    kdnet_put_le16(record + 0x170, 0x10);
    kdnet_put_le64(record + 0x180, STACK);
    kdnet_put_le64(record + 0x158, 0x1234);
    kdnet_put_le64(record + 0x140, 0x5678);
    assert_true(kdnet_frame_from_record(KDNET_MACHINE_X64, KDNET_FRAME_TRAP, AT, record, &frame));
    assert_int_equal(frame.pc, CODE);
    assert_int_equal(frame.sp, STACK);
    assert_int_equal(frame.x[KDNET_X64_RBP], 0x1234);
    assert_int_equal(frame.x[3], 0x5678);
    kdnet_put_le16(record + 0x170, 0x33); /* of a program */
    assert_false(kdnet_frame_from_record(KDNET_MACHINE_X64, KDNET_FRAME_TRAP, AT, record, &frame));
    kdnet_put_le32(record + 0x60, 0x8a000040);
    kdnet_put_le32(record + 0x68, 0x81234567);
    kdnet_put_le16(record + 0x6c, 8);
    assert_true(kdnet_frame_from_record(KDNET_MACHINE_X86, KDNET_FRAME_TRAP, 0xffffffff8a000000U, record, &frame));
    assert_int_equal(frame.pc, 0xffffffff81234567U);
    assert_int_equal(frame.sp, 0xffffffff8a000074U);
    uint32_t from, to;
    assert_false(kdnet_frame_record_area(KDNET_MACHINE_ARM64, KDNET_FRAME_TRAP, &from, &to)); /* known to nobody */
}

/* Whatever lies there: what is believed is a place in the kernel with a stack, and is read within the area. */
static void nothing_else_is_believed(void **state)
{
    static const enum kdnet_machine machines[] = {KDNET_MACHINE_X64, KDNET_MACHINE_X86, KDNET_MACHINE_ARM64};
    struct test_random random;
    unsigned believed = 0;
    (void)state;
    test_random_init(&random);
    for (unsigned i = 0; i < 100000; ++i) {
        enum kdnet_machine machine = machines[test_random_below(&random, 3)];
        enum kdnet_frame_record kind = test_random_below(&random, 2) ? KDNET_FRAME_CONTEXT : KDNET_FRAME_TRAP;
        struct kdnet_frame frame = {.pc = 1};
        uint32_t from, to;
        test_random_fill(&random, record, sizeof record);
        if (!kdnet_frame_record_area(machine, kind, &from, &to))
            continue;
        assert_true(from < to && to <= sizeof record);
        if (!kdnet_frame_from_record(machine, kind, AT, record, &frame)) {
            assert_int_equal(frame.pc, 1);
            continue;
        }
        ++believed;
        assert_true(frame.pc == 0 || !kdnet_machine_is_user_address(machine, frame.pc));
        assert_false(kdnet_machine_is_user_address(machine, frame.sp));
    }
    assert_true(believed < 20000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(parameters_are_those_of_the_reference, set_up),
        cmocka_unit_test_setup(contexts_have_their_registers, set_up),
        cmocka_unit_test_setup(trap_frames_have_their_registers, set_up),
        cmocka_unit_test_setup(nothing_else_is_believed, set_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
