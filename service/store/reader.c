/* SPDX-License-Identifier: Apache-2.0 */
#include "service/store/reader_internal.h"
#include "service/store/store_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BUSY_MS 200

struct store_reader {
    struct store *store;
    sqlite3 *db; /* NULL: opened on first use */
    unsigned generation;
};

struct store_reader *store_reader_open(struct store *store)
{
    struct store_reader *reader = calloc(1, sizeof *reader);
    if (reader)
        reader->store = store;
    return reader;
}

static void disconnect(struct store_reader *reader)
{
    (void)sqlite3_close(reader->db);
    reader->db = NULL;
}

void store_reader_close(struct store_reader *reader)
{
    if (reader)
        disconnect(reader);
    free(reader);
}

/* Opens the connection if needed. False: no store, or unreadable now. */
static bool open_file(struct store_reader *reader)
{
    struct store_status *status = reader->store ? malloc(sizeof *status) : NULL;
    if (!status)
        return false;
    unsigned generation = atomic_load(&reader->store->generation);
    store_status(reader->store, status);
    if (reader->db && (generation != reader->generation || status->state == STORE_OFF))
        disconnect(reader);
    if (!reader->db && status->state != STORE_OFF && generation > 0) {
        reader->generation = generation;
        int code = sqlite3_open_v2(status->path, &reader->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
        if (code == SQLITE_OK)
            (void)sqlite3_busy_timeout(reader->db, BUSY_MS);
        if (code == SQLITE_OK)
            code = sqlite3_exec(reader->db, "PRAGMA query_only=1", NULL, NULL, NULL);
        if (code != SQLITE_OK)
            disconnect(reader);
    }
    free(status);
    return reader->db != NULL;
}

/* Converts an SQLite code for the caller; reports damage to the writer. */
static enum store_result result_of(struct store_reader *reader, int code)
{
    int plain = code & 0xff;
    if (plain == SQLITE_OK || plain == SQLITE_DONE || plain == SQLITE_ROW)
        return STORE_DONE;
    if (plain == SQLITE_CORRUPT || plain == SQLITE_NOTADB)
        store_suspect(reader->store);
    disconnect(reader);
    return STORE_UNAVAILABLE;
}

void reader_add(struct reader_query *query, const char *sql)
{
    size_t length = strlen(sql);
    if (query->length + length >= sizeof query->sql) {
        query->failed = true;
        return;
    }
    memcpy(query->sql + query->length, sql, length + 1);
    query->length += length;
}

static int next_bind(struct reader_query *query)
{
    if (query->binds < READER_BINDS_MAX)
        return query->binds++;
    query->failed = true;
    return -1;
}

void reader_add_number(struct reader_query *query, int64_t number)
{
    int at = next_bind(query);
    if (at >= 0)
        query->bind[at].number = number;
}

void reader_add_text(struct reader_query *query, const char *text)
{
    int at = next_bind(query);
    char *copy = strdup(text);
    if (at >= 0 && copy) {
        query->bind[at].text = copy;
        return;
    }
    query->failed = true;
    free(copy);
}

void reader_condition(struct reader_query *query, const char *sql)
{
    reader_add(query, query->where ? " AND " : " WHERE ");
    query->where = true;
    reader_add(query, sql);
}

void reader_period(struct reader_query *query, const char *column, uint64_t from_us, uint64_t until_us)
{
    if (from_us > 0) {
        reader_condition(query, column);
        reader_add(query, ">=?");
        reader_add_number(query, (int64_t)from_us);
    }
    if (until_us > 0) {
        reader_condition(query, column);
        reader_add(query, "<?");
        reader_add_number(query, (int64_t)until_us);
    }
}

void reader_one_of(struct reader_query *query, const char *column, const struct store_texts *texts)
{
    if (texts->count == 0)
        return;
    json_t *array = json_array();
    for (size_t i = 0; i < texts->count; ++i)
        (void)json_array_append_new(array, json_string(texts->text[i]));
    char *json = json_dumps(array, JSON_COMPACT);
    json_decref(array);
    reader_condition(query, column);
    reader_add(query, " IN (SELECT value FROM json_each(?))");
    if (json)
        reader_add_text(query, json);
    else
        query->failed = true;
    free(json);
}

static void clear(struct reader_query *query)
{
    for (int i = 0; i < query->binds; ++i)
        free(query->bind[i].text);
    query->binds = 0;
}

static sqlite3_stmt *prepare(struct store_reader *reader, const struct reader_query *query, int *code)
{
    sqlite3_stmt *statement = NULL;
    *code = query->failed ? SQLITE_NOMEM : sqlite3_prepare_v2(reader->db, query->sql, -1, &statement, NULL);
    for (int i = 0; i < query->binds && *code == SQLITE_OK; ++i)
        *code = query->bind[i].text ? sqlite3_bind_text(statement, i + 1, query->bind[i].text, -1, SQLITE_TRANSIENT)
                                    : sqlite3_bind_int64(statement, i + 1, query->bind[i].number);
    return statement;
}

const char *reader_text(sqlite3_stmt *row, int column)
{
    return (const char *)sqlite3_column_text(row, column);
}

enum store_result reader_run(struct store_reader *reader, struct reader_query *query, reader_row *each, void *user,
                             size_t *rows)
{
    size_t count = 0;
    int code;
    if (!open_file(reader)) {
        clear(query);
        return STORE_UNAVAILABLE;
    }
    sqlite3_stmt *statement = prepare(reader, query, &code);
    bool goes_on = code == SQLITE_OK;
    while (goes_on && (code = sqlite3_step(statement)) == SQLITE_ROW) {
        ++count;
        goes_on = each(user, statement);
    }
    (void)sqlite3_finalize(statement);
    clear(query);
    if (rows)
        *rows = count;
    return result_of(reader, code);
}

static bool take_number(void *user, sqlite3_stmt *row)
{
    *(uint64_t *)user = (uint64_t)sqlite3_column_int64(row, 0);
    return false;
}

enum store_result reader_number(struct store_reader *reader, struct reader_query *query, uint64_t *out,
                                enum store_result none)
{
    size_t rows = 0;
    enum store_result result = reader_run(reader, query, take_number, out, &rows);
    return result == STORE_DONE && rows == 0 ? none : result;
}
