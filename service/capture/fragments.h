/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fragments: reassembles IP packets (RFC 791, RFC 8200 4.5) from parts in any order.
 *
 * Memory: FRAGMENTS_PENDING packets at a time, each with room for the longest; the packet that waits longest gives way.
 * About 2 MiB, allocated when the first part comes.
 */
#ifndef SERVICE_CAPTURE_FRAGMENTS_H
#define SERVICE_CAPTURE_FRAGMENTS_H

#include "service/capture/frame.h"

#define FRAGMENTS_PENDING 32
#define FRAGMENTS_LENGTH  65536U /* of a payload: offsets have 13 bits, in units of 8 bytes */

struct fragments;

/* NULL: out of memory. */
struct fragments *fragments_new(void);
void fragments_free(struct fragments *fragments); /* NULL is fine */

/*
 * Takes a part. When its packet is complete, writes the payload, which stays until the next call, and returns the
 * number of its parts; else 0. Overlapping bytes replace earlier ones.
 */
unsigned fragments_add(struct fragments *fragments, const struct frame_fragment *part, const uint8_t **data,
                       size_t *length);

#endif
