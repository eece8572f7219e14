/* SPDX-License-Identifier: Apache-2.0 */
/*
 * frame_record: where a processor stood, from a record of its registers: a CONTEXT or a trap frame, which the
 * parameters of some bug checks point to. The stack of a crash begins there rather than in the kernel's way to the
 * break.
 *
 * Uses kernel (bug check data), unwind (frames). Pure. Sources: Microsoft's bug check code reference says which
 * parameter it is, winnt.h and the public symbols' types (the same in six x64 kernels, Windows 8.1 to 11) where the
 * registers lie; the trap frame of x86 is ReactOS's. Of ARM64 no trap frame is known to us.
 */
#ifndef KDNET_FRAME_RECORD_H
#define KDNET_FRAME_RECORD_H

#include "kdnet/kernel/kernel.h"
#include "kdnet/unwind/unwind.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KDNET_FRAME_RECORD_MAX 0x190U /* bytes from a record's start that may be needed */

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

/* Where the bug check's record is; 0: it names none, or one that is not in the kernel's memory. */
uint64_t kdnet_frame_record_address(enum kdnet_machine machine, const struct kdnet_bugcheck *bugcheck,
                                    enum kdnet_frame_record *kind);

/* Which bytes of a record are needed: *from up to *to, counted from its start. False: not known for this machine. */
bool kdnet_frame_record_area(enum kdnet_machine machine, enum kdnet_frame_record kind, uint32_t *from, uint32_t *to);

/*
 * The frame of a record.
 *
 * address  of the record in the machine's memory: the stack of an x86 trap goes on behind it.
 * record   its bytes from the start, of which those of kdnet_frame_record_area are there.
 * Returns false, with `out` unchanged, when it cannot be one of this machine's kernel.
 */
bool kdnet_frame_from_record(enum kdnet_machine machine, enum kdnet_frame_record kind, uint64_t address,
                             const uint8_t *record, struct kdnet_frame *out);

/* The same of a whole CONTEXT that the machine itself has given: nothing is doubted. False: a machine that is not
 * known. */
bool kdnet_frame_from_context(enum kdnet_machine machine, const uint8_t *context, struct kdnet_frame *out);

#endif
