/* SPDX-License-Identifier: Apache-2.0 */
/*
 * probe: a symbol file of any kind: a PDB, a cabinet with a PDB, a symbol table of Volatility, compressed or not.
 *
 * The first bytes decide the kind, not the name.
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
    bool any;                /* any image is accepted */
    struct kdnet_pdb wanted; /* the image that the file must belong to */
};

/*
 * Opens a file.
 *
 * wanted   the image that the file must belong to; its name selects the file in a cabinet. NULL: any image.
 *
 * Returns 0; UV_ENOENT when there is no such file; another negative number with a reason: the file belongs to another
 * image, is damaged, or unreadable. Close the probe after 0 only.
 */
int probe_open(struct probe *probe, const char *path, const struct kdnet_pdb *wanted,
               char reason[static SYMBOL_REASON_SIZE]);

/* Gets the image that the file belongs to. Reads a whole symbol table of Volatility. False with a reason. */
bool probe_identity(const struct probe *probe, struct kdnet_pdb *out, char reason[static SYMBOL_REASON_SIZE]);

/* Looks up a name: SYMBOL_FOUND with rva and source, SYMBOL_ABSENT with source, SYMBOL_NONE with a reason. */
enum symbol_answer probe_find(const struct probe *probe, const char *symbol, uint32_t *rva, enum kdnet_source *source,
                              char reason[static SYMBOL_REASON_SIZE]);

/*
 * Looks up several names at once, at the cost of one; the first is the one that matters.
 *
 * Returns the first name's answer; `names` has the other answers.
 */
enum symbol_answer probe_find_all(const struct probe *probe, struct symbol_name *names, size_t count,
                                  enum kdnet_source *source, char reason[static SYMBOL_REASON_SIZE]);

/* Looks up the symbols at or before addresses; each has its own answer, and SYMBOL_NONE a reason. */
void probe_find_addresses(const struct probe *probe, struct symbol_address *addresses, size_t count,
                          enum kdnet_source *source, char reason[static SYMBOL_REASON_SIZE]);

void probe_close(struct probe *probe);

#endif
