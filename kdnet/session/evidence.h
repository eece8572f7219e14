/* SPDX-License-Identifier: Apache-2.0 */
/*
 * evidence: further values to read from a halted machine, and the result of each read.
 *
 * Values are reported as read, without interpretation. Nothing here asks the machine: probes/evidence.c does, once the
 * status is known or cannot be known.
 */
#ifndef KDNET_EVIDENCE_H
#define KDNET_EVIDENCE_H

#include "kdnet/evidence.h"
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

/* Bytes of a value that must come in one read; of UNICODE, the structure's. */
uint32_t kdnet_read_length(const struct kdnet_machine_layout *layout, enum kdnet_read_kind kind);

/* Decodes a pointer of this machine; `data` has pointer_size bytes. */
uint64_t kdnet_pointer(const struct kdnet_machine_layout *layout, const uint8_t *data);

/* Reads an entry of KDNET_LOADED_IMAGE_SIZE bytes. */
void kdnet_loaded_image_decode(const struct kdnet_machine_layout *layout, const uint8_t *data,
                               struct kdnet_loaded_image *out);

/* Whether an image with such a long name in UTF-16 may be this module. */
bool kdnet_module_may_be(const char *module, uint16_t name_length);

/* Whether an image's name in UTF-16 is this module's, with an extension or without; case does not matter. */
bool kdnet_module_is(const char *module, const uint8_t *name, size_t length);

/* Finds the value of a symbol of the kernel itself; false: it was not read. evidence: may be NULL. */
bool kdnet_evidence_find(const struct kdnet_evidence *evidence, const char *symbol, enum kdnet_read_kind kind,
                         uint64_t *number);

/* Keeps a number. */
void kdnet_evidence_number(struct kdnet_evidence *evidence, size_t i, const uint8_t *data, size_t length);

/*
 * Keeps a text up to its NUL; UTF-16 when `wide`. `more`: the machine has more text behind `data`, unless a NUL ends
 * it. The value becomes KNOWN when the whole text is kept, CUT when a part of it is, NO_ROOM when nothing is.
 */
void kdnet_evidence_text(struct kdnet_evidence *evidence, size_t i, const uint8_t *data, size_t length, bool wide,
                         bool more);

#endif
