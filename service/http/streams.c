/* SPDX-License-Identifier: Apache-2.0 */
#include "service/http/streams.h"
#include "service/http/delay.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SLAB ((size_t)64 << 10)

/* Consecutive texts of frames: a reader that takes all of them gets them in one piece. */
struct slab {
    unsigned references; /* of frames, of pending output, and of `open` */
    size_t used, room;
    char text[];
};

/* Frames. */

static struct frame *new_frame(const struct store_event *event)
{
    size_t room = strlen(event->id) + strlen(event->type) + event->length + sizeof "id: \nevent: \ndata: \n\n";
    struct frame *frame = malloc(sizeof *frame + room);
    if (!frame)
        return NULL;
    *frame = (struct frame){.seq = event->seq};
    (void)snprintf(frame->id, sizeof frame->id, "%s", event->id);
    (void)snprintf(frame->type, sizeof frame->type, "%s", event->type);
    (void)snprintf(frame->target, sizeof frame->target, "%s", event->target ? event->target : "");
    frame->length = (size_t)snprintf(frame->text, room, "id: %s\nevent: %s\ndata: %.*s\n\n", event->id, event->type,
                                     (int)event->length, event->line);
    return frame;
}

static void drop_slab(struct slab *slab)
{
    if (slab && --slab->references == 0)
        free(slab);
}

static void frame_drop(struct frame *frame)
{
    drop_slab(frame->slab);
    free(frame);
}

static void on_sent(const void *data, size_t length, void *user)
{
    (void)data, (void)length;
    drop_slab(user);
}

bool stretch_send(struct evbuffer *out, const struct stretch *stretch)
{
    struct slab *slab = stretch->slab;
    if (!slab)
        return true;
    ++slab->references;
    if (evbuffer_add_reference(out, slab->text + stretch->at, stretch->length, on_sent, slab) == 0)
        return true;
    --slab->references;
    return false;
}

/* A slab with room for so many bytes. NULL: out of memory. */
static struct slab *open_slab(struct streams *streams, size_t length)
{
    if (streams->open && streams->open->room - streams->open->used >= length)
        return streams->open;
    size_t room = length > SLAB ? length : SLAB;
    struct slab *slab = malloc(sizeof *slab + room);
    if (!slab)
        return NULL;
    *slab = (struct slab){.references = 1, .room = room};
    drop_slab(streams->open);
    return streams->open = slab;
}

/* Moves a frame's text into a slab; the frame may move, too. NULL: out of memory, and the frame is gone. */
static struct frame *settle(struct streams *streams, struct frame *frame)
{
    struct slab *slab = open_slab(streams, frame->length);
    if (!slab) {
        free(frame);
        return NULL;
    }
    memcpy(slab->text + slab->used, frame->text, frame->length);
    frame->slab = slab;
    frame->at = slab->used;
    slab->used += frame->length;
    ++slab->references;
    struct frame *smaller = realloc(frame, sizeof *frame);
    return smaller ? smaller : frame;
}

bool streams_take(struct streams *streams, const struct store_event *events, size_t count)
{
    uv_mutex_lock(&streams->lock);
    for (size_t i = 0; i < count; ++i) {
        bool room = streams->intake_count < STREAM_RING && streams->intake_bytes < STREAM_RING_BYTES;
        struct frame *frame = room ? new_frame(&events[i]) : NULL;
        if (!frame) {
            streams->gap = true;
            continue;
        }
        if (streams->intake_last)
            streams->intake_last->next = frame;
        else
            streams->intake_first = frame;
        streams->intake_last = frame;
        ++streams->intake_count;
        streams->intake_bytes += frame->length;
    }
    bool wake = count > 0 && !streams->woken;
    streams->woken = streams->woken || wake;
    uv_mutex_unlock(&streams->lock);
    return wake;
}

struct frame *streams_take_intake(struct streams *streams, bool *gap)
{
    uv_mutex_lock(&streams->lock);
    struct frame *first = streams->intake_first;
    *gap = streams->gap;
    streams->intake_first = streams->intake_last = NULL;
    streams->intake_count = streams->intake_bytes = 0;
    streams->gap = streams->woken = false;
    uv_mutex_unlock(&streams->lock);
    return first;
}

/* The ring. */

struct frame *streams_at(struct streams *streams, uint64_t number)
{
    return streams->ring[number % STREAM_RING];
}

static void drop_oldest(struct streams *streams)
{
    struct frame *frame = streams_at(streams, streams->first++);
    streams->bytes -= frame->length;
    frame_drop(frame);
}

bool streams_add(struct streams *streams, struct frame *frame)
{
    frame = settle(streams, frame);
    if (!frame)
        return false;
    while (streams->first < streams->next &&
           (streams->next - streams->first == STREAM_RING || streams->bytes + frame->length > STREAM_RING_BYTES))
        drop_oldest(streams);
    frame->next = NULL;
    frame->before = streams->written;
    streams->ring[streams->next++ % STREAM_RING] = frame;
    streams->bytes += frame->length;
    streams->written += frame->length;
    return true;
}

/* The number of the first frame behind `seq`; `next` when there is none. */
uint64_t streams_number_behind(struct streams *streams, uint64_t seq)
{
    uint64_t low = streams->first, high = streams->next;
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        if (streams_at(streams, middle)->seq > seq)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

const struct frame *streams_find_id(struct streams *streams, const char *id)
{
    for (uint64_t i = streams->next; i > streams->first; --i)
        if (strcmp(streams_at(streams, i - 1)->id, id) == 0)
            return streams_at(streams, i - 1);
    return NULL;
}

void streams_wake(struct streams *streams)
{
    if (!evtimer_pending(streams->tick, NULL))
        (void)delay_add(streams->tick, STREAM_BATCH_MS);
}

/* The start and the end. */

bool streams_init(struct streams *streams, struct event_base *base, event_callback_fn on_tick)
{
    TAILQ_INIT(&streams->list);
    streams->tick = evtimer_new(base, on_tick, streams);
    streams->ready = streams->tick && uv_mutex_init(&streams->lock) == 0;
    return streams->ready;
}

void streams_clear(struct streams *streams)
{
    bool gap = false;
    if (streams->tick)
        event_free(streams->tick);
    if (!streams->ready)
        return;
    for (struct frame *frame = streams_take_intake(streams, &gap), *next = NULL; frame; frame = next) {
        next = frame->next;
        frame_drop(frame);
    }
    while (streams->first < streams->next)
        drop_oldest(streams);
    drop_slab(streams->open);
    streams->open = NULL;
    uv_mutex_destroy(&streams->lock);
    streams->ready = false;
}
