/* SPDX-License-Identifier: Apache-2.0 */
#include "service/http/state_internal.h"
#include "service/http/stream.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>

#define READ_AHEAD          (HEAD_SIZE + HTTP_BODY_MAX) /* bytes of a peer that wait in memory */
#define CHUNK_LINE_MAX      256U
#define STREAM_SOCKET_BYTES (128 << 10) /* what the kernel keeps for a reader is behind, too */
#define CSP_DATA            "default-src 'none'; frame-ancestors 'none'"
#define CSP_PAGE                                                                                                       \
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "              \
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

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

/* From now on it counts as idle: the last one to be evicted. */
static void touch(struct connection *c)
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

static void set_timer(struct connection *c)
{
    uint64_t now = http_now_ms(), at = deadline_ms(c), left = at > now ? at - now : 0;
    struct timeval time = {(long)(left / 1000), (long)(left % 1000 * 1000)};
    (void)evtimer_add(c->timer, &time);
}

static void enter(struct connection *c, enum connection_state state)
{
    c->state = state;
    set_timer(c);
}

/* Answers. */

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

struct evbuffer *connection_output(struct connection *c)
{
    return bufferevent_get_output(c->bev);
}

static void write_head(struct connection *c, const struct reply *reply, size_t length)
{
    struct evbuffer *out = connection_output(c);
    char date[40];
    format_date(date, sizeof date);
    (void)evbuffer_add_printf(out, "HTTP/1.1 %u %s\r\nDate: %s\r\nContent-Type: %s\r\n", reply->status,
                              reason_of(reply->status), date, reply->type);
    if (!reply->stays_open)
        (void)evbuffer_add_printf(out, "Content-Length: %zu\r\n", length);
    (void)evbuffer_add_printf(out,
                              "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n"
                              "Referrer-Policy: no-referrer\r\nCross-Origin-Resource-Policy: same-origin\r\n"
                              "Content-Security-Policy: %s\r\n%s%s\r\n",
                              reply->page ? CSP_PAGE : CSP_DATA, reply->headers,
                              c->last || reply->stays_open ? "Connection: close\r\n" : "");
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
    write_head(c, reply, length);
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
    enter(c, CONNECTION_WRITING);
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

/* The request is refused before it was read whole: the connection ends with this answer. */
static void refuse(struct connection *c)
{
    c->last = true;
    c->state = CONNECTION_CALL;
    connection_answer(c);
}

/* Requests. */

static void run_call(struct connection *c)
{
    struct http *http = c->endpoint->http;
    struct call *call = c->call;
    enter(c, CONNECTION_CALL);
    touch(c);
    if (c->endpoint->outgoing > HTTP_ANSWERS_MAX)
        call_problem(call, HTTP_PROBLEM_BUSY, NULL, "too many answers wait for their readers; try again later");
    else if (call->route->thread == ROUTE_HERE)
        call->route->answer(call);
    else if (!jobs_push(call->route->thread == ROUTE_STORE ? &http->reading : &http->memory, call))
        call_problem(call, HTTP_PROBLEM_BUSY, NULL, "too many requests wait for their answers; try again later");
    if (call->later)
        return;
    if (call->reply.status == 503)
        call_header(call, "Retry-After: 1");
    connection_answer(c);
}

/* A JSON object, where one is expected; what others send is read and left. */
static bool parse_body(struct connection *c)
{
    struct call *call = c->call;
    size_t length = c->in ? evbuffer_get_length(c->in) : 0;
    json_error_t error;
    if (length == 0 || strcmp(call->route->method, "POST") != 0)
        return true;
    const char *type = call->head.content_type;
    if (!type || strncasecmp(type, "application/json", 16) != 0 || (type[16] != '\0' && !strchr("; \t", type[16]))) {
        call_problem(call, HTTP_PROBLEM_MEDIA_TYPE, "Content-Type",
                     "send the body with Content-Type: application/json");
        return false;
    }
    const char *text = (const char *)evbuffer_pullup(c->in, -1);
    call->body = text ? json_loadb(text, length, JSON_REJECT_DUPLICATES, &error) : NULL;
    if (call->body && json_is_object(call->body))
        return true;
    if (call->body)
        call_problem(call, HTTP_PROBLEM_BAD_REQUEST, "body", "the body is JSON, but no object; send {…}");
    else
        call_problem(call, HTTP_PROBLEM_BAD_REQUEST, "body", "the body is no JSON in UTF-8: line %d, column %d: %.120s",
                     error.line, error.column, error.text);
    return false;
}

static void end_request(struct connection *c)
{
    bool good = parse_body(c);
    if (c->in)
        evbuffer_free(c->in);
    c->in = NULL;
    if (good) {
        run_call(c);
        return;
    }
    c->state = CONNECTION_CALL;
    connection_answer(c);
}

static bool has_body(const struct http_head *head)
{
    return head->chunked || head->content_length > 0;
}

/* Returns whether the request is wanted; else the problem is the answer. */
static bool check_request(struct call *call)
{
    const char *wrong = query_parse(call->head.query, &call->query);
    if (wrong) {
        call_problem(call, HTTP_PROBLEM_BAD_REQUEST, "query", "%s", wrong);
        return false;
    }
    if (!route_check_parameters(call))
        return false;
    if (!call->head.chunked && call->head.content_length > HTTP_BODY_MAX) {
        call_problem(call, HTTP_PROBLEM_TOO_LARGE, "Content-Length", "the body is larger than 65,536 bytes; send less");
        return false;
    }
    return true;
}

/* Returns whether the body can be read. */
static bool begin_body(struct connection *c)
{
    const struct http_head *head = &c->call->head;
    c->in = evbuffer_new();
    c->left = head->chunked ? 0 : (size_t)head->content_length;
    c->in_trailer = c->chunk_open = false;
    c->state = CONNECTION_BODY;
    if (head->expects_continue)
        (void)evbuffer_add_printf(connection_output(c), "HTTP/1.1 100 Continue\r\n\r\n");
    if (c->in)
        return true;
    call_problem(c->call, HTTP_PROBLEM_BUSY, NULL, "kdnetd is out of memory; try again later");
    refuse(c);
    return false;
}

/* A head is there. Returns whether it makes a call; else it is refused. */
static bool take_head(struct connection *c, size_t length)
{
    struct call *call = c->call;
    struct head_error error;
    call->text = malloc(length + 1);
    if (!call->text || evbuffer_remove(bufferevent_get_input(c->bev), call->text, length) != (int)length) {
        call_problem(call, HTTP_PROBLEM_BUSY, NULL, "kdnetd is out of memory; try again later");
        return false;
    }
    if (!head_parse(call->text, length, &call->head, &error)) {
        c->last = true; /* where the next request begins is not known */
        call_problem(call, error.kind, error.field, "%s%s%s", error.field ? error.field : "", error.field ? ": " : "",
                     error.detail);
        return false;
    }
    return access_check_host(call) && route_find(call) && access_check(call) && check_request(call);
}

/* Returns whether there is more to do with what has come. */
static bool begin_request(struct connection *c, size_t length)
{
    bool good = take_head(c, length);
    if (good && has_body(&c->call->head))
        return begin_body(c);
    if (!good && (!c->call->head.method || has_body(&c->call->head))) {
        refuse(c);
    } else if (!good) {
        c->state = CONNECTION_CALL;
        connection_answer(c);
    } else {
        end_request(c);
    }
    return false;
}

/* Returns whether there is more to do with what has come. */
static bool read_head(struct connection *c)
{
    struct evbuffer *in = bufferevent_get_input(c->bev);
    size_t length = evbuffer_get_length(in), most = length < HEAD_SIZE ? length : HEAD_SIZE;
    char first;
    while (length > 0 && evbuffer_copyout(in, &first, 1) == 1 && (first == '\r' || first == '\n') && !c->begun) {
        (void)evbuffer_drain(in, 1); /* line ends before a request are no request */
        most = length = evbuffer_get_length(in);
        most = most < HEAD_SIZE ? most : HEAD_SIZE;
    }
    if (length == 0)
        return false;
    if (!c->begun) {
        c->begun = true;
        c->first_ms = http_now_ms();
        set_timer(c);
    }
    const char *text = (const char *)evbuffer_pullup(in, (ev_ssize_t)most);
    size_t head = text ? head_length(text, most) : 0;
    if (text && head == 0 && most < HEAD_SIZE && (most <= HEAD_LINE_SIZE || memchr(text, '\n', most)))
        return false;
    c->call = text ? call_new(c->endpoint->http, c) : NULL;
    if (!c->call) {
        connection_close(c);
    } else if (head > 0) {
        return begin_request(c, head);
    } else {
        bool line = memchr(text, '\n', HEAD_LINE_SIZE) == NULL;
        call_problem(c->call, line ? HTTP_PROBLEM_URI_TOO_LONG : HTTP_PROBLEM_HEADERS_TOO_LARGE, NULL,
                     line ? "the request line is longer than 8,192 bytes; ask for less at a time"
                          : "the headers are larger than 16,384 bytes; send fewer");
        refuse(c);
    }
    return false;
}

static void refuse_body(struct connection *c, enum http_problem kind, const char *detail)
{
    call_problem(c->call, kind, "body", "%s", detail);
    refuse(c);
}

/* The line before a chunk, or after its data, or of the trailer. Returns whether there is more to do. */
static bool read_chunk_line(struct connection *c)
{
    struct evbuffer *in = bufferevent_get_input(c->bev);
    size_t length = 0;
    char *line = evbuffer_readln(in, &length, EVBUFFER_EOL_CRLF), *end = NULL;
    if (!line) {
        if (evbuffer_get_length(in) > CHUNK_LINE_MAX)
            refuse_body(c, HTTP_PROBLEM_BAD_REQUEST,
                        "the line before a chunk is too long; send Content-Length instead");
        return false;
    }
    bool number = (line[0] >= '0' && line[0] <= '9') || (line[0] >= 'a' && line[0] <= 'f') ||
                  (line[0] >= 'A' && line[0] <= 'F');
    unsigned long long size = number ? strtoull(line, &end, 16) : 0;
    bool empty = length == 0, good = number && (*end == '\0' || *end == ';' || *end == ' ');
    free(line);
    if (c->in_trailer) {
        if (empty)
            end_request(c);
        return !empty;
    }
    if (c->chunk_open) {
        c->chunk_open = false;
        if (!empty)
            refuse_body(c, HTTP_PROBLEM_BAD_REQUEST, "a chunk is longer than it says; send Content-Length instead");
        return empty;
    }
    if (!good) {
        refuse_body(c, HTTP_PROBLEM_BAD_REQUEST, "a chunk does not begin with its size; send Content-Length instead");
        return false;
    }
    if (size > HTTP_BODY_MAX - evbuffer_get_length(c->in)) {
        refuse_body(c, HTTP_PROBLEM_TOO_LARGE, "the body is larger than 65,536 bytes; send less");
        return false;
    }
    c->left = (size_t)size;
    c->in_trailer = size == 0;
    return true;
}

static bool read_body(struct connection *c)
{
    struct evbuffer *in = bufferevent_get_input(c->bev);
    bool chunked = c->call->head.chunked;
    if (chunked && c->left == 0)
        return read_chunk_line(c);
    size_t before = evbuffer_get_length(c->in);
    (void)evbuffer_remove_buffer(in, c->in, c->left);
    size_t moved = evbuffer_get_length(c->in) - before;
    c->left -= moved;
    if (c->left > 0)
        return false;
    c->chunk_open = chunked;
    if (!chunked)
        end_request(c);
    return chunked;
}

static void on_read(struct bufferevent *bev, void *user)
{
    struct connection *c = user;
    bool more = true;
    (void)bev;
    while (more) {
        if (c->state == CONNECTION_HEAD)
            more = read_head(c);
        else if (c->state == CONNECTION_BODY)
            more = read_body(c);
        else
            more = false;
        if (!more)
            return; /* it may be closed */
    }
}

/* What came after a refused request, and until the peer has closed, is thrown away. */
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
    enter(c, CONNECTION_LINGER);
    on_discard(c->bev, c);
    bufferevent_setwatermark(c->bev, EV_READ, 0, 0);
    (void)bufferevent_enable(c->bev, EV_READ);
}

/* All that was written is gone. */
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
    touch(c);
    if (c->last) {
        linger(c);
        return;
    }
    enter(c, CONNECTION_HEAD);
    bufferevent_trigger(bev, EV_READ, BEV_TRIG_IGNORE_WATERMARKS | BEV_TRIG_DEFER_CALLBACKS);
}

static void on_event(struct bufferevent *bev, short what, void *user)
{
    struct connection *c = user;
    (void)bev;
    if (what & BEV_EVENT_CONNECTED)
        return;
    bool half = (what & BEV_EVENT_EOF) && (c->state == CONNECTION_CALL || c->state == CONNECTION_WRITING);
    if (half) /* it sends no more, and may still read */
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
    refuse(c);
}

/* The thread that answers hangs: the call is its own now. */
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
    } else if (c->state == CONNECTION_CALL) {
        answer_for(c);
    } else if (c->state == CONNECTION_WRITING && (c->was_waiting == 0 || waiting < c->was_waiting)) {
        c->was_waiting = waiting;
        set_timer(c);
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
    enter(c, CONNECTION_HEAD);
    bufferevent_setcb(bev, on_read, on_written, on_event, c);
    bufferevent_setwatermark(bev, EV_READ, 0, READ_AHEAD);
    (void)bufferevent_enable(bev, EV_READ | EV_WRITE);
}
