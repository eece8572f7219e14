/* SPDX-License-Identifier: Apache-2.0 */
/*
 * problem: faults of requests: names, statuses and titles of application/problem+json (RFC 9457).
 *
 * The names are a contract: "type" is "urn:kdnetd:problem:NAME".
 */
#ifndef SERVICE_HTTP_PROBLEM_H
#define SERVICE_HTTP_PROBLEM_H

/* X(constant, NAME, status, title) */
#define HTTP_PROBLEMS(X)                                                                                               \
    X(BAD_REQUEST, "bad-request", 400, "The request is wrong")                                                         \
    X(TOKEN_MISSING, "token-missing", 401, "A token is needed")                                                        \
    X(FORBIDDEN, "forbidden", 403, "This token may not do that")                                                       \
    X(NOT_FOUND, "not-found", 404, "There is no such thing")                                                           \
    X(NO_SUCH_TARGET, "no-such-target", 404, "There is no such target")                                                \
    X(METHOD, "method", 405, "The method does not fit the path")                                                       \
    X(SLOW, "slow", 408, "The request took too long")                                                                  \
    X(WRONG_STATE, "wrong-state", 409, "The target is in another state")                                               \
    X(GONE, "gone", 410, "It is no longer there")                                                                      \
    X(TOO_LARGE, "too-large", 413, "The body is too large")                                                            \
    X(URI_TOO_LONG, "uri-too-long", 414, "The request line is too long")                                               \
    X(MEDIA_TYPE, "media-type", 415, "The body is not JSON")                                                           \
    X(WRONG_HOST, "wrong-host", 421, "The Host header names another server")                                           \
    X(CONFIGURATION, "configuration", 422, "The configuration has mistakes")                                           \
    X(TOO_OFTEN, "too-often", 429, "Too many requests of this kind")                                                   \
    X(HEADERS_TOO_LARGE, "headers-too-large", 431, "The headers are too large")                                        \
    X(BUSY, "busy", 503, "kdnetd is busy")                                                                             \
    X(NOT_READY, "not-ready", 503, "kdnetd is not ready")                                                              \
    X(STORE, "store", 503, "The store cannot be read")

enum http_problem {
    HTTP_PROBLEM_NONE,
#define HTTP_PROBLEM_CONSTANT(constant, name, status, title) HTTP_PROBLEM_##constant,
    HTTP_PROBLEMS(HTTP_PROBLEM_CONSTANT)
#undef HTTP_PROBLEM_CONSTANT
        HTTP_PROBLEM_COUNT,
};

/* All three need a kind other than HTTP_PROBLEM_NONE. */
const char *problem_name(enum http_problem kind);
const char *problem_title(enum http_problem kind);
unsigned problem_status(enum http_problem kind);

#endif
