/* SPDX-License-Identifier: Apache-2.0 */
/* A connection from accept to close: state, timeouts, list membership. */
#include "service/http/delay.h"
#include "service/http/state_internal.h"
#include "service/http/stream.h"

#include <stdlib.h>
#include <sys/socket.h>

#define READ_AHEAD (HEAD_SIZE + HTTP_BODY_MAX) /* unread bytes of a peer that are buffered */

/* Closing, and the lists. */

static void give_back_answer(struct connection *c)
{
    c->endpoint->outgoing -= c->outgoing;
    c->outgoing = 0;
}

/* A call that another thread answers is freed when it comes back. */
static void drop_call(struct connection *c)
{
    if (c->call && c->call->later)
        c->call->connection = NULL;
    else if (c->call)
        call_free(c->call);
    c->call = NULL;
}

void connection_close(struct connection *c)
{
    struct endpoint *endpoint = c->endpoint;
    drop_call(c);
    give_back_answer(c);
    if (c->state == CONNECTION_TURN)
        turns_leave(c);
    if (c->state == CONNECTION_STREAM) {
        stream_end(c->stream);
        TAILQ_REMOVE(&endpoint->streaming, c, idle);
        --endpoint->streams;
    } else {
        TAILQ_REMOVE(&endpoint->connections, c, idle);
    }
    --endpoint->count;
    event_free(c->timer);
    if (c->in)
        evbuffer_free(c->in);
    bufferevent_free(c->bev);
    free(c);
}

void connection_touch(struct connection *c)
{
    struct endpoint *endpoint = c->endpoint;
    TAILQ_REMOVE(&endpoint->connections, c, idle);
    TAILQ_INSERT_TAIL(&endpoint->connections, c, idle);
    c->since_ms = http_now_ms();
}

static bool close_first(const struct connection_list *list)
{
    struct connection *c = TAILQ_FIRST(list);
    if (c)
        connection_close(c);
    return c != NULL;
}

bool connection_evict(struct endpoint *endpoint)
{
    return close_first(&endpoint->connections);
}

bool connection_evict_stream(struct endpoint *endpoint)
{
    return close_first(&endpoint->streaming);
}

struct evbuffer *connection_output(struct connection *c)
{
    return bufferevent_get_output(c->bev);
}

static uint64_t deadline_ms(const struct connection *c)
{
    const struct http_limits *limits = &c->endpoint->http->limits;
    uint64_t whole = c->since_ms + limits->request_ms, late = c->first_ms + limits->late_ms;
    switch (c->state) {
    case CONNECTION_HEAD:
    case CONNECTION_BODY:
        if (!c->served)
            return whole;
        if (!c->begun)
            return c->since_ms + limits->idle_ms;
        return whole > late ? whole : late;
    case CONNECTION_TURN:
    case CONNECTION_CALL:
        return http_now_ms() + limits->call_ms;
    case CONNECTION_LINGER:
        return http_now_ms() + HTTP_LINGER_MS;
    case CONNECTION_WRITING:
    case CONNECTION_STREAM:
        break;
    }
    return http_now_ms() + limits->idle_ms;
}

void connection_set_timer(struct connection *c)
{
    uint64_t now = http_now_ms(), at = deadline_ms(c), left = at > now ? at - now : 0;
    (void)delay_add(c->timer, left);
}

void connection_enter(struct connection *c, enum connection_state state)
{
    c->state = state;
    connection_set_timer(c);
}

static void on_read(struct bufferevent *bev, void *user)
{
    struct connection *c = user;
    bool more = true;
    (void)bev;
    while (more) {
        if (c->state == CONNECTION_HEAD)
            more = connection_read_head(c);
        else if (c->state == CONNECTION_BODY)
            more = connection_read_body(c);
        else
            more = false;
        if (!more)
            return; /* the connection may be closed now */
    }
}

/* Discards input after a refused request, until the peer has closed. */
static void on_discard(struct bufferevent *bev, void *user)
{
    struct evbuffer *in = bufferevent_get_input(bev);
    (void)user;
    (void)evbuffer_drain(in, evbuffer_get_length(in));
}

static void linger(struct connection *c)
{
    evutil_socket_t socket = bufferevent_getfd(c->bev);
    if (bufferevent_openssl_get_ssl(c->bev) || shutdown(socket, SHUT_WR) != 0) {
        connection_close(c);
        return;
    }
    connection_enter(c, CONNECTION_LINGER);
    on_discard(c->bev, c);
    bufferevent_setwatermark(c->bev, EV_READ, 0, 0);
    (void)bufferevent_enable(c->bev, EV_READ);
}

/* All output was sent. */
static void on_written(struct bufferevent *bev, void *user)
{
    struct connection *c = user;
    if (c->state == CONNECTION_STREAM) {
        stream_written(c->stream);
        return;
    }
    if (c->state != CONNECTION_WRITING)
        return;
    give_back_answer(c);
    c->served = true;
    c->begun = false;
    connection_touch(c);
    if (c->last) {
        linger(c);
        return;
    }
    connection_enter(c, CONNECTION_HEAD);
    bufferevent_trigger(bev, EV_READ, BEV_TRIG_IGNORE_WATERMARKS | BEV_TRIG_DEFER_CALLBACKS);
}

static void on_event(struct bufferevent *bev, short what, void *user)
{
    struct connection *c = user;
    (void)bev;
    if (what & BEV_EVENT_CONNECTED)
        return;
    bool half = (what & BEV_EVENT_EOF) &&
                (c->state == CONNECTION_TURN || c->state == CONNECTION_CALL || c->state == CONNECTION_WRITING);
    if (half) /* the peer sends no more, and may still read */
        c->last = true;
    else
        connection_close(c);
}

static void answer_slow(struct connection *c)
{
    if (!c->call)
        c->call = call_new(c->endpoint->http, c);
    if (!c->call) {
        connection_close(c);
        return;
    }
    call_problem(c->call, HTTP_PROBLEM_SLOW, NULL, "the request did not end in %u s; send it at once",
                 c->endpoint->http->limits.request_ms / 1000);
    connection_refuse(c);
}

/* The turn of the request does not come. */
static void answer_busy(struct connection *c)
{
    turns_leave(c);
    c->state = CONNECTION_HEAD;
    c->call = call_new(c->endpoint->http, c);
    if (!c->call) {
        connection_close(c);
        return;
    }
    call_problem(c->call, HTTP_PROBLEM_BUSY, NULL, "too many requests wait for their turn; try again later");
    call_header(c->call, "Retry-After: 1");
    connection_refuse(c);
}

/* The answering thread hangs: gives the connection a call of its own. */
static void answer_for(struct connection *c)
{
    struct call *call = call_new(c->endpoint->http, c);
    bool asks_store = c->call->route->thread == ROUTE_STORE;
    drop_call(c);
    if (!call) {
        connection_close(c);
        return;
    }
    c->call = call;
    c->last = true;
    call_problem(call, asks_store ? HTTP_PROBLEM_STORE : HTTP_PROBLEM_BUSY, NULL,
                 asks_store ? "the store does not answer; look at its disk"
                            : "kdnetd does not answer; try again later");
    connection_answer(c);
}

static void on_timer(evutil_socket_t socket, short what, void *user)
{
    struct connection *c = user;
    size_t waiting = evbuffer_get_length(connection_output(c));
    (void)socket, (void)what;
    if ((c->state == CONNECTION_HEAD && c->begun) || c->state == CONNECTION_BODY) {
        answer_slow(c);
    } else if (c->state == CONNECTION_TURN) {
        answer_busy(c);
    } else if (c->state == CONNECTION_CALL) {
        answer_for(c);
    } else if (c->state == CONNECTION_WRITING && waiting > 0 && (c->was_waiting == 0 || waiting < c->was_waiting)) {
        c->was_waiting = waiting;
        connection_set_timer(c);
    } else {
        connection_close(c);
    }
}

static struct bufferevent *new_bufferevent(struct endpoint *endpoint, evutil_socket_t socket)
{
    struct http *http = endpoint->http;
    if (endpoint->local || !http->tls.context)
        return bufferevent_socket_new(http->base, socket, BEV_OPT_CLOSE_ON_FREE);
    SSL *ssl = SSL_new(http->tls.context);
    struct bufferevent *bev = ssl ? bufferevent_openssl_socket_new(http->base, socket, ssl, BUFFEREVENT_SSL_ACCEPTING,
                                                                   BEV_OPT_CLOSE_ON_FREE)
                                  : NULL;
    if (bev)
        bufferevent_openssl_set_allow_dirty_shutdown(bev, 1);
    else
        SSL_free(ssl);
    return bev;
}

void connection_open(struct endpoint *endpoint, evutil_socket_t socket)
{
    struct connection *c = calloc(1, sizeof *c);
    struct event *timer = c ? evtimer_new(endpoint->http->base, on_timer, c) : NULL;
    struct bufferevent *bev = timer ? new_bufferevent(endpoint, socket) : NULL;
    if (!bev) {
        if (timer)
            event_free(timer);
        free(c);
        (void)evutil_closesocket(socket);
        return;
    }
    c->endpoint = endpoint;
    c->bev = bev;
    c->timer = timer;
    if (endpoint->local) {
        (void)event_priority_set(timer, HTTP_LANE_LOCAL);
        (void)bufferevent_priority_set(bev, HTTP_LANE_LOCAL);
    }
    ++endpoint->count;
    TAILQ_INSERT_TAIL(&endpoint->connections, c, idle);
    c->since_ms = http_now_ms();
    connection_enter(c, CONNECTION_HEAD);
    bufferevent_setcb(bev, on_read, on_written, on_event, c);
    bufferevent_setwatermark(bev, EV_READ, 0, READ_AHEAD);
    (void)bufferevent_enable(bev, EV_READ | EV_WRITE);
}
