/* SPDX-License-Identifier: Apache-2.0 */
/*
 * isf: looks up names in a symbol table of Volatility 3 (JSON, "ISF"), plain or compressed.
 *
 * Format: Volatility 3's schemas 4 to 6, and real tables of six kernels: symbols.NAME.address is the RVA,
 * metadata.windows.pdb has GUID, age and database. Costs one pass over the file: 0.1 s and 9 MiB for the 7 MB of a real
 * kernel.
 */
#ifndef SERVICE_SYMBOLS_ISF_H
#define SERVICE_SYMBOLS_ISF_H

#include "service/symbols/file.h"

#include "kdnet/kernel.h"

struct isf {
    bool identity_known; /* the file states the PDB that it was made from */
    struct kdnet_pdb pdb;
    uint32_t machine; /* from metadata.windows.pdb.machine_type; 0: absent */
};

/*
 * Looks up names in one pass over the file, each verbatim, and, in a table for x86, also with a leading underscore.
 *
 * wanted    the kernel that the table must belong to; NULL: any.
 * out       the table's own statements, as far as they were read; always written.
 * names     1 to SYMBOL_NAMES_MAX; each has SYMBOL_FOUND with its rva, or SYMBOL_ABSENT, when the table was read.
 *
 * Returns true, or false with a reason: the table belongs to another kernel or does not state one, is damaged,
 * truncated or too large, or the build cannot decompress it.
 */
bool isf_find_all(const struct symbol_file *file, const struct kdnet_pdb *wanted, struct symbol_name *names,
                  size_t count, struct isf *out, char reason[static SYMBOL_REASON_SIZE]);

/*
 * Looks up the symbols at or before addresses, up to SYMBOL_ADDRESSES_MAX, in one pass over the file: each has
 * SYMBOL_FOUND, or SYMBOL_ABSENT when no symbol lies less than SYMBOL_REACH before it. Otherwise like isf_find_all.
 */
bool isf_find_addresses(const struct symbol_file *file, const struct kdnet_pdb *wanted,
                        struct symbol_address *addresses, size_t count, struct isf *out,
                        char reason[static SYMBOL_REASON_SIZE]);

/* Looks up one name: SYMBOL_FOUND with rva, SYMBOL_ABSENT, or SYMBOL_NONE with a reason. */
enum symbol_answer isf_find(const struct symbol_file *file, const struct kdnet_pdb *wanted, const char *name,
                            uint32_t *rva, struct isf *out, char reason[static SYMBOL_REASON_SIZE]);

#endif
