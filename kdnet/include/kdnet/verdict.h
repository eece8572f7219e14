/* SPDX-License-Identifier: Apache-2.0 */
/*
 * verdict: the conclusion about a crash dump, its source, and the reason when it is unknown.
 */
#ifndef KDNET_VERDICT_H
#define KDNET_VERDICT_H

#include "kdnet/header.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

KDNET_HEADER_BEGIN

#define KDNET_STATUS_SYMBOL "IopFinalCrashDumpStatus"

#define KDNET_DUMP_WRITTEN     0x00000000U
#define KDNET_DUMP_NOT_STARTED 0xffffffffU

/* Kind of break, as results name it. X(NAME, text) */
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

/* Why the status is unknown. X(NAME, text) */
#define KDNET_REASON_MAP(X)                                                                                            \
    X(NONE, "none")                                                                                                    \
    X(SYMBOL_ABSENT, "symbol_absent")                                                                                  \
    X(NO_SYMBOLS, "no_symbols")                                                                                        \
    X(UNREADABLE, "unreadable")                                                                                        \
    X(NO_KERNEL, "no_kernel")                                                                                          \
    X(TIMEOUT, "timeout")                                                                                              \
    X(LOST, "lost")                                                                                                    \
    X(OVERLOADED, "overloaded") /* so many machines were halted that this one's turn did not come in time */

/* Source of the status's address, or of the verdict when the status was not read. X(NAME, text) */
#define KDNET_SOURCE_MAP(X)                                                                                            \
    X(NONE, "none")                                                                                                    \
    X(PDB, "pdb")                                                                                                      \
    X(ISF, "isf")                                                                                                      \
    X(RVA, "rva")                                                                                                      \
    X(PHASE, "phase")                                                                                                  \
    X(PDB_HTTP, "pdb_http") /* a PDB downloaded over plain http://, which somebody may have altered */                 \
    X(DUMP_BLOCK,                                                                                                      \
      "dump_block")         /* the verdict rests on the dump block or the dump driver's base: null at both breaks */   \
    X(DUMP_LOG, "dump_log") /* the verdict rests on the last line of this crash's dump log */

#define KDNET_PHASE_ENUM(name, text)   KDNET_PHASE_##name,
#define KDNET_VERDICT_ENUM(name, text) KDNET_VERDICT_##name,
#define KDNET_REASON_ENUM(name, text)  KDNET_REASON_##name,
#define KDNET_SOURCE_ENUM(name, text)  KDNET_SOURCE_##name,
enum kdnet_phase { KDNET_PHASE_MAP(KDNET_PHASE_ENUM) };
enum kdnet_verdict { KDNET_VERDICT_MAP(KDNET_VERDICT_ENUM) };
enum kdnet_reason { KDNET_REASON_MAP(KDNET_REASON_ENUM) };
enum kdnet_source { KDNET_SOURCE_MAP(KDNET_SOURCE_ENUM) };
#undef KDNET_PHASE_ENUM
#undef KDNET_VERDICT_ENUM
#undef KDNET_REASON_ENUM
#undef KDNET_SOURCE_ENUM

/* Return the texts of the lists above; never NULL. */
const char *kdnet_phase_name(enum kdnet_phase phase);
const char *kdnet_verdict_name(enum kdnet_verdict verdict);
const char *kdnet_reason_name(enum kdnet_reason reason);
const char *kdnet_source_name(enum kdnet_source source);

struct kdnet_conclusion {
    enum kdnet_verdict verdict;
    enum kdnet_reason reason; /* NONE when the status was read */
    enum kdnet_source source; /* PHASE when only the order of the crash's breaks leads to the verdict */
};

/* State that a former debugger left in the kernel. Only a debugger sets it, and the kernel has no handler for it. */
enum kdnet_leftover {
    KDNET_LEFTOVER_NONE,
    KDNET_LEFTOVER_SINGLE_STEP,
    KDNET_LEFTOVER_HARDWARE_BREAKPOINT, /* the debug registers report a hit breakpoint */
};

/* Returns "single_step" or "hardware_breakpoint"; NULL for none. */
const char *kdnet_leftover_name(enum kdnet_leftover leftover);

KDNET_HEADER_END

#endif
