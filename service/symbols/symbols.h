/* SPDX-License-Identifier: Apache-2.0 */
/*
 * symbols: looks up a kernel's symbols without ever waiting.
 *
 * The first question about a kernel and a name starts a look-up on threads of its own (jobs.c) and gets PENDING, as do
 * all questions until the look-up has ended: ten thousand machines with one kernel cause one look-up. Then `ended` is
 * called, and symbols_find has the answer. A fact that a symbol file proved is remembered for ever (cache.h); "no
 * symbols", for `retry_s`.
 *
 * The loop touches no disk and no network: a hanging share or server costs a thread (task.h).
 *
 * Thread: questions and explanations (symbols_find, _want, _explain, _stats) from any, the rest on the loop's. `ended`,
 * `news` and `place` are called on the loop.
 */
#ifndef SERVICE_SYMBOLS_SYMBOLS_H
#define SERVICE_SYMBOLS_SYMBOLS_H

#include "service/symbols/path.h"

#include <uv.h>

#define SYMBOLS_CAPACITY    65536U /* names remembered, unless told otherwise */
#define SYMBOLS_RETRY_S     60U
#define SYMBOLS_WAITING_MAX 1024U /* look-ups that wait or are in progress */
#define SYMBOLS_EXPLAINED   128U  /* the last look-ups whose course can be told */

enum symbols_answer {
    SYMBOLS_FOUND,
    SYMBOLS_ABSENT,     /* the symbol file of this very image was read and has no such name */
    SYMBOLS_NO_SYMBOLS, /* no symbols, or none readable: symbols_explain says what was tried */
    SYMBOLS_PENDING,    /* a look-up is under way: ask again after `ended` */
};

struct symbols;

struct symbols_options {
    const char *cache_file; /* NULL: results are not kept */
    uint32_t capacity;      /* names remembered; 0: SYMBOLS_CAPACITY */
    uint32_t retry_s;       /* how long no_symbols is believed; 0: SYMBOLS_RETRY_S */
    /*
     * A look-up of this name, and of those announced with it, has ended; may be NULL. `trail`: the places tried;
     * borrowed for the call, as pdb and symbol are. The answer is never PENDING.
     */
    void (*ended)(void *user, const struct kdnet_pdb *pdb, const char *symbol, enum symbols_answer answer,
                  const char *trail);
    /* PENDING answers may be known now, or have to be asked for again. May be NULL. */
    void (*news)(void *user);
    /* A place cannot be used; may be NULL. */
    void (*place)(void *user, const char *label, const char *reason);
    /* A remembered answer differed from the symbol file's on this computer, which overrides it. May be NULL. */
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
    size_t hung;          /* given-up threads of this process that have not returned */
    uint64_t lookups;     /* look-ups that ended since the start */
    uint64_t turned_away; /* questions that found too many waiting */
    size_t cache_ignored; /* lines of the cache file without a checksum, or of no sense */
    size_t cache_damaged; /* lines whose checksum is wrong */
    bool opening;         /* the cache file is being read: questions are PENDING */
    int cache_error;      /* libuv error of the last use of the cache file; 0: none */
};

/*
 * Starts without places; the cache file is read on a thread. Until that has ended, for two seconds at most, questions
 * are PENDING.
 *
 * Returns 0 or a libuv error (out of memory). An unreadable cache file is no error; the statistics show it.
 */
int symbols_open(struct symbols **out, uv_loop_t *loop, const struct symbols_options *options);

/*
 * Replaces the places. Proved facts stay; missing ones are looked up again; look-ups in progress restart in the new
 * places, and are PENDING meanwhile. Each place is tested for usability (`place`).
 *
 * path   taken over and emptied, also on failure.
 * Returns 0 or UV_ENOMEM: the old places stay.
 */
int symbols_set_places(struct symbols *symbols, struct symbol_path *path);

/*
 * Finds `symbol` in the image that `pdb` names.
 *
 * machine  identifies the asker, so that one machine cannot take all threads; 0: none in particular.
 * symbol   with or without "nt!".
 * rva, source   written on FOUND only; source is the file's: PDB, PDB_HTTP or ISF. Cost: a lock and a hash table; at
 *               most a wake-up of the loop. `ended` or `news` always follows PENDING.
 */
enum symbols_answer symbols_find(struct symbols *symbols, uint64_t machine, const struct kdnet_pdb *pdb,
                                 const char *symbol, uint32_t *rva, enum kdnet_source *source);

/*
 * Announces names of one image that will be asked for: unknown ones are looked up together, at the cost of one. The
 * first unknown name decides: `ended` is called for it, and files are opened until it is found. A look-up that nobody
 * asks for with symbols_find waits behind those that somebody does.
 */
void symbols_want(struct symbols *symbols, uint64_t machine, const struct kdnet_pdb *pdb, const char *const *names,
                  size_t count);

/*
 * Finds the public symbol at or before an address of an image, in the symbol files on this computer: in folders, and
 * files that servers have brought for names. Fetches nothing and notifies nobody.
 *
 * out   written on FOUND only. Cost: a lock and a hash table of the 1,024 addresses that are kept.
 */
enum symbols_answer symbols_name(struct symbols *symbols, const struct kdnet_pdb *pdb, uint32_t rva,
                                 struct symbol_address *out);

/* Writes the places tried for a name with their answers, as one line of printable ASCII, truncated to `size`. */
void symbols_explain(struct symbols *symbols, const struct kdnet_pdb *pdb, const char *symbol, char *out, size_t size);

void symbols_stats(struct symbols *symbols, struct symbols_stats *out);

/*
 * Ends: waiting look-ups are dropped, fetches are asked to end, no callback is called any more; the cache file is
 * written. The loop has to run until all of that is done, some seconds when a place hangs; then everything is freed.
 * NULL does nothing.
 */
void symbols_close(struct symbols *symbols);

#endif
