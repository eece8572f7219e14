/* SPDX-License-Identifier: Apache-2.0 */
/* Queries of the store: crashes, buckets and events. */
#include "service/http/api.h"
#include "service/http/state_internal.h"
#include "service/http/lists.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CRASH_LENGTH  16
#define CURSOR_SIZE   64
#define CURSOR_DIGITS 18 /* of a time in microseconds */

/* Returns false when the problem is the answer. */
static bool has_store(struct call *call)
{
    if (call->reader)
        return true;
    call_problem(call, HTTP_PROBLEM_STORE, NULL, "there is no store; set `store` to a path, and look at the log");
    return false;
}

static void refuse_store(struct call *call)
{
    call_problem(call, HTTP_PROBLEM_STORE, NULL,
                 "the store cannot be read now; /api/v1/status says why, and it is tried again each second");
}

static bool is_crash(const char *text)
{
    return strspn(text, "0123456789abcdef") == CRASH_LENGTH && text[CRASH_LENGTH] == '\0';
}

static bool take_period(struct call *call, uint64_t *since_us, uint64_t *until_us)
{
    return call_time(call, "since", since_us) && call_time(call, "until", until_us);
}

/* Crashes. */

struct crash_filter {
    struct list verdicts, targets, codes;
    struct list_label found[LIST_LABELS_MAX];
    struct store_label labels[LIST_LABELS_MAX];
    struct store_crash_query query;
    char before[CRASH_LENGTH + 1];
    uint64_t limit;
};

/* Parses c.TIME.CRASH, the last crash of the previous page. */
static bool take_cursor(struct call *call, struct crash_filter *filter)
{
    const char *cursor = query_get(&call->query, "cursor", 0);
    if (!cursor)
        return true;
    size_t digits = strncmp(cursor, "c.", 2) == 0 ? strspn(cursor + 2, "0123456789") : 0;
    if (digits > 0 && digits <= CURSOR_DIGITS && cursor[2 + digits] == '.' && is_crash(cursor + 3 + digits)) {
        filter->query.before_us = strtoull(cursor + 2, NULL, 10);
        memcpy(filter->before, cursor + 3 + digits, sizeof filter->before);
        filter->query.before_crash = filter->before;
        if (filter->query.before_us > 0)
            return true;
    }
    call_problem(call, HTTP_PROBLEM_BAD_REQUEST, "cursor",
                 "cursor is none that `next` of an earlier answer was; leave "
                 "it out to begin at the newest");
    return false;
}

static bool take_filter(struct call *call, struct crash_filter *filter)
{
    struct store_crash_query *query = &filter->query;
    if (!take_period(call, &query->since_us, &query->until_us) ||
        !list_take(call, "verdict", LIST_VERDICT, &filter->verdicts) ||
        !list_take(call, "target", LIST_NAME, &filter->targets) ||
        !list_take(call, "code", LIST_CODE, &filter->codes) ||
        !list_take_labels(call, filter->found, &query->label_count) ||
        !call_number(call, "limit", API_LIMIT_MAX, API_LIMIT, &filter->limit) || !take_cursor(call, filter))
        return false;
    query->verdicts = list_texts(&filter->verdicts);
    query->targets = list_texts(&filter->targets);
    query->codes = list_texts(&filter->codes);
    for (size_t i = 0; i < query->label_count; ++i)
        filter->labels[i] = (struct store_label){filter->found[i].key, filter->found[i].value};
    query->labels = filter->labels;
    query->limit = filter->limit + 1;
    return true;
}

struct crash_listing {
    struct json_out json;
    uint64_t limit, count;
    bool more;
    char cursor[CURSOR_SIZE];
};

static bool put_crash(void *user, const struct store_crash *crash)
{
    struct crash_listing *listing = user;
    if (listing->count == listing->limit) {
        listing->more = true;
        return false;
    }
    ++listing->count;
    out_raw(&listing->json, crash->json, crash->length);
    (void)snprintf(listing->cursor, sizeof listing->cursor, "c.%llu.%.16s", (unsigned long long)crash->time_us,
                   crash->crash);
    return true;
}

static void list_crashes(struct call *call, const struct crash_filter *filter)
{
    struct crash_listing listing = {.limit = filter->limit};
    uint64_t total = 0;
    if (!call_begin_json(call, &listing.json))
        return;
    out_open(&listing.json, '{');
    out_key(&listing.json, "crashes");
    out_open(&listing.json, '[');
    if (store_crashes(call->reader, &filter->query, put_crash, &listing, &total) != STORE_DONE) {
        refuse_store(call);
        return;
    }
    out_close(&listing.json, ']');
    out_put_whole(&listing.json, "total", total);
    out_put_text(&listing.json, "next", listing.more ? listing.cursor : NULL);
    out_close(&listing.json, '}');
    call_end_json(call, &listing.json);
}

void api_crashes(struct call *call)
{
    struct crash_filter *filter = calloc(1, sizeof *filter);
    if (!filter)
        call_problem(call, HTTP_PROBLEM_BUSY, NULL, "kdnetd is out of memory; try again later");
    else if (take_filter(call, filter) && has_store(call))
        list_crashes(call, filter);
    free(filter);
}

static bool put_only(void *user, const struct store_crash *crash)
{
    out_raw(user, crash->json, crash->length);
    return false;
}

void api_crash(struct call *call)
{
    struct json_out json;
    struct store_crash_query query = {.crash = call->argument, .limit = 1};
    enum store_result result = STORE_MISSING;
    if (!has_store(call) || !call_begin_json(call, &json))
        return;
    if (is_crash(call->argument))
        result = store_crashes(call->reader, &query, put_only, &json, NULL);
    if (result == STORE_DONE)
        call_end_json(call, &json);
    else if (result == STORE_UNAVAILABLE)
        refuse_store(call);
    else
        call_problem(call, HTTP_PROBLEM_NOT_FOUND, NULL, "there is no such crash; GET /api/v1/crashes lists them");
}

static bool put_bucket(void *user, const struct store_bucket *bucket)
{
    struct json_out *json = user;
    out_open(json, '{');
    out_put_text(json, "bucket", bucket->bucket);
    out_put_whole(json, "count", bucket->count);
    out_put_whole(json, "machines", bucket->machines);
    out_put_time(json, "first", bucket->first_us);
    out_put_time(json, "last", bucket->last_us);
    out_put_raw(json, "verdicts", bucket->verdicts);
    out_close(json, '}');
    return true;
}

void api_buckets(struct call *call)
{
    struct json_out json;
    uint64_t since_us = 0, limit = 0;
    if (!call_time(call, "since", &since_us) || !call_number(call, "limit", API_LIMIT_MAX, API_LIMIT, &limit) ||
        !has_store(call) || !call_begin_json(call, &json))
        return;
    out_open(&json, '{');
    out_key(&json, "buckets");
    out_open(&json, '[');
    if (store_buckets(call->reader, since_us, limit, put_bucket, &json) != STORE_DONE) {
        refuse_store(call);
        return;
    }
    out_close(&json, ']');
    out_close(&json, '}');
    call_end_json(call, &json);
}

/* Events. */

static bool put_event(void *user, const struct store_event *event)
{
    struct evbuffer *body = user;
    return evbuffer_add(body, event->line, event->length) == 0 && evbuffer_add(body, "\n", 1) == 0;
}

static bool take_after(struct call *call, struct store_event_query *query)
{
    const char *after = query_get(&call->query, "after", 0), *tail = query_get(&call->query, "tail", 0);
    query->after_id = after;
    if (after && !list_is_id(after)) {
        call_problem(call, HTTP_PROBLEM_BAD_REQUEST, "after", "after is no id of an event");
        return false;
    }
    if (after && tail) {
        call_problem(call, HTTP_PROBLEM_BAD_REQUEST, "tail",
                     "tail is the newest events, after those behind one; ask for "
                     "one of them");
        return false;
    }
    return call_number(call, "tail", API_EVENTS_LIMIT_MAX, 0, &query->tail) &&
           call_number(call, "limit", API_EVENTS_LIMIT_MAX, API_EVENTS_LIMIT, &query->limit);
}

static void list_events(struct call *call, struct store_event_query *query)
{
    struct evbuffer *body = NULL;
    if (!has_store(call) || !(body = call_answer(call, "application/x-ndjson")))
        return;
    if (query->tail > 0 && !query_get(&call->query, "limit", 0))
        query->limit = query->tail;
    enum store_result result = store_events(call->reader, query, put_event, body);
    if (result == STORE_GONE)
        call_problem(call, HTTP_PROBLEM_GONE, "after",
                     "the event %s is no longer there; ask for /api/v1/events without `after`, or with `tail`",
                     query->after_id);
    else if (result != STORE_DONE)
        refuse_store(call);
}

void api_events(struct call *call)
{
    struct list *lists = calloc(2, sizeof *lists);
    struct store_event_query query = {.limit = 0};
    if (!lists) {
        call_problem(call, HTTP_PROBLEM_BUSY, NULL, "kdnetd is out of memory; try again later");
    } else if (take_after(call, &query) && take_period(call, &query.since_us, &query.until_us) &&
               list_take(call, "type", LIST_TYPE, &lists[0]) && list_take(call, "target", LIST_NAME, &lists[1])) {
        query.types = list_texts(&lists[0]);
        query.targets = list_texts(&lists[1]);
        list_events(call, &query);
    }
    free(lists);
}

/* Whether a target exists or has events: a removed target may still have some. */
static bool is_known(struct call *call)
{
    const struct http_ops *ops = call->http->ops;
    const char *names[] = {call->argument};
    struct http_target_query query = {.name = call->argument, .limit = 0};
    struct store_event_query events = {.targets = {names, 1}, .tail = 1, .limit = 1};
    struct evbuffer *found = evbuffer_new();
    bool known = list_is_name(call->argument) && ops->targets(ops->user, &query, NULL, NULL) > 0;
    if (!known && found && call->reader && list_is_name(call->argument))
        known = store_events(call->reader, &events, put_event, found) == STORE_DONE && evbuffer_get_length(found) > 0;
    if (found)
        evbuffer_free(found);
    if (!known)
        call_problem(call, HTTP_PROBLEM_NO_SUCH_TARGET, NULL,
                     "no target has this name; GET /api/v1/targets lists them");
    return known;
}

void api_target_events(struct call *call)
{
    const char *names[] = {call->argument};
    struct list *types = calloc(1, sizeof *types);
    struct store_event_query query = {.targets = {names, 1}};
    if (!types) {
        call_problem(call, HTTP_PROBLEM_BUSY, NULL, "kdnetd is out of memory; try again later");
    } else if (take_after(call, &query) && take_period(call, &query.since_us, &query.until_us) &&
               list_take(call, "type", LIST_TYPE, types) && is_known(call)) {
        query.types = list_texts(types);
        list_events(call, &query);
    }
    free(types);
}
