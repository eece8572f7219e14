/* SPDX-License-Identifier: Apache-2.0 */
/*
 * server_internal: shared by the files of the symbol server client. server.c has the order of requests, server_store.c
 * the files, server_memory.c the remembered answers, server_http.c (or server_offline.c) the wire.
 */
#ifndef SERVICE_SYMBOLS_SERVER_INTERNAL_H
#define SERVICE_SYMBOLS_SERVER_INTERNAL_H

#include <stdatomic.h>
#include <stdio.h>
#include <uv.h>

#include "service/runtime/name_search.h"
#include "service/symbols/server.h"

#define NAME_SIZE     128
#define GUIDAGE_SIZE  41
#define PATH_SIZE     4096
#define URL_SIZE      2048
#define HEAD_SIZE     44 /* of a PDB: magic, block size, free block map, number of blocks */
#define POINTER_LIMIT 65536

/* A file by its name in the store. */
struct wanted {
    char name[NAME_SIZE];
    char packed[NAME_SIZE]; /* NAM_; equal to name when that ends in an underscore */
    char guidage[GUIDAGE_SIZE];
};

/* Result of one request. */
enum answer {
    ANSWER_TAKEN,     /* 200, whole and plausible */
    ANSWER_ABSENT,    /* 404, 410 */
    ANSWER_DENIED,    /* no use for this file: another 4xx, garbage, too large, redirects */
    ANSWER_BARRED,    /* no use for any file: the certificate */
    ANSWER_FAILED,    /* the server said something of no use for this file: 5xx, cut, too slow */
    ANSWER_UNREACHED, /* no word from the server: no connection, no answer to any request */
    ANSWER_LOCAL,     /* our disk */
    ANSWER_STOPPED,   /* symbol_server_stop */
};

enum body_kind { BODY_NONE, BODY_PDB, BODY_CABINET };

/* Body of an answer: the first bytes here, all of it in a partial file. */
struct body {
    bool pointer; /* a file.ptr: only its first bytes are needed */
    uv_file file; /* -1: not open */
    uint64_t limit, length;
    uint8_t head[HEAD_SIZE];
    size_t head_length;
    enum answer problem; /* why reading stopped early, or ANSWER_TAKEN */
    int error;           /* UV_… with ANSWER_LOCAL */
    char path[PATH_SIZE];
};

/* The last failure of a server or of a file; `until_ms` is the time of the next request. */
struct back_off {
    unsigned failures; /* in a row */
    int64_t since_ms, until_ms;
    enum symbol_fetch result;
    char reason[SYMBOL_SERVER_REASON_SIZE];
};

struct remembered {
    struct remembered *next;
    char name[NAME_SIZE];
    char guidage[GUIDAGE_SIZE];
    struct back_off answer;
};

/* A download in progress; lives on its thread's stack. */
struct download {
    struct download *next;
    const struct wanted *wanted;
};

struct symbol_server_state {
    struct symbol_server settings; /* no zeros but ca_file; strings are ours; no slash at their ends */
    char *directory, *url, *ca_file;
    atomic_bool stopped;
    struct name_search names; /* for the server's name */

    uv_mutex_t mutex; /* protects the members below */
    uv_cond_t ended;  /* a download has, or stopped was set */
    struct download *downloads;
    struct back_off server;
    struct remembered *remembered; /* newest first */
    size_t remembered_count;
};

/* Printable ASCII only, cut to size. */
void symbol_server_say(char *reason, size_t size, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Writes "A/B", "A/B/C" or "A/B/C/D" (c and d may be NULL); false when too long. */
bool symbol_server_join(char *path, size_t size, const char *a, const char *b, const char *c, const char *d);

bool symbol_server_valid_name(const char *name);
bool symbol_server_valid_guidage(const char *guidage);

/* store: 0 or UV_… */
int symbol_server_store_open(struct symbol_server_state *state);

/* The file is in the store and plausible: path is written. */
bool symbol_server_store_find(const struct symbol_server_state *state, const struct wanted *wanted, char *path,
                              size_t size);
bool symbol_server_store_has_pointer(const struct symbol_server_state *state, const struct wanted *wanted);

void symbol_server_body_init(struct body *body, uint64_t limit, bool pointer);
/* Takes some more; on false `problem` says why no more is wanted. Opens the partial file with the first byte. */
bool symbol_server_body_take(const struct symbol_server_state *state, struct body *body, const uint8_t *data,
                             size_t length);
/* Returns the kind of a body that is complete by its own account. */
enum body_kind symbol_server_body_kind(const struct body *body);
/* Renames the body's file into the store: 0 or UV_…; drops the body in any case. */
int symbol_server_body_keep(const struct symbol_server_state *state, struct body *body, const struct wanted *wanted);
void symbol_server_body_drop(struct body *body);

/* memory: the caller holds the mutex, but for _load (alone) and _write (any thread). */
/* Remembers the file's lines about this server, or copies the valid lines to `copy` (not both). Cuts up the text.
 * Returns whether other lines were there. */
bool symbol_server_memory_read(struct symbol_server_state *state, char *text, size_t length, int64_t now_ms,
                               FILE *copy);
/* The checksum at the end of a line. */
uint64_t symbol_server_memory_check(const char *text, size_t length);
void symbol_server_memory_load(struct symbol_server_state *state);
void symbol_server_memory_write(struct symbol_server_state *state, const struct wanted *wanted, int64_t now_ms);
void symbol_server_memory_clear(struct symbol_server_state *state);
/* Returns the valid remembered answer; NULL: none. */
const struct back_off *symbol_server_memory_find(const struct symbol_server_state *state, const struct wanted *wanted,
                                                 int64_t now_ms);
void symbol_server_memory_forget(struct symbol_server_state *state, const struct wanted *wanted);
/* Returns this file's record, made if needed (in place of the one that ends first); NULL: out of memory. */
struct back_off *symbol_server_memory_record(struct symbol_server_state *state, const struct wanted *wanted);
bool symbol_server_back_off_holds(const struct back_off *back_off, int64_t now_ms);
/* Adds a failure; at_least_ms: the server's own wish (Retry-After), bounded like the rest. */
void symbol_server_back_off_add(struct back_off *back_off, int64_t now_ms, int64_t at_least_ms,
                                enum symbol_fetch result, const char *reason);

/* http: a connection for the requests of one fetch. */
struct http;
struct http *symbol_server_http_open(struct symbol_server_state *state, char *reason, size_t size);
enum answer symbol_server_http_get(struct http *http, const char *url, struct body *body, char *reason, size_t size);
int64_t symbol_server_http_retry_after_ms(const struct http *http);
void symbol_server_http_close(struct http *http);

#endif
