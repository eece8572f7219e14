/* SPDX-License-Identifier: Apache-2.0 */
/* Removes the oldest events beyond the limits of days or bytes, and the crashes that are older than the rest. */
#include "service/store/database_internal.h"

#include <string.h>

#define DAY_US     UINT64_C(86400000000)
#define FREE_PAGES 256 /* free pages kept for new rows; further ones are returned to the system */

/* Counts bytes in use; free pages will be used again. */
static int used_bytes(struct database *database, uint64_t *used, uint64_t *free_pages)
{
    static const char sql[] = "SELECT (p.page_count-f.freelist_count)*s.page_size,f.freelist_count FROM "
                              "pragma_page_count() p, pragma_freelist_count() f, pragma_page_size() s";
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(database->db, sql, -1, &statement, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_step(statement);
    if (code == SQLITE_ROW) {
        *used = (uint64_t)sqlite3_column_int64(statement, 0);
        *free_pages = (uint64_t)sqlite3_column_int64(statement, 1);
    }
    (void)sqlite3_finalize(statement);
    return code == SQLITE_ROW ? 0 : code;
}

/* Finds the first of the `most` oldest events that is young enough to stay. */
static int find_young(struct database *database, uint64_t since_us, unsigned most, uint64_t *seq)
{
    sqlite3_stmt *statement = database_statement(database, STATEMENT_YOUNG_EVENT);
    *seq = database->oldest + most < database->next ? database->oldest + most : database->next;
    (void)sqlite3_bind_int64(statement, 1, (sqlite3_int64)*seq);
    (void)sqlite3_bind_int64(statement, 2, (sqlite3_int64)since_us);
    int code = database_step_row(database, statement);
    if (code != SQLITE_ROW)
        return code;
    *seq = (uint64_t)sqlite3_column_int64(statement, 0);
    database_reset(statement);
    return 0;
}

/* Finds the end of the events to remove: those before *seq. */
static int find_end(struct database *database, unsigned days, uint64_t bytes, uint64_t now_us, unsigned most,
                    uint64_t *seq)
{
    uint64_t used = 0, free_pages = 0, since_us = now_us > days * DAY_US ? now_us - days * DAY_US : 0;
    int code = find_young(database, since_us, most, seq);
    if (code == 0)
        code = used_bytes(database, &used, &free_pages);
    if (code || used <= bytes)
        return code;
    uint64_t events = database_events(database), each = events > 0 ? used / events + 1 : 1;
    uint64_t too_many = (used - bytes) / each + 1;
    if (too_many > most)
        too_many = most;
    if (*seq < database->oldest + too_many)
        *seq = database->oldest + too_many < database->next ? database->oldest + too_many : database->next;
    return 0;
}

static int count_overrun(struct database *database, uint64_t end, struct database_gone *gone)
{
    sqlite3_stmt *statement = database_statement(database, STATEMENT_SLOWEST_SINK);
    int code = database_step_row(database, statement);
    if (code != SQLITE_ROW)
        return code;
    const char *name = (const char *)sqlite3_column_text(statement, 0);
    uint64_t seq = (uint64_t)sqlite3_column_int64(statement, 1);
    if (seq + 1 < end && name && strlen(name) < sizeof gone->sink) {
        gone->overrun = end - (seq + 1 > database->oldest ? seq + 1 : database->oldest);
        memcpy(gone->sink, name, strlen(name) + 1);
    }
    database_reset(statement);
    return 0;
}

static int drop(struct database *database, enum database_statement which, uint64_t bound)
{
    sqlite3_stmt *statement = database_statement(database, which);
    (void)sqlite3_bind_int64(statement, 1, (sqlite3_int64)bound);
    return database_step_once(database, statement);
}

/* Gets the time of the newest event to remove: older crashes are removed with it. */
static int time_before(struct database *database, uint64_t end, uint64_t *time_us)
{
    sqlite3_stmt *statement = database_statement(database, STATEMENT_OLDEST_EVENTS);
    (void)sqlite3_bind_int64(statement, 1, (sqlite3_int64)(end - database->oldest - 1));
    int code = database_step_row(database, statement);
    if (code != SQLITE_ROW)
        return code;
    *time_us = (uint64_t)sqlite3_column_int64(statement, 1);
    database_reset(statement);
    return 0;
}

static int drop_before(struct database *database, uint64_t end)
{
    uint64_t time_us = 0;
    int code = time_before(database, end, &time_us);
    if (code == 0)
        code = drop(database, STATEMENT_DROP_EVENTS, end);
    if (code == 0)
        code = drop(database, STATEMENT_DROP_CRASHES, time_us);
    if (code == 0)
        code = drop(database, STATEMENT_DROP_ACKNOWLEDGED, time_us);
    if (code == 0)
        database->oldest = end;
    return code;
}

static int give_back_pages(struct database *database)
{
    uint64_t used = 0, free_pages = 0;
    int code = used_bytes(database, &used, &free_pages);
    if (code || free_pages <= FREE_PAGES)
        return code;
    return sqlite3_exec(database->db, "PRAGMA incremental_vacuum(1000)", NULL, NULL, NULL);
}

int database_newest_us(struct database *database, uint64_t *time_us)
{
    static const char sql[] = "SELECT time FROM events ORDER BY seq DESC LIMIT 1";
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(database->db, sql, -1, &statement, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_step(statement);
    *time_us = code == SQLITE_ROW ? (uint64_t)sqlite3_column_int64(statement, 0) : 0;
    (void)sqlite3_finalize(statement);
    return code == SQLITE_ROW || code == SQLITE_DONE ? 0 : code;
}

int database_retain(struct database *database, unsigned days, uint64_t bytes, uint64_t now_us, unsigned most,
                    struct database_gone *gone)
{
    uint64_t end = 0;
    *gone = (struct database_gone){0};
    if (database_events(database) == 0)
        return 0;
    int code = find_end(database, days, bytes, now_us, most, &end);
    if (code || end <= database->oldest)
        return code;
    gone->events = end - database->oldest;
    code = count_overrun(database, end, gone);
    if (code == 0)
        code = drop_before(database, end);
    return code ? code : give_back_pages(database);
}
