/* SPDX-License-Identifier: Apache-2.0 */
/*
 * driver_image: the driver of a simulated machine, as clang and lld-link make it from driver/MACHINE.s, laid out in
 * memory, with its functions' unwind data. Builds without clang or lld-link have none, and memory.c makes up a driver.
 */
#ifndef KDNET_TARGET_DRIVER_IMAGE_H
#define KDNET_TARGET_DRIVER_IMAGE_H

#include "kdnet/wire/machine.h"

#include <stddef.h>
#include <stdint.h>

#define DRIVER_FUNCTION_SIZE 0x400U /* bytes of each function; the functions fill the page at 0x1000 */

struct driver_image {
    enum kdnet_machine machine;
    uint32_t size; /* a multiple of a page */
    const uint8_t *bytes;
};

/* Ends with a row of no bytes. */
extern const struct driver_image driver_images[];

#endif
