/* SPDX-License-Identifier: Apache-2.0 */
/* Reads a connection's request: head and body, and chooses who answers it. */
#include "config/characters.h"
#include "service/http/state_internal.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define CHUNK_LINE_MAX 256U

static void run_call(struct connection *c)
{
    struct http *http = c->endpoint->http;
    struct call *call = c->call;
    connection_enter(c, CONNECTION_CALL);
    connection_touch(c);
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

/* Parses a JSON object where one is expected; other bodies are read and ignored. */
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
        call_problem(call, HTTP_PROBLEM_BAD_REQUEST, "body", "the body is no JSON in UTF-8: line %d, column %d: %.*s",
                     error.line, error.column, CHARACTERS(error.text, 120));
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
    connection_refuse(c);
    return false;
}

/* Takes a complete head. Returns whether it makes a call; otherwise it is refused. */
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

/* Returns whether received input is left to handle. */
static bool begin_request(struct connection *c, size_t length)
{
    bool good = take_head(c, length);
    if (good && has_body(&c->call->head))
        return begin_body(c);
    if (!good && (!c->call->head.method || has_body(&c->call->head))) {
        connection_refuse(c);
    } else if (!good) {
        c->state = CONNECTION_CALL;
        connection_answer(c);
    } else {
        end_request(c);
    }
    return false;
}

/* A client that speaks another protocol, TLS above all, is told at once: it would wait for bytes that never come. */
static void refuse_protocol(struct connection *c)
{
    c->call = call_new(c->endpoint->http, c);
    if (!c->call) {
        connection_close(c);
        return;
    }
    call_problem(c->call, HTTP_PROBLEM_BAD_REQUEST, "line", "%s",
                 "this is no request of HTTP; if the client speaks TLS, use http:// here, or set http_tls_cert");
    connection_refuse(c);
}

/* Returns whether received input is left to handle. */
bool connection_read_head(struct connection *c)
{
    struct evbuffer *in = bufferevent_get_input(c->bev);
    size_t length = evbuffer_get_length(in), most = length < HEAD_SIZE ? length : HEAD_SIZE;
    char first = 0;
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
        connection_set_timer(c);
    }
    if (!head_can_begin(first)) {
        refuse_protocol(c);
        return false;
    }
    const char *text = (const char *)evbuffer_pullup(in, (ev_ssize_t)most);
    size_t head = text ? head_length(text, most) : 0;
    if (text && head == 0 && most < HEAD_SIZE && (most <= HEAD_LINE_SIZE || memchr(text, '\n', most)))
        return false;
    if (!turns_take(c))
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
        connection_refuse(c);
    }
    return false;
}

static void refuse_body(struct connection *c, enum http_problem kind, const char *detail)
{
    call_problem(c->call, kind, "body", "%s", detail);
    connection_refuse(c);
}

/* Reads the line before a chunk, after its data, or of the trailer. Returns whether input is left to handle. */
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

bool connection_read_body(struct connection *c)
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
