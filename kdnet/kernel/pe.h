/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pe: the headers of an image in memory: its debug directory, and the CodeView entry in that directory.
 *
 * Protocol: PROTOCOL.md section 7 [doc: the PE format]. The bytes come from a machine that has crashed: nothing is
 * trusted.
 */
#ifndef KDNET_PE_H
#define KDNET_PE_H

#include <stddef.h>
#include <stdint.h>

#define KDNET_PE_HEADER_SIZE 1024 /* enough for the headers of every kernel seen: e_lfanew is under 0x140 */

/*
 * Finds the debug directory of an image in its first bytes.
 *
 * header  at least a DOS header; best KDNET_PE_HEADER_SIZE bytes from the image's base.
 * rva, size  of the directory: an array of 28-byte entries.
 * Returns KDNET_OK; KDNET_ERR_FORMAT when the image is no PE32 or PE32+ image, has no debug directory, or its headers
 * lie beyond `length`.
 */
int kdnet_pe_debug_directory(const uint8_t *header, size_t length, uint32_t *rva, uint32_t *size);

/* Finds the CodeView entry (type 2) in a debug directory: RVA and size of its record. Returns KDNET_OK or
 * KDNET_ERR_FORMAT. */
int kdnet_pe_codeview(const uint8_t *directory, size_t length, uint32_t *rva, uint32_t *size);

#endif
