/* SPDX-License-Identifier: Apache-2.0 */
/* Queries of events, and of the sinks' progress. */
#include "service/store/line.h"
#include "service/store/reader_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *text_of(sqlite3_stmt *row, int column)
{
    return (const char *)sqlite3_column_text(row, column);
}

static enum store_result find_seq(struct store_reader *reader, const char *id, uint64_t *seq)
{
    struct reader_query query = {.length = 0};
    int code;
    reader_add(&query, "SELECT seq FROM events WHERE id=?");
    reader_add_text(&query, id);
    sqlite3_stmt *statement = reader_prepare(reader, &query, &code);
    if (code == SQLITE_OK)
        code = sqlite3_step(statement);
    if (code == SQLITE_ROW)
        *seq = (uint64_t)sqlite3_column_int64(statement, 0);
    (void)sqlite3_finalize(statement);
    reader_query_clear(&query);
    return code == SQLITE_DONE ? STORE_GONE : reader_result(reader, code);
}

enum store_result store_event_seq(struct store_reader *reader, const char *id, uint64_t *seq)
{
    return reader_connect(reader) ? find_seq(reader, id, seq) : STORE_UNAVAILABLE;
}

static void add_conditions(struct reader_query *sql, const struct store_event_query *query, uint64_t after_seq)
{
    reader_condition(sql, "seq>?");
    reader_add_number(sql, (int64_t)after_seq);
    if (query->since_us > 0) {
        reader_condition(sql, "time>=?");
        reader_add_number(sql, (int64_t)query->since_us);
    }
    if (query->until_us > 0) {
        reader_condition(sql, "time<?");
        reader_add_number(sql, (int64_t)query->until_us);
    }
    if (query->crash) {
        reader_condition(sql, "crash=?");
        reader_add_text(sql, query->crash);
    }
    reader_one_of(sql, "type", &query->types);
    reader_one_of(sql, "target", &query->targets);
}

static void write_events_query(struct reader_query *sql, const struct store_event_query *query, uint64_t after_seq)
{
    uint64_t limit = query->limit > 0 && query->limit < INT64_MAX ? query->limit : INT64_MAX;
    reader_add(sql, query->tail > 0 ? "SELECT * FROM (" : "");
    reader_add(sql, "SELECT seq,id,time,type,target,crash,line FROM events");
    add_conditions(sql, query, after_seq);
    reader_add(sql, query->tail > 0 ? " ORDER BY seq DESC LIMIT ?) ORDER BY seq" : " ORDER BY seq LIMIT ?");
    reader_add_number(sql, (int64_t)(query->tail > 0 && query->tail < limit ? query->tail : limit));
}

static bool hand_on(sqlite3_stmt *row, store_event_fn *each, void *user)
{
    const struct store_event event = {.seq = (uint64_t)sqlite3_column_int64(row, 0),
                                      .id = text_of(row, 1),
                                      .time_us = (uint64_t)sqlite3_column_int64(row, 2),
                                      .type = text_of(row, 3),
                                      .target = text_of(row, 4),
                                      .crash = text_of(row, 5),
                                      .line = text_of(row, 6),
                                      .length = (size_t)sqlite3_column_bytes(row, 6)};
    return event.id && event.type && event.line && each(user, &event);
}

enum store_result store_events(struct store_reader *reader, const struct store_event_query *query, store_event_fn *each,
                               void *user)
{
    struct reader_query sql = {.length = 0};
    uint64_t after_seq = query->after_seq;
    int code;
    if (!reader_connect(reader))
        return STORE_UNAVAILABLE;
    if (query->after_id) {
        enum store_result found = find_seq(reader, query->after_id, &after_seq);
        if (found != STORE_DONE)
            return found;
    }
    write_events_query(&sql, query, after_seq);
    sqlite3_stmt *statement = reader_prepare(reader, &sql, &code);
    bool goes_on = code == SQLITE_OK;
    while (goes_on && (code = sqlite3_step(statement)) == SQLITE_ROW)
        goes_on = hand_on(statement, each, user);
    (void)sqlite3_finalize(statement);
    reader_query_clear(&sql);
    return reader_result(reader, code);
}

static void copy_id(const char *from, char to[static STORE_ID_SIZE])
{
    (void)snprintf(to, STORE_ID_SIZE, "%s", from ? from : "");
}

enum store_result store_event_bounds(struct store_reader *reader, struct store_bounds *out)
{
    static const char sql[] = "SELECT seq,id,time FROM (SELECT seq,id,time FROM events ORDER BY seq LIMIT 1) UNION ALL "
                              "SELECT seq,id,time FROM (SELECT seq,id,time FROM events ORDER BY seq DESC LIMIT 1)";
    struct reader_query query = {.length = 0};
    int code;
    *out = (struct store_bounds){0};
    if (!reader_connect(reader))
        return STORE_UNAVAILABLE;
    reader_add(&query, sql);
    sqlite3_stmt *statement = reader_prepare(reader, &query, &code);
    while (code == SQLITE_OK || code == SQLITE_ROW) {
        code = sqlite3_step(statement);
        if (code != SQLITE_ROW)
            break;
        bool is_first = out->oldest_seq == 0;
        out->newest_seq = (uint64_t)sqlite3_column_int64(statement, 0);
        out->newest_us = (uint64_t)sqlite3_column_int64(statement, 2);
        copy_id(text_of(statement, 1), out->newest);
        if (is_first) {
            out->oldest_seq = out->newest_seq;
            copy_id(out->newest, out->oldest);
        }
    }
    (void)sqlite3_finalize(statement);
    return reader_result(reader, code);
}

enum store_result store_sinks(struct store_reader *reader, store_sink_fn *each, void *user)
{
    static const char sql[] =
        "SELECT s.name,s.seq,max(0,(SELECT coalesce(max(seq),0) FROM events)-"
        "max(s.seq,(SELECT coalesce(min(seq),1)-1 FROM events))),"
        "(SELECT max(time) FROM events WHERE seq=(SELECT max(seq) FROM events))-"
        "(SELECT time FROM events WHERE seq>s.seq ORDER BY seq LIMIT 1) FROM sinks s ORDER BY s.name";
    struct reader_query query = {.length = 0};
    int code;
    if (!reader_connect(reader))
        return STORE_UNAVAILABLE;
    reader_add(&query, sql);
    sqlite3_stmt *statement = reader_prepare(reader, &query, &code);
    bool goes_on = code == SQLITE_OK;
    while (goes_on && (code = sqlite3_step(statement)) == SQLITE_ROW) {
        int64_t behind_us = sqlite3_column_int64(statement, 3);
        const struct store_sink sink = {.name = text_of(statement, 0),
                                        .seq = (uint64_t)sqlite3_column_int64(statement, 1),
                                        .behind_events = (uint64_t)sqlite3_column_int64(statement, 2),
                                        .behind_us = behind_us > 0 ? (uint64_t)behind_us : 0};
        goes_on = sink.name && each(user, &sink);
    }
    (void)sqlite3_finalize(statement);
    return reader_result(reader, code);
}

enum store_result store_sink_cursor(struct store_reader *reader, const char *sink, uint64_t *seq)
{
    struct reader_query query = {.length = 0};
    int code;
    if (!reader_connect(reader))
        return STORE_UNAVAILABLE;
    reader_add(&query, "SELECT seq FROM sinks WHERE name=?");
    reader_add_text(&query, sink);
    sqlite3_stmt *statement = reader_prepare(reader, &query, &code);
    if (code == SQLITE_OK)
        code = sqlite3_step(statement);
    if (code == SQLITE_ROW)
        *seq = (uint64_t)sqlite3_column_int64(statement, 0);
    (void)sqlite3_finalize(statement);
    reader_query_clear(&query);
    return code == SQLITE_DONE ? STORE_MISSING : reader_result(reader, code);
}
