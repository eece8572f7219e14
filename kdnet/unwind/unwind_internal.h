/* SPDX-License-Identifier: Apache-2.0 */
/*
 * unwind_internal: shared by the unwinders of all processors. Not for callers.
 */
#ifndef KDNET_UNWIND_INTERNAL_H
#define KDNET_UNWIND_INTERNAL_H

#include "kdnet/unwind/unwind.h"

/* One call of kdnet_unwind. All reads fail once `result` is not OK. */
struct unwinding {
    struct kdnet_blocks *memory;
    const struct kdnet_unwind_image *image;
    unsigned reads;
    enum kdnet_unwind_result result;
};

/* Each returns false, and sets `result`, when the memory is missing or unreadable, or the call has read too much. */
bool kdnet_unwind_read(struct unwinding *u, uint64_t address, uint8_t *out, size_t length);
bool kdnet_unwind_u32(struct unwinding *u, uint64_t address, uint32_t *out);
bool kdnet_unwind_u64(struct unwinding *u, uint64_t address, uint64_t *out);

/* Reads a part of the image's own data; a part that leaves the image ends the call. */
bool kdnet_unwind_read_image(struct unwinding *u, uint32_t rva, uint8_t *out, size_t length);

/* Ends the call because the data make no sense. Returns false. */
bool kdnet_unwind_fail(struct unwinding *u);

/*
 * Finds the entry of the exception directory for an RVA: the last entry that begins at or before the RVA.
 *
 * entry_size  12 (x64) or 8 (ARM64).
 * Returns false with result OK when there is no entry.
 */
bool kdnet_unwind_find(struct unwinding *u, uint32_t rva, uint32_t entry_size, uint8_t *entry);

bool kdnet_unwind_x64(struct unwinding *u, struct kdnet_frame *frame);
bool kdnet_unwind_arm64(struct unwinding *u, struct kdnet_frame *frame);
bool kdnet_unwind_x86(struct unwinding *u, struct kdnet_frame *frame);

#endif
