/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stream: server-sent events of one reader: a cursor in the ring of streams.h.
 *
 * A reader that asks for older events than the ring has is fed from the store until it has caught up. A reader that
 * stays more than STREAM_BEHIND_EVENTS or STREAM_BEHIND_BYTES behind for STREAM_BEHIND_MS is closed: it reconnects with
 * its Last-Event-ID.
 *
 * Thread: HTTP's, unless said otherwise.
 */
#ifndef SERVICE_HTTP_STREAM_H
#define SERVICE_HTTP_STREAM_H

#include "service/http/call.h"

#include <event2/util.h>

#define STREAM_BEHIND_EVENTS 1000U
#define STREAM_BEHIND_BYTES  ((size_t)1 << 20)
#define STREAM_BEHIND_MS     2000U /* a burst is no fault of a reader */
#define STREAM_PAGE          500U  /* events at a time from the store */

struct connection;
struct http;
struct stream;

/* Moves new events into the ring, and feeds all readers; for streams_init. */
void stream_on_tick(evutil_socket_t socket, short what, void *streams);
void stream_second(struct http *http); /* pings; once a second */

/* Begins a stream as the answer of a call. NULL: out of memory. */
struct stream *stream_begin(struct call *call, struct connection *connection);
void stream_end(struct stream *stream);     /* its connection closes; NULL does nothing */
void stream_written(struct stream *stream); /* all its output was sent */

#endif
