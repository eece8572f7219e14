/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http: the API, metrics and the page, on a Unix socket and a TCP address.
 *
 * A thread of its own has all connections; it sees the server through http_ops only, and never touches a worker's
 * state. Two more threads give answers that may take long: one asks the store, whose disk may hang, the other reads
 * large data in memory. Nothing ever waits for these threads. A socket, certificate or token file that cannot be opened
 * or read is logged once, is `degraded`, and is retried.
 *
 * Bounded: connections, streams, sizes and times by HTTP_* of http_limits.h, and the bytes of answers that wait for
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
    const char *group;             /* group with access to the Unix socket; NULL: kdnetd-operators, if it exists */
    const char *tokens;            /* file; NULL: none */
    const char *tls_cert, *tls_key, *client_ca;
    const char *const *names; /* further names accepted in Host headers */
    size_t name_count;
    bool read_told; /* read_needs_token counts; otherwise tokens are needed where the address is not loopback */
    bool read_needs_token;
    bool metrics_targets; /* series of each target */
    struct http_limits limits;
};

struct http;

/*
 * Starts the thread, which opens the sockets; nothing waits for them.
 *
 * options  copied.   ops  borrowed until http_close.   store  the same; NULL: /events and /crashes are 503. NULL:
 *          memory, threads or descriptors are out, or the build lacks libevent. The service goes on.
 */
struct http *http_open(const struct http_options *options, const struct http_ops *ops, struct store *store);

/* Publishes committed events to /stream. Copies them; never waits. Thread: any. */
void http_publish(struct http *http, const struct store_event *events, size_t count);

/* Other options, of a reload; files with tokens and certificates are read again. False: out of memory. */
bool http_configure(struct http *http, const struct http_options *options);

/* How much is wrong with HTTP itself; up to `most`. Thread: any. */
size_t http_degraded(struct http *http, struct http_degraded *out, size_t most);

/* Ends all connections and threads; NULL does nothing. False: a thread hangs in a query of the store and still uses
 * its data, so the program can only end by platform_end. */
bool http_close(struct http *http);

#endif
