/* SPDX-License-Identifier: Apache-2.0 */
/*
 * head: parses the request line and the headers of one HTTP/1.1 request (RFC 9112).
 *
 * Input from strangers: no allocation, one pass, a defined outcome for every value. Ambiguous input is refused: folded
 * headers, two lengths, a length beside chunks, bare control characters.
 */
#ifndef SERVICE_HTTP_HEAD_H
#define SERVICE_HTTP_HEAD_H

#include "service/http/problem.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HEAD_SIZE        ((size_t)16 << 10) /* request line and headers */
#define HEAD_LINE_SIZE   ((size_t)8 << 10)  /* request line */
#define HEAD_FIELDS_MAX  100
#define HEAD_METHOD_SIZE 24

/* Texts are borrowed from the parsed text; NULL: absent. */
struct http_head {
    const char *method;
    const char *path;  /* still percent-encoded; starts with a slash, or is * */
    const char *query; /* still percent-encoded; NULL: there is no question mark */
    const char *host;  /* of the Host header, or of an absolute request target */
    const char *authorization, *accept, *content_type, *last_event_id;
    uint64_t content_length;
    bool has_length, chunked;
    bool expects_continue;
    bool keep_alive;
    bool http_1_0;
};

/* Why a head is refused. */
struct head_error {
    enum http_problem kind;
    const char *field;  /* the header or part, static; NULL: the whole */
    const char *detail; /* with the remedy, static */
};

/* Whether a request can begin so: another protocol does not. */
bool head_can_begin(char first);

/*
 * Returns the length of a head at the start of `text`, with its empty line. 0: incomplete.
 */
size_t head_length(const char *text, size_t length);

/*
 * Parses a whole head, measured by head_length. Writes NUL characters into `text`, which has room for one more.
 *
 * Returns true, or false with `error` set. `out` holds the part before the mistake.
 */
bool head_parse(char *text, size_t length, struct http_head *out, struct head_error *error);

#endif
