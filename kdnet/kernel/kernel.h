/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kernel: structures in the memory of a halted kernel: debugger data block, bug check data, PE image, PDB identity.
 *
 * Protocol: PROTOCOL.md section 7 [doc: wdbgexts.h and the PE format, both public]. These functions parse bytes that
 * the session has read. The bytes come from a machine that has crashed: nothing is trusted.
 */
#ifndef KDNET_KERNEL_H
#define KDNET_KERNEL_H

#include "kdnet/kernel.h"
#include "kdnet/wire/machine.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KDNET_DEBUGGER_DATA_SIZE 0x210 /* of KDDEBUGGER_DATA64, through NtBuildLab; the block is longer */
#define KDNET_PE_HEADER_SIZE     1024  /* enough for the headers of every kernel seen: e_lfanew is under 0x140 */
#define KDNET_CODEVIEW_SIZE      88    /* RSDS record: 24 bytes and a name of up to 63 characters and NUL */
#define KDNET_BUGCHECK_VALUES    5

/* Pointers out of KDDEBUGGER_DATA64; all are addresses in the target. */
struct kdnet_debugger_data {
    uint64_t kernel_base;            /* KernBase */
    uint64_t breakpoint_with_status; /* BreakpointWithStatus: the instruction of DbgBreakPointWithStatus */
    uint64_t loaded_module_list;     /* PsLoadedModuleList */
    uint64_t bugcheck_data;          /* KiBugcheckData */
    uint64_t build_lab;              /* NtBuildLab: a string */
};

/* Reads KDNET_DEBUGGER_DATA_SIZE bytes of block. Returns KDNET_OK, KDNET_ERR_SHORT, or KDNET_ERR_FORMAT (no KDBG tag,
 * or too small). */
int kdnet_debugger_data_decode(const uint8_t *block, size_t length, struct kdnet_debugger_data *out);

/* KiBugCheckData is five values of pointer size: 40 or 20 bytes. Returns KDNET_OK or KDNET_ERR_SHORT. */
int kdnet_bugcheck_decode(const struct kdnet_machine_layout *layout, const uint8_t *data, size_t length,
                          struct kdnet_bugcheck *out);

/* Whether a load-symbols path names a kernel: ntoskrnl.exe or one of its siblings, in any folder and case [inf: a
 * kernel with another name is identified at its first break]. */
bool kdnet_is_kernel_path(const char *path, size_t length);

/*
 * Makes the fingerprint of a kernel.
 *
 * block   address of the debugger data block; base: of the image; both in the form of `data`'s addresses.
 * Returns false when one of the five variables lies outside of 4 GB behind the base: no kernel.
 */
bool kdnet_image_print(enum kdnet_machine machine, uint64_t base, uint64_t block,
                       const struct kdnet_debugger_data *data, const char *build_lab, struct kdnet_image_print *out);

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

/* Reads an RSDS record. Returns KDNET_OK, KDNET_ERR_SHORT or KDNET_ERR_FORMAT. */
int kdnet_pdb_decode(const uint8_t *record, size_t length, struct kdnet_pdb *out);

/*
 * Finds "*** Fatal System Error: 0xCODE (0xP1,0xP2,0xP3,0xP4)" in debug text (PROTOCOL section 9, step 1). Returns true
 * and writes `out` when the line is complete.
 */
bool kdnet_bugcheck_from_text(const char *text, size_t length, struct kdnet_bugcheck *out);

#endif
