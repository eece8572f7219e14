/* SPDX-License-Identifier: Apache-2.0 */
/* Questions about crashes. */
#include "service/output/event_json.h"
#include "service/store/line.h"
#include "service/store/reader_internal.h"

#include <stdlib.h>
#include <string.h>

static const char *text_of(sqlite3_stmt *row, int column)
{
    return (const char *)sqlite3_column_text(row, column);
}

/* A key must match [a-z][a-z0-9_]*: other text would form another JSON path. */
static bool is_label_key(const char *key)
{
    return key[0] != '\0' && strspn(key, "abcdefghijklmnopqrstuvwxyz0123456789_") == strlen(key);
}

static void add_labels(struct reader_query *sql, const struct store_crash_query *query)
{
    for (size_t i = 0; i < query->label_count; ++i) {
        reader_condition(sql, is_label_key(query->labels[i].key) ? "json_extract(c.json,'$.labels.'||?)=?" : "0");
        if (!is_label_key(query->labels[i].key))
            continue;
        reader_add_text(sql, query->labels[i].key);
        reader_add_text(sql, query->labels[i].value);
    }
}

static void add_conditions(struct reader_query *sql, const struct store_crash_query *query)
{
    if (query->crash) {
        reader_condition(sql, "c.crash=?");
        reader_add_text(sql, query->crash);
    }
    if (query->since_us > 0) {
        reader_condition(sql, "c.time>=?");
        reader_add_number(sql, (int64_t)query->since_us);
    }
    if (query->until_us > 0) {
        reader_condition(sql, "c.time<?");
        reader_add_number(sql, (int64_t)query->until_us);
    }
    reader_one_of(sql, "c.verdict", &query->verdicts);
    reader_one_of(sql, "c.target", &query->targets);
    reader_one_of(sql, "c.code", &query->codes);
    add_labels(sql, query);
}

static enum store_result count(struct store_reader *reader, const struct store_crash_query *query, uint64_t *total)
{
    struct reader_query sql = {.length = 0};
    int code;
    reader_add(&sql, "SELECT count(*) FROM crashes c");
    add_conditions(&sql, query);
    sqlite3_stmt *statement = reader_prepare(reader, &sql, &code);
    if (code == SQLITE_OK)
        code = sqlite3_step(statement);
    if (code == SQLITE_ROW)
        *total = (uint64_t)sqlite3_column_int64(statement, 0);
    (void)sqlite3_finalize(statement);
    reader_query_clear(&sql);
    return reader_result(reader, code);
}

/* Returns the row's object with the acknowledgement. The caller frees it. */
static char *whole_json(sqlite3_stmt *row, const char *json, size_t *length)
{
    char time_text[EVENT_JSON_TIME_SIZE];
    json_t *object = json_loads(json, 0, NULL), *seen = json_null();
    if (text_of(row, 5)) {
        event_json_time((uint64_t)sqlite3_column_int64(row, 6), time_text);
        seen = json_pack("{s:s,s:s,s:s?}", "by", text_of(row, 5), "time", time_text, "note", text_of(row, 7));
    }
    (void)json_object_set_new(object, "acknowledged", seen);
    char *text = object ? json_dumps(object, JSON_COMPACT | JSON_REAL_PRECISION(15)) : NULL;
    json_decref(object);
    *length = text ? strlen(text) : 0;
    return text;
}

static bool hand_on(sqlite3_stmt *row, store_crash_fn *each, void *user)
{
    const char *json = text_of(row, 4);
    struct store_crash crash = {.crash = text_of(row, 0),
                                .time_us = (uint64_t)sqlite3_column_int64(row, 1),
                                .target = text_of(row, 2),
                                .verdict = text_of(row, 3),
                                .acknowledged = text_of(row, 5) != NULL};
    char *whole = json ? whole_json(row, json, &crash.length) : NULL;
    crash.json = whole;
    bool goes_on = whole && each(user, &crash);
    free(whole);
    return goes_on;
}

static void write_query(struct reader_query *sql, const struct store_crash_query *query)
{
    reader_add(sql, "SELECT c.crash,c.time,c.target,c.verdict,c.json,a.by,a.time,a.note FROM crashes c "
                    "LEFT JOIN acknowledged a ON a.crash=c.crash");
    add_conditions(sql, query);
    if (query->before_us > 0) {
        reader_condition(sql, "(c.time,c.crash)<(?,?)");
        reader_add_number(sql, (int64_t)query->before_us);
        reader_add_text(sql, query->before_crash ? query->before_crash : "");
    }
    reader_add(sql, " ORDER BY c.time DESC,c.crash DESC LIMIT ?");
    reader_add_number(sql, query->limit > 0 && query->limit < INT64_MAX ? (int64_t)query->limit : INT64_MAX);
}

enum store_result store_crashes(struct store_reader *reader, const struct store_crash_query *query,
                                store_crash_fn *each, void *user, uint64_t *total)
{
    struct reader_query sql = {.length = 0};
    int code;
    bool some = false;
    if (!reader_connect(reader))
        return STORE_UNAVAILABLE;
    if (total) {
        enum store_result counted = count(reader, query, total);
        if (counted != STORE_DONE)
            return counted;
    }
    write_query(&sql, query);
    sqlite3_stmt *statement = reader_prepare(reader, &sql, &code);
    bool goes_on = code == SQLITE_OK;
    while (goes_on && (code = sqlite3_step(statement)) == SQLITE_ROW) {
        some = true;
        goes_on = hand_on(statement, each, user);
    }
    (void)sqlite3_finalize(statement);
    reader_query_clear(&sql);
    enum store_result result = reader_result(reader, code);
    return result == STORE_DONE && query->crash && !some ? STORE_MISSING : result;
}

static bool hand_on_bucket(sqlite3_stmt *row, store_bucket_fn *each, void *user)
{
    const struct store_bucket bucket = {.bucket = text_of(row, 0),
                                        .count = (uint64_t)sqlite3_column_int64(row, 1),
                                        .machines = (uint64_t)sqlite3_column_int64(row, 2),
                                        .first_us = (uint64_t)sqlite3_column_int64(row, 3),
                                        .last_us = (uint64_t)sqlite3_column_int64(row, 4),
                                        .verdicts = text_of(row, 5)};
    return bucket.bucket && bucket.verdicts && each(user, &bucket);
}

enum store_result store_buckets(struct store_reader *reader, uint64_t since_us, uint64_t limit, store_bucket_fn *each,
                                void *user)
{
    struct reader_query sql = {.length = 0};
    int code;
    if (!reader_connect(reader))
        return STORE_UNAVAILABLE;
    reader_add(&sql, "SELECT bucket,count(*),count(DISTINCT target),min(time),max(time),"
                     "json_object('written',sum(verdict='written'),'failed',sum(verdict='failed'),"
                     "'not_started',sum(verdict='not_started'),'unknown',sum(verdict='unknown')) "
                     "FROM crashes WHERE bucket IS NOT NULL AND time>=? GROUP BY bucket "
                     "ORDER BY 2 DESC,5 DESC,bucket LIMIT ?");
    reader_add_number(&sql, (int64_t)since_us);
    reader_add_number(&sql, limit > 0 && limit < INT64_MAX ? (int64_t)limit : INT64_MAX);
    sqlite3_stmt *statement = reader_prepare(reader, &sql, &code);
    bool goes_on = code == SQLITE_OK;
    while (goes_on && (code = sqlite3_step(statement)) == SQLITE_ROW)
        goes_on = hand_on_bucket(statement, each, user);
    (void)sqlite3_finalize(statement);
    reader_query_clear(&sql);
    return reader_result(reader, code);
}
