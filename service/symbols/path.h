/* SPDX-License-Identifier: Apache-2.0 */
/*
 * path: where symbols are looked for, in order: what `symbols:`, --symbols and _NT_SYMBOL_PATH say.
 *
 * Uses store. Symbol servers are plugged in as sources with a function, so that this builds without a network.
 *
 *   DIR                 a folder: a symbol store, symbol tables of Volatility, or plain symbol files (store.h)
 *   srv*DIR             the same
 *   srv*DIR*URL         DIR first; what is not there is fetched from URL to DIR
 *   srv*A*B*URL         A, B, then URL, kept in B. srv*URL, srv**URL and URL alone keep in the folder of cache*
 *   cache*DIR           DIR, and what URLs without a folder of their own fetch is kept there
 *   ONE;OTHER           several in a row. symsrv*symsrv.dll*… is srv*…; case of the words does not matter
 */
#ifndef SERVICE_SYMBOLS_PATH_H
#define SERVICE_SYMBOLS_PATH_H

#include "service/symbols/store.h"

#define SYMBOL_SOURCES_MAX 64

/* What brings files from somewhere else. All of it is called on pool threads, and may be from several at once. */
struct symbol_source {
    char *label; /* heap: the folder or the URL; as it is told to people */
    /*
     * NULL: a folder, `label`. Otherwise brings the file of NAME, GUIDAGE to disk and writes its path; blocks. Returns
     * 0; anything else with a reason. NAME is safe (identity.h).
     */
    int (*fetch)(void *context, const char *name, const char *guidage, char *path, size_t size, char *reason,
                 size_t reason_size);
    void (*stop)(void *context);  /* ends fetches under way soon; NULL: cannot */
    void (*clear)(void *context); /* after the last fetch; NULL: nothing to free */
    void *context;
};

struct symbol_path_options {
    const char *cache_directory; /* where files of URLs without a folder are kept; NULL: such URLs are mistakes */
    /* Makes a source of a server: fills fetch, stop, clear, context, not label. False with a reason. NULL: a URL is a
     * source that always answers that this build has no client. */
    bool (*open_server)(void *user, const char *directory, const char *url, struct symbol_source *out,
                        char reason[static SYMBOL_REASON_SIZE]);
    void *user;
};

struct symbol_path {
    struct symbol_source sources[SYMBOL_SOURCES_MAX];
    size_t count;
};

/* Empty. */
void symbol_path_init(struct symbol_path *path);

/*
 * Adds what a text says.
 *
 * Returns false with a reason that names the element and the remedy; what came before it has been added.
 */
bool symbol_path_add(struct symbol_path *path, const char *text, const struct symbol_path_options *options,
                     char reason[static SYMBOL_REASON_SIZE]);

/*
 * Asks the sources in order, until one has the name. When a file of the image has been read that does not have it, the
 * folders that remain are still asked (they may have private symbols), servers are not.
 *
 * pdb      its name may be a path: what is behind the last slash or backslash counts.
 * symbol   without "nt!".
 * result   its extras are the caller's; all else is written.
 * Blocks as long as the slowest server may.
 */
void symbol_path_find(const struct symbol_path *path, const struct kdnet_pdb *pdb, const char *symbol,
                      struct symbol_result *result);

/* Asks fetches under way to end. Thread: any. */
void symbol_path_stop(const struct symbol_path *path);

/* No look-up may be under way. */
void symbol_path_clear(struct symbol_path *path);

#endif
