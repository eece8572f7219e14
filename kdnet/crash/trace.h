/* SPDX-License-Identifier: Apache-2.0 */
/*
 * trace: where a crash came from: the address that its bug check names, the image that it lies in, the stack of the
 * processor that crashed, and the group that all this puts the crash into.
 *
 * Uses cause, frame_record, trace_cache, unwind. Sans-I/O: asks for blocks of memory. Bounded: whatever the machine
 * says, it asks for no more blocks than its budget.
 */
#ifndef KDNET_TRACE_H
#define KDNET_TRACE_H

#include "kdnet/crash/trace_search.h"

void kdnet_trace_begin(struct kdnet_trace_search *search, const struct kdnet_trace_start *start);

/* Goes on. Returns whether the block at *want is needed; false: it is over. */
bool kdnet_trace_next(struct kdnet_trace_search *search, uint64_t *want);

/* The block that was wanted, up to KDNET_BLOCK_SIZE bytes; length 0: it cannot be read. */
void kdnet_trace_give(struct kdnet_trace_search *search, const uint8_t *data, size_t length);

/* The group that a crash belongs to. */
void kdnet_trace_bucket(const struct kdnet_trace *trace, uint32_t code, uint16_t build,
                        char out[static KDNET_BUCKET_SIZE]);

#endif
