/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image_identity: finds an image's PDB identity from its base: headers, debug directory, CodeView record, one read
 * each. Pure: the caller reads the memory.
 *
 * The bytes come from a machine that has crashed: nothing is trusted.
 */
#ifndef KDNET_IMAGE_IDENTITY_H
#define KDNET_IMAGE_IDENTITY_H

#include "kdnet/kernel.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum kdnet_image_part {
    KDNET_IMAGE_HEADER,
    KDNET_IMAGE_DIRECTORY,
    KDNET_IMAGE_CODEVIEW,
};

/* Progress of the search. Zeros: at the start. May be kept and continued later. */
struct kdnet_image_way {
    uint8_t part;       /* enum kdnet_image_part: the part to read next */
    uint32_t rva, size; /* of the directory, or of the record */
};

enum kdnet_image_outcome {
    KDNET_IMAGE_MORE, /* the next read is to be made */
    KDNET_IMAGE_IDENTIFIED,
    KDNET_IMAGE_UNIDENTIFIED, /* the image has no identity; the search is at its start again */
};

/* The next read: RVA and length. */
void kdnet_image_way_next(const struct kdnet_image_way *way, uint32_t *rva, uint32_t *length);

/* Takes the bytes of the current part, perhaps truncated; writes `pdb` when the image is identified. */
enum kdnet_image_outcome kdnet_image_way_take(struct kdnet_image_way *way, const uint8_t *data, size_t length,
                                              struct kdnet_pdb *pdb);

/* Whether the first bytes of an image's headers say already where the debug directory is. */
bool kdnet_image_header_is_enough(const uint8_t *header, size_t length);

/* Whether a load-symbols path names a kernel: ntoskrnl.exe or one of its siblings, in any folder and case [inf: a
 * kernel with another name is identified at its first break]. */
bool kdnet_is_kernel_path(const char *path, size_t length);

#endif
