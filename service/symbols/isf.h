/* SPDX-License-Identifier: Apache-2.0 */
/*
 * isf: where a name is, from a symbol table of Volatility 3 (JSON, "ISF"), plain or compressed.
 *
 * Uses flow, json_reader. Format: Volatility 3's schemas 4 to 6, and real tables of six kernels: symbols.NAME.address
 * is the RVA, metadata.windows.pdb has GUID, age and database. Reading costs one pass over the file: 0.1 s and 9 MiB
 * for the 7 MB of a real kernel.
 */
#ifndef SERVICE_SYMBOLS_ISF_H
#define SERVICE_SYMBOLS_ISF_H

#include "service/symbols/file.h"

#include "kdnet/kernel/kernel.h"

struct isf {
    bool identity_known; /* the file says which PDB it was made from */
    struct kdnet_pdb pdb;
    uint32_t machine; /* of metadata.windows.pdb.machine_type; 0: it does not say */
};

/*
 * Looks up names in one pass over the file, each exactly as it stands, and, in a table for x86, with an underscore
 * before it.
 *
 * wanted    the kernel that it must be of; NULL: any.
 * out       what the table says of itself, as far as it was read; written in any case.
 *
 * names     1 to SYMBOL_NAMES_MAX; each has SYMBOL_FOUND with its rva, or SYMBOL_ABSENT, when the table was read.
 *
 * Returns true, or false with a reason: it is of another kernel or does not say of which, is damaged, cut short or too
 * large, or the build cannot decompress it.
 */
bool isf_find_all(const struct symbol_file *file, const struct kdnet_pdb *wanted, struct symbol_name *names,
                  size_t count, struct isf *out, char reason[static SYMBOL_REASON_SIZE]);

/*
 * Looks up the symbols that addresses lie at or behind, up to SYMBOL_ADDRESSES_MAX, in one pass over the file: each has
 * SYMBOL_FOUND, or SYMBOL_ABSENT when no symbol lies less than SYMBOL_REACH before it. Otherwise as isf_find_all.
 */
bool isf_find_addresses(const struct symbol_file *file, const struct kdnet_pdb *wanted,
                        struct symbol_address *addresses, size_t count, struct isf *out,
                        char reason[static SYMBOL_REASON_SIZE]);

/* A look-up of one name: SYMBOL_FOUND with rva, SYMBOL_ABSENT, or SYMBOL_NONE with a reason. */
enum symbol_answer isf_find(const struct symbol_file *file, const struct kdnet_pdb *wanted, const char *name,
                            uint32_t *rva, struct isf *out, char reason[static SYMBOL_REASON_SIZE]);

#endif
