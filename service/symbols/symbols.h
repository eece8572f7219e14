/* SPDX-License-Identifier: Apache-2.0 */
/*
 * symbols: where a name is in a kernel, without ever waiting.
 *
 * Uses path, remembered, cache, task, and libuv's loop. The first question about a kernel and a name starts a look-up
 * on threads of its own (jobs.c) and is answered with PENDING, as are all that follow until it has ended: ten thousand
 * machines with one kernel cause one look-up. Then `ended` is called, and symbols_find has the answer. What a symbol
 * file proved is remembered for ever (cache.h); that there are no symbols, for `retry_s`.
 *
 * The loop touches no disk and no network: what a share or a server that hangs may cost is a thread (task.h).
 *
 * Thread: questions and what is told about them (symbols_find, _want, _explain, _stats) from any, all else on the
 * loop's. `ended`, `news` and `place` are called on the loop.
 */
#ifndef SERVICE_SYMBOLS_SYMBOLS_H
#define SERVICE_SYMBOLS_SYMBOLS_H

#include "service/symbols/path.h"

#include <uv.h>

#define SYMBOLS_CAPACITY    65536U /* names remembered, unless told otherwise */
#define SYMBOLS_RETRY_S     60U
#define SYMBOLS_WAITING_MAX 1024U /* look-ups that wait or are under way */
#define SYMBOLS_EXPLAINED   128U  /* the last look-ups whose course can be told */

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
    /* Answers that were PENDING may be known now, or are to be asked for again. May be NULL. */
    void (*news)(void *user);
    /* A place cannot be used; may be NULL. */
    void (*place)(void *user, const char *label, const char *reason);
    /* A remembered answer was another than the symbol file's on this computer, which goes before it. May be NULL. */
    void (*corrected)(void *user, const struct kdnet_pdb *pdb, const char *symbol);
    /* The cache file was read, or could not be written: look at the statistics. May be NULL. */
    void (*cache)(void *user);
    void *user;
    uint32_t local_limit_ms; /* after which a look-up in a folder is given up; 0: 10 s */
    uint32_t patience_ms;    /* after which the next place is asked as well; 0: 250 ms */
};

struct symbols_stats {
    size_t remembered;    /* names in memory */
    size_t waiting;       /* look-ups that have not begun */
    size_t running;       /* look-ups under way */
    size_t hung;          /* threads of this process that were given up, and have not returned */
    uint64_t lookups;     /* that have ended, since the start */
    uint64_t turned_away; /* questions that found too many waiting */
    size_t cache_ignored; /* lines of the cache file without a checksum, or of no sense */
    size_t cache_damaged; /* lines whose checksum is wrong */
    bool opening;         /* the cache file is being read: questions are PENDING */
    int cache_error;      /* libuv error of the last use of the cache file; 0: none */
};

/*
 * Starts, without places; the cache file is read on a thread. Until that has ended, for two seconds at the most,
 * questions are PENDING.
 *
 * Returns 0 or a libuv error (no memory). A cache file that cannot be read is in the statistics, and is no error.
 */
int symbols_open(struct symbols **out, uv_loop_t *loop, const struct symbols_options *options);

/*
 * Gives it other places. What was proved stays; what was not found is looked up again; look-ups under way begin again
 * in the new places, and are PENDING meanwhile. Each place is asked whether it can be used (`place`).
 *
 * path   taken over (and emptied), whatever becomes of it.
 * Returns 0 or UV_ENOMEM: then it has the places that it had.
 */
int symbols_set_places(struct symbols *symbols, struct symbol_path *path);

/*
 * Where `symbol` is in the image that `pdb` names.
 *
 * machine  tells those who ask apart, so that one cannot take all threads; 0: nobody in particular.
 * symbol   with or without "nt!".
 * rva, source   written on FOUND only; source is that of the file: PDB, PDB_HTTP or ISF.
 * Cost: a lock and a hash table; at most a word to the loop. PENDING is followed by `ended` or `news`, always.
 */
enum symbols_answer symbols_find(struct symbols *symbols, uint64_t machine, const struct kdnet_pdb *pdb,
                                 const char *symbol, uint32_t *rva, enum kdnet_source *source);

/*
 * Says that these names of one image will be asked for: those that are not remembered are looked up together, at the
 * price of one. The first unknown one is the one that counts: `ended` is called for it, and files are opened until it
 * is found. A look-up that nobody asks for with symbols_find waits behind those that somebody does.
 */
void symbols_want(struct symbols *symbols, uint64_t machine, const struct kdnet_pdb *pdb, const char *const *names,
                  size_t count);

/*
 * Which public symbol an address of an image lies at or behind, by the symbol files that are on this computer: those in
 * folders, and those that servers have brought for names. Nothing is fetched, and nobody is told when it ends.
 *
 * out   written on FOUND only.
 * Cost: a lock and a hash table of the 1,024 addresses that are kept.
 */
enum symbols_answer symbols_name(struct symbols *symbols, const struct kdnet_pdb *pdb, uint32_t rva,
                                 struct symbol_address *out);

/* What was tried for a name and what each place answered, as one line of printable ASCII; cut to `size`. */
void symbols_explain(struct symbols *symbols, const struct kdnet_pdb *pdb, const char *symbol, char *out, size_t size);

void symbols_stats(struct symbols *symbols, struct symbols_stats *out);

/*
 * Ends: what waits is forgotten, fetches are asked to end, nothing is called any more; the cache file is written. The
 * loop has to run until all of it is done, some seconds when a place hangs; then everything is freed. NULL is fine.
 */
void symbols_close(struct symbols *symbols);

#endif
