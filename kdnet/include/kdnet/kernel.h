/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kernel: types that describe a target's kernel: processor, image identity, bug check.
 */
#ifndef KDNET_PUBLIC_KERNEL_H
#define KDNET_PUBLIC_KERNEL_H

#include "kdnet/header.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

KDNET_HEADER_BEGIN

enum kdnet_machine {
    KDNET_MACHINE_UNKNOWN = 0,
    KDNET_MACHINE_X86 = 0x14c, /* IMAGE_FILE_MACHINE_* values, as GetVersion reports them */
    KDNET_MACHINE_ARM64 = 0xaa64,
    KDNET_MACHINE_X64 = 0x8664,
};

/* "x64", "x86", "arm64" or "unknown". */
const char *kdnet_machine_name(enum kdnet_machine machine);

/* Which component answers GetVersion: the high byte of MajorVersion [doc, cap]. */
enum kdnet_who {
    KDNET_WHO_NT = 0,
    KDNET_WHO_BOOT = 4,
    KDNET_WHO_HYPERVISOR = 8,
};

/* "nt", "boot", "hypervisor" or "unknown". */
const char *kdnet_who_name(enum kdnet_who who);

#define KDNET_BUILD_LAB_SIZE 128 /* bytes, with the NUL */
#define KDNET_PDB_NAME_SIZE  64
#define KDNET_GUIDAGE_SIZE   41 /* 32 hex digits, up to 8 of age, NUL */

/* Contents of KiBugCheckData. */
struct kdnet_bugcheck {
    uint32_t code;
    uint64_t parameters[4];
};

/* Identity of an image's symbol file (PDB), from the image's CodeView record. */
struct kdnet_pdb {
    char name[KDNET_PDB_NAME_SIZE]; /* e.g. "ntkrnlmp.pdb"; printable ASCII, truncated to the array */
    uint8_t guid[16];               /* byte order of the image: the first three groups are little-endian */
    uint32_t age;
};

/* Writes GUID and age in the form that symbol stores use: 32 upper-case hex digits, then the age in hex.
 * NUL-terminated. */
void kdnet_pdb_guidage(const struct kdnet_pdb *pdb, char out[KDNET_GUIDAGE_SIZE]);

/*
 * Fingerprint of a kernel image, known before any byte of the image is read: the build string, and the RVAs of five
 * variables that the debugger data names. Monthly updates can share a build string; the five RVAs tell them apart. Each
 * of the five variables is also a public symbol, so a PDB with all five symbols at these RVAs belongs to this kernel.
 */
#define KDNET_FINGERPRINT_SYMBOLS 5

struct kdnet_fingerprint {
    uint32_t machine; /* uint32_t, so that the struct has no padding: fingerprints are compared with memcmp */
    uint32_t rva[KDNET_FINGERPRINT_SYMBOLS];
    char build_lab[KDNET_BUILD_LAB_SIZE]; /* zero-filled behind the text */
};

/* Returns the symbol name that belongs to rva[i]; i < KDNET_FINGERPRINT_SYMBOLS. */
const char *kdnet_fingerprint_symbol(size_t i);

KDNET_HEADER_END

#endif
