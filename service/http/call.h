/* SPDX-License-Identifier: Apache-2.0 */
/*
 * call: one request and its answer, on its way through the threads of HTTP.
 *
 * A call belongs to one thread at a time: to HTTP's while it is read and sent, to another one while that thread answers
 * it.
 */
#ifndef SERVICE_HTTP_CALL_H
#define SERVICE_HTTP_CALL_H

#include "service/http/head.h"
#include "service/http/http_ops.h"
#include "service/http/query.h"

#include <event2/buffer.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#define CALL_ARGUMENT_SIZE 160 /* of a path: a target's name, a crash */
#define CALL_HEADERS_SIZE  512
#define CALL_BY_SIZE       96
#define CALL_DETAIL_SIZE   512

struct connection;
struct http;
struct json_out;
struct route;
struct store_reader;
struct stream_start;

enum call_role { CALL_ROLE_NONE, CALL_ROLE_READ, CALL_ROLE_ACT };

struct reply {
    unsigned status; /* 0: there is none yet */
    const char *type;
    struct evbuffer *body;           /* owned; NULL: empty */
    char headers[CALL_HEADERS_SIZE]; /* further headers, each with its line end */
    bool page;                       /* a file of the page: its scripts and styles may run */
    bool stays_open;                 /* a stream follows */
};

/* A message to HTTP's thread. */
struct note {
    struct note *next;
    void (*open)(struct note *note, struct http *http); /* handles the note, and frees it when it was allocated */
};

struct call {
    struct call *next;    /* in a queue */
    struct note answered; /* tells HTTP's thread that another thread has answered */
    struct http *http;
    struct connection *connection; /* used on HTTP's thread only; NULL: closed */
    struct store_reader *reader;   /* set while the store's thread answers; NULL: no store */
    const struct route *route;     /* NULL: none was found yet */
    char *text;                    /* the head; owned */
    struct http_head head;
    struct query query;
    char argument[CALL_ARGUMENT_SIZE]; /* of the path, decoded */
    json_t *body;                      /* an object; NULL: there was none */
    enum call_role role;
    char by[CALL_BY_SIZE]; /* the caller: a token's name, local:USER, or empty */
    struct stream_start *stream;
    struct reply reply;
    bool later;                      /* another thread answers, or has answered already */
    void (*back)(struct call *call); /* called when another thread has answered; NULL: the answer is sent */
};

/* NULL: out of memory. */
struct call *call_new(struct http *http, struct connection *connection);
void call_free(struct call *call);

/*
 * Answers with a problem; `field`: the part of the request that is wrong, or NULL. Discards an answer that was begun.
 * `detail`: the fault and its remedy.
 */
void call_problem(struct call *call, enum http_problem kind, const char *field, const char *detail, ...)
    __attribute__((format(printf, 4, 5)));

/* Answers with a problem with one more member, whose value is JSON. */
void call_problem_with(struct call *call, enum http_problem kind, const char *member, const char *json,
                       const char *detail);

/* Adds a header; one that does not fit is left out. */
void call_header(struct call *call, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Begins an answer of 200 with an empty body. NULL: out of memory; the problem is the answer then. */
struct evbuffer *call_answer(struct call *call, const char *type);

/* Begins an answer of 200 with JSON; call_end_json ends it. False: out of memory. */
bool call_begin_json(struct call *call, struct json_out *json);
void call_end_json(struct call *call, struct json_out *json);

/*
 * Read parameters. A parameter that was not sent has the value `absent`. False: invalid, and the answer is a problem.
 */
bool call_number(struct call *call, const char *name, uint64_t most, uint64_t absent, uint64_t *out);
bool call_time(struct call *call, const char *name, uint64_t *out); /* absent: 0 */

uint64_t call_now_us(void); /* since 1970 */

#endif
