/* SPDX-License-Identifier: Apache-2.0 */
/* Sends a connection's answer: its head, its body, or the beginning of a stream. */
#include "service/http/state_internal.h"
#include "service/http/stream.h"

#include <string.h>
#include <sys/socket.h>
#include <time.h>

#define STREAM_SOCKET_BYTES (128 << 10) /* limits the kernel's buffer, whose content counts as not read */
#define CSP_DATA            "default-src 'none'; frame-ancestors 'none'"
#define CSP_PAGE                                                                                                       \
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "              \
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

static const char *reason_of(unsigned status)
{
    static const struct {
        unsigned status;
        const char *text;
    } reasons[] = {{200, "OK"},
                   {202, "Accepted"},
                   {400, "Bad Request"},
                   {401, "Unauthorized"},
                   {403, "Forbidden"},
                   {404, "Not Found"},
                   {405, "Method Not Allowed"},
                   {408, "Request Timeout"},
                   {409, "Conflict"},
                   {410, "Gone"},
                   {413, "Content Too Large"},
                   {414, "URI Too Long"},
                   {415, "Unsupported Media Type"},
                   {421, "Misdirected Request"},
                   {422, "Unprocessable Content"},
                   {429, "Too Many Requests"},
                   {431, "Request Header Fields Too Large"},
                   {503, "Service Unavailable"}};
    for (size_t i = 0; i < sizeof reasons / sizeof reasons[0]; ++i)
        if (reasons[i].status == status)
            return reasons[i].text;
    return "Error";
}

static void format_date(char *out, size_t size)
{
    time_t now = time(NULL);
    struct tm parts;
    out[0] = '\0';
    if (gmtime_r(&now, &parts))
        (void)strftime(out, size, "%a, %d %b %Y %H:%M:%S GMT", &parts);
}

/* False: memory is out, and a part is missing. */
static bool write_head(struct connection *c, const struct reply *reply, size_t length)
{
    struct evbuffer *out = connection_output(c);
    char date[40];
    format_date(date, sizeof date);
    if (evbuffer_add_printf(out, "HTTP/1.1 %u %s\r\nDate: %s\r\nContent-Type: %s\r\n", reply->status,
                            reason_of(reply->status), date, reply->type) < 0)
        return false;
    if (!reply->stays_open && evbuffer_add_printf(out, "Content-Length: %zu\r\n", length) < 0)
        return false;
    return evbuffer_add_printf(out,
                               "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n"
                               "Referrer-Policy: no-referrer\r\nCross-Origin-Resource-Policy: same-origin\r\n"
                               "Content-Security-Policy: %s\r\n%s%s\r\n",
                               reply->page ? CSP_PAGE : CSP_DATA, reply->headers,
                               c->last || reply->stays_open ? "Connection: close\r\n" : "") >= 0;
}

static void begin_stream(struct connection *c)
{
    struct endpoint *endpoint = c->endpoint;
    struct call *call = c->call;
    int buffer = STREAM_SOCKET_BYTES;
    (void)setsockopt(bufferevent_getfd(c->bev), SOL_SOCKET, SO_SNDBUF, &buffer, sizeof buffer);
    TAILQ_REMOVE(&endpoint->connections, c, idle);
    TAILQ_INSERT_TAIL(&endpoint->streaming, c, idle);
    ++endpoint->streams;
    c->call = NULL;
    c->state = CONNECTION_STREAM;
    (void)evtimer_del(c->timer);
    c->stream = stream_begin(call, c);
    call_free(call);
    if (!c->stream)
        connection_close(c);
}

static void send_answer(struct connection *c)
{
    struct reply *reply = &c->call->reply;
    size_t length = reply->body ? evbuffer_get_length(reply->body) : 0;
    bool head_only = c->call->head.method && strcmp(c->call->head.method, "HEAD") == 0;
    bool streams = reply->stays_open && !head_only;
    if (!c->call->head.keep_alive)
        c->last = true;
    if (!write_head(c, reply, length)) {
        connection_close(c);
        return;
    }
    if (streams) {
        begin_stream(c);
        return;
    }
    c->last = c->last || reply->stays_open;
    if (reply->body && !head_only) {
        (void)bufferevent_write_buffer(c->bev, reply->body);
        c->outgoing = length;
        c->endpoint->outgoing += length;
    }
    call_free(c->call);
    c->call = NULL;
    c->was_waiting = 0;
    connection_enter(c, CONNECTION_WRITING);
}

/* The streams' places are counted when they begin. */
static bool has_place_for_stream(const struct endpoint *endpoint)
{
    return endpoint->streams < (endpoint->local ? HTTP_LOCAL_STREAMS_MAX : endpoint->http->limits.streams);
}

void connection_answer(struct connection *c)
{
    struct call *call = c->call;
    if (call->reply.stays_open && !has_place_for_stream(c->endpoint)) {
        call_problem(call, HTTP_PROBLEM_BUSY, NULL,
                     "there are as many streams as there may be; close one, or try again "
                     "later");
        call_header(call, "Retry-After: 10");
    }
    if (!call->reply.type || (!call->reply.body && call->reply.status != 200)) {
        connection_close(c); /* not even the problem found memory */
        return;
    }
    send_answer(c);
}

void connection_refuse(struct connection *c)
{
    c->last = true;
    c->state = CONNECTION_CALL;
    connection_answer(c);
}
