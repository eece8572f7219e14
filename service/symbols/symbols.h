/* SPDX-License-Identifier: Apache-2.0 */
/*
 * symbols: where a name is in a kernel, without ever waiting.
 *
 * Uses path, remembered, cache, and libuv's loop and thread pool. The first question about a kernel and a name starts a
 * look-up on the pool and is answered with PENDING, as are all that follow until it has ended: ten thousand machines
 * with one kernel cause one look-up. Then `ended` is called, and symbols_find has the answer. What a symbol file proved
 * is remembered for ever (cache.h); that there are no symbols, for `retry_s`.
 *
 * Thread: questions and what is told about them (symbols_find, _want, _explain, _stats) from any, all else on the
 * loop's. `ended` is called on the loop.
 */
#ifndef SERVICE_SYMBOLS_SYMBOLS_H
#define SERVICE_SYMBOLS_SYMBOLS_H

#include "service/symbols/path.h"

#include <uv.h>

#define SYMBOLS_CAPACITY    65536U /* names remembered, unless told otherwise */
#define SYMBOLS_RETRY_S     60U
#define SYMBOLS_RUNNING_MAX 2U /* of libuv's four threads: files of the service need some too */
#define SYMBOLS_WAITING_MAX 1024U
#define SYMBOLS_EXPLAINED   128U /* the last look-ups whose course can be told */

enum symbols_answer {
    SYMBOLS_FOUND,
    SYMBOLS_ABSENT,     /* the symbol file of this very image was read and has no such name */
    SYMBOLS_NO_SYMBOLS, /* there is none, or none that could be read: symbols_explain says what was tried */
    SYMBOLS_PENDING,    /* a look-up is under way: ask again after `ended` */
};

struct symbols;

struct symbols_options {
    const char *cache_file; /* NULL: results are not kept */
    uint32_t capacity;      /* names remembered; 0: SYMBOLS_CAPACITY */
    uint32_t retry_s;       /* how long no_symbols is believed; 0: SYMBOLS_RETRY_S */
    /*
     * A look-up has ended, of this name and those that were wanted with it; may be NULL. `trail` says what was tried;
     * borrowed for the call, as pdb and symbol are. The answer is never PENDING.
     */
    void (*ended)(void *user, const struct kdnet_pdb *pdb, const char *symbol, enum symbols_answer answer,
                  const char *trail);
    void *user;
};

struct symbols_stats {
    size_t remembered;    /* names in memory */
    size_t waiting;       /* look-ups that wait for a thread */
    size_t running;       /* look-ups on a thread */
    uint64_t lookups;     /* that have ended, since the start */
    uint64_t turned_away; /* questions that found too many waiting */
    size_t cache_ignored; /* lines of the cache file that were not understood */
    int cache_error;      /* libuv error of the last use of the cache file; 0: none */
};

/*
 * Starts; reads the cache file.
 *
 * path   taken over (and emptied), whatever becomes of it.
 * Returns 0 or a libuv error (no memory). A cache file that cannot be read is in the statistics, and is no error.
 */
int symbols_open(struct symbols **out, uv_loop_t *loop, struct symbol_path *path,
                 const struct symbols_options *options);

/*
 * Where `symbol` is in the image that `pdb` names.
 *
 * symbol   with or without "nt!".
 * rva, source   written on FOUND only; source is that of the file: PDB or ISF.
 * Cost: a lock and a hash table; at most a word to the loop. PENDING is followed by `ended`, always.
 */
enum symbols_answer symbols_find(struct symbols *symbols, const struct kdnet_pdb *pdb, const char *symbol,
                                 uint32_t *rva, enum kdnet_source *source);

/*
 * Says that these names of one image will be asked for: those that are not remembered are looked up together, at the
 * price of one. The first unknown one is the one that counts: `ended` is called for it, and files are opened until it
 * is found.
 */
void symbols_want(struct symbols *symbols, const struct kdnet_pdb *pdb, const char *const *names, size_t count);

/* What was tried for a name and what each place answered, as one line of printable ASCII; cut to `size`. */
void symbols_explain(struct symbols *symbols, const struct kdnet_pdb *pdb, const char *symbol, char *out, size_t size);

void symbols_stats(struct symbols *symbols, struct symbols_stats *out);

/*
 * Ends: what waits is forgotten, fetches are asked to end, `ended` is not called any more; the cache file is written.
 * The loop has to run until all of it is done; then everything is freed. NULL is fine.
 */
void symbols_close(struct symbols *symbols);

#endif
