/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pdb: looks up names in the public symbols of a PDB, by the file's own hash table.
 *
 * Format: "The PDB File Format" in LLVM's documentation (DBI stream, global and public symbol streams, string hash V1),
 * checked against llvm-pdbutil. A look-up reads a few pages of a file of any size. Public symbols are asked first, then
 * the global ones, which only private symbol files have and which include static variables. Images that were rearranged
 * after linking, as kernels are, have OMAP tables, which translate addresses. pdb_address.c finds the name of an
 * address.
 */
#ifndef SERVICE_SYMBOLS_PDB_H
#define SERVICE_SYMBOLS_PDB_H

#include "service/symbols/msf.h"

#include "kdnet/kernel.h"

#define PDB_CHAIN_MAX 20000U /* records with one hash; real files have some dozens */

struct pdb {
    struct msf msf;
    uint8_t guid[16]; /* as in an image's RSDS record */
    uint32_t age; /* of the DBI stream, as images and symbol stores use it; the info stream's grows with every tool that
                     writes to the file */
    uint16_t machine;                   /* enum kdnet_machine, or something else */
    uint16_t globals, publics, records; /* streams */
    uint16_t sections;                  /* stream of the section headers that addresses refer to */
    uint16_t omap;      /* stream that maps those addresses to the image's; MSF_NO_STREAM: they are equal */
    uint16_t omap_back; /* stream: the other way */
};

/* Reads identity and streams. Returns NULL, or the fault as a constant text; close the pdb in either case. */
const char *pdb_open(struct pdb *pdb, const struct symbol_file *file);

void pdb_close(struct pdb *pdb);

/* Whether GUID and age are equal. */
bool pdb_is(const struct pdb *pdb, const struct kdnet_pdb *wanted);

/*
 * Looks up a name verbatim, and, in a file for x86, also with a leading underscore.
 *
 * Returns SYMBOL_FOUND with rva; SYMBOL_ABSENT; SYMBOL_NONE with a reason when the file is damaged, or two static
 * variables of that name have different addresses.
 */
enum symbol_answer pdb_find(const struct pdb *pdb, const char *name, uint32_t *rva,
                            char reason[static SYMBOL_REASON_SIZE]);

/*
 * Finds the public symbol at or before an address of the image, by the file's own address map: a binary search of a few
 * dozen small reads.
 *
 * address  its rva is read, the rest written. SYMBOL_ABSENT: no section has the address, or no symbol in its section
 *          lies less than SYMBOL_REACH before it.
 *          SYMBOL_NONE: the file is damaged, or cannot be read.
 * reason   written with SYMBOL_NONE.
 */
void pdb_find_address(const struct pdb *pdb, struct symbol_address *address, char reason[static SYMBOL_REASON_SIZE]);

/* Maps an address through one of the two OMAP streams: the last entry at or before `rva` gives the target; 0: there is
 * none, or it was left out. False: the stream cannot be read. */
bool pdb_map(const struct pdb *pdb, uint16_t omap, uint32_t rva, uint32_t *out);

/* The hash of names, "string hash V1"; not reduced to buckets. */
uint32_t pdb_hash(const char *name, size_t length);

#endif
