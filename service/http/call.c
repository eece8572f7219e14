/* SPDX-License-Identifier: Apache-2.0 */
#include "config/characters.h"
#include "service/http/call.h"
#include "service/http/json_out.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PROBLEM_TYPE "application/problem+json"

struct call *call_new(struct http *http, struct connection *connection)
{
    struct call *call = calloc(1, sizeof *call);
    if (call) {
        call->http = http;
        call->connection = connection;
    }
    return call;
}

static void clear_reply(struct reply *reply)
{
    if (reply->body)
        evbuffer_free(reply->body);
    *reply = (struct reply){.status = 0};
}

void call_free(struct call *call)
{
    clear_reply(&call->reply);
    query_clear(&call->query);
    json_decref(call->body);
    free(call->stream);
    free(call->text);
    free(call);
}

uint64_t call_now_us(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

struct problem_extra {
    const char *member, *json;
    const char *field;
};

static void answer_problem(struct call *call, enum http_problem kind, const struct problem_extra *extra,
                           const char *detail)
{
    struct json_out json;
    char type[64];
    clear_reply(&call->reply);
    call->reply.status = problem_status(kind);
    call->reply.type = PROBLEM_TYPE;
    call->reply.body = evbuffer_new();
    if (!call->reply.body)
        return;
    (void)snprintf(type, sizeof type, "urn:kdnetd:problem:%s", problem_name(kind));
    out_begin(&json, call->reply.body);
    out_open(&json, '{');
    out_put_text(&json, "type", type);
    out_put_text(&json, "title", problem_title(kind));
    out_put_whole(&json, "status", problem_status(kind));
    out_put_text(&json, "detail", detail);
    out_put_text(&json, "instance", call->head.path);
    if (extra->field)
        out_put_text(&json, "field", extra->field);
    if (extra->member)
        out_put_raw(&json, extra->member, extra->json);
    out_close(&json, '}');
    out_end(&json);
}

void call_problem(struct call *call, enum http_problem kind, const char *field, const char *detail, ...)
{
    char text[CALL_DETAIL_SIZE];
    va_list arguments;
    va_start(arguments, detail);
    (void)vsnprintf(text, sizeof text, detail, arguments);
    va_end(arguments);
    characters_mend(text);
    answer_problem(call, kind, &(struct problem_extra){.field = field}, text);
}

void call_problem_with(struct call *call, enum http_problem kind, const char *member, const char *json,
                       const char *detail)
{
    answer_problem(call, kind, &(struct problem_extra){.member = member, .json = json}, detail);
}

void call_header(struct call *call, const char *format, ...)
{
    size_t used = strlen(call->reply.headers), room = sizeof call->reply.headers - used;
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(call->reply.headers + used, room, format, arguments);
    va_end(arguments);
    if (length < 0 || (size_t)length + 2 >= room)
        call->reply.headers[used] = '\0';
    else
        memcpy(call->reply.headers + used + length, "\r\n", 3);
}

struct evbuffer *call_answer(struct call *call, const char *type)
{
    clear_reply(&call->reply);
    call->reply.body = evbuffer_new();
    if (!call->reply.body) {
        call_problem(call, HTTP_PROBLEM_BUSY, NULL, "kdnetd is out of memory; try again later");
        return NULL;
    }
    call->reply.status = 200;
    call->reply.type = type;
    return call->reply.body;
}

bool call_begin_json(struct call *call, struct json_out *json)
{
    struct evbuffer *body = call_answer(call, "application/json");
    if (body)
        out_begin(json, body);
    return body != NULL;
}

void call_end_json(struct call *call, struct json_out *json)
{
    out_end(json);
    if (json->failed)
        call_problem(call, HTTP_PROBLEM_BUSY, NULL, "kdnetd is out of memory; try again later");
}

bool call_number(struct call *call, const char *name, uint64_t most, uint64_t absent, uint64_t *out)
{
    const char *text = query_get(&call->query, name, 0);
    *out = absent;
    if (!text || query_number(text, 1, most, out))
        return true;
    call_problem(call, HTTP_PROBLEM_BAD_REQUEST, name, "%s is no number from 1 to %llu", name,
                 (unsigned long long)most);
    return false;
}

bool call_time(struct call *call, const char *name, uint64_t *out)
{
    const char *text = query_get(&call->query, name, 0);
    *out = 0;
    if (!text || query_time(text, call_now_us(), out))
        return true;
    call_problem(call, HTTP_PROBLEM_BAD_REQUEST, name,
                 "%s is neither a time like 2026-11-26T08:00:00Z nor a duration back from now like 24h", name);
    return false;
}
