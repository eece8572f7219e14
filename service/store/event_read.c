/* SPDX-License-Identifier: Apache-2.0 */
/* Queries of events, and of the sinks' progress. */
#include "service/store/line.h"
#include "service/store/reader_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum store_result store_event_seq(struct store_reader *reader, const char *id, uint64_t *seq)
{
    struct reader_query query = {.length = 0};
    reader_add(&query, "SELECT seq FROM events WHERE id=?");
    reader_add_text(&query, id);
    return reader_number(reader, &query, seq, STORE_GONE);
}

static void add_conditions(struct reader_query *sql, const struct store_event_query *query, uint64_t after_seq)
{
    reader_condition(sql, "seq>?");
    reader_add_number(sql, (int64_t)after_seq);
    reader_period(sql, "time", query->since_us, query->until_us);
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

struct listeners {
    store_event_fn *event;
    store_sink_fn *sink;
    void *user;
};

static bool hand_on(void *user, sqlite3_stmt *row)
{
    const struct listeners *to = user;
    const struct store_event event = {.seq = (uint64_t)sqlite3_column_int64(row, 0),
                                      .id = reader_text(row, 1),
                                      .time_us = (uint64_t)sqlite3_column_int64(row, 2),
                                      .type = reader_text(row, 3),
                                      .target = reader_text(row, 4),
                                      .crash = reader_text(row, 5),
                                      .line = reader_text(row, 6),
                                      .length = (size_t)sqlite3_column_bytes(row, 6)};
    return event.id && event.type && event.line && to->event(to->user, &event);
}

enum store_result store_events(struct store_reader *reader, const struct store_event_query *query, store_event_fn *each,
                               void *user)
{
    struct listeners to = {.event = each, .user = user};
    struct reader_query sql = {.length = 0};
    uint64_t after_seq = query->after_seq;
    if (query->after_id) {
        enum store_result found = store_event_seq(reader, query->after_id, &after_seq);
        if (found != STORE_DONE)
            return found;
    }
    write_events_query(&sql, query, after_seq);
    return reader_run(reader, &sql, hand_on, &to, NULL);
}

static void copy_id(const char *from, char to[static STORE_ID_SIZE])
{
    (void)snprintf(to, STORE_ID_SIZE, "%s", from ? from : "");
}

/* The first row is the oldest event, the last row the newest. */
static bool take_bound(void *user, sqlite3_stmt *row)
{
    struct store_bounds *out = user;
    bool is_first = out->oldest_seq == 0;
    out->newest_seq = (uint64_t)sqlite3_column_int64(row, 0);
    out->newest_us = (uint64_t)sqlite3_column_int64(row, 2);
    copy_id(reader_text(row, 1), out->newest);
    if (is_first) {
        out->oldest_seq = out->newest_seq;
        copy_id(out->newest, out->oldest);
    }
    return true;
}

enum store_result store_event_bounds(struct store_reader *reader, struct store_bounds *out)
{
    struct reader_query query = {.length = 0};
    *out = (struct store_bounds){0};
    reader_add(&query, "SELECT seq,id,time FROM (SELECT seq,id,time FROM events ORDER BY seq LIMIT 1) UNION ALL "
                       "SELECT seq,id,time FROM (SELECT seq,id,time FROM events ORDER BY seq DESC LIMIT 1)");
    return reader_run(reader, &query, take_bound, out, NULL);
}

static bool hand_on_sink(void *user, sqlite3_stmt *row)
{
    const struct listeners *to = user;
    int64_t oldest_us = sqlite3_column_int64(row, 3);
    const struct store_sink sink = {.name = reader_text(row, 0),
                                    .seq = (uint64_t)sqlite3_column_int64(row, 1),
                                    .behind_events = (uint64_t)sqlite3_column_int64(row, 2),
                                    .oldest_us = oldest_us > 0 ? (uint64_t)oldest_us : 0};
    return sink.name && to->sink(to->user, &sink);
}

enum store_result store_sinks(struct store_reader *reader, store_sink_fn *each, void *user)
{
    struct listeners to = {.sink = each, .user = user};
    struct reader_query query = {.length = 0};
    reader_add(&query, "SELECT s.name,s.seq,max(0,(SELECT coalesce(max(seq),0) FROM events)-"
                       "max(s.seq,(SELECT coalesce(min(seq),1)-1 FROM events))),"
                       "(SELECT time FROM events WHERE seq>s.seq ORDER BY seq LIMIT 1) FROM sinks s ORDER BY s.name");
    return reader_run(reader, &query, hand_on_sink, &to, NULL);
}

enum store_result store_sink_cursor(struct store_reader *reader, const char *sink, uint64_t *seq)
{
    struct reader_query query = {.length = 0};
    reader_add(&query, "SELECT seq FROM sinks WHERE name=?");
    reader_add_text(&query, sink);
    return reader_number(reader, &query, seq, STORE_MISSING);
}
