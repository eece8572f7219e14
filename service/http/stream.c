/* SPDX-License-Identifier: Apache-2.0 */
#include "service/http/delay.h"
#include "service/http/state_internal.h"
#include "service/http/json_out.h"
#include "service/http/lists.h"
#include "service/http/stream.h"
#include "service/store/store_read.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OUTPUT_LOW ((size_t)64 << 10) /* more is put in when less than this waits: the rest stays in the ring */
#define SLICE      16U                /* readers fed in one callback */
#define PAGE_BYTES ((size_t)512 << 10)

enum stream_from { FROM_NOW, FROM_RING, FROM_STORE, FROM_RESYNC };

/* A reader's request; kept in the call until the stream begins, and for each page from the store. */
struct stream_start {
    enum stream_from from;
    uint64_t seq; /* last event that the reader has */
    char after[HTTP_ID_SIZE];
    char oldest[HTTP_ID_SIZE], newest[HTTP_ID_SIZE]; /* of a resync */
    struct list types, targets;
    bool page_is_last;
};

struct stream {
    TAILQ_ENTRY(stream) all;
    struct connection *connection;
    struct stream_start start;
    uint64_t cursor;    /* number of the next frame of the ring */
    uint64_t seq;       /* the reader has got frames up to this seq from the store */
    struct call *page;  /* under way; NULL: none */
    bool live;          /* fed from the ring */
    uint64_t behind_ms; /* since when the reader is too far behind; 0: it is not */
    uint64_t pinged_ms;
    uint64_t round; /* last round in which the reader was visited */
};

static void locate(struct call *call);
static void read_page(struct call *call);
static const struct route locate_route = {.thread = ROUTE_STORE, .answer = locate};
static const struct route page_route = {.thread = ROUTE_STORE, .answer = read_page};

/* Feeding the readers. */

static bool is_wanted(const struct stream_start *start, const struct frame *frame)
{
    return list_has(&start->types, frame->type) && list_has(&start->targets, frame->target);
}

/* Extends a stretch by the following frame, or sends the stretch and begins another. */
static bool take_frame(struct evbuffer *out, struct stretch *stretch, const struct frame *frame)
{
    if (stretch->slab == frame->slab && stretch->at + stretch->length == frame->at) {
        stretch->length += frame->length;
        return true;
    }
    bool good = stretch_send(out, stretch);
    *stretch = (struct stretch){frame->slab, frame->at, frame->length};
    return good;
}

/* Returns false when the reader's connection was closed. */
static bool feed(struct streams *streams, struct stream *stream)
{
    struct evbuffer *out = connection_output(stream->connection);
    struct stretch stretch = {.slab = NULL};
    size_t waiting = evbuffer_get_length(out);
    bool good = stream->cursor >= streams->first;
    while (good && stream->cursor < streams->next && waiting < OUTPUT_LOW) {
        const struct frame *frame = streams_at(streams, stream->cursor++);
        if (frame->seq > stream->seq && is_wanted(&stream->start, frame)) {
            good = take_frame(out, &stretch, frame);
            waiting += frame->length;
        }
    }
    if (good && stretch_send(out, &stretch))
        return true;
    connection_close(stream->connection);
    return false;
}

static bool is_behind(struct streams *streams, const struct stream *stream)
{
    size_t waiting = evbuffer_get_length(connection_output(stream->connection));
    uint64_t events = streams->next - stream->cursor;
    uint64_t bytes = events > 0 ? streams->written - streams_at(streams, stream->cursor)->before : 0;
    return events > STREAM_BEHIND_EVENTS || bytes + waiting >= STREAM_BEHIND_BYTES;
}

static void look(struct streams *streams, struct stream *stream, uint64_t now_ms)
{
    if (!stream->live || !feed(streams, stream))
        return;
    if (!is_behind(streams, stream)) {
        stream->behind_ms = 0;
        return;
    }
    if (stream->behind_ms == 0)
        stream->behind_ms = now_ms;
    else if (now_ms - stream->behind_ms >= STREAM_BEHIND_MS)
        connection_close(stream->connection);
}

/* Visits some readers that this round has not visited; they are the first in the list. Returns whether there are
 * more. */
static bool look_at_some(struct streams *streams)
{
    uint64_t now_ms = http_now_ms();
    for (unsigned i = 0; i < SLICE; ++i) {
        struct stream *stream = TAILQ_FIRST(&streams->list);
        if (!stream || stream->round == streams->round)
            return false;
        stream->round = streams->round;
        TAILQ_REMOVE(&streams->list, stream, all);
        TAILQ_INSERT_TAIL(&streams->list, stream, all);
        look(streams, stream, now_ms);
    }
    return true;
}

/* In the next turn of the loop: others come between two slices. */
static void go_on(struct streams *streams)
{
    (void)delay_add(streams->tick, 0);
}

static void close_all(struct streams *streams)
{
    struct stream *stream = TAILQ_FIRST(&streams->list), *next = NULL;
    for (; stream; stream = next) {
        next = TAILQ_NEXT(stream, all);
        connection_close(stream->connection);
    }
}

void stream_on_tick(evutil_socket_t socket, short what, void *user)
{
    struct streams *streams = user;
    bool gap = false;
    (void)socket, (void)what;
    struct frame *frame = streams_take_intake(streams, &gap);
    if (frame)
        ++streams->round;
    for (struct frame *next = NULL; frame; frame = next) {
        next = frame->next;
        gap = !streams_add(streams, frame) || gap;
    }
    if (gap)
        close_all(streams);
    if (look_at_some(streams))
        go_on(streams);
}

void stream_second(struct http *http)
{
    struct stream *stream = TAILQ_FIRST(&http->streams.list), *next = NULL;
    uint64_t now_ms = http_now_ms();
    for (; stream; stream = next) {
        next = TAILQ_NEXT(stream, all);
        if (now_ms - stream->pinged_ms >= http->limits.ping_ms) {
            stream->pinged_ms = now_ms;
            (void)evbuffer_add(connection_output(stream->connection), ": ping\n\n", 8);
        }
    }
    ++http->streams.round;
    go_on(&http->streams);
}

/* Catching up from the store. */

struct page {
    const struct stream_start *start;
    struct call *call;
    uint64_t last_seq, count;
};

static bool add_event(void *user, const struct store_event *event)
{
    struct page *page = user;
    struct evbuffer *body = page->call->reply.body;
    int added = evbuffer_add_printf(body, "id: %s\nevent: %s\ndata: %.*s\n\n", event->id, event->type,
                                    (int)event->length, event->line);
    if (added < 0)
        return false;
    page->last_seq = event->seq;
    ++page->count;
    return evbuffer_get_length(body) < PAGE_BYTES;
}

/* Thread: the store's. */
static void read_page(struct call *call)
{
    struct stream_start *start = call->stream;
    struct page page = {start, call, start->seq, 0};
    struct store_event_query query = {.after_seq = start->seq, .limit = STREAM_PAGE};
    query.types = list_texts(&start->types);
    query.targets = list_texts(&start->targets);
    if (!call_answer(call, "text/event-stream") || !call->reader)
        return;
    bool good = store_events(call->reader, &query, add_event, &page) == STORE_DONE;
    bool full = page.count >= STREAM_PAGE || evbuffer_get_length(call->reply.body) >= PAGE_BYTES;
    start->page_is_last = good && !full;
    start->seq = page.last_seq;
    call->reply.status = good ? 200 : 503;
}

static void ask_page(struct stream *stream);

static void on_page(struct call *call)
{
    struct connection *c = call->connection;
    struct stream *stream = c ? c->stream : NULL;
    bool good = call->reply.status == 200 && call->reply.body;
    if (!stream) {
        call_free(call);
        return;
    }
    struct streams *streams = &call->http->streams;
    bool last = call->stream->page_is_last;
    stream->page = NULL;
    stream->seq = stream->start.seq = call->stream->seq;
    if (good)
        (void)evbuffer_add_buffer(connection_output(c), call->reply.body);
    call_free(call);
    if (!good) {
        connection_close(c); /* the reader reconnects with its Last-Event-ID */
    } else if (last) {
        stream->live = true;
        stream->cursor = streams_number_behind(streams, stream->seq);
        (void)feed(streams, stream);
    } else if (evbuffer_get_length(connection_output(c)) < OUTPUT_LOW) {
        ask_page(stream);
    }
}

static void ask_page(struct stream *stream)
{
    struct connection *c = stream->connection;
    struct http *http = c->endpoint->http;
    struct call *call = call_new(http, c);
    struct stream_start *start = call ? malloc(sizeof *start) : NULL;
    if (start) {
        *start = stream->start;
        call->stream = start;
        call->route = &page_route;
        call->back = on_page;
        stream->page = call;
        if (jobs_push(&http->reading, call))
            return;
        stream->page = NULL;
    }
    if (call)
        call_free(call);
    connection_close(c);
}

/* The streams. */

void stream_written(struct stream *stream)
{
    stream->behind_ms = 0; /* the reader reads: it is closed at the latest when its place has left the ring */
    if (stream->live)
        (void)feed(&stream->connection->endpoint->http->streams, stream);
    else if (!stream->page)
        ask_page(stream);
}

static void write_resync(struct evbuffer *out, const struct stream_start *start)
{
    struct json_out json;
    (void)evbuffer_add_printf(out, "event: resync\ndata: ");
    out_begin(&json, out);
    out_open(&json, '{');
    out_put_text(&json, "oldest", start->oldest[0] != '\0' ? start->oldest : NULL);
    out_put_text(&json, "newest", start->newest[0] != '\0' ? start->newest : NULL);
    out_close(&json, '}');
    out_end(&json);
    (void)evbuffer_add_printf(out, "\n\n");
}

struct stream *stream_begin(struct call *call, struct connection *connection)
{
    struct streams *streams = &call->http->streams;
    struct stream *stream = calloc(1, sizeof *stream);
    struct evbuffer *out = connection_output(connection);
    if (!stream)
        return NULL;
    stream->connection = connection;
    stream->start = *call->stream;
    stream->seq = stream->start.seq;
    stream->live = stream->start.from != FROM_STORE;
    stream->cursor = stream->start.from == FROM_RING ? streams_number_behind(streams, stream->seq) : streams->next;
    stream->pinged_ms = http_now_ms();
    TAILQ_INSERT_TAIL(&streams->list, stream, all);
    (void)evbuffer_add_printf(out, "retry: 2000\n\n");
    if (stream->start.from == FROM_RESYNC)
        write_resync(out, &stream->start);
    return stream; /* missing events follow when this output was written */
}

void stream_end(struct stream *stream)
{
    if (!stream)
        return;
    if (stream->page)
        stream->page->connection = NULL;
    TAILQ_REMOVE(&stream->connection->endpoint->http->streams.list, stream, all);
    stream->connection->stream = NULL;
    free(stream);
}

/* --- opening a stream --------------------------------------------------------------------------------------------- */

static void answer_stream(struct call *call)
{
    if (!call_answer(call, "text/event-stream; charset=utf-8"))
        return;
    call->reply.stays_open = true;
    call_header(call, "X-Accel-Buffering: no");
}

/* Thread: the store's. */
static void locate(struct call *call)
{
    struct stream_start *start = call->stream;
    struct store_bounds bounds;
    enum store_result result = call->reader ? store_event_seq(call->reader, start->after, &start->seq)
                                            : STORE_UNAVAILABLE;
    start->from = result == STORE_DONE ? FROM_STORE : FROM_RESYNC;
    if (result != STORE_DONE && call->reader && store_event_bounds(call->reader, &bounds) == STORE_DONE) {
        memcpy(start->oldest, bounds.oldest, sizeof start->oldest);
        memcpy(start->newest, bounds.newest, sizeof start->newest);
    }
    if (start->from == FROM_RESYNC)
        start->seq = 0;
    answer_stream(call);
}

/* Without a store only the ring's events can be sent. */
static void resync_from_ring(struct streams *streams, struct stream_start *start)
{
    start->from = FROM_RESYNC;
    if (streams->first == streams->next)
        return;
    memcpy(start->oldest, streams_at(streams, streams->first)->id, sizeof start->oldest);
    memcpy(start->newest, streams_at(streams, streams->next - 1)->id, sizeof start->newest);
}

/* Returns false when the problem is the answer. */
static bool take_parameters(struct call *call, struct stream_start *start)
{
    const char *after = query_get(&call->query, "after", 0);
    if (!after)
        after = call->head.last_event_id;
    if (after && !list_is_id(after)) {
        call_problem(call, HTTP_PROBLEM_BAD_REQUEST, "after", "after (or Last-Event-ID) is no id of an event");
        return false;
    }
    (void)snprintf(start->after, sizeof start->after, "%s", after ? after : "");
    return list_take(call, "type", LIST_TYPE, &start->types) && list_take(call, "target", LIST_NAME, &start->targets);
}

void stream_answer(struct call *call)
{
    struct streams *streams = &call->http->streams;
    struct stream_start *start = calloc(1, sizeof *start);
    call->stream = start;
    if (!start) {
        call_problem(call, HTTP_PROBLEM_BUSY, NULL, "kdnetd is out of memory; try again later");
        return;
    }
    if (!take_parameters(call, start))
        return;
    const struct frame *frame = start->after[0] != '\0' ? streams_find_id(streams, start->after) : NULL;
    if (frame) {
        start->from = FROM_RING;
        start->seq = frame->seq;
    } else if (start->after[0] != '\0' && call->http->store) {
        call->route = &locate_route;
        if (!jobs_push(&call->http->reading, call))
            call_problem(call, HTTP_PROBLEM_BUSY, NULL, "too many requests wait for their answers; try again later");
        return;
    } else if (start->after[0] != '\0') {
        resync_from_ring(streams, start);
    }
    answer_stream(call);
}
