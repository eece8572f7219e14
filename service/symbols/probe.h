/* SPDX-License-Identifier: Apache-2.0 */
/*
 * probe: a symbol file of whatever kind: a PDB, a cabinet with a PDB, a symbol table of Volatility, compressed or not.
 *
 * Uses cab, pdb, isf. What a file is, its first bytes say, not its name.
 */
#ifndef SERVICE_SYMBOLS_PROBE_H
#define SERVICE_SYMBOLS_PROBE_H

#include "service/symbols/pdb.h"

#include "kdnet/kernel/crash.h"

struct probe {
    struct symbol_file file;
    struct symbol_file unpacked; /* out of a cabinet */
    struct pdb pdb;
    enum { PROBE_PDB, PROBE_ISF } kind;
    bool any;                /* whatever image it is of */
    struct kdnet_pdb wanted; /* the image that it must be of */
};

/*
 * Opens a file.
 *
 * wanted   the image that it must be of; its name chooses the file in a cabinet. NULL: whatever it is of.
 *
 * Returns 0; UV_ENOENT when there is no such file; another negative number with a reason: it is of another image,
 * damaged, cannot be read. Close it after 0 only.
 */
int probe_open(struct probe *probe, const char *path, const struct kdnet_pdb *wanted,
               char reason[static SYMBOL_REASON_SIZE]);

/* What it is of. Reads a whole symbol table of Volatility. False with a reason. */
bool probe_identity(const struct probe *probe, struct kdnet_pdb *out, char reason[static SYMBOL_REASON_SIZE]);

/* Looks up a name: SYMBOL_FOUND with rva and source, SYMBOL_ABSENT with source, SYMBOL_NONE with a reason. */
enum symbol_answer probe_find(const struct probe *probe, const char *symbol, uint32_t *rva, enum kdnet_source *source,
                              char reason[static SYMBOL_REASON_SIZE]);

/*
 * Looks up several names at once, at the price of one; the first is the one that matters.
 *
 * Returns its answer; what the others are, is in `names`.
 */
enum symbol_answer probe_find_all(const struct probe *probe, struct symbol_name *names, size_t count,
                                  enum kdnet_source *source, char reason[static SYMBOL_REASON_SIZE]);

/* Looks up the symbols that addresses lie at or behind; each has its own answer, and SYMBOL_NONE a reason. */
void probe_find_addresses(const struct probe *probe, struct symbol_address *addresses, size_t count,
                          enum kdnet_source *source, char reason[static SYMBOL_REASON_SIZE]);

void probe_close(struct probe *probe);

#endif
