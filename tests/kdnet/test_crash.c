/* SPDX-License-Identifier: Apache-2.0 */
/* crash: each row of its tables, against PROTOCOL.md sections 5, 8 and 9 and DESIGN.md sections 3 and 4. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "kdnet/kernel/crash.h"
#include "kdnet/wire/manipulate.h"
#include "kdnet/base/wire.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* At BreakpointWithStatus, with the registers read. */
#define AT_STATUS(value)                                                                                               \
    {                                                                                                                  \
        .exception = true, .breakpoint = true, .at_status_break = true, .break_status_known = true,                    \
        .break_status = (value)                                                                                        \
    }

static const struct {
    const char *what;
    struct kdnet_break_facts facts;
    enum kdnet_phase phase;
    enum kdnet_break_kind kind;
} breaks[] = {
    {"control-C", AT_STATUS(1), KDNET_PHASE_BREAK, KDNET_BREAK_KIND_BREAK},
    {"first break of a bug check", AT_STATUS(3), KDNET_PHASE_BUGCHECK_FIRST, KDNET_BREAK_KIND_BUGCHECK_FIRST},
    {"second break of a bug check", AT_STATUS(4), KDNET_PHASE_BUGCHECK_SECOND, KDNET_BREAK_KIND_BUGCHECK_SECOND},
    {"fatal", AT_STATUS(5), KDNET_PHASE_BREAK, KDNET_BREAK_KIND_BREAK},
    {"worker", AT_STATUS(7), KDNET_PHASE_BREAK, KDNET_BREAK_KIND_BREAK},
    {"a status of 32 bits and more", AT_STATUS(0xffffffff), KDNET_PHASE_BREAK, KDNET_BREAK_KIND_BREAK},
    {"int 3 of a driver, with a bug check's number in its register by chance",
     {.exception = true, .breakpoint = true, .break_status_known = true, .break_status = 3},
     KDNET_PHASE_BREAK,
     KDNET_BREAK_KIND_BREAK},
    {"int 3 of a driver, after a fatal error was printed, registers read",
     {.exception = true, .breakpoint = true, .bugcheck_printed = true, .break_status_known = true, .break_status = 4},
     KDNET_PHASE_BREAK,
     KDNET_BREAK_KIND_BREAK},
    {"the fatal error was printed, registers could not be read",
     {.exception = true, .breakpoint = true, .bugcheck_printed = true},
     KDNET_PHASE_BUGCHECK_FIRST,
     KDNET_BREAK_KIND_BUGCHECK_FIRST},
    {"the fatal error was printed, at the status break, registers could not be read",
     {.exception = true, .breakpoint = true, .at_status_break = true, .bugcheck_printed = true},
     KDNET_PHASE_BUGCHECK_FIRST,
     KDNET_BREAK_KIND_BUGCHECK_FIRST},
    {"a program's int 3 after a fatal error was printed",
     {.exception = true, .breakpoint = true, .user_mode = true, .bugcheck_printed = true},
     KDNET_PHASE_BREAK,
     KDNET_BREAK_KIND_BREAK},
    {"nothing known but a breakpoint",
     {.exception = true, .breakpoint = true},
     KDNET_PHASE_BREAK,
     KDNET_BREAK_KIND_BREAK},
    {"an access violation", {.exception = true}, KDNET_PHASE_BREAK, KDNET_BREAK_KIND_EXCEPTION},
    {"an access violation after a print",
     {.exception = true, .bugcheck_printed = true},
     KDNET_PHASE_BREAK,
     KDNET_BREAK_KIND_EXCEPTION},
    {"unload of all symbols", {.shutdown = true}, KDNET_PHASE_SHUTDOWN, KDNET_BREAK_KIND_SHUTDOWN},
    {"unload of all symbols after a print",
     {.shutdown = true, .bugcheck_printed = true},
     KDNET_PHASE_SHUTDOWN,
     KDNET_BREAK_KIND_SHUTDOWN},
    {"break in the boot loader",
     {.exception = true, .breakpoint = true, .boot_loader = true},
     KDNET_PHASE_BOOT,
     KDNET_BREAK_KIND_BREAK},
    {"fatal error in the boot loader",
     {.exception = true, .breakpoint = true, .boot_loader = true, .bugcheck_printed = true},
     KDNET_PHASE_BOOT,
     KDNET_BREAK_KIND_BREAK},
    {"exception in the boot loader",
     {.exception = true, .boot_loader = true},
     KDNET_PHASE_BOOT,
     KDNET_BREAK_KIND_EXCEPTION},
    {"end of the boot loader", {.shutdown = true, .boot_loader = true}, KDNET_PHASE_BOOT, KDNET_BREAK_KIND_SHUTDOWN},
    {"a state change that nobody knows", {0}, KDNET_PHASE_BREAK, KDNET_BREAK_KIND_BREAK},
};

static void phase_and_policy_follow_from_what_is_known(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(breaks); ++i) {
        enum kdnet_phase phase = kdnet_crash_phase(&breaks[i].facts);
        enum kdnet_break_kind kind = kdnet_crash_break_kind(&breaks[i].facts);
        if (phase != breaks[i].phase || kind != breaks[i].kind)
            fail_msg("%s: %s, %s", breaks[i].what, kdnet_phase_name(phase), kdnet_break_kind_name(kind));
    }
}

static void windows_goes_on_as_if_nobody_watched(void **state)
{
    static const struct {
        uint32_t new_state, code, expected;
    } rows[] = {
        {KDNET_STATE_EXCEPTION, KDNET_EXCEPTION_SINGLE_STEP, KDNET_DBG_EXCEPTION_HANDLED},
        {KDNET_STATE_EXCEPTION | KDNET_STATE_ALTERNATE, KDNET_EXCEPTION_SINGLE_STEP, KDNET_DBG_EXCEPTION_HANDLED},
        {KDNET_STATE_EXCEPTION, KDNET_EXCEPTION_WX86_STEP, KDNET_DBG_EXCEPTION_HANDLED},
        {KDNET_STATE_EXCEPTION, KDNET_EXCEPTION_BREAKPOINT, KDNET_DBG_EXCEPTION_HANDLED},
        {KDNET_STATE_EXCEPTION, KDNET_EXCEPTION_WX86_BREAK, KDNET_DBG_EXCEPTION_HANDLED},
        {KDNET_STATE_EXCEPTION | KDNET_STATE_ALTERNATE, KDNET_EXCEPTION_BREAKPOINT, KDNET_DBG_EXCEPTION_HANDLED},
        {KDNET_STATE_EXCEPTION, 0xc0000005, KDNET_DBG_EXCEPTION_NOT_HANDLED},
        {KDNET_STATE_EXCEPTION | KDNET_STATE_ALTERNATE, 0xc0000005, KDNET_DBG_EXCEPTION_NOT_HANDLED},
        {KDNET_STATE_EXCEPTION, 0, KDNET_DBG_EXCEPTION_NOT_HANDLED},
        {KDNET_STATE_LOAD_SYMBOLS, 0, KDNET_DBG_CONTINUE},
        {KDNET_STATE_LOAD_SYMBOLS, 0xc0000005, KDNET_DBG_CONTINUE},
        {KDNET_STATE_COMMAND_STRING, 0, KDNET_DBG_CONTINUE},
        {0x3033, 0, KDNET_DBG_CONTINUE},
        {0, 0, KDNET_DBG_CONTINUE},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); ++i) {
        struct kdnet_state_change change = {.new_state = rows[i].new_state, .exception = {.code = rows[i].code}};
        if (kdnet_crash_continue_status(&change, false) != rows[i].expected)
            fail_msg("row %zu: %08x", i, (unsigned)kdnet_crash_continue_status(&change, false));
        bool exception = (rows[i].new_state & ~KDNET_STATE_ALTERNATE) == KDNET_STATE_EXCEPTION;
        assert_int_equal(kdnet_crash_continue_status(&change, true),
                         exception ? KDNET_DBG_EXCEPTION_NOT_HANDLED : rows[i].expected);
    }
}

static void exceptions_below_the_kernels_half_are_a_programs(void **state)
{
    static const struct {
        const char *what;
        enum kdnet_machine machine;
        uint64_t pc, address;
        bool user;
    } rows[] = {
        {"x64 program", KDNET_MACHINE_X64, 0x7ff612341000, 0x7ff612341000, true},
        {"x64 program's last address", KDNET_MACHINE_X64, 0xffff7fffffffffff, 0xffff7fffffffffff, true},
        {"x64 kernel's first address", KDNET_MACHINE_X64, 0xffff800000000000, 0xffff800000000000, false},
        {"x64 kernel", KDNET_MACHINE_X64, 0xfffff80112345678, 0xfffff80112345678, false},
        {"x64 record in a program", KDNET_MACHINE_X64, 0xfffff80112345678, 0x7ff612341000, true},
        {"x64 counter in a program", KDNET_MACHINE_X64, 0x7ff612341000, 0xfffff80112345678, true},
        {"x64, the record says nothing", KDNET_MACHINE_X64, 0xfffff80112345678, 0, false},
        {"x64, nothing is said", KDNET_MACHINE_X64, 0, 0, false},
        {"WOW64 program", KDNET_MACHINE_X64, 0x401000, 0x401000, true},
        {"ARM64 program", KDNET_MACHINE_ARM64, 0x7ff612341000, 0x7ff612341000, true},
        {"ARM64 kernel", KDNET_MACHINE_ARM64, 0xfffff80112345678, 0xfffff80112345678, false},
        {"x86 program", KDNET_MACHINE_X86, 0x401000, 0x401000, true},
        {"x86 program's last address", KDNET_MACHINE_X86, 0x7fffffff, 0x7fffffff, true},
        {"x86 kernel's first address", KDNET_MACHINE_X86, 0xffffffff80000000, 0xffffffff80000000, false},
        {"x86 kernel, not extended", KDNET_MACHINE_X86, 0x81234567, 0x81234567, false},
        {"x86 kernel", KDNET_MACHINE_X86, 0xffffffff81234567, 0xffffffff81234567, false},
        {"loader, or who it is is not known", KDNET_MACHINE_UNKNOWN, 0x9cf07e, 0x9cf07e, false},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); ++i) {
        struct kdnet_state_change change = {.new_state = KDNET_STATE_EXCEPTION, .program_counter = rows[i].pc};
        change.exception.address = rows[i].address;
        if (kdnet_crash_is_user_mode(&change, rows[i].machine) != rows[i].user)
            fail_msg("%s", rows[i].what);
        change.new_state = KDNET_STATE_LOAD_SYMBOLS;
        assert_false(kdnet_crash_is_user_mode(&change, rows[i].machine));
    }
}

/* X86: Dr6, Dr7, count 0, ReportFlags, 16 bytes, Cs. */
static void with_four_gigabyte_tuning_the_code_segment_tells(void **state)
{
    static const struct {
        uint32_t pc;
        uint8_t flags, cs;
        bool user;
    } rows[] = {
        {0xb0001000, 1, 0x1b, true},  {0xb0001000, 1, 0x08, false}, {0xb0001000, 0, 0x1b, false},
        {0xe0801000, 1, 0x1b, false}, {0x80001000, 1, 0x1b, true},  {0xbfffffff, 1, 0x1b, true},
        {0xc0000000, 1, 0x1b, false},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); ++i) {
        uint8_t report[40] = {[10] = rows[i].flags, [28] = rows[i].cs};
        struct kdnet_state_change change = {.new_state = KDNET_STATE_EXCEPTION, .report = report};
        change.report_length = sizeof report;
        change.program_counter = change.exception.address = kdnet_machine_address(KDNET_MACHINE_X86, rows[i].pc);
        if (kdnet_crash_is_user_mode(&change, KDNET_MACHINE_X86) != rows[i].user)
            fail_msg("row %zu", i);
        change.report_length = 28; /* cut */
        assert_false(kdnet_crash_is_user_mode(&change, KDNET_MACHINE_X86));
    }
}

static void single_steps_in_the_kernel_are_a_former_debuggers(void **state)
{
    static const struct {
        uint32_t code;
        uint16_t dr6;
        uint16_t dr7;
        enum kdnet_leftover expected;
    } rows[] = {
        {KDNET_EXCEPTION_SINGLE_STEP, 0, 0x400, KDNET_LEFTOVER_SINGLE_STEP},
        {KDNET_EXCEPTION_SINGLE_STEP, 0x4000, 0x400, KDNET_LEFTOVER_SINGLE_STEP},
        {KDNET_EXCEPTION_SINGLE_STEP, 0x4000, 0x401, KDNET_LEFTOVER_SINGLE_STEP},
        {KDNET_EXCEPTION_SINGLE_STEP, 1, 0x401, KDNET_LEFTOVER_HARDWARE_BREAKPOINT},
        {KDNET_EXCEPTION_SINGLE_STEP, 0, 0x401, KDNET_LEFTOVER_HARDWARE_BREAKPOINT},
        {KDNET_EXCEPTION_BREAKPOINT, 1, 0x401, KDNET_LEFTOVER_NONE},
        {0xc0000005, 1, 0x401, KDNET_LEFTOVER_NONE},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); ++i) {
        uint8_t report[48] = {0};
        kdnet_put_le16(report, rows[i].dr6);
        kdnet_put_le16(report + 8, rows[i].dr7);
        struct kdnet_state_change change = {.new_state = KDNET_STATE_EXCEPTION, .report = report};
        change.report_length = sizeof report;
        change.exception.code = rows[i].code;
        assert_int_equal(kdnet_crash_leftover(&change, KDNET_MACHINE_X64, false), rows[i].expected);
        assert_int_equal(kdnet_crash_leftover(&change, KDNET_MACHINE_X64, true), KDNET_LEFTOVER_NONE);
        change.new_state = KDNET_STATE_LOAD_SYMBOLS;
        assert_int_equal(kdnet_crash_leftover(&change, KDNET_MACHINE_X64, false), KDNET_LEFTOVER_NONE);
    }
    assert_null(kdnet_leftover_name(KDNET_LEFTOVER_NONE));
    assert_string_equal(kdnet_leftover_name(KDNET_LEFTOVER_SINGLE_STEP), "single_step");
    assert_string_equal(kdnet_leftover_name(KDNET_LEFTOVER_HARDWARE_BREAKPOINT), "hardware_breakpoint");
}

static void only_breakpoints_are_breakpoints(void **state)
{
    (void)state;
    assert_true(kdnet_crash_is_breakpoint(0x80000003));
    assert_true(kdnet_crash_is_breakpoint(0x4000001f));
    assert_false(kdnet_crash_is_breakpoint(0x80000004));
    assert_false(kdnet_crash_is_breakpoint(0xc0000005));
    assert_false(kdnet_crash_is_breakpoint(0));
}

static void a_status_that_was_read_is_the_verdict_in_every_phase(void **state)
{
    static const struct {
        uint32_t status;
        enum kdnet_verdict verdict;
    } rows[] = {
        {0, KDNET_VERDICT_WRITTEN},         {0xffffffff, KDNET_VERDICT_NOT_STARTED}, {0xc000007f, KDNET_VERDICT_FAILED},
        {0xc0000185, KDNET_VERDICT_FAILED}, {0x103, KDNET_VERDICT_FAILED},           {1, KDNET_VERDICT_FAILED},
        {0x80000000, KDNET_VERDICT_FAILED}, {0xfffffffe, KDNET_VERDICT_FAILED},
    };
    static const enum kdnet_source sources[] = {KDNET_SOURCE_RVA, KDNET_SOURCE_PDB, KDNET_SOURCE_ISF};
    (void)state;
    for (size_t i = 0; i < COUNT(rows); ++i)
        for (int phase = KDNET_PHASE_BREAK; phase <= KDNET_PHASE_BOOT; ++phase)
            for (size_t j = 0; j < COUNT(sources); ++j) {
                /* the reason of an earlier step does not count when there is a status */
                struct kdnet_conclusion got = kdnet_crash_conclude((enum kdnet_phase)phase, true, rows[i].status,
                                                                   sources[j], KDNET_REASON_TIMEOUT);
                assert_int_equal(got.verdict, rows[i].verdict);
                assert_int_equal(got.reason, KDNET_REASON_NONE);
                assert_int_equal(got.source, sources[j]);
            }
}

static void without_a_status_only_the_first_break_proves_something(void **state)
{
    (void)state;
    for (int phase = KDNET_PHASE_BREAK; phase <= KDNET_PHASE_BOOT; ++phase)
        for (int reason = KDNET_REASON_SYMBOL_ABSENT; reason <= KDNET_REASON_OVERLOADED; ++reason) {
            /* a status and a source left over are not looked at */
            struct kdnet_conclusion got = kdnet_crash_conclude((enum kdnet_phase)phase, false, KDNET_DUMP_WRITTEN,
                                                               KDNET_SOURCE_RVA, (enum kdnet_reason)reason);
            bool first = phase == KDNET_PHASE_BUGCHECK_FIRST;
            assert_int_equal(got.reason, reason);
            assert_int_equal(got.verdict, first ? KDNET_VERDICT_NOT_STARTED : KDNET_VERDICT_UNKNOWN);
            assert_int_equal(got.source, first ? KDNET_SOURCE_PHASE : KDNET_SOURCE_NONE);
        }
}

static void default_policy_holds_only_the_second_break(void **state)
{
    struct kdnet_policy policy;
    (void)state;
    memset(&policy, 0xff, sizeof policy);
    kdnet_policy_init(&policy);
    for (int kind = 0; kind < KDNET_BREAK_KINDS; ++kind)
        assert_int_equal(policy.action[kind],
                         kind == KDNET_BREAK_KIND_BUGCHECK_SECOND ? KDNET_ACTION_HOLD : KDNET_ACTION_CONTINUE);
    assert_int_equal(policy.hold_for_us, 0);
}

/* The texts that DESIGN section 3 and the options promise. */
static void names_are_those_of_the_results(void **state)
{
    static const char *const phases[] = {"break", "bugcheck_first", "bugcheck_second", "shutdown", "boot"};
    static const char *const verdicts[] = {"unknown", "written", "not_started", "failed"};
    static const char *const reasons[] = {"none",      "symbol_absent", "no_symbols", "unreadable",
                                          "no_kernel", "timeout",       "lost",       "overloaded"};
    static const char *const sources[] = {"none", "pdb", "isf", "rva", "phase", "pdb_http", "dump_block", "dump_log"};
    static const char *const actions[] = {"continue", "hold", "reboot"};
    static const char *const kinds[] = {"bugcheck_first", "bugcheck_second", "shutdown", "break",
                                        "exception",      "load_symbols",    "prompt"};
    (void)state;
    for (unsigned i = 0; i < COUNT(phases); ++i)
        assert_string_equal(kdnet_phase_name((enum kdnet_phase)i), phases[i]);
    for (unsigned i = 0; i < COUNT(verdicts); ++i)
        assert_string_equal(kdnet_verdict_name((enum kdnet_verdict)i), verdicts[i]);
    for (unsigned i = 0; i < COUNT(reasons); ++i)
        assert_string_equal(kdnet_reason_name((enum kdnet_reason)i), reasons[i]);
    for (unsigned i = 0; i < COUNT(sources); ++i)
        assert_string_equal(kdnet_source_name((enum kdnet_source)i), sources[i]);
    for (unsigned i = 0; i < COUNT(actions); ++i)
        assert_string_equal(kdnet_action_name((enum kdnet_action)i), actions[i]);
    for (unsigned i = 0; i < COUNT(kinds); ++i)
        assert_string_equal(kdnet_break_kind_name((enum kdnet_break_kind)i), kinds[i]);
    assert_int_equal(COUNT(kinds), KDNET_BREAK_KINDS);
}

static void names_of_values_that_do_not_exist_are_texts_all_the_same(void **state)
{
    (void)state;
    assert_string_equal(kdnet_phase_name((enum kdnet_phase)5), "unknown");
    assert_string_equal(kdnet_verdict_name((enum kdnet_verdict)4), "unknown");
    assert_string_equal(kdnet_reason_name((enum kdnet_reason)8), "unknown");
    assert_string_equal(kdnet_source_name((enum kdnet_source)8), "unknown");
    assert_string_equal(kdnet_action_name((enum kdnet_action)3), "unknown");
    assert_string_equal(kdnet_break_kind_name(KDNET_BREAK_KINDS), "unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(phase_and_policy_follow_from_what_is_known),
        cmocka_unit_test(windows_goes_on_as_if_nobody_watched),
        cmocka_unit_test(exceptions_below_the_kernels_half_are_a_programs),
        cmocka_unit_test(with_four_gigabyte_tuning_the_code_segment_tells),
        cmocka_unit_test(single_steps_in_the_kernel_are_a_former_debuggers),
        cmocka_unit_test(only_breakpoints_are_breakpoints),
        cmocka_unit_test(a_status_that_was_read_is_the_verdict_in_every_phase),
        cmocka_unit_test(without_a_status_only_the_first_break_proves_something),
        cmocka_unit_test(default_policy_holds_only_the_second_break),
        cmocka_unit_test(names_are_those_of_the_results),
        cmocka_unit_test(names_of_values_that_do_not_exist_are_texts_all_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
