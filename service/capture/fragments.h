/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fragments: puts IP packets together from their parts (RFC 791, RFC 8200 4.5), in whatever order they come.
 *
 * Memory: FRAGMENTS_PENDING packets at a time, each with room for the longest; the one that waits longest gives way.
 * About 2 MiB, and only once a part has come.
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
 * Takes a part. Returns of how many parts its packet consists, when it is whole by now, and then writes the payload,
 * which stays until the next call; else 0. What lies over bytes that are there already replaces them.
 */
unsigned fragments_add(struct fragments *fragments, const struct frame_fragment *part, const uint8_t **data,
                       size_t *length);

#endif
