/* SPDX-License-Identifier: Apache-2.0 */
/*
 * server: a symbol server over HTTP(S) with a local store in front of it, as `srv*DIR*URL` means.
 *
 * Uses libuv (files, locks) and libcurl; built without libcurl, it answers from the store alone. Everything here
 * blocks: for a pool thread, never for a loop. The process must ignore SIGPIPE (TLS may raise it).
 *
 * A download is accepted only when it looks like the requested file: a PDB (its first bytes and its own count of
 * blocks) or a cabinet (`MSCF` and its own size). It is written to DIR/.kdnetd-partial and renamed to DIR/NAME/GUIDAGE
 * when complete, so that nobody sees a partial file.
 */
#ifndef SERVICE_SYMBOLS_SERVER_H
#define SERVICE_SYMBOLS_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SYMBOL_SERVER_SIZE_LIMIT         ((uint64_t)512 << 20)
#define SYMBOL_SERVER_TOTAL_TIMEOUT_MS   (600 * 1000)
#define SYMBOL_SERVER_CONNECT_TIMEOUT_MS (10 * 1000)
#define SYMBOL_SERVER_LOW_SPEED_SECONDS  15
#define SYMBOL_SERVER_LOW_SPEED_BYTES    1024

#define SYMBOL_SERVER_NEGATIVE_MS     ((int64_t)24 * 3600 * 1000) /* how long a 404 is believed */
#define SYMBOL_SERVER_BACK_OFF_MS     ((int64_t)10 * 1000)        /* after the first failure; doubles with each */
#define SYMBOL_SERVER_BACK_OFF_MAX_MS ((int64_t)600 * 1000)
#define SYMBOL_SERVER_REMEMBERED      4096 /* answers in memory; the 404s are in DIR/.kdnetd-negative too */

#define SYMBOL_SERVER_REASON_SIZE 512 /* enough for any reason; longer ones are cut */

enum symbol_fetch {
    SYMBOL_FETCH_OK,          /* the file is in the store, whole */
    SYMBOL_FETCH_NOT_FOUND,   /* the server has no such file (404, 410); asked again after a day */
    SYMBOL_FETCH_UNAVAILABLE, /* no meaningful answer: timeout, connection lost, 5xx, 408, 429, disk; back off */
    SYMBOL_FETCH_REFUSED,     /* not taken: bad name, garbage, too large, file.ptr, redirects, certificate, other 4xx */
};

struct symbol_server_state;

/*
 * Settings, filled in by the caller (zero: the default), then symbol_server_init. The strings are copied.
 */
struct symbol_server {
    const char *directory;     /* the local store; made, with the folders above it, when absent */
    const char *url;           /* http:// or https://, without user, query and fragment; a slash at the end is fine */
    const char *ca_file;       /* PEM; NULL: the system's */
    uint64_t size_limit;       /* bytes of one file, zeros and holes included */
    uint32_t total_timeout_ms; /* of one fetch, all its requests together */
    uint32_t connect_timeout_ms;
    uint32_t low_speed_seconds; /* a transfer slower than low_speed_bytes a second for so long is given up */
    uint32_t low_speed_bytes;
    int64_t (*now_ms)(void *context); /* milliseconds since 1970; called from any thread. NULL: the system's clock */
    void *now_context;

    struct symbol_server_state *state; /* made by init */
};

/*
 * Makes the store, removes partial files that a dead process left there, and reads the remembered negative answers.
 * Makes no request. Servers may share a store, also between processes.
 *
 * Returns false with a reason (bad URL, no store, out of memory); there is then nothing to clear.
 */
bool symbol_server_init(struct symbol_server *server, char *reason, size_t reason_size);

/*
 * Puts the symbol file NAME, GUIDAGE into the local store unless it is there already.
 *
 * Tried in turn: the store (NAME, then NAM_); a remembered answer; URL/NAME/GUIDAGE/NAME, …/NAM_ (`.pd_`, a cabinet,
 * kept as served), …/file.ptr. The content decides the stored name: a cabinet becomes NAM_, a PDB NAME.
 *
 * name         [A-Za-z0-9._-], 3 to 127 of them, beginning with a letter, digit or underscore, with an extension.
 * guidage      9 to 40 hexadecimal digits.
 * path         written on SYMBOL_FETCH_OK: DIR/NAME/GUIDAGE/NAME, or the same ending in an underscore (compressed);
 *              otherwise made empty.
 * reason       made empty on SYMBOL_FETCH_OK; otherwise the request and its answer, and for a remembered answer the
 *              time of the next request. Printable ASCII.
 *
 * Thread: any. Two calls for one file make one download: the second waits for it, and answers from its result. Time: at
 * most total_timeout_ms, and as much again when another thread's download of the same file came first.
 */
enum symbol_fetch symbol_server_fetch(const struct symbol_server *server, const char *name, const char *guidage,
                                      char *path, size_t size, char *reason, size_t reason_size);

/* Ends the fetches under way within about a second (SYMBOL_FETCH_UNAVAILABLE, not remembered) and all later ones at
 * once. Thread: any. */
void symbol_server_stop(const struct symbol_server *server);

/* Frees the state. No fetch may be under way: stop, wait for them, then clear. A server never initialised is fine. */
void symbol_server_clear(struct symbol_server *server);

/* "ok", "not_found", "unavailable" or "refused". */
const char *symbol_fetch_text(enum symbol_fetch result);

#endif
