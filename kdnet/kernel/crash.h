/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crash: which break is it, what may be concluded from what was read, what happens next. Pure decisions, no bytes, no
 * state.
 *
 * Uses machine, state_change, kernel. Sources: PROTOCOL.md sections 8 and 9; DESIGN.md sections 3 and 4.
 */
#ifndef KDNET_CRASH_H
#define KDNET_CRASH_H

#include "kdnet/kernel/kernel.h"
#include "kdnet/policy.h"
#include "kdnet/verdict.h"
#include "kdnet/wire/machine.h"
#include "kdnet/wire/state_change.h"

#include <stdbool.h>
#include <stdint.h>

/* Status that DbgBreakPointWithStatus is called with [ros]. */
enum kdnet_break_status {
    KDNET_BREAK_CONTROL_C = 1,
    KDNET_BREAK_BUGCHECK_FIRST = 3,
    KDNET_BREAK_BUGCHECK_SECOND = 4,
    KDNET_BREAK_FATAL = 5,
};

/* What is known of a break when its phase is asked for. */
struct kdnet_break_facts {
    bool shutdown;        /* unload of all symbols */
    bool exception;       /* an exception state change */
    bool breakpoint;      /* whose code is a breakpoint's */
    bool user_mode;       /* the exception is a program's (kdnet_crash_is_user_mode) */
    bool boot_loader;     /* who answers is not NT */
    bool at_status_break; /* the exception address is BreakpointWithStatus */
    bool break_status_known;
    uint32_t break_status; /* first argument register */
    bool bugcheck_printed; /* "Fatal System Error" came since the machine last ran on */
};

enum kdnet_phase kdnet_crash_phase(const struct kdnet_break_facts *facts);

/* Which policy entry a break falls under. */
enum kdnet_break_kind kdnet_crash_break_kind(const struct kdnet_break_facts *facts);

/*
 * Whether an exception happened in a program and not in the kernel: the program counter, or the record's address, lies
 * below the kernel's half. An address of 0 says nothing.
 *
 * machine  of the Windows kernel that halted; KDNET_MACHINE_UNKNOWN when it is not known, or is a boot loader or a
 *          hypervisor, which run at other addresses: then false.
 */
bool kdnet_crash_is_user_mode(const struct kdnet_state_change *change, enum kdnet_machine machine);

/* The status to continue a state change with, so that Windows goes on as if nobody watched (PROTOCOL section 5). */
uint32_t kdnet_crash_continue_status(const struct kdnet_state_change *change, bool user_mode);

/* True for STATUS_BREAKPOINT and its WOW64 twin. */
bool kdnet_crash_is_breakpoint(uint32_t exception_code);

/* Which of them a state change is. machine: of the report's layout; UNKNOWN: a single step is told as such. */
enum kdnet_leftover kdnet_crash_leftover(const struct kdnet_state_change *change, enum kdnet_machine machine,
                                         bool user_mode);

/*
 * What the reading proves. status_known: `status` is what the machine has at IopFinalCrashDumpStatus, its address from
 * `source`; otherwise `reason` says why there is none. Never a guess: without the status, only the first break of a bug
 * check says anything.
 */
struct kdnet_conclusion kdnet_crash_conclude(enum kdnet_phase phase, bool status_known, uint32_t status,
                                             enum kdnet_source source, enum kdnet_reason reason);

/* What kdnet_policy_init fills in. */
extern const struct kdnet_policy kdnet_policy_default;

#endif
