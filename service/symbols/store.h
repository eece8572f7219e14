/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store: a folder as a symbol store.
 *
 * Tried in this order, under DIR, and under DIR/NA when DIR/index2.txt says that the store has two tiers (NA: the first
 * two letters of NAME):
 *
 *   NAME/GUIDAGE/NAME          NAME/GUIDAGE/NAM_ (compressed)      NAME/GUIDAGE/file.ptr (refused: points elsewhere)
 *   NAME/GUID-AGE.json         .json.xz .json.gz (Volatility; AGE is decimal)
 *   NAME                       a symbol file directly in the folder
 *
 * A file .kdnetd-http beside a PDB marks it as downloaded over http://, so that it may have been changed on its way.
 *
 * Names are compared as the file system does; when absent, ignoring case, because stores made on Windows use any case.
 * NAME comes from a crashed machine: an unsafe one (identity.h) is never searched for.
 */
#ifndef SERVICE_SYMBOLS_STORE_H
#define SERVICE_SYMBOLS_STORE_H

#include "service/symbols/file.h"
#include "service/symbols/trail.h"

#include "kdnet/kernel/crash.h"
#include "kdnet/kernel.h"

#define STORE_HTTP_MARK   ".kdnetd-http"
#define STORE_ENTRIES_MAX 100000 /* entries of one folder that are compared with a name ignoring case */

/* A name that is looked up along with another. */
struct symbol_extra {
    const char *symbol; /* borrowed; without "nt!" */
    enum symbol_answer answer;
    uint32_t rva;
    enum kdnet_source source;
};

struct symbol_result {
    enum symbol_answer answer;
    uint32_t rva;             /* of SYMBOL_FOUND */
    enum kdnet_source source; /* of SYMBOL_FOUND and SYMBOL_ABSENT */
    struct symbol_trail trail;
    struct symbol_extra *extras; /* set by the caller: further names of the same image, answered from the files that are
                                    read for the first name */
    size_t extra_count;          /* up to SYMBOL_NAMES_MAX - 1 */
    struct symbol_address *addresses; /* set by the caller for a look-up of addresses instead of names */
    size_t address_count;             /* up to SYMBOL_ADDRESSES_MAX */
};

/*
 * Looks up a name in the file at `path`, and adds the answer to the result: FOUND overrides ABSENT, ABSENT overrides
 * NONE. The extras are looked up along with it.
 *
 * symbol  NULL: looks up the symbols of the result's addresses; FOUND: for one of them.
 *
 * Returns false, and adds nothing, when there is no such file.
 */
bool store_ask_file(const char *path, const struct kdnet_pdb *pdb, const char *symbol, struct symbol_result *result);

/* Marks a result from a PDB as downloaded over http://. */
void store_mark_insecure(struct symbol_result *result);

/* Whether a folder can be searched; otherwise why not. Blocks. */
bool store_is_usable(const char *directory, char reason[static SYMBOL_REASON_SIZE]);

/*
 * Looks up a name in a store's files for an image, until one has it; adds each answer, and the absence of files, to the
 * result.
 *
 * Blocks; a few system calls without a file, 0.2 s when a cabinet or a large table has to be read.
 */
void store_find(const char *directory, const struct kdnet_pdb *pdb, const char *symbol, struct symbol_result *result);

#endif
