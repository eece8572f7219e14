/* SPDX-License-Identifier: Apache-2.0 */
/* Targets: lists, one of them, and the map of all. */
#include "service/http/api.h"
#include "service/http/state_internal.h"
#include "service/http/lists.h"

#include <stdio.h>
#include <string.h>

#define CURSOR_SIZE   80
#define CURSOR_MARK   "n." /* start of a cursor; a name follows */
#define CRASHES_SHOWN 20
#define Q_MAX         128

static void put_last_crash(struct json_out *json, const struct http_target *target)
{
    out_key(json, "last_crash");
    if (!target->crash) {
        out_null(json);
        return;
    }
    out_open(json, '{');
    out_put_text(json, "crash", target->crash);
    out_put_time(json, "time", target->crash_us);
    out_put_text(json, "verdict", target->verdict);
    out_close(json, '}');
}

static void put_other_host(struct json_out *json, const struct http_target *target)
{
    out_key(json, "other_host");
    if (target->other_host_us == 0) {
        out_null(json);
        return;
    }
    out_open(json, '{');
    out_put_text(json, "address", target->other_host);
    out_put_time(json, "at", target->other_host_us);
    out_close(json, '}');
}

static void put_number(struct json_out *json, const char *key, bool known, uint64_t number)
{
    out_key(json, key);
    if (known)
        out_whole(json, number);
    else
        out_null(json);
}

void api_put_target(struct json_out *json, const struct http_target *target)
{
    out_open(json, '{');
    out_put_text(json, "name", target->name);
    out_put_text(json, "state", api_state_name(target->state));
    out_put_time(json, "since", target->since_us);
    out_put_text(json, "address", target->address);
    put_number(json, "version", target->version > 0, target->version);
    out_put_text(json, "boot", target->boot);
    out_put_text(json, "session", target->session);
    out_put_time(json, "last_seen", target->last_seen_us);
    out_put_raw(json, "kernel", target->kernel);
    out_put_text(json, "listener", target->listener);
    put_number(json, "worker", target->worker >= 0, target->worker >= 0 ? (uint64_t)target->worker : 0);
    out_put_time(json, "held_until", target->held_until_us);
    put_last_crash(json, target);
    put_other_host(json, target);
    out_put_raw(json, "labels", target->labels);
    out_put_bool(json, "stale", target->stale);
}

/* Returns false when the problem is the answer. */
static bool take_states(struct call *call, unsigned *states)
{
    const char *value;
    *states = 0;
    for (size_t i = 0; (value = query_get(&call->query, "state", i)); ++i) {
        unsigned state = 0;
        while (state < HTTP_STATES && strcmp(value, api_state_name(state)) != 0)
            ++state;
        if (state == HTTP_STATES) {
            call_problem(call, HTTP_PROBLEM_BAD_REQUEST, "state",
                         "state is none of never_seen, connected, halted, held, handed_over, dumping, rebooting, lost");
            return false;
        }
        *states |= 1U << state;
    }
    return true;
}

static bool take_cursor(struct call *call, const char **after)
{
    const char *cursor = query_get(&call->query, "cursor", 0);
    *after = NULL;
    if (!cursor)
        return true;
    if (strncmp(cursor, CURSOR_MARK, 2) == 0 && list_is_name(cursor + 2)) {
        *after = cursor + 2;
        return true;
    }
    call_problem(call, HTTP_PROBLEM_BAD_REQUEST, "cursor",
                 "cursor is none that `next` of an earlier answer was; leave "
                 "it out to begin at the first");
    return false;
}

static bool take_q(struct call *call, const char **q)
{
    *q = query_get(&call->query, "q", 0);
    if (*q && (*q)[0] == '\0')
        *q = NULL;
    if (!*q || strlen(*q) <= Q_MAX)
        return true;
    call_problem(call, HTTP_PROBLEM_BAD_REQUEST, "q", "q is longer than 128 bytes; search for less");
    return false;
}

struct listing {
    struct json_out *json;
    uint64_t limit, count;
    bool more;
    char last[HTTP_NAME_SIZE];
};

static bool put_listed(void *user, const struct http_target *target)
{
    struct listing *listing = user;
    if (listing->count == listing->limit) {
        listing->more = true;
        return false;
    }
    ++listing->count;
    api_put_target(listing->json, target);
    out_close(listing->json, '}');
    (void)snprintf(listing->last, sizeof listing->last, "%s", target->name);
    return true;
}

static void list_targets(struct call *call, struct http_target_query *query, uint64_t limit)
{
    const struct http_ops *ops = call->http->ops;
    struct json_out json;
    struct listing listing = {&json, limit, 0, false, ""};
    char cursor[CURSOR_SIZE];
    if (!call_begin_json(call, &json))
        return;
    query->limit = (size_t)limit + 1;
    out_open(&json, '{');
    out_key(&json, "targets");
    out_open(&json, '[');
    size_t total = ops->targets(ops->user, query, put_listed, &listing);
    out_close(&json, ']');
    out_put_whole(&json, "total", total);
    (void)snprintf(cursor, sizeof cursor, CURSOR_MARK "%s", listing.last);
    out_put_text(&json, "next", listing.more ? cursor : NULL);
    out_close(&json, '}');
    call_end_json(call, &json);
}

void api_targets(struct call *call)
{
    struct list_label found[LIST_LABELS_MAX];
    struct http_label labels[LIST_LABELS_MAX];
    struct http_target_query query = {.labels = labels};
    uint64_t limit = 0;
    if (!take_states(call, &query.states) || !take_q(call, &query.substring) || !take_cursor(call, &query.after) ||
        !list_take_labels(call, found, &query.label_count) ||
        !call_number(call, "limit", API_LIMIT_MAX, API_LIMIT, &limit))
        return;
    for (size_t i = 0; i < query.label_count; ++i)
        labels[i] = (struct http_label){found[i].key, found[i].value};
    list_targets(call, &query, limit);
}

/* The map: a letter for each target, and its name, so that a page can draw a hundred thousand. */

struct map {
    struct evbuffer *states;
    struct json_out *names;
};

static bool put_mapped(void *user, const struct http_target *target)
{
    struct map *map = user;
    char letter = (char)('a' + (int)target->state);
    out_text(map->names, target->name);
    return evbuffer_add(map->states, &letter, 1) == 0;
}

static void write_map(struct call *call, struct json_out *json, struct evbuffer *states)
{
    const struct http_ops *ops = call->http->ops;
    const struct http_target_query query = {.limit = SIZE_MAX};
    struct map map = {states, json};
    out_open(json, '{');
    out_key(json, "states");
    out_open(json, '[');
    for (unsigned i = 0; i < HTTP_STATES; ++i)
        out_text(json, api_state_name(i));
    out_close(json, ']');
    out_key(json, "names");
    out_open(json, '[');
    size_t total = ops->targets(ops->user, &query, put_mapped, &map);
    out_close(json, ']');
    out_put_whole(json, "total", total);
    (void)evbuffer_add(states, "", 1);
    out_put_text(json, "letters", (const char *)evbuffer_pullup(states, -1));
    out_close(json, '}');
}

void api_map(struct call *call)
{
    struct json_out json;
    struct evbuffer *states = evbuffer_new();
    if (states && call_begin_json(call, &json)) {
        write_map(call, &json, states);
        call_end_json(call, &json);
    } else if (!states) {
        call_problem(call, HTTP_PROBLEM_BUSY, NULL, "kdnetd is out of memory; try again later");
    }
    if (states)
        evbuffer_free(states);
}

/* Writes one crash. */

static bool put_crash(void *user, const struct store_crash *crash)
{
    out_raw(user, crash->json, crash->length);
    return true;
}

static void put_crashes(struct call *call, struct json_out *json, const char *name)
{
    const char *names[] = {name};
    struct store_crash_query query = {.targets = {names, 1}, .limit = CRASHES_SHOWN};
    struct store_bounds bounds;
    out_key(json, "crashes");
    if (!call->reader || store_event_bounds(call->reader, &bounds) != STORE_DONE) {
        out_null(json);
        return;
    }
    out_open(json, '[');
    (void)store_crashes(call->reader, &query, put_crash, json, NULL);
    out_close(json, ']');
}

struct one {
    struct call *call;
    struct json_out json;
    bool found;
};

static bool put_one(void *user, const struct http_target *target)
{
    struct one *one = user;
    one->found = true;
    api_put_target(&one->json, target);
    return false;
}

static bool is_target(struct call *call)
{
    if (list_is_name(call->argument))
        return true;
    call_problem(call, HTTP_PROBLEM_NO_SUCH_TARGET, NULL, "no target has this name; GET /api/v1/targets lists them");
    return false;
}

void api_target(struct call *call)
{
    const struct http_ops *ops = call->http->ops;
    struct one one = {.call = call, .found = false};
    struct http_target_query query = {.name = call->argument, .limit = 1};
    if (!is_target(call) || !call_begin_json(call, &one.json))
        return;
    (void)ops->targets(ops->user, &query, put_one, &one);
    if (!one.found) {
        call_problem(call, HTTP_PROBLEM_NO_SUCH_TARGET, NULL, "no target is called %s; GET /api/v1/targets lists them",
                     call->argument);
        return;
    }
    put_crashes(call, &one.json, call->argument);
    out_close(&one.json, '}');
    call_end_json(call, &one.json);
}
