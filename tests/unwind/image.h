/* SPDX-License-Identifier: Apache-2.0 */
/* image: a PE file laid out as its loader would. Two programs that check the unwinder on files of other compilers. */
#ifndef TESTS_UNWIND_IMAGE_H
#define TESTS_UNWIND_IMAGE_H

#include "kdnet/unwind/unwind.h"

#include <stdint.h>

struct image {
    uint8_t *bytes; /* on pages of its own */
    uint32_t size, entry;
    uint64_t preferred; /* base that it was linked for */
    enum kdnet_machine machine;
    struct kdnet_unwind_image place; /* `base` as told */
};

/* Reads a file and puts its sections where they belong. Ends the program with a word when it is no image. */
void image_load(struct image *image, const char *path, uint64_t base);

#endif
