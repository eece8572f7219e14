/* SPDX-License-Identifier: Apache-2.0 */
/*
 * machine: differences between x64, x86 and ARM64: register contexts, control reports, breakpoint instructions,
 * pointers.
 *
 * Sources: PROTOCOL.md sections 5 and 6; CONTEXT layouts as in the public winnt.h.
 */
#ifndef KDNET_MACHINE_H
#define KDNET_MACHINE_H

#include "kdnet/kernel.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KDNET_CONTEXT_MAX 1232 /* x64's, the largest */

/* Offsets and sizes in bytes, in the CONTEXT and in the control report of a state change. */
struct kdnet_machine_layout {
    enum kdnet_machine machine;
    const char *name; /* "x64", "x86" or "arm64", as in results */
    size_t pointer_size;
    size_t context_size;
    size_t context_flags_at;
    uint32_t context_all; /* ContextFlags with which SetContext writes all registers */
    size_t pc_at;         /* Rip, Eip, Pc */
    size_t argument_at;   /* first argument register: Rcx, Eax (as RtlpBreakWithStatusInstruction has it), X0 */
    size_t break_length;  /* of the breakpoint instruction: int 3, BRK #F000 */
};

/* NULL for an unknown processor. */
const struct kdnet_machine_layout *kdnet_machine_layout(enum kdnet_machine machine);

/* Program counter, first argument register: `context` has context_size bytes. 32-bit values come sign-extended, as KD
 * has addresses. */
uint64_t kdnet_machine_pc(const struct kdnet_machine_layout *layout, const uint8_t *context);
uint64_t kdnet_machine_argument(const struct kdnet_machine_layout *layout, const uint8_t *context);
void kdnet_machine_set_pc(const struct kdnet_machine_layout *layout, uint8_t *context, uint64_t pc);
void kdnet_machine_set_argument(const struct kdnet_machine_layout *layout, uint8_t *context, uint64_t value);

/* Converts an address from KD's form: 32-bit addresses are sign-extended. */
uint64_t kdnet_machine_address(enum kdnet_machine machine, uint64_t address);

/*
 * Whether an address lies below the kernel's half of the address space. x64, ARM64: below FFFF800000000000; x86: below
 * 80000000. Always false for an unknown processor.
 */
bool kdnet_machine_is_user_address(enum kdnet_machine machine, uint64_t address);

/*
 * Whether an x86 address lies in the gigabyte that belongs to the kernel, or to programs with 4-gigabyte tuning (/3GB,
 * increaseuserva): 80000000 to BFFFFFFF [doc]. Only the code segment decides.
 */
bool kdnet_machine_is_ambiguous_address(enum kdnet_machine machine, uint64_t address);

/*
 * Clears single steps and hardware breakpoints that are set in the registers of `context`: ARM64's Cpsr.SS, Bcr, Wcr.
 * On x64 and x86 Continue2 does that (PROTOCOL section 5), and `context` stays unchanged. Returns whether anything
 * changed.
 */
bool kdnet_machine_stop_tracing(const struct kdnet_machine_layout *layout, uint8_t *context);

/* The fields used of a state change's control report. */
struct kdnet_control_report {
    uint64_t dr6;                /* x64, x86; 0 on ARM64 */
    uint64_t dr7;                /* x64, x86; 0 on ARM64 */
    uint16_t code_segment;       /* x64, x86: selector CS; 0 when the report lacks it */
    const uint8_t *instructions; /* at the program counter; borrowed; NULL when there are none */
    size_t instruction_count;    /* bytes, at most 16 */
};

/*
 * Reads a control report. `report` may be shorter than the machine's whole one; what is missing counts as absent.
 * ARM64's comes in two forms in public sources (Cpsr u32, or Bvr and Wvr u64, before the count) [inf]: the one whose
 * count is possible is taken.
 */
void kdnet_machine_report(enum kdnet_machine machine, const uint8_t *report, size_t length,
                          struct kdnet_control_report *out);

/* Writes a control report with up to 16 instruction bytes, as a simulated target does; returns its length, at most 48.
 */
size_t kdnet_machine_report_encode(enum kdnet_machine machine, uint64_t dr7, const uint8_t *instructions, size_t count,
                                   uint8_t out[static 48]);

/* Whether the instruction bytes begin with the machine's breakpoint: CC, or D43E0000 (BRK #F000) on ARM64. */
bool kdnet_machine_is_breakpoint(enum kdnet_machine machine, const uint8_t *instructions, size_t count);

/* Decodes a pointer of this machine; `data` has pointer_size bytes. */
uint64_t kdnet_machine_pointer(const struct kdnet_machine_layout *layout, const uint8_t *data);

#endif
