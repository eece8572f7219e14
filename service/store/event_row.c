/* SPDX-License-Identifier: Apache-2.0 */
/* Rows that are inserted as they come: events, targets, sinks' cursors, acknowledgements. */
#include "service/store/database_internal.h"

#include <stdlib.h>
#include <string.h>

static void bind_number(sqlite3_stmt *statement, int at, uint64_t number)
{
    if (number > 0)
        (void)sqlite3_bind_int64(statement, at, (sqlite3_int64)number);
    else
        (void)sqlite3_bind_null(statement, at);
}

int database_has(struct database *database, const char *id, bool *has)
{
    sqlite3_stmt *statement = database_statement(database, STATEMENT_HAS_EVENT);
    database_bind_text(statement, 1, id);
    int code = database_step_row(database, statement);
    *has = code == SQLITE_ROW;
    if (code == SQLITE_ROW)
        database_reset(statement);
    return code == SQLITE_ROW ? 0 : code;
}

/* Stores a target's kernel, for its crashes and for the next start. */
static int put_kernel(struct database *database, struct store_line *line)
{
    static const char *const members[] = {"build_lab", "machine", "pdb"};
    if (!store_line_open(line))
        return line->no_memory ? SQLITE_NOMEM : 0;
    const char *boot = store_json_text(line->root, "boot");
    json_t *kernel = json_object();
    bool whole = true;
    for (size_t i = 0; i < 3; ++i) {
        json_t *value = json_object_get(line->root, members[i]);
        whole = json_object_set_new(kernel, members[i], value ? json_incref(value) : json_null()) == 0 && whole;
    }
    char *text = whole ? store_json_dump(kernel, JSON_COMPACT) : NULL;
    json_decref(kernel);
    if (!text)
        return SQLITE_NOMEM;
    sqlite3_stmt *statement = database_statement(database, STATEMENT_PUT_KERNEL);
    database_bind_text(statement, 1, line->target);
    database_bind_text(statement, 2, text);
    database_bind_text(statement, 3, boot);
    int code = database_step_once(database, statement);
    free(text);
    return code;
}

static int drop_target(struct database *database, const char *name)
{
    sqlite3_stmt *statement = database_statement(database, STATEMENT_DROP_TARGET);
    database_bind_text(statement, 1, name);
    return database_step_once(database, statement);
}

/* Updates the other tables that an event affects. */
static int put_consequence(struct database *database, struct store_line *line)
{
    if (line->target[0] == '\0')
        return 0;
    if (strcmp(line->type, "kernel") == 0)
        return put_kernel(database, line);
    if (strcmp(line->type, "removed") == 0)
        return drop_target(database, line->target);
    return crash_row_add(database, line);
}

int database_add(struct database *database, struct store_line *line, uint64_t *seq)
{
    sqlite3_stmt *statement = database_statement(database, STATEMENT_ADD_EVENT);
    *seq = 0;
    bind_number(statement, 1, database->next);
    database_bind_text(statement, 2, line->id);
    (void)sqlite3_bind_int64(statement, 3, (sqlite3_int64)line->time_us);
    database_bind_text(statement, 4, line->type);
    database_bind_text(statement, 5, line->target);
    database_bind_text(statement, 6, line->crash);
    (void)sqlite3_bind_text(statement, 7, line->text, (int)line->length, SQLITE_STATIC);
    int code = database_step_once(database, statement);
    if (code || sqlite3_changes(database->db) == 0)
        return code;
    *seq = database->next++;
    return put_consequence(database, line);
}

int database_acknowledge(struct database *database, const char *crash, const char *by, const char *note,
                         uint64_t time_us, bool *found)
{
    int code = crash_row_put_all(database);
    *found = false;
    if (code)
        return code;
    sqlite3_stmt *statement = database_statement(database, STATEMENT_HAS_CRASH);
    database_bind_text(statement, 1, crash);
    code = database_step_row(database, statement);
    *found = code == SQLITE_ROW;
    if (!*found)
        return code;
    database_reset(statement);
    statement = database_statement(database, STATEMENT_ACKNOWLEDGE);
    database_bind_text(statement, 1, crash);
    (void)sqlite3_bind_text(statement, 2, by, -1, SQLITE_STATIC);
    (void)sqlite3_bind_int64(statement, 3, (sqlite3_int64)time_us);
    database_bind_text(statement, 4, note);
    return database_step_once(database, statement);
}

int database_sink_ack(struct database *database, const char *sink, uint64_t seq, bool goes_back)
{
    sqlite3_stmt *statement = database_statement(database, goes_back ? STATEMENT_SINK_BACK : STATEMENT_SINK_ACK);
    database_bind_text(statement, 1, sink);
    (void)sqlite3_bind_int64(statement, 2, (sqlite3_int64)seq);
    return database_step_once(database, statement);
}

static int drop_sinks(struct database *database, const char *const *sinks, size_t count)
{
    json_t *names = json_array();
    bool whole = true; /* a sink that is not named would lose its place */
    for (size_t i = 0; i < count; ++i)
        whole = json_array_append_new(names, json_string(sinks[i])) == 0 && whole;
    char *text = whole ? store_json_dump(names, JSON_COMPACT) : NULL;
    json_decref(names);
    if (!text)
        return SQLITE_NOMEM;
    sqlite3_stmt *statement = database_statement(database, STATEMENT_DROP_SINKS);
    database_bind_text(statement, 1, text);
    int code = database_step_once(database, statement);
    free(text);
    return code;
}

int database_keep_sinks(struct database *database, const char *const *sinks, size_t count)
{
    int code = drop_sinks(database, sinks, count);
    for (size_t i = 0; i < count && code == 0; ++i) {
        sqlite3_stmt *statement = database_statement(database, STATEMENT_ADD_SINK);
        database_bind_text(statement, 1, sinks[i]);
        (void)sqlite3_bind_int64(statement, 2, (sqlite3_int64)database_newest(database));
        code = database_step_once(database, statement);
    }
    return code;
}

int database_put_target(struct database *database, const struct store_target *target)
{
    sqlite3_stmt *statement = database_statement(database, STATEMENT_PUT_TARGET);
    database_bind_text(statement, 1, target->name);
    database_bind_text(statement, 2, target->state);
    bind_number(statement, 3, target->since_us);
    bind_number(statement, 4, target->last_seen_us);
    bind_number(statement, 5, target->held_until_us);
    database_bind_text(statement, 6, target->address);
    bind_number(statement, 7, target->version);
    database_bind_text(statement, 8, target->boot);
    database_bind_text(statement, 9, target->session);
    database_bind_text(statement, 10, target->listener);
    return database_step_once(database, statement);
}

static const char *text_of(sqlite3_stmt *statement, int column)
{
    return (const char *)sqlite3_column_text(statement, column);
}

static struct store_target target_of(sqlite3_stmt *row)
{
    return (struct store_target){.name = text_of(row, 0),
                                 .state = text_of(row, 1),
                                 .since_us = (uint64_t)sqlite3_column_int64(row, 2),
                                 .last_seen_us = (uint64_t)sqlite3_column_int64(row, 3),
                                 .held_until_us = (uint64_t)sqlite3_column_int64(row, 4),
                                 .address = text_of(row, 5),
                                 .version = (unsigned)sqlite3_column_int(row, 6),
                                 .boot = text_of(row, 7),
                                 .session = text_of(row, 8),
                                 .listener = text_of(row, 9),
                                 .kernel = text_of(row, 10),
                                 .crash = text_of(row, 11),
                                 .crash_us = (uint64_t)sqlite3_column_int64(row, 12),
                                 .verdict = text_of(row, 13)};
}

int database_targets(struct database *database, void (*each)(void *user, const struct store_target *target), void *user)
{
    static const char sql[] =
        "SELECT t.name,t.state,t.since,t.last_seen,t.held_until,t.address,t.version,t.boot,t.session,t.listener,"
        "CASE WHEN t.kernel_boot IS t.boot THEN t.kernel END,c.crash,c.time,c.verdict FROM targets t "
        "LEFT JOIN crashes c ON c.rowid=(SELECT rowid FROM crashes WHERE target=t.name ORDER BY time DESC LIMIT 1)";
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(database->db, sql, -1, &statement, NULL);
    if (code == SQLITE_OK)
        while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
            struct store_target target = target_of(statement);
            if (target.name && target.state)
                each(user, &target);
        }
    (void)sqlite3_finalize(statement);
    return code == SQLITE_DONE ? 0 : code;
}
