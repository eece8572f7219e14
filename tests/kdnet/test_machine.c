/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "kdnet/error.h"
#include "kdnet/wire/machine.h"
#include "kdnet/wire/manipulate.h"
#include "kdnet/wire/state_change.h"
#include "kdnet/base/wire.h"
#include "tests/support/bytes.h"
#include "tests/support/vectors.h"

static const enum kdnet_machine machines[] = {KDNET_MACHINE_X64, KDNET_MACHINE_X86, KDNET_MACHINE_ARM64};
#define MACHINES (sizeof machines / sizeof machines[0])

static void layouts_are_those_of_winnt_h(void **state)
{
    (void)state;
    static const struct kdnet_machine_layout expected[MACHINES] = {
        {KDNET_MACHINE_X64, "x64", 8, 1232, 48, 0x0010001f, 248, 128, 1},
        {KDNET_MACHINE_X86, "x86", 4, 716, 0, 0x0001001f, 184, 176, 1},
        {KDNET_MACHINE_ARM64, "arm64", 8, 912, 0, 0x0040001f, 264, 8, 4},
    };
    for (size_t i = 0; i < MACHINES; ++i) {
        const struct kdnet_machine_layout *layout = kdnet_machine_layout(machines[i]);
        assert_non_null(layout);
        assert_int_equal(layout->machine, expected[i].machine);
        assert_string_equal(layout->name, expected[i].name);
        assert_int_equal(layout->pointer_size, expected[i].pointer_size);
        assert_int_equal(layout->context_size, expected[i].context_size);
        assert_int_equal(layout->context_flags_at, expected[i].context_flags_at);
        assert_int_equal(layout->context_all, expected[i].context_all);
        assert_int_equal(layout->pc_at, expected[i].pc_at);
        assert_int_equal(layout->argument_at, expected[i].argument_at);
        assert_int_equal(layout->break_length, expected[i].break_length);
        assert_true(layout->context_size <= KDNET_CONTEXT_MAX);
        assert_string_equal(kdnet_machine_name(machines[i]), expected[i].name);
    }
}

static void unknown_machine_has_no_layout_but_a_name(void **state)
{
    (void)state;
    assert_null(kdnet_machine_layout(KDNET_MACHINE_UNKNOWN));
    assert_null(kdnet_machine_layout((enum kdnet_machine)0x1c4)); /* 32-bit ARM */
    assert_string_equal(kdnet_machine_name(KDNET_MACHINE_UNKNOWN), "unknown");
    assert_string_equal(kdnet_machine_name((enum kdnet_machine)0x200), "unknown");
}

static void who_answers_is_named(void **state)
{
    (void)state;
    assert_string_equal(kdnet_who_name(KDNET_WHO_NT), "nt");
    assert_string_equal(kdnet_who_name(KDNET_WHO_BOOT), "boot");
    assert_string_equal(kdnet_who_name(KDNET_WHO_HYPERVISOR), "hypervisor");
    assert_string_equal(kdnet_who_name((enum kdnet_who)1), "unknown");
}

static void registers_are_set_and_read_within_the_context(void **state)
{
    (void)state;
    for (size_t i = 0; i < MACHINES; ++i) {
        const struct kdnet_machine_layout *layout = kdnet_machine_layout(machines[i]);
        static const uint8_t zeros[KDNET_CONTEXT_MAX];
        uint8_t *context = bytes_copy(zeros, layout->context_size);
        kdnet_machine_set_pc(layout, context, 0xfffff80112345678U);
        kdnet_machine_set_argument(layout, context, 4);
        assert_true(kdnet_machine_pc(layout, context) ==
                    (layout->pointer_size == 8 ? 0xfffff80112345678U : 0x12345678U));
        assert_true(kdnet_machine_argument(layout, context) == 4);
        kdnet_machine_set_pc(layout, context, 0);
        kdnet_machine_set_argument(layout, context, 0);
        assert_memory_equal(context, zeros, layout->context_size);
        free(context);
    }
}

static void addresses_of_x86_are_sign_extended(void **state)
{
    (void)state;
    const struct kdnet_machine_layout *layout = kdnet_machine_layout(KDNET_MACHINE_X86);
    uint8_t context[716] = {0};
    kdnet_machine_set_pc(layout, context, 0xffffffff81234567U);
    assert_int_equal(kdnet_get_le32(context + 184), 0x81234567);
    assert_true(kdnet_machine_pc(layout, context) == 0xffffffff81234567U);
    assert_true(kdnet_machine_address(KDNET_MACHINE_X86, 0x81234567U) == 0xffffffff81234567U);
    assert_true(kdnet_machine_address(KDNET_MACHINE_X86, 0x7fffffffU) == 0x7fffffffU);
    assert_true(kdnet_machine_address(KDNET_MACHINE_X86, 0xffffffff81234567U) == 0xffffffff81234567U);
    assert_true(kdnet_machine_address(KDNET_MACHINE_X64, 0x81234567U) == 0x81234567U);
    assert_true(kdnet_machine_address(KDNET_MACHINE_ARM64, 0xfffff80081234567U) == 0xfffff80081234567U);
}

/* ARM64: Cpsr at 4, Bcr at 792, Wcr at 888; every bit but those that trace stays. */
static void tracing_is_stopped_where_the_context_has_it(void **state)
{
    (void)state;
    static const size_t control[] = {792, 796, 800, 804, 808, 812, 816, 820, 888, 892};
    for (size_t i = 0; i < MACHINES; ++i) {
        const struct kdnet_machine_layout *layout = kdnet_machine_layout(machines[i]);
        uint8_t context[KDNET_CONTEXT_MAX], expected[KDNET_CONTEXT_MAX];
        memset(context, 0xff, sizeof context);
        memset(expected, 0xff, sizeof expected);
        bool arm64 = machines[i] == KDNET_MACHINE_ARM64;
        if (arm64) {
            kdnet_put_le32(expected + 4, 0xffdfffff);
            for (size_t j = 0; j < sizeof control / sizeof control[0]; ++j)
                kdnet_put_le32(expected + control[j], 0xfffffffe);
        }
        assert_int_equal(kdnet_machine_stop_tracing(layout, context), arm64);
        assert_memory_equal(context, expected, sizeof context);
        assert_false(kdnet_machine_stop_tracing(layout, context));
    }
}

static void context_of_the_capture_has_the_pc_of_its_break(void **state)
{
    (void)state;
    const struct vectors *vectors = vectors_or_skip();
    const struct kdnet_machine_layout *layout = kdnet_machine_layout(KDNET_MACHINE_X64);
    struct kdnet_manipulate reply;
    bool found = false;
    for (size_t i = 0; i < vectors->count; ++i) {
        const struct vector *vector = &vectors->items[i];
        if (vector->frame < 378 || vector->datagram.from_host || vector->packet.type != KDNET_PACKET_MANIPULATE)
            continue;
        assert_int_equal(kdnet_manipulate_decode(vector->packet.payload, vector->packet.payload_length, &reply),
                         KDNET_OK);
        if (reply.api != KDNET_API_GET_CONTEXT)
            continue;
        assert_int_equal(reply.data_length, layout->context_size);
        uint8_t *context = bytes_copy(reply.data, reply.data_length);
        assert_true(kdnet_machine_pc(layout, context) == 0x9cf07e);
        free(context);
        found = true;
        break;
    }
    assert_true(found);
}

static void report_of_the_capture_gives_dr7_and_the_breakpoint(void **state)
{
    (void)state;
    const struct vectors *vectors = vectors_or_skip();
    const struct kdnet_packet *packet = vectors_packet(vectors, 378, KDNET_PACKET_STATE_CHANGE64);
    struct kdnet_state_change change;
    struct kdnet_control_report report;
    assert_int_equal(kdnet_state_change_decode(packet->payload, packet->payload_length, &change), KDNET_OK);
    kdnet_machine_report(KDNET_MACHINE_X64, change.report, change.report_length, &report);
    assert_true(report.dr7 == 0x400);
    assert_int_equal(report.instruction_count, 16);
    assert_int_equal(report.instructions[0], 0xcc);
    assert_true(kdnet_machine_is_breakpoint(KDNET_MACHINE_X64, report.instructions, report.instruction_count));
}

static void reports_go_round(void **state)
{
    (void)state;
    static const uint8_t stream[20] = {0x00, 0x00, 0x3e, 0xd4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17};
    for (size_t i = 0; i < MACHINES; ++i) {
        for (size_t count = 0; count <= sizeof stream; ++count) {
            struct kdnet_control_report report;
            uint8_t out[48];
            memset(out, 0xee, sizeof out);
            size_t length = kdnet_machine_report_encode(machines[i], 0x400, stream, count, out);
            assert_in_range(length, 1, sizeof out);
            uint8_t *copy = bytes_copy(out, length);
            kdnet_machine_report(machines[i], copy, length, &report);
            assert_int_equal(report.dr7, machines[i] == KDNET_MACHINE_ARM64 ? 0 : 0x400);
            assert_int_equal(report.instruction_count, count > 16 ? 16 : count);
            if (count > 0)
                assert_memory_equal(report.instructions, stream, report.instruction_count);
            else
                assert_null(report.instructions);
            free(copy);
        }
    }
}

static void cut_report_is_absent_not_wrong(const uint8_t *bytes, size_t length, size_t at, void *context)
{
    (void)at;
    const enum kdnet_machine *machine = context;
    struct kdnet_control_report report = {.dr7 = 99};
    kdnet_machine_report(*machine, bytes, length, &report);
    assert_true(report.dr7 == 0 || report.dr7 == 0x400);
    if (!report.instructions) {
        assert_int_equal(report.instruction_count, 0);
        return;
    }
    assert_int_equal(report.instruction_count, 4);
    assert_true(report.instructions >= bytes && report.instructions + 4 <= bytes + length);
}

static void each_truncation_of_a_report_is_read_safely(void **state)
{
    (void)state;
    static const uint8_t stream[4] = {0xcc, 0x90, 0x90, 0x90};
    for (size_t i = 0; i < MACHINES; ++i) {
        enum kdnet_machine machine = machines[i];
        uint8_t out[48];
        size_t length = kdnet_machine_report_encode(machine, 0x400, stream, sizeof stream, out);
        bytes_each_truncation(out, length, cut_report_is_absent_not_wrong, &machine);
    }
}

static void hostile_instruction_counts_give_no_instructions(void **state)
{
    (void)state;
    struct kdnet_control_report report;
    uint8_t bytes[48];
    memset(bytes, 0xff, sizeof bytes);
    for (size_t i = 0; i < MACHINES; ++i) {
        kdnet_machine_report(machines[i], bytes, sizeof bytes, &report);
        assert_null(report.instructions);
        assert_int_equal(report.instruction_count, 0);
    }
    kdnet_machine_report(KDNET_MACHINE_UNKNOWN, bytes, sizeof bytes, &report);
    assert_null(report.instructions);
    assert_true(report.dr7 == 0);
}

static void second_form_of_the_arm64_report_is_taken_when_the_first_is_impossible(void **state)
{
    (void)state;
    uint8_t bytes[24] = {0};
    struct kdnet_control_report report;
    memset(bytes, 0xff, 8);
    kdnet_put_le32(bytes + 16, 4);
    kdnet_put_le32(bytes + 20, 0xd43e0000U);
    kdnet_machine_report(KDNET_MACHINE_ARM64, bytes, sizeof bytes, &report);
    assert_ptr_equal(report.instructions, bytes + 20);
    assert_int_equal(report.instruction_count, 4);
    assert_true(kdnet_machine_is_breakpoint(KDNET_MACHINE_ARM64, report.instructions, report.instruction_count));
}

static void only_the_whole_breakpoint_instruction_is_one(void **state)
{
    (void)state;
    static const uint8_t int3[] = {0xcc, 0x48, 0x8b, 0x5c}, other[] = {0xcd, 0x03, 0xcc, 0xcc};
    static const uint8_t brk[] = {0x00, 0x00, 0x3e, 0xd4}, brk_other[] = {0x20, 0x00, 0x3e, 0xd4};
    assert_true(kdnet_machine_is_breakpoint(KDNET_MACHINE_X64, int3, 1));
    assert_true(kdnet_machine_is_breakpoint(KDNET_MACHINE_X86, int3, sizeof int3));
    assert_false(kdnet_machine_is_breakpoint(KDNET_MACHINE_X64, int3, 0));
    assert_false(kdnet_machine_is_breakpoint(KDNET_MACHINE_X64, NULL, 0));
    assert_false(kdnet_machine_is_breakpoint(KDNET_MACHINE_X64, other, sizeof other));
    assert_true(kdnet_machine_is_breakpoint(KDNET_MACHINE_ARM64, brk, sizeof brk));
    assert_false(kdnet_machine_is_breakpoint(KDNET_MACHINE_ARM64, brk, 3));
    assert_false(kdnet_machine_is_breakpoint(KDNET_MACHINE_ARM64, brk_other, sizeof brk_other));
    assert_false(kdnet_machine_is_breakpoint(KDNET_MACHINE_ARM64, int3, sizeof int3));
    assert_false(kdnet_machine_is_breakpoint(KDNET_MACHINE_X64, brk, sizeof brk));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(layouts_are_those_of_winnt_h),
        cmocka_unit_test(unknown_machine_has_no_layout_but_a_name),
        cmocka_unit_test(who_answers_is_named),
        cmocka_unit_test(registers_are_set_and_read_within_the_context),
        cmocka_unit_test(addresses_of_x86_are_sign_extended),
        cmocka_unit_test(tracing_is_stopped_where_the_context_has_it),
        cmocka_unit_test(context_of_the_capture_has_the_pc_of_its_break),
        cmocka_unit_test(report_of_the_capture_gives_dr7_and_the_breakpoint),
        cmocka_unit_test(reports_go_round),
        cmocka_unit_test(each_truncation_of_a_report_is_read_safely),
        cmocka_unit_test(hostile_instruction_counts_give_no_instructions),
        cmocka_unit_test(second_form_of_the_arm64_report_is_taken_when_the_first_is_impossible),
        cmocka_unit_test(only_the_whole_breakpoint_instruction_is_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
