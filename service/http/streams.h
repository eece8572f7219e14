/* SPDX-License-Identifier: Apache-2.0 */
/*
 * streams: shared by all readers of server-sent events: one ring of the newest events.
 *
 * The ring is filled from a bounded intake, which streams_take fills from any thread. Texts are shared, and lie side by
 * side in slabs: a reader costs a cursor and references to the stretches of slabs that wait for it.
 *
 * Thread: HTTP's, unless said otherwise.
 */
#ifndef SERVICE_HTTP_STREAMS_H
#define SERVICE_HTTP_STREAMS_H

#include "service/http/http_ops.h"
#include "service/store/store.h"

#include <event2/buffer.h>
#include <event2/event.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>
#include <uv.h>

#define STREAM_RING       8192U /* events */
#define STREAM_RING_BYTES ((size_t)16 << 20)
#define STREAM_BATCH_MS   50U /* longest time from an event to its readers */
#define FRAME_KIND_SIZE   32

/* An event in the readers' form. */
struct frame {
    struct frame *next; /* in the intake */
    struct slab *slab;  /* in the ring: holds the text, at `at`; in the intake NULL: the frame has its own text */
    size_t at;
    uint64_t seq;
    uint64_t before; /* bytes of all earlier frames */
    char id[HTTP_ID_SIZE];
    char type[FRAME_KIND_SIZE];
    char target[HTTP_NAME_SIZE]; /* empty: none */
    size_t length;
    char text[];
};

/* A part of a slab that a reader takes in one piece. slab NULL: empty. */
struct stretch {
    struct slab *slab;
    size_t at, length;
};

struct stream;
TAILQ_HEAD(stream_list, stream);

struct streams {
    struct frame *ring[STREAM_RING];
    uint64_t first, next; /* numbers of frames: the oldest in the ring, and the next one */
    size_t bytes;
    uint64_t written;  /* bytes of all frames before `next`: a reader's lag is a difference */
    struct slab *open; /* newest slab; NULL: none */
    struct event *tick;
    struct stream_list list; /* readers not visited in this round come first */
    uint64_t round;          /* of looking at all of them, a slice at a time */

    bool ready;
    uv_mutex_t lock; /* protects the members below */
    struct frame *intake_first, *intake_last;
    size_t intake_count, intake_bytes;
    bool gap; /* the intake was full: readers have to come again */
    bool woken;
};

/* on_tick is called with `streams` at most STREAM_BATCH_MS after streams_wake. False: out of memory. */
bool streams_init(struct streams *streams, struct event_base *base, event_callback_fn on_tick);
void streams_clear(struct streams *streams);

/* Thread: any. Returns whether HTTP's thread has to be woken. */
bool streams_take(struct streams *streams, const struct store_event *events, size_t count);

void streams_wake(struct streams *streams); /* there is an intake */

/* Takes the frames that came since the last call, for streams_add one by one. *gap: some found no room. */
struct frame *streams_take_intake(struct streams *streams, bool *gap);
/* False: out of memory, and the frame is gone. */
bool streams_add(struct streams *streams, struct frame *frame);

/* Returns a frame of the ring by its number, from `first` to below `next`. */
struct frame *streams_at(struct streams *streams, uint64_t number);

/* The number of the first frame behind `seq`; `next` when there is none. */
uint64_t streams_number_behind(struct streams *streams, uint64_t seq);

/* Returns the frame of an event's id; NULL: not in the ring. */
const struct frame *streams_find_id(struct streams *streams, const char *id);

/* Adds a stretch to a reader's output. False: out of memory. */
bool stretch_send(struct evbuffer *out, const struct stretch *stretch);

#endif
