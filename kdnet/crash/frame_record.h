/* SPDX-License-Identifier: Apache-2.0 */
/*
 * frame_record: the frame in which a processor stood, decoded from a register record (CONTEXT or trap frame) that the
 * parameters of some bug checks point to. The stack of such a crash begins at the record, not in the kernel's crash
 * path.
 *
 * Pure. Sources: Microsoft's bug check code reference names the parameter; winnt.h and the types in the public symbols
 * (equal in six x64 kernels, Windows 8.1 to 11) give the registers' offsets; the trap frame of x86 is ReactOS's. No
 * public source for ARM64's trap frame is known.
 */
#ifndef KDNET_FRAME_RECORD_H
#define KDNET_FRAME_RECORD_H

#include "kdnet/kernel.h"
#include "kdnet/unwind/unwind.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KDNET_FRAME_RECORD_MAX 0x190U /* most bytes needed, from a record's start */

enum kdnet_frame_record { KDNET_FRAME_CONTEXT, KDNET_FRAME_TRAP };

/* The parameter of a bug check that points to a record. */
struct kdnet_frame_rule {
    uint32_t code;
    uint8_t parameter; /* 1 to 4 */
    uint8_t kind;      /* enum kdnet_frame_record */
};

/* The table, for tests and listings; ascending by code. */
extern const struct kdnet_frame_rule kdnet_frame_rules[];
extern const size_t kdnet_frame_rule_count;

/* Returns the address of the bug check's record; 0: no record, or not in the kernel's memory. */
uint64_t kdnet_frame_record_address(enum kdnet_machine machine, const struct kdnet_bugcheck *bugcheck,
                                    enum kdnet_frame_record *kind);

/* Gets the range of bytes needed of a record: offsets *from to *to. False: unknown for this processor. */
bool kdnet_frame_record_area(enum kdnet_machine machine, enum kdnet_frame_record kind, uint32_t *from, uint32_t *to);

/*
 * Decodes the frame in a record.
 *
 * address  of the record in the machine's memory: the stack of an x86 trap continues behind the record.
 * record   bytes from the record's start; only the range of kdnet_frame_record_area is read.
 * Returns false, with `out` unchanged, when the record cannot be of this machine's kernel.
 */
bool kdnet_frame_from_record(enum kdnet_machine machine, enum kdnet_frame_record kind, uint64_t address,
                             const uint8_t *record, struct kdnet_frame *out);

/* Decodes a whole CONTEXT that the machine sent as its own registers, without plausibility checks. False: unknown
 * processor. */
bool kdnet_frame_from_context(enum kdnet_machine machine, const uint8_t *context, struct kdnet_frame *out);

#endif
