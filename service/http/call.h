/* SPDX-License-Identifier: Apache-2.0 */
/*
 * call: one request and its answer, on its way through the threads of HTTP.
 *
 * Uses head, query, problem, json_out, and jansson for bodies. A call belongs to one thread at a time: to HTTP's while
 * it is read and sent, to another while it is answered there.
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
    char headers[CALL_HEADERS_SIZE]; /* further ones, each with its line end */
    bool page;                       /* a file of the page: its scripts and styles may run */
    bool stays_open;                 /* a stream follows */
};

struct call {
    struct call *next; /* in a queue */
    struct http *http;
    struct connection *connection; /* HTTP's thread only; NULL: it is gone */
    struct store_reader *reader;   /* while the thread of the store answers it; NULL: there is no store */
    const struct route *route;     /* NULL: none was found yet */
    char *text;                    /* the head; owned */
    struct http_head head;
    struct query query;
    char argument[CALL_ARGUMENT_SIZE]; /* of the path, decoded */
    json_t *body;                      /* an object; NULL: there was none */
    enum call_role role;
    char by[CALL_BY_SIZE]; /* who calls: a token's name, local:USER, or empty */
    struct stream_start *stream;
    struct reply reply;
    bool later;                      /* another thread answers it: it may have done so already */
    void (*back)(struct call *call); /* when another thread has answered it; NULL: it is sent */
};

/* NULL: out of memory. */
struct call *call_new(struct http *http, struct connection *connection);
void call_free(struct call *call);

/*
 * Answers with a problem; `field`: NULL, or what of the request it is about. An answer that was begun is thrown away.
 * `detail` says what is wrong and its remedy.
 */
void call_problem(struct call *call, enum http_problem kind, const char *field, const char *detail, ...)
    __attribute__((format(printf, 4, 5)));

/* The same with one more member, whose value is JSON. */
void call_problem_with(struct call *call, enum http_problem kind, const char *member, const char *json,
                       const char *detail);

/* Adds a header. What does not fit is left out. */
void call_header(struct call *call, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Begins an answer of 200 with an empty body. NULL: out of memory; the problem is the answer then. */
struct evbuffer *call_answer(struct call *call, const char *type);

/* The same for JSON; call_end_json ends it. False: out of memory. */
bool call_begin_json(struct call *call, struct json_out *json);
void call_end_json(struct call *call, struct json_out *json);

/*
 * Values of parameters. Each is `absent` when it was not sent; false: it is wrong, and the problem is the answer.
 */
bool call_number(struct call *call, const char *name, uint64_t most, uint64_t absent, uint64_t *out);
bool call_time(struct call *call, const char *name, uint64_t *out); /* absent: 0 */

uint64_t call_now_us(void); /* since 1970 */

#endif
