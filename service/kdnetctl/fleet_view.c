/* SPDX-License-Identifier: Apache-2.0 */
#include "service/kdnetctl/fleet_view.h"
#include "config/verdicts.h"
#include "kdnet/base/hash.h"
#include "service/kdnetctl/command.h"
#include "service/kdnetctl/fields.h"
#include "service/kdnetctl/times.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define FIRST_IDS ((size_t)1024)

struct fleet_view {
    json_t *collectors; /* name: {seen_us, version, events, crashes {crash: true}} */
    json_t *targets;    /* name: {collector: {time_us, ...}} */
    json_t *crashes;    /* by crash: the object to print, and first_us, best_us */
    uint64_t *ids;      /* hashes of all ids, open addressing; 0: empty */
    size_t id_count, id_slots;
    size_t rows;
    struct fleet_view_counts counts;
};

/* Ids */

static uint64_t hash_of(const char *text)
{
    uint64_t hash = kdnet_hash_text(KDNET_HASH_START, text);
    return hash != 0 ? hash : 1;
}

/* Adds an id; whether it was there already. `ids` has room. */
static bool put_id(uint64_t *ids, size_t slots, uint64_t hash)
{
    size_t at = (size_t)hash & (slots - 1);
    while (ids[at] != 0 && ids[at] != hash)
        at = (at + 1) & (slots - 1);
    bool found = ids[at] == hash;
    ids[at] = hash;
    return found;
}

static bool grow_ids(struct fleet_view *view)
{
    size_t slots = view->id_slots > 0 ? view->id_slots * 2 : FIRST_IDS;
    uint64_t *ids = calloc(slots, sizeof *ids);
    if (!ids) {
        command_short_of_memory();
        return false;
    }
    for (size_t i = 0; i < view->id_slots; ++i)
        if (view->ids[i] != 0)
            (void)put_id(ids, slots, view->ids[i]);
    free(view->ids);
    view->ids = ids;
    view->id_slots = slots;
    return true;
}

/* True: the event of this id was counted before. */
static bool is_double(struct fleet_view *view, const char *id)
{
    if (2 * (view->id_count + 1) > view->id_slots && !grow_ids(view))
        return false;
    bool found = put_id(view->ids, view->id_slots, hash_of(id));
    view->id_count += !found;
    return found;
}

/* Members */

static bool is_name(const char *text)
{
    return text && text[0] != '\0' && strlen(text) <= FLEET_NAME_MAX &&
           strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-") == strlen(text);
}

static bool is_id(const char *text)
{
    return text && text[0] != '\0' && strlen(text) <= FLEET_ID_MAX;
}

static const char *text_of(const json_t *object, const char *name)
{
    return json_string_value(json_object_get(object, name));
}

static int64_t number_of(const json_t *object, const char *name)
{
    return json_integer_value(json_object_get(object, name));
}

static void put_number(json_t *object, const char *name, int64_t number)
{
    (void)json_object_set_new(object, name, json_integer(number));
}

/* Copies a member of an event; null when absent. */
static void copy_member(json_t *to, const json_t *from, const char *name)
{
    json_t *value = json_object_get(from, name);
    (void)json_object_set(to, name, value ? value : json_null());
}

/* Returns a member that is an object, made when absent. NULL: too many, or out of memory. */
static json_t *row_of(struct fleet_view *view, json_t *parent, const char *name)
{
    json_t *row = json_object_get(parent, name);
    if (row)
        return row;
    if (view->rows >= FLEET_ROWS_MAX) {
        ++view->counts.left_out;
        return NULL;
    }
    row = json_object();
    if (!row || json_object_set_new(parent, name, row) != 0)
        return NULL;
    ++view->rows;
    return row;
}

/* Taking */

struct fleet_view *fleet_view_new(void)
{
    struct fleet_view *view = calloc(1, sizeof *view);
    if (!view)
        return NULL;
    view->collectors = json_object();
    view->targets = json_object();
    view->crashes = json_object();
    if (view->collectors && view->targets && view->crashes)
        return view;
    fleet_view_free(view);
    return NULL;
}

void fleet_view_free(struct fleet_view *view)
{
    if (!view)
        return;
    json_decref(view->collectors);
    json_decref(view->targets);
    json_decref(view->crashes);
    free(view->ids);
    free(view);
}

static void note_seen(json_t *row, uint64_t time_us)
{
    if (row && (int64_t)time_us > number_of(row, "seen_us"))
        put_number(row, "seen_us", (int64_t)time_us);
}

static void take_target(struct fleet_view *view, const json_t *event, const char *target, int64_t time_us)
{
    json_t *rows = row_of(view, view->targets, target);
    json_t *row = rows ? row_of(view, rows, text_of(event, "collector")) : NULL;
    if (!row)
        return;
    const char *verdict = text_of(event, "verdict");
    if (verdict && time_us >= number_of(row, "verdict_us")) {
        (void)json_object_set_new(row, "verdict", json_string(verdict));
        put_number(row, "verdict_us", time_us);
    }
    if (time_us < number_of(row, "time_us"))
        return;
    put_number(row, "time_us", time_us);
    copy_member(row, event, "event");
    copy_member(row, event, "time");
    copy_member(row, event, "address");
}

static void add_collector(json_t *row, const char *collector)
{
    size_t i;
    json_t *one, *all = json_object_get(row, "collectors");
    if (!all) {
        all = json_array();
        (void)json_object_set_new(row, "collectors", all);
    }
    json_array_foreach(all, i, one)
    { // NOLINT(cert-exp05-c): jansson's macro wants it
        if (strcmp(json_string_value(one), collector) == 0)
            return;
    }
    (void)json_array_append_new(all, json_string(collector));
}

static void take_result(json_t *row, const json_t *event, int64_t time_us)
{
    unsigned rank = verdicts_worth(text_of(event, "verdict")), best = verdicts_worth(text_of(row, "verdict"));
    if (!json_object_get(row, "first_us") || time_us < number_of(row, "first_us")) {
        put_number(row, "first_us", time_us);
        copy_member(row, event, "time");
    }
    if (rank < best || (rank == best && time_us < number_of(row, "best_us")))
        return;
    put_number(row, "best_us", time_us);
    copy_member(row, event, "verdict");
    copy_member(row, event, "status");
    copy_member(row, event, "reason");
    if (!json_is_object(json_object_get(row, "bugcheck")))
        copy_member(row, event, "bugcheck");
}

/* A break that is no crash makes no row: it has no id to be merged by. */
static void take_crash(struct fleet_view *view, const json_t *event, const char *crash, int64_t time_us, bool again)
{
    json_t *row = row_of(view, view->crashes, crash);
    if (!row)
        return;
    if (!json_object_get(row, "crash")) {
        (void)json_object_set_new(row, "crash", json_string(crash));
        copy_member(row, event, "target");
    }
    put_number(row, "results", number_of(row, "results") + !again);
    add_collector(row, text_of(event, "collector"));
    take_result(row, event, time_us);
}

static void take_event(struct fleet_view *view, const json_t *event, uint64_t taken_us)
{
    int64_t time_us = 0;
    const char *time = text_of(event, "time"), *target = text_of(event, "target"), *kind = text_of(event, "event");
    const char *collector = text_of(event, "collector"), *crash = text_of(event, "crash"), *id = text_of(event, "id");
    if (!is_name(collector) || !is_id(id) || !kind || (target && !is_name(target)) || (crash && !is_id(crash)) ||
        !time || !times_parse(time, &time_us)) {
        ++view->counts.strange;
        return;
    }
    bool again = is_double(view, id);
    json_t *row = row_of(view, view->collectors, collector);
    ++view->counts.events;
    view->counts.doubles += again;
    if (row && !again)
        put_number(row, "events", number_of(row, "events") + 1);
    note_seen(row, taken_us);
    if (target)
        take_target(view, event, target, time_us);
    if (crash && strcmp(kind, "crash_status") == 0)
        take_crash(view, event, crash, time_us, again);
}

static json_t *parse(struct fleet_view *view, const char *data, size_t length)
{
    json_t *json = length <= FLEET_EVENT_MAX ? json_loadb(data, length, JSON_REJECT_DUPLICATES, NULL) : NULL;
    if (json_is_object(json))
        return json;
    json_decref(json);
    ++view->counts.strange;
    return NULL;
}

void fleet_view_event(struct fleet_view *view, const char *data, size_t length, uint64_t time_us)
{
    json_t *event = parse(view, data, length);
    if (event)
        take_event(view, event, time_us);
    json_decref(event);
}

void fleet_view_heartbeat(struct fleet_view *view, const char *data, size_t length, uint64_t time_us)
{
    json_t *beat = parse(view, data, length);
    const char *name = text_of(beat, "collector");
    json_t *row = is_name(name) ? row_of(view, view->collectors, name) : NULL;
    if (row) {
        note_seen(row, time_us);
        copy_member(row, beat, "version");
    } else if (beat) {
        ++view->counts.strange;
    }
    json_decref(beat);
}

struct fleet_view_counts fleet_view_counts(const struct fleet_view *view)
{
    return view->counts;
}

/* Telling */

static void put_time(json_t *object, const char *name, int64_t time_us)
{
    char text[TIMES_SIZE];
    time_t seconds = (time_t)(time_us / 1000000);
    struct tm parts;
    if (time_us <= 0 || !gmtime_r(&seconds, &parts)) {
        (void)json_object_set_new(object, name, json_null());
        return;
    }
    size_t length = strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &parts);
    (void)snprintf(text + length, sizeof text - length, ".%06dZ", (int)(time_us % 1000000));
    (void)json_object_set_new(object, name, json_string(text));
}

/* The members of an object by their names: an array of {key, value}; NULL: out of memory. */
struct member {
    const char *name;
    json_t *value;
};

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct member *)a)->name, ((const struct member *)b)->name);
}

static int by_time(const void *a, const void *b)
{
    int64_t one = number_of(((const struct member *)a)->value, "time_us");
    int64_t other = number_of(((const struct member *)b)->value, "time_us");
    return one != other ? (one < other ? 1 : -1) : by_name(a, b);
}

static int by_first(const void *a, const void *b)
{
    int64_t one = number_of(((const struct member *)a)->value, "first_us");
    int64_t other = number_of(((const struct member *)b)->value, "first_us");
    return one != other ? (one < other ? 1 : -1) : by_name(a, b);
}

static struct member *sort(const json_t *object, int (*order)(const void *, const void *), size_t *count)
{
    const char *name;
    json_t *value;
    struct member *members = calloc(json_object_size(object) + 1, sizeof *members);
    *count = 0;
    if (!members) {
        command_short_of_memory();
        return NULL;
    }
    json_object_foreach((json_t *)(uintptr_t)object, name, value) members[(*count)++] = (struct member){name, value};
    qsort(members, *count, sizeof *members, order);
    return members;
}

static void add_target(json_t *list, const struct member *target)
{
    size_t count;
    struct member *seen = sort(target->value, by_time, &count);
    for (size_t i = 0; seen && i < count; ++i) {
        json_t *row = json_pack("{s:s,s:s,s:b,s:i}", "target", target->name, "collector", seen[i].name, "newest",
                                i == 0, "collectors", (int)count);
        copy_member(row, seen[i].value, "event");
        copy_member(row, seen[i].value, "time");
        copy_member(row, seen[i].value, "address");
        copy_member(row, seen[i].value, "verdict");
        (void)json_array_append_new(list, row);
    }
    free(seen);
}

json_t *fleet_view_targets(const struct fleet_view *view)
{
    size_t count;
    struct member *targets = sort(view->targets, by_name, &count);
    json_t *list = targets ? json_array() : NULL;
    for (size_t i = 0; list && i < count; ++i)
        add_target(list, &targets[i]);
    free(targets);
    return list;
}

json_t *fleet_view_crashes(const struct fleet_view *view)
{
    static const char *const members[] = {"crash",  "target",   "time",       "verdict", "status",
                                          "reason", "bugcheck", "collectors", "results"};
    size_t count;
    struct member *crashes = sort(view->crashes, by_first, &count);
    json_t *list = crashes ? json_array() : NULL;
    for (size_t i = 0; list && i < count; ++i) {
        json_t *row = json_object();
        for (size_t j = 0; row && j < sizeof members / sizeof members[0]; ++j)
            copy_member(row, crashes[i].value, members[j]);
        (void)json_array_append_new(list, row);
    }
    free(crashes);
    return list;
}

/* Counts each collector's targets: those that it was the last to report. */
static json_t *count_targets(const struct fleet_view *view)
{
    const char *name, *collector;
    json_t *rows, *row, *counts = json_object();
    json_object_foreach(view->targets, name, rows)
    { // NOLINT(cert-exp05-c): jansson's macro wants it
        const char *newest = NULL;
        int64_t newest_us = -1;
        json_object_foreach(rows, collector, row) if (number_of(row, "time_us") > newest_us)
        {
            newest = collector;
            newest_us = number_of(row, "time_us");
        }
        if (newest)
            put_number(counts, newest, number_of(counts, newest) + 1);
    }
    return counts;
}

static json_t *count_crashes(const struct fleet_view *view)
{
    const char *name;
    size_t i;
    json_t *row, *collector, *counts = json_object();
    json_object_foreach(view->crashes, name, row) json_array_foreach(json_object_get(row, "collectors"), i, collector)
        put_number(counts, json_string_value(collector), number_of(counts, json_string_value(collector)) + 1);
    return counts;
}

json_t *fleet_view_collectors(const struct fleet_view *view, uint64_t now_us)
{
    size_t count;
    struct member *collectors = sort(view->collectors, by_name, &count);
    json_t *list = collectors ? json_array() : NULL, *targets = count_targets(view), *crashes = count_crashes(view);
    for (size_t i = 0; list && i < count; ++i) {
        const char *name = collectors[i].name;
        int64_t seen_us = number_of(collectors[i].value, "seen_us"), silent_us = (int64_t)now_us - seen_us;
        bool is_silent = silent_us > FLEET_SILENT_US;
        json_t *row = json_pack("{s:s,s:s}", "collector", name, "state", is_silent ? "silent" : "ok");
        put_time(row, "last_seen", seen_us);
        (void)json_object_set_new(row, "silent_seconds", is_silent ? json_integer(silent_us / 1000000) : json_null());
        copy_member(row, collectors[i].value, "version");
        put_number(row, "targets", number_of(targets, name));
        put_number(row, "crashes", number_of(crashes, name));
        put_number(row, "events", number_of(collectors[i].value, "events"));
        (void)json_array_append_new(list, row);
    }
    json_decref(targets);
    json_decref(crashes);
    free(collectors);
    return list;
}
