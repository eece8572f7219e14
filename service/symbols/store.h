/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store: a folder as a symbol store.
 *
 * Uses probe, trail. Tried in this order, under DIR, and under DIR/NA when DIR/index2.txt says that the store has two
 * tiers (NA: the first two letters of NAME):
 *
 *   NAME/GUIDAGE/NAME          NAME/GUIDAGE/NAM_ (compressed)      NAME/GUIDAGE/file.ptr (refused: it points elsewhere)
 *   NAME/GUID-AGE.json         .json.xz .json.gz (Volatility; AGE is decimal)
 *   NAME                       a symbol file that lies in the folder as it is
 *
 * A file .kdnetd-http beside a PDB says that it came over http://, and could have been changed on its way.
 *
 * Names are compared as the file system does; where one is not there, without regard to case, because stores that were
 * made on Windows have any. NAME comes from a crashed machine: one that is not safe (identity.h) is never looked for.
 */
#ifndef SERVICE_SYMBOLS_STORE_H
#define SERVICE_SYMBOLS_STORE_H

#include "service/symbols/file.h"
#include "service/symbols/trail.h"

#include "kdnet/kernel/crash.h"
#include "kdnet/kernel/kernel.h"

#define STORE_HTTP_MARK   ".kdnetd-http"
#define STORE_ENTRIES_MAX 100000 /* of one folder that are looked at for a name in another case */

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
    struct symbol_extra *extras; /* the caller's, before the look-up: further names of the same image, answered from the
                                    files that are read for the first one */
    size_t extra_count;          /* up to SYMBOL_NAMES_MAX - 1 */
    struct symbol_address *addresses; /* the caller's, before a look-up without a name: it is for these */
    size_t address_count;             /* up to SYMBOL_ADDRESSES_MAX */
};

/*
 * Looks up a name in the file at `path`, and adds what it answers to the result: FOUND goes before ABSENT before NONE.
 * The extras are looked up along with it.
 *
 * symbol  NULL: the symbols of the result's addresses are looked up. FOUND: of one of them.
 *
 * Returns false when there is no such file; nothing is added then.
 */
bool store_ask_file(const char *path, const struct kdnet_pdb *pdb, const char *symbol, struct symbol_result *result);

/* Says of what was found in a PDB that the file came over http://. */
void store_mark_insecure(struct symbol_result *result);

/* Whether a folder can be searched; otherwise why not. Blocks. */
bool store_is_usable(const char *directory, char reason[static SYMBOL_REASON_SIZE]);

/*
 * Looks up a name in the files that a store has for an image, until one has it; adds what each answers, and that there
 * is none, to the result.
 *
 * Blocks; a few system calls when there is nothing, 0.2 s when a cabinet or a large table has to be read.
 */
void store_find(const char *directory, const struct kdnet_pdb *pdb, const char *symbol, struct symbol_result *result);

#endif
