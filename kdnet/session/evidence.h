/* SPDX-License-Identifier: Apache-2.0 */
/*
 * evidence: further values to read from a halted machine, and what became of each.
 *
 * Uses machine, wire. What is read is told as it is, without more being claimed than it says. Nothing here asks the
 * machine: evidence_probe.c does, when the status is known or cannot be.
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

#define KDNET_LOADED_IMAGE_SIZE 0x68U /* bytes of an entry that are read */

/* Bytes of a value that have to be read at once; of UNICODE, the structure. */
uint32_t kdnet_read_length(const struct kdnet_machine_layout *layout, enum kdnet_read_kind kind);

/* A pointer as this machine says it; `data` has pointer_size bytes. */
uint64_t kdnet_pointer(const struct kdnet_machine_layout *layout, const uint8_t *data);

/* Reads an entry of KDNET_LOADED_IMAGE_SIZE bytes. */
void kdnet_loaded_image_decode(const struct kdnet_machine_layout *layout, const uint8_t *data,
                               struct kdnet_loaded_image *out);

/* Whether an image with such a long name in UTF-16 may be this module. */
bool kdnet_module_may_be(const char *module, uint16_t name_length);

/* Whether an image's name in UTF-16 is this module's, with an extension or without; case does not matter. */
bool kdnet_module_is(const char *module, const uint8_t *name, size_t length);

/* The value of a symbol of the kernel itself; false: it was not read. evidence: NULL when there is none. */
bool kdnet_evidence_find(const struct kdnet_evidence *evidence, const char *symbol, enum kdnet_read_kind kind,
                         uint64_t *number);

/* Keeps a number. */
void kdnet_evidence_number(struct kdnet_evidence *evidence, size_t i, const uint8_t *data, size_t length);

/*
 * Keeps a text up to a NUL; UTF-16 when `wide`. When `more`, the machine has more of it behind `data`, unless a NUL
 * ends it. The value is KNOWN only when all of it is kept; otherwise CUT, or NO_ROOM when nothing of it is.
 */
void kdnet_evidence_text(struct kdnet_evidence *evidence, size_t i, const uint8_t *data, size_t length, bool wide,
                         bool more);

#endif
