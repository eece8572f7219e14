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

/* What brings files from somewhere else. All of it may be called from several threads at once, and blocks but for stop.
 */
struct symbol_source {
    char *label;     /* heap: the folder or the URL; as it is told to people */
    char *directory; /* heap: the folder in front of a server, NULL for a folder */
    bool insecure;   /* what it brings may have been changed on its way */
    /* Makes ready what needs the disk, and says why it cannot; blocks. NULL: nothing is to be done. */
    bool (*prepare)(void *context, char reason[static SYMBOL_REASON_SIZE]);
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
 * Adds what a text says; no disk and no network is asked.
 *
 * Returns false with a reason that names the element and the remedy; what came before it has been added.
 */
bool symbol_path_add(struct symbol_path *path, const char *text, const struct symbol_path_options *options,
                     char reason[static SYMBOL_REASON_SIZE]);

/* Makes a result that nothing has been asked for yet. */
void symbol_result_init(struct symbol_result *result);

/* Whether the image names a file that may be looked for; `wanted` is then the image with that name. */
bool symbol_path_wanted(const struct kdnet_pdb *pdb, struct kdnet_pdb *wanted);

/*
 * Asks one source, and adds what it answers.
 *
 * remote  a server: fetches the file; otherwise only the folder in front of it is looked at.
 * wanted  of symbol_path_wanted.
 */
void symbol_path_ask(const struct symbol_path *path, size_t source, bool remote, const struct kdnet_pdb *wanted,
                     const char *symbol, struct symbol_result *result);

/* Whether a source is a folder that a server of the path makes and keeps its files in. */
bool symbol_path_makes(const struct symbol_path *path, size_t source);

/* Whether a source can be used; otherwise why not. Blocks as long as a disk may. */
bool symbol_path_prepare(const struct symbol_path *path, size_t source, char reason[static SYMBOL_REASON_SIZE]);

/* The folder of a source: its own, or the one in front of a server. */
const char *symbol_source_folder(const struct symbol_source *source);

/*
 * Asks the sources in order, until one has the name. When a file of the image has been read that does not have it, the
 * folders that remain are still asked (they may have private symbols), servers are not.
 *
 * pdb      its name may be a path: what is behind the last slash or backslash counts.
 * symbol   without "nt!"; NULL: the symbols of the result's addresses.
 * result   its extras and addresses are the caller's; all else is written.
 * Blocks as long as the slowest server may.
 */
void symbol_path_find(const struct symbol_path *path, const struct kdnet_pdb *pdb, const char *symbol,
                      struct symbol_result *result);

/* Asks fetches under way to end. Thread: any. */
void symbol_path_stop(const struct symbol_path *path);

/* No look-up may be under way. */
void symbol_path_clear(struct symbol_path *path);

#endif
