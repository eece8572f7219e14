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
#include "kdnet/wire/machine.h"
#include "kdnet/wire/state_change.h"

#include <stdbool.h>
#include <stdint.h>

#define KDNET_STATUS_SYMBOL "IopFinalCrashDumpStatus"

#define KDNET_DUMP_WRITTEN     0x00000000U
#define KDNET_DUMP_NOT_STARTED 0xffffffffU

/* Status that DbgBreakPointWithStatus is called with [ros]. */
enum kdnet_break_status {
    KDNET_BREAK_CONTROL_C = 1,
    KDNET_BREAK_BUGCHECK_FIRST = 3,
    KDNET_BREAK_BUGCHECK_SECOND = 4,
    KDNET_BREAK_FATAL = 5,
};

/* Where in the life of a machine a break is, as results say it. X(NAME, text) */
#define KDNET_PHASE_MAP(X)                                                                                             \
    X(BREAK, "break")                                                                                                  \
    X(BUGCHECK_FIRST, "bugcheck_first")                                                                                \
    X(BUGCHECK_SECOND, "bugcheck_second")                                                                              \
    X(SHUTDOWN, "shutdown")                                                                                            \
    X(BOOT, "boot")

#define KDNET_VERDICT_MAP(X)                                                                                           \
    X(UNKNOWN, "unknown")                                                                                              \
    X(WRITTEN, "written")                                                                                              \
    X(NOT_STARTED, "not_started")                                                                                      \
    X(FAILED, "failed")

/* Why a status is unknown. */
#define KDNET_REASON_MAP(X)                                                                                            \
    X(NONE, "none")                                                                                                    \
    X(SYMBOL_ABSENT, "symbol_absent")                                                                                  \
    X(NO_SYMBOLS, "no_symbols")                                                                                        \
    X(UNREADABLE, "unreadable")                                                                                        \
    X(NO_KERNEL, "no_kernel")                                                                                          \
    X(TIMEOUT, "timeout")                                                                                              \
    X(LOST, "lost")

/* Where the address of the status came from; or `phase`: the verdict rests on the order of a crash alone. */
#define KDNET_SOURCE_MAP(X)                                                                                            \
    X(NONE, "none")                                                                                                    \
    X(PDB, "pdb")                                                                                                      \
    X(ISF, "isf")                                                                                                      \
    X(RVA, "rva")                                                                                                      \
    X(PHASE, "phase")                                                                                                  \
    X(PDB_HTTP, "pdb_http") /* a PDB that came over http://, and may have been changed on its way */                   \
    X(DUMP_BLOCK,                                                                                                      \
      "dump_block") /* the verdict rests on the dump block, or the dump driver's base: null at both breaks */

#define KDNET_ACTION_MAP(X)                                                                                            \
    X(CONTINUE, "continue")                                                                                            \
    X(HOLD, "hold")                                                                                                    \
    X(REBOOT, "reboot")

/* What a policy is chosen by. */
#define KDNET_BREAK_MAP(X)                                                                                             \
    X(BUGCHECK_FIRST, "bugcheck_first")                                                                                \
    X(BUGCHECK_SECOND, "bugcheck_second")                                                                              \
    X(SHUTDOWN, "shutdown")                                                                                            \
    X(BREAK, "break")                                                                                                  \
    X(EXCEPTION, "exception")                                                                                          \
    X(LOAD_SYMBOLS, "load_symbols")                                                                                    \
    X(PROMPT, "prompt")

#define KDNET_PHASE_ENUM(name, text)   KDNET_PHASE_##name,
#define KDNET_VERDICT_ENUM(name, text) KDNET_VERDICT_##name,
#define KDNET_REASON_ENUM(name, text)  KDNET_REASON_##name,
#define KDNET_SOURCE_ENUM(name, text)  KDNET_SOURCE_##name,
#define KDNET_ACTION_ENUM(name, text)  KDNET_ACTION_##name,
#define KDNET_BREAK_ENUM(name, text)   KDNET_BREAK_KIND_##name,
enum kdnet_phase { KDNET_PHASE_MAP(KDNET_PHASE_ENUM) };
enum kdnet_verdict { KDNET_VERDICT_MAP(KDNET_VERDICT_ENUM) };
enum kdnet_reason { KDNET_REASON_MAP(KDNET_REASON_ENUM) };
enum kdnet_source { KDNET_SOURCE_MAP(KDNET_SOURCE_ENUM) };
enum kdnet_action { KDNET_ACTION_MAP(KDNET_ACTION_ENUM) };
enum kdnet_break_kind { KDNET_BREAK_MAP(KDNET_BREAK_ENUM) KDNET_BREAK_KINDS };
#undef KDNET_PHASE_ENUM
#undef KDNET_VERDICT_ENUM
#undef KDNET_REASON_ENUM
#undef KDNET_SOURCE_ENUM
#undef KDNET_ACTION_ENUM
#undef KDNET_BREAK_ENUM

/* The texts of the lists above; never NULL. */
const char *kdnet_phase_name(enum kdnet_phase phase);
const char *kdnet_verdict_name(enum kdnet_verdict verdict);
const char *kdnet_reason_name(enum kdnet_reason reason);
const char *kdnet_source_name(enum kdnet_source source);
const char *kdnet_action_name(enum kdnet_action action);
const char *kdnet_break_kind_name(enum kdnet_break_kind kind);

struct kdnet_policy {
    enum kdnet_action action[KDNET_BREAK_KINDS];
    uint64_t hold_for_us; /* how long `hold` holds; 0: until somebody releases the machine */
};

/* The defaults: continue, but hold a machine at its second bug check break: it can only spin (DESIGN section 4). */
void kdnet_policy_init(struct kdnet_policy *policy);

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

/* What a former debugger left in the kernel: nobody but a debugger sets it, and no handler there expects it. */
enum kdnet_leftover {
    KDNET_LEFTOVER_NONE,
    KDNET_LEFTOVER_SINGLE_STEP,
    KDNET_LEFTOVER_HARDWARE_BREAKPOINT, /* the debug registers say that one was hit */
};

/* Which of them a state change is. machine: of the report's layout; UNKNOWN: a single step is told as such. */
enum kdnet_leftover kdnet_crash_leftover(const struct kdnet_state_change *change, enum kdnet_machine machine,
                                         bool user_mode);

/* "single_step", "hardware_breakpoint"; NULL for none. */
const char *kdnet_leftover_name(enum kdnet_leftover leftover);

struct kdnet_conclusion {
    enum kdnet_verdict verdict;
    enum kdnet_reason reason; /* NONE when the status was read */
    enum kdnet_source source; /* PHASE when only the order of a crash speaks */
};

/*
 * What the reading proves. status_known: `status` is what the machine has at IopFinalCrashDumpStatus, its address from
 * `source`; otherwise `reason` says why there is none. Never a guess: without the status, only the first break of a bug
 * check says anything.
 */
struct kdnet_conclusion kdnet_crash_conclude(enum kdnet_phase phase, bool status_known, uint32_t status,
                                             enum kdnet_source source, enum kdnet_reason reason);

#endif
