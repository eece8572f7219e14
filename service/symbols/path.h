/* SPDX-License-Identifier: Apache-2.0 */
/*
 * path: the ordered places of symbols, from `symbols:`, --symbols and _NT_SYMBOL_PATH.
 *
 * Symbol servers are plugged in as sources with a function, so that this builds without a network.
 *
 *   DIR                 a folder: a symbol store, symbol tables of Volatility, or plain symbol files (store.h)
 *   srv*DIR             the same
 *   srv*DIR*URL         DIR first; missing files are fetched from URL to DIR
 *   srv*A*B*URL         A, B, then URL, kept in B. srv*URL, srv**URL and URL alone keep in the folder of cache*
 *   cache*DIR           DIR; files from URLs without a folder of their own are kept there
 *   ONE;OTHER           several in a row. symsrv*symsrv.dll*… is srv*…; case of the words does not matter
 */
#ifndef SERVICE_SYMBOLS_PATH_H
#define SERVICE_SYMBOLS_PATH_H

#include "service/symbols/store.h"

#define SYMBOL_SOURCES_MAX 64

/* Fetches files from elsewhere. All functions may be called from several threads at once, and block, except stop. */
struct symbol_source {
    char *label;     /* heap: the folder or the URL, as shown to people */
    char *directory; /* heap: the folder in front of a server, NULL for a folder */
    bool insecure;   /* its files may have been changed on their way */
    /* Prepares the disk; false with a reason; blocks. NULL: nothing to do. */
    bool (*prepare)(void *context, char reason[static SYMBOL_REASON_SIZE]);
    /*
     * Fetches the file of NAME, GUIDAGE to disk and writes its path; blocks. Returns 0, or another value with a reason.
     * NAME is safe (identity.h). NULL: the source is the folder `label`.
     */
    int (*fetch)(void *context, const char *name, const char *guidage, char *path, size_t size, char *reason,
                 size_t reason_size);
    void (*stop)(void *context);  /* ends fetches under way soon; NULL: cannot */
    void (*clear)(void *context); /* after the last fetch; NULL: nothing to free */
    void *context;
};

struct symbol_path_options {
    const char *cache_directory; /* where files of URLs without a folder are kept; NULL: such URLs are mistakes */
    /* Makes a source of a server: fills in fetch, stop, clear, context, not label. False with a reason. NULL: a URL
     * becomes a source that always answers that this build has no client. */
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
 * Adds the places of a text; asks no disk and no network.
 *
 * Returns false with a reason that names the element and the remedy; earlier elements have been added.
 */
bool symbol_path_add(struct symbol_path *path, const char *text, const struct symbol_path_options *options,
                     char reason[static SYMBOL_REASON_SIZE]);

/* Makes an empty result. */
void symbol_result_init(struct symbol_result *result);

/* Whether the image names a file that may be searched for; `wanted` is then the image with that file name. */
bool symbol_path_wanted(const struct kdnet_pdb *pdb, struct kdnet_pdb *wanted);

/*
 * Asks one source, and adds its answer.
 *
 * remote  true: a server fetches the file; false: only the folder in front of it is searched.
 * wanted  from symbol_path_wanted.
 */
void symbol_path_ask(const struct symbol_path *path, size_t source, bool remote, const struct kdnet_pdb *wanted,
                     const char *symbol, struct symbol_result *result);

/* Whether a source is a folder that a server of the path makes and keeps its files in. */
bool symbol_path_makes(const struct symbol_path *path, size_t source);

/* Whether a source can be used; otherwise why not. Blocks as long as a disk may. */
bool symbol_path_prepare(const struct symbol_path *path, size_t source, char reason[static SYMBOL_REASON_SIZE]);

/* Returns the folder of a source: its own, or the one in front of a server. */
const char *symbol_source_folder(const struct symbol_source *source);

/*
 * Asks the sources in order, until one has the name. When a file of the image was read that lacks the name, the
 * remaining folders are still asked (they may have private symbols), servers are not.
 *
 * pdb      its name may be a path: the part behind the last slash or backslash counts.
 * symbol   without "nt!"; NULL: the symbols of the result's addresses.
 * result   its extras and addresses are the caller's; the rest is written. Blocks as long as the slowest server may.
 */
void symbol_path_find(const struct symbol_path *path, const struct kdnet_pdb *pdb, const char *symbol,
                      struct symbol_result *result);

/* Asks fetches under way to end. Thread: any. */
void symbol_path_stop(const struct symbol_path *path);

/* No look-up may be under way. */
void symbol_path_clear(struct symbol_path *path);

#endif
