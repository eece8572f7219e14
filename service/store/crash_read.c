/* SPDX-License-Identifier: Apache-2.0 */
/* Questions about crashes. */
#include "service/output/event_json.h"
#include "service/store/line.h"
#include "service/store/reader_internal.h"

#include <stdlib.h>
#include <string.h>

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
    reader_period(sql, "c.time", query->since_us, query->until_us);
    reader_one_of(sql, "c.verdict", &query->verdicts);
    reader_one_of(sql, "c.target", &query->targets);
    reader_one_of(sql, "c.code", &query->codes);
    add_labels(sql, query);
}

static enum store_result count(struct store_reader *reader, const struct store_crash_query *query, uint64_t *total)
{
    struct reader_query sql = {.length = 0};
    reader_add(&sql, "SELECT count(*) FROM crashes c");
    add_conditions(&sql, query);
    return reader_number(reader, &sql, total, STORE_DONE);
}

struct listeners {
    store_crash_fn *crash;
    store_bucket_fn *bucket;
    void *user;
};

/* Returns the row's object with the acknowledgement. The caller frees it. */
static char *whole_json(sqlite3_stmt *row, const char *json, size_t *length)
{
    char time_text[EVENT_JSON_TIME_SIZE];
    json_t *object = NULL, *seen = json_null();
    (void)store_json_load(json, strlen(json), 0, &object);
    if (reader_text(row, 5)) {
        event_json_time((uint64_t)sqlite3_column_int64(row, 6), time_text);
        seen = json_pack("{s:s,s:s,s:s?}", "by", reader_text(row, 5), "time", time_text, "note", reader_text(row, 7));
    }
    bool whole = json_object_set_new(object, "acknowledged", seen) == 0;
    char *text = whole ? store_json_dump(object, JSON_COMPACT | JSON_REAL_PRECISION(15)) : NULL;
    json_decref(object);
    *length = text ? strlen(text) : 0;
    return text;
}

static bool hand_on(void *user, sqlite3_stmt *row)
{
    const struct listeners *to = user;
    const char *json = reader_text(row, 4);
    struct store_crash crash = {.crash = reader_text(row, 0),
                                .time_us = (uint64_t)sqlite3_column_int64(row, 1),
                                .target = reader_text(row, 2),
                                .verdict = reader_text(row, 3),
                                .acknowledged = reader_text(row, 5) != NULL};
    char *whole = json ? whole_json(row, json, &crash.length) : NULL;
    crash.json = whole;
    bool goes_on = whole && to->crash(to->user, &crash);
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
    struct listeners to = {.crash = each, .user = user};
    struct reader_query sql = {.length = 0};
    size_t rows = 0;
    if (total) {
        enum store_result counted = count(reader, query, total);
        if (counted != STORE_DONE)
            return counted;
    }
    write_query(&sql, query);
    enum store_result result = reader_run(reader, &sql, hand_on, &to, &rows);
    return result == STORE_DONE && query->crash && rows == 0 ? STORE_MISSING : result;
}

static bool hand_on_bucket(void *user, sqlite3_stmt *row)
{
    const struct listeners *to = user;
    const struct store_bucket bucket = {.bucket = reader_text(row, 0),
                                        .count = (uint64_t)sqlite3_column_int64(row, 1),
                                        .machines = (uint64_t)sqlite3_column_int64(row, 2),
                                        .first_us = (uint64_t)sqlite3_column_int64(row, 3),
                                        .last_us = (uint64_t)sqlite3_column_int64(row, 4),
                                        .verdicts = reader_text(row, 5)};
    return bucket.bucket && bucket.verdicts && to->bucket(to->user, &bucket);
}

enum store_result store_buckets(struct store_reader *reader, uint64_t since_us, uint64_t limit, store_bucket_fn *each,
                                void *user)
{
    struct listeners to = {.bucket = each, .user = user};
    struct reader_query sql = {.length = 0};
    reader_add(&sql, "SELECT bucket,count(*),count(DISTINCT target),min(time),max(time),"
                     "json_object('written',sum(verdict='written'),'failed',sum(verdict='failed'),"
                     "'not_started',sum(verdict='not_started'),'unknown',sum(verdict='unknown')) "
                     "FROM crashes WHERE bucket IS NOT NULL AND time>=? GROUP BY bucket "
                     "ORDER BY 2 DESC,5 DESC,bucket LIMIT ?");
    reader_add_number(&sql, (int64_t)since_us);
    reader_add_number(&sql, limit > 0 && limit < INT64_MAX ? (int64_t)limit : INT64_MAX);
    return reader_run(reader, &sql, hand_on_bucket, &to, NULL);
}
