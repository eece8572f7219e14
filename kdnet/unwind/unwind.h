/* SPDX-License-Identifier: Apache-2.0 */
/*
 * unwind: from one frame of a halted processor's stack to its caller's frame, by the images' own unwind data.
 *
 * Sources: Microsoft's "x64 exception handling" and "ARM64 exception handling"; the slots of version-2 epilog codes
 * from .NET's open runtime. Pure and bounded: whatever the memory contains, one call reads at most
 * KDNET_UNWIND_READS_MAX values, and a frame needs at most KDNET_UNWIND_NEEDS_MAX blocks. The stack is never scanned
 * for guesses.
 */
#ifndef KDNET_UNWIND_H
#define KDNET_UNWIND_H

#include "kdnet/unwind/blocks.h"
#include "kdnet/wire/machine.h"

#include <stdbool.h>
#include <stdint.h>

#define KDNET_UNWIND_READS_MAX 1024U
#define KDNET_UNWIND_CHAIN_MAX 32U
#define KDNET_UNWIND_NEEDS_MAX KDNET_BLOCKS_MAX /* blocks of one frame: a frame that needs more cannot be unwound */

enum kdnet_unwind_result {
    KDNET_UNWIND_OK,
    KDNET_UNWIND_NEEDS, /* needs memory: fetch blocks->want, then call again with the same registers */
    KDNET_UNWIND_END,   /* this frame cannot be unwound, or is the last */
};

/* Registers of x64, by number of the instruction set. */
enum {
    KDNET_X64_RSP = 4,
    KDNET_X64_RBP = 5,
};

/* Registers of ARM64. */
enum {
    KDNET_ARM64_FP = 29,
    KDNET_ARM64_LR = 30,
};

struct kdnet_frame {
    uint64_t pc, sp;
    uint64_t x[31]; /* x64: 16 registers, x[4] equals sp; ARM64: x0 to x30; x86: x[5] is ebp */
    bool exact;     /* pc is the very instruction (a fault's or a break's), not a return address */
};

/* The image that contains a frame's pc. */
struct kdnet_unwind_image {
    uint64_t base;
    uint32_t size;
    uint32_t table_rva, table_size; /* exception directory (.pdata); 0: none */
};

/*
 * Replaces a frame by its caller's.
 *
 * image  contains the frame's pc.
 * frame  written only with KDNET_UNWIND_OK.
 */
enum kdnet_unwind_result kdnet_unwind(enum kdnet_machine machine, struct kdnet_blocks *memory,
                                      const struct kdnet_unwind_image *image, struct kdnet_frame *frame);

/*
 * Finds an image's exception directory and its distinguishing fields, in its first block.
 *
 * Returns KDNET_UNWIND_OK; NEEDS; or END when the block is no PE image for this processor.
 */
struct kdnet_image_header {
    uint32_t size, stamp;           /* SizeOfImage, TimeDateStamp */
    uint32_t table_rva, table_size; /* exception directory */
    uint32_t at;                    /* of the PE signature, from the image's start */
};
enum kdnet_unwind_result kdnet_image_header(enum kdnet_machine machine, struct kdnet_blocks *memory, uint64_t base,
                                            struct kdnet_image_header *out);

#endif
