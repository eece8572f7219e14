/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http: the API, metrics and the page, on a Unix socket and a TCP address.
 *
 * Uses http_limits, http_ops, store, log, libevent, OpenSSL and jansson. A thread of its own has all connections; it
 * sees the server by http_ops alone, and never touches the state of a worker. Two more threads answer what may take
 * long: one asks the store, whose disk may hang, the other what is in memory. None of them is ever waited for. What
 * cannot be opened or read (socket, certificate, tokens) is told once, is `degraded`, and is tried again.
 *
 * Bounded: connections, streams, sizes and times by HTTP_* of http_limits.h, bytes of answers that wait for their
 * readers.
 */
#ifndef SERVICE_HTTP_HTTP_H
#define SERVICE_HTTP_HTTP_H

#include "config/config.h"
#include "service/http/http_limits.h"
#include "service/http/http_ops.h"
#include "service/store/store.h"

#include <stdbool.h>
#include <stddef.h>

/* Texts are copied. */
struct http_options {
    struct config_address address; /* of TCP; port 0: none */
    bool address_told;             /* configured, not the default */
    const char *socket;            /* path of the Unix socket; NULL: the default; "none": none */
    const char *group;             /* who may use the Unix socket; NULL: kdnetd-operators, if there is such a group */
    const char *tokens;            /* file; NULL: none */
    const char *tls_cert, *tls_key, *client_ca;
    const char *const *names; /* further names that Host headers may have */
    size_t name_count;
    bool read_told; /* read_needs_token counts; otherwise tokens are needed where the address is not loopback */
    bool read_needs_token;
    bool metrics_targets; /* series of each target */
    struct http_limits limits;
};

struct http;

/*
 * Starts the thread, which opens the sockets: nothing waits for it.
 *
 * options  copied.   ops  borrowed until http_close.   store  the same; NULL: /events and /crashes are 503.
 * NULL: memory, threads or descriptors are out, or it was built without libevent. The service goes on.
 */
struct http *http_open(const struct http_options *options, const struct http_ops *ops, struct store *store);

/* Events that are committed, for /stream. Copies them; never waits. Thread: any. */
void http_publish(struct http *http, const struct store_event *events, size_t count);

/* Other options, of a reload; files with tokens and certificates are read again. False: out of memory. */
bool http_configure(struct http *http, const struct http_options *options);

/* How much is wrong with HTTP itself; up to `most`. Thread: any. */
size_t http_degraded(struct http *http, struct http_degraded *out, size_t most);

/* Ends all connections and threads; NULL is nothing. False: a thread hangs in a question to the store: what it uses
 * stays, and the program can only end by _Exit. */
bool http_close(struct http *http);

#endif
