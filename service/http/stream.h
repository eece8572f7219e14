/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stream: server-sent events: one ring of the newest events for all readers, and a cursor for each of them.
 *
 * Uses call, store_read and http_internal. The ring is filled by http_publish, from any thread, by way of a bounded
 * intake. A reader that asks for older events than the ring has is fed from the store until it has caught up. A reader
 * that stays more than STREAM_BEHIND_EVENTS or STREAM_BEHIND_BYTES behind for STREAM_BEHIND_MS is closed: it comes back
 * with its Last-Event-ID. Frames are shared: a reader costs a cursor, and the places of what waits for it.
 *
 * Thread: HTTP's, unless it says more.
 */
#ifndef SERVICE_HTTP_STREAM_H
#define SERVICE_HTTP_STREAM_H

#include "service/http/call.h"
#include "service/store/store.h"

#include <event2/event.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>
#include <uv.h>

#define STREAM_RING          8192U /* events */
#define STREAM_RING_BYTES    ((size_t)16 << 20)
#define STREAM_BEHIND_EVENTS 1000U
#define STREAM_BEHIND_BYTES  ((size_t)1 << 20)
#define STREAM_BEHIND_MS     2000U /* a burst is no fault of a reader */
#define STREAM_BATCH_MS      50U   /* from an event to its readers, at most */
#define STREAM_PAGE          500U  /* events at a time from the store */

struct connection;
struct http;
struct frame;
struct stream;

TAILQ_HEAD(stream_list, stream);

struct streams {
    struct frame *ring[STREAM_RING];
    uint64_t first, next; /* numbers of frames: the oldest in the ring, the one that comes */
    size_t bytes;
    uint64_t written; /* bytes of all frames before `next`: what a reader is behind is a difference */
    struct event *tick;
    struct stream_list list;

    bool ready;
    uv_mutex_t lock; /* of what follows */
    struct frame *intake_first, *intake_last;
    size_t intake_count, intake_bytes;
    bool gap; /* the intake was full: readers have to come again */
    bool woken;
};

bool streams_init(struct streams *streams, struct http *http);
void streams_clear(struct streams *streams);

/* Thread: any. Returns whether HTTP's thread has to be woken. */
bool streams_take(struct streams *streams, const struct store_event *events, size_t count);

void streams_wake(struct streams *streams); /* there is an intake */
void streams_second(struct http *http);     /* pings; once a second */

/* The answer of a call is a stream: it begins. NULL: out of memory. */
struct stream *stream_begin(struct call *call, struct connection *connection);
void stream_end(struct stream *stream);     /* its connection closes; NULL is nothing */
void stream_written(struct stream *stream); /* all that it was given is gone */

#endif
