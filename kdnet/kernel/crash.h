/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crash: decides which break a state change is, what the reads prove, and how the machine continues. Pure functions.
 *
 * Sources: PROTOCOL.md sections 8 and 9; DESIGN.md sections 3 and 4.
 */
#ifndef KDNET_CRASH_H
#define KDNET_CRASH_H

#include "kdnet/kernel.h"
#include "kdnet/policy.h"
#include "kdnet/verdict.h"
#include "kdnet/wire/machine.h"
#include "kdnet/wire/state_change.h"

#include <stdbool.h>
#include <stdint.h>

/* Argument of DbgBreakPointWithStatus [ros]. */
enum kdnet_break_status {
    KDNET_BREAK_CONTROL_C = 1,
    KDNET_BREAK_BUGCHECK_FIRST = 3,
    KDNET_BREAK_BUGCHECK_SECOND = 4,
    KDNET_BREAK_FATAL = 5,
};

/* Facts from which a break's phase follows. */
struct kdnet_break_facts {
    bool shutdown;        /* unload of all symbols */
    bool exception;       /* an exception state change */
    bool breakpoint;      /* whose code is a breakpoint's */
    bool user_mode;       /* the exception is a program's (kdnet_crash_is_user_mode) */
    bool boot_loader;     /* GetVersion was answered by another component than NT */
    bool at_status_break; /* the exception address is BreakpointWithStatus */
    bool break_status_known;
    uint32_t break_status; /* first argument register */
    bool bugcheck_printed; /* "Fatal System Error" came since the machine last ran on */
};

enum kdnet_phase kdnet_crash_phase(const struct kdnet_break_facts *facts);

/* Which policy entry a break falls under. */
enum kdnet_break_kind kdnet_crash_break_kind(const struct kdnet_break_facts *facts);

/*
 * Whether an exception happened in a program, not in the kernel: the program counter, or the record's address, lies
 * below the kernel's half. An address of 0 is ignored.
 *
 * machine  processor of the Windows kernel that halted. KDNET_MACHINE_UNKNOWN gives false: unknown, or a boot loader or
 *          hypervisor, whose addresses follow other rules.
 */
bool kdnet_crash_is_user_mode(const struct kdnet_state_change *change, enum kdnet_machine machine);

/* Returns the status to continue a state change with, so that Windows goes on as without a debugger (PROTOCOL
 * section 5). */
uint32_t kdnet_crash_continue_status(const struct kdnet_state_change *change, bool user_mode);

/* True for STATUS_BREAKPOINT and its WOW64 counterpart. */
bool kdnet_crash_is_breakpoint(uint32_t exception_code);

/* Which of them a state change is. machine: of the report's layout; UNKNOWN: a single step is told as such. */
enum kdnet_leftover kdnet_crash_leftover(const struct kdnet_state_change *change, enum kdnet_machine machine,
                                         bool user_mode);

/*
 * Draws the conclusion from a read. status_known: `status` is the machine's IopFinalCrashDumpStatus, its address came
 * from `source`; otherwise `reason` says why the status is missing. Without a status, only the first break of a bug
 * check proves anything.
 */
struct kdnet_conclusion kdnet_crash_conclude(enum kdnet_phase phase, bool status_known, uint32_t status,
                                             enum kdnet_source source, enum kdnet_reason reason);

/* The defaults that kdnet_policy_init copies. */
extern const struct kdnet_policy kdnet_policy_default;

#endif
