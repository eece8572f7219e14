/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tiny: small PDBs and cabinets for tests, built byte by byte, so that each field can be made wrong.
 *
 * Written on the format alone: it shares nothing with the readers but the hash, which check_symbols.py holds against
 * the files of lld-link.
 */
#ifndef TESTS_SYMBOLS_TINY_H
#define TESTS_SYMBOLS_TINY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TINY_BLOCK 512
#define TINY_SIZE  65536 /* of the buffers below */

struct tiny_symbol {
    const char *name;
    uint16_t kind; /* 0x110e public, 0x110d global, 0x110c static */
    uint16_t segment;
    uint32_t offset;
};

struct tiny_pdb {
    uint8_t guid[16];
    uint32_t info_age, dbi_age;
    uint16_t machine;
    const struct tiny_symbol *publics, *globals; /* end with a NULL name */
    uint32_t sections[4];                        /* VirtualAddress of each; ends with 0 */
    const uint32_t (*omap)[2];                   /* from, to; ends with {0, 0} at a second place; NULL: none */
    const uint32_t (*omap_back)[2];              /* from the image to where it was before; NULL: none */
    uint32_t sections_before[4];
};

/* What a test may want to break, as offsets in the file. */
struct tiny_places {
    size_t directory, dbi, publics, records, sections;
};

/* Writes the file to `out` of TINY_SIZE bytes; returns its length. `places` may be NULL. */
size_t tiny_pdb_build(const struct tiny_pdb *pdb, uint8_t *out, struct tiny_places *places);

/* A cabinet with one file, stored; returns its length. */
size_t tiny_cab_build(const char *name, const uint8_t *content, size_t length, uint8_t *out);

#endif
