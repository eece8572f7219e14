/* SPDX-License-Identifier: Apache-2.0 */
/*
 * trace: searches the origin of a crash: the address that the bug check names, the image at that address, the stack of
 * the processor that crashed, and the crash's group.
 *
 * Sans-I/O: asks the caller for blocks of memory. Bounded: never asks for more blocks than the budget, whatever the
 * machine's memory contains.
 */
#ifndef KDNET_TRACE_H
#define KDNET_TRACE_H

#include "kdnet/crash/trace_search.h"

void kdnet_trace_begin(struct kdnet_trace_search *search, const struct kdnet_trace_start *start);

/* Continues the search. Returns true when the block at *want is needed. False: the search is over, or waits for what
 * other machines are being asked (search->waits): no longer than until start.wait_until_us. */
bool kdnet_trace_next(struct kdnet_trace_search *search, uint64_t *want);

/* Gives the block that was asked for, up to KDNET_BLOCK_SIZE bytes; length 0: unreadable. */
void kdnet_trace_give(struct kdnet_trace_search *search, const uint8_t *data, size_t length);

/* Writes the name of the crash's group. */
void kdnet_trace_bucket(const struct kdnet_trace *trace, uint32_t code, uint16_t build,
                        char out[static KDNET_BUCKET_SIZE]);

#endif
