/* SPDX-License-Identifier: Apache-2.0 */
#include "kdnet/kernel/crash.h"
#include "kdnet/wire/manipulate.h"

#define RING_MASK   3U   /* of a code segment: 3 is a program's */
#define DR6_HIT     0xfU /* B0 to B3: which breakpoint was hit */
#define DR6_STEP    0x4000U
#define DR7_ENABLED 0xffU /* L0, G0 to L3, G3 */

#define NAME_TEXT(name, text) text,
#define NAME_FUNCTION(function, type, map)                                                                             \
    const char *function(enum type value)                                                                              \
    {                                                                                                                  \
        static const char *const names[] = {map(NAME_TEXT)};                                                           \
        return (unsigned)value < sizeof names / sizeof names[0] ? names[value] : "unknown";                            \
    }

NAME_FUNCTION(kdnet_phase_name, kdnet_phase, KDNET_PHASE_MAP)
NAME_FUNCTION(kdnet_verdict_name, kdnet_verdict, KDNET_VERDICT_MAP)
NAME_FUNCTION(kdnet_reason_name, kdnet_reason, KDNET_REASON_MAP)
NAME_FUNCTION(kdnet_source_name, kdnet_source, KDNET_SOURCE_MAP)
NAME_FUNCTION(kdnet_action_name, kdnet_action, KDNET_ACTION_MAP)
NAME_FUNCTION(kdnet_break_kind_name, kdnet_break_kind, KDNET_BREAK_MAP)

const struct kdnet_policy kdnet_policy_default = {.action = {[KDNET_BREAK_KIND_BUGCHECK_SECOND] = KDNET_ACTION_HOLD}};

void kdnet_policy_init(struct kdnet_policy *policy)
{
    *policy = kdnet_policy_default;
}

enum kdnet_phase kdnet_crash_phase(const struct kdnet_break_facts *facts)
{
    if (facts->boot_loader)
        return KDNET_PHASE_BOOT;
    if (facts->shutdown)
        return KDNET_PHASE_SHUTDOWN;
    if (facts->at_status_break && facts->break_status_known) {
        if (facts->break_status == KDNET_BREAK_BUGCHECK_FIRST)
            return KDNET_PHASE_BUGCHECK_FIRST;
        if (facts->break_status == KDNET_BREAK_BUGCHECK_SECOND)
            return KDNET_PHASE_BUGCHECK_SECOND;
        return KDNET_PHASE_BREAK;
    }
    /* The registers are unreadable, but the kernel prints the fatal error right before its first break [ros]. */
    if (facts->breakpoint && !facts->user_mode && facts->bugcheck_printed && !facts->break_status_known)
        return KDNET_PHASE_BUGCHECK_FIRST;
    return KDNET_PHASE_BREAK;
}

enum kdnet_break_kind kdnet_crash_break_kind(const struct kdnet_break_facts *facts)
{
    if (facts->shutdown)
        return KDNET_BREAK_KIND_SHUTDOWN;
    switch (kdnet_crash_phase(facts)) {
    case KDNET_PHASE_BUGCHECK_FIRST:
        return KDNET_BREAK_KIND_BUGCHECK_FIRST;
    case KDNET_PHASE_BUGCHECK_SECOND:
        return KDNET_BREAK_KIND_BUGCHECK_SECOND;
    default:
        return facts->exception && !facts->breakpoint ? KDNET_BREAK_KIND_EXCEPTION : KDNET_BREAK_KIND_BREAK;
    }
}

bool kdnet_crash_is_breakpoint(uint32_t exception_code)
{
    return exception_code == KDNET_EXCEPTION_BREAKPOINT || exception_code == KDNET_EXCEPTION_WX86_BREAK;
}

static bool is_exception(const struct kdnet_state_change *change)
{
    return (change->new_state & ~KDNET_STATE_ALTERNATE) == KDNET_STATE_EXCEPTION;
}

static bool is_single_step(uint32_t exception_code)
{
    return exception_code == KDNET_EXCEPTION_SINGLE_STEP || exception_code == KDNET_EXCEPTION_WX86_STEP;
}

/* With 4-gigabyte tuning a program may have addresses that look like the kernel's [doc]: the code segment decides. */
static bool is_tuned_program(const struct kdnet_state_change *change, enum kdnet_machine machine)
{
    struct kdnet_control_report report;
    if (!kdnet_machine_is_ambiguous_address(machine, change->program_counter))
        return false;
    kdnet_machine_report(machine, change->report, change->report_length, &report);
    return (report.code_segment & RING_MASK) == RING_MASK;
}

bool kdnet_crash_is_user_mode(const struct kdnet_state_change *change, enum kdnet_machine machine)
{
    uint64_t pc = change->program_counter, address = change->exception.address;
    if (!is_exception(change))
        return false;
    return (pc != 0 && kdnet_machine_is_user_address(machine, pc)) ||
           (address != 0 && kdnet_machine_is_user_address(machine, address)) || is_tuned_program(change, machine);
}

uint32_t kdnet_crash_continue_status(const struct kdnet_state_change *change, bool user_mode)
{
    if (!is_exception(change))
        return KDNET_DBG_CONTINUE;
    if (user_mode)
        return KDNET_DBG_EXCEPTION_NOT_HANDLED; /* left to the program's own handler or debugger */
    /* WinDbg answers a breakpoint with EXCEPTION_HANDLED [cap frame 950]. */
    return kdnet_crash_is_breakpoint(change->exception.code) || is_single_step(change->exception.code)
               ? KDNET_DBG_EXCEPTION_HANDLED
               : KDNET_DBG_EXCEPTION_NOT_HANDLED;
}

enum kdnet_leftover kdnet_crash_leftover(const struct kdnet_state_change *change, enum kdnet_machine machine,
                                         bool user_mode)
{
    struct kdnet_control_report report;
    if (!is_exception(change) || user_mode || !is_single_step(change->exception.code))
        return KDNET_LEFTOVER_NONE;
    kdnet_machine_report(machine, change->report, change->report_length, &report);
    bool hit = (report.dr6 & DR6_HIT) != 0 || ((report.dr6 & DR6_STEP) == 0 && (report.dr7 & DR7_ENABLED) != 0);
    return hit ? KDNET_LEFTOVER_HARDWARE_BREAKPOINT : KDNET_LEFTOVER_SINGLE_STEP;
}

const char *kdnet_leftover_name(enum kdnet_leftover leftover)
{
    switch (leftover) {
    case KDNET_LEFTOVER_SINGLE_STEP:
        return "single_step";
    case KDNET_LEFTOVER_HARDWARE_BREAKPOINT:
        return "hardware_breakpoint";
    case KDNET_LEFTOVER_NONE:
        break;
    }
    return NULL;
}

struct kdnet_conclusion kdnet_crash_conclude(enum kdnet_phase phase, bool status_known, uint32_t status,
                                             enum kdnet_source source, enum kdnet_reason reason)
{
    struct kdnet_conclusion out = {.verdict = KDNET_VERDICT_UNKNOWN, .reason = reason, .source = KDNET_SOURCE_NONE};
    if (status_known) {
        out.reason = KDNET_REASON_NONE;
        out.source = source;
        out.verdict = status == KDNET_DUMP_WRITTEN       ? KDNET_VERDICT_WRITTEN
                      : status == KDNET_DUMP_NOT_STARTED ? KDNET_VERDICT_NOT_STARTED
                                                         : KDNET_VERDICT_FAILED;
    } else if (phase == KDNET_PHASE_BUGCHECK_FIRST) {
        /* Nothing is written before the host continues this break (PROTOCOL section 9, step 2). */
        out.verdict = KDNET_VERDICT_NOT_STARTED;
        out.source = KDNET_SOURCE_PHASE;
    }
    return out;
}
