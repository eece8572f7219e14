/* SPDX-License-Identifier: Apache-2.0 */
/*
 * loaded_image: entries of the kernel's list of loaded images, and which module an entry is.
 *
 * The bytes come from a machine that has crashed: nothing is trusted.
 */
#ifndef KDNET_LOADED_IMAGE_H
#define KDNET_LOADED_IMAGE_H

#include "kdnet/wire/machine.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* An image in the kernel's list of them (PsLoadedModuleList): a KLDR_DATA_TABLE_ENTRY [x64 and ARM64: sym, Windows 8.1
 * to 11, and cap frame 20; x86: ros]. */
struct kdnet_loaded_image {
    uint64_t next; /* entry, or the head of the list */
    uint64_t base;
    uint64_t name;        /* address of BaseDllName's text, UTF-16 */
    uint16_t name_length; /* bytes */
};

#define KDNET_LOADED_IMAGE_SIZE 0x68U /* bytes read of an entry */

/* Reads an entry of KDNET_LOADED_IMAGE_SIZE bytes. */
void kdnet_loaded_image_decode(const struct kdnet_machine_layout *layout, const uint8_t *data,
                               struct kdnet_loaded_image *out);

/* Whether an image with such a long name in UTF-16 may be this module. */
bool kdnet_loaded_image_may_be(const char *module, uint16_t name_length);

/* Whether an image's name in UTF-16 is this module's, with an extension or without; case does not matter. */
bool kdnet_loaded_image_is(const char *module, const uint8_t *name, size_t length);

#endif
