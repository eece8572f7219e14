/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kernel: what a target is: its machine, who answers, its kernel's image, and a bug check.
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
    KDNET_MACHINE_X86 = 0x14c, /* IMAGE_FILE_MACHINE_*, as GetVersion says it */
    KDNET_MACHINE_ARM64 = 0xaa64,
    KDNET_MACHINE_X64 = 0x8664,
};

/* "x64", "x86", "arm64" or "unknown". */
const char *kdnet_machine_name(enum kdnet_machine machine);

/* Who answers GetVersion: the high byte of MajorVersion [doc, cap]. */
enum kdnet_who {
    KDNET_WHO_NT = 0,
    KDNET_WHO_BOOT = 4,
    KDNET_WHO_HYPERVISOR = 8,
};

#define KDNET_BUILD_LAB_SIZE 128 /* with the NUL */
#define KDNET_PDB_NAME_SIZE  64
#define KDNET_GUIDAGE_SIZE   41 /* 32 hex digits, up to 8 of age, NUL */

/* KiBugCheckData. */
struct kdnet_bugcheck {
    uint32_t code;
    uint64_t parameters[4];
};

/* What names the symbol file of an image. */
struct kdnet_pdb {
    char name[KDNET_PDB_NAME_SIZE]; /* ntkrnlmp.pdb; printable ASCII, cut when longer */
    uint8_t guid[16];               /* as in the image: first three groups little-endian */
    uint32_t age;
};

/* GUID and age as symbol stores have them: 32 hex digits in capitals, then the age in hex. NUL-ended. */
void kdnet_pdb_guidage(const struct kdnet_pdb *pdb, char out[KDNET_GUIDAGE_SIZE]);

/*
 * By what a kernel is known again without being read: its build string, and where it has five things that its debugger
 * data names. Both are known before its image is looked at. Two kernels may share the build string (monthly updates
 * do), so each of the five is also a public symbol: a symbol file that has all of them at these RVAs is this kernel's.
 */
#define KDNET_PRINT_SYMBOLS 5

struct kdnet_image_print {
    uint32_t machine; /* no padding: prints are compared byte by byte */
    uint32_t rva[KDNET_PRINT_SYMBOLS];
    char build_lab[KDNET_BUILD_LAB_SIZE]; /* zeros behind the text */
};

/* The name of the symbol at rva[i]. */
const char *kdnet_print_symbol(size_t i);

KDNET_HEADER_END

#endif
