/* SPDX-License-Identifier: Apache-2.0 */
#include "service/store/database_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <uv.h>

#define APPLICATION_ID 0x6b646e65 /* "kdne", in the file's header */
#define SCHEMA_VERSION 1
#define FILE_MODE      0640                 /* results hold kernel addresses */
#define CHECK_BYTES    ((uint64_t)64 << 20) /* files up to this size are checked completely when opened */
#define LOCK_LOOK_MS   5U

static const char settings[] = "PRAGMA synchronous=FULL; PRAGMA temp_store=MEMORY; PRAGMA cache_size=-8192;"
                               "PRAGMA journal_size_limit=8388608; PRAGMA wal_autocheckpoint=1000;";

static const char schema[] =
    "CREATE TABLE events(seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, time INTEGER NOT NULL,"
    " type TEXT NOT NULL, target TEXT, crash TEXT, line TEXT NOT NULL);"
    "CREATE INDEX events_time ON events(time);"
    "CREATE INDEX events_type ON events(type, seq);"
    "CREATE INDEX events_target ON events(target, seq) WHERE target IS NOT NULL;"
    "CREATE INDEX events_crash ON events(crash, seq) WHERE crash IS NOT NULL;"
    "CREATE TABLE crashes(crash TEXT PRIMARY KEY, target TEXT, time INTEGER NOT NULL, verdict TEXT NOT NULL,"
    " verdict_time INTEGER NOT NULL, code TEXT, bucket TEXT, json TEXT NOT NULL);"
    "CREATE INDEX crashes_time ON crashes(time, crash);"
    "CREATE INDEX crashes_target ON crashes(target, time);"
    "CREATE TABLE acknowledged(crash TEXT PRIMARY KEY, by TEXT NOT NULL, time INTEGER NOT NULL, note TEXT);"
    "CREATE TABLE targets(name TEXT PRIMARY KEY, state TEXT NOT NULL, since INTEGER, last_seen INTEGER,"
    " held_until INTEGER, address TEXT, version INTEGER, boot TEXT, session TEXT, listener TEXT, kernel TEXT,"
    " kernel_boot TEXT);"
    "CREATE TABLE sinks(name TEXT PRIMARY KEY, seq INTEGER NOT NULL);"
    "PRAGMA application_id=1801743973; PRAGMA user_version=1;";

_Static_assert(DATABASE_NO_MEMORY == SQLITE_NOMEM, "database.h has SQLite's number");

static int note(struct database *database, int code)
{
    int plain = code == SQLITE_DONE || code == SQLITE_ROW ? SQLITE_OK : code;
    if (plain != SQLITE_OK)
        database->newest_code = code;
    return plain;
}

bool database_is_damage(int code)
{
    return (code & 0xff) == SQLITE_CORRUPT || (code & 0xff) == SQLITE_NOTADB;
}

bool database_is_full(int code)
{
    return (code & 0xff) == SQLITE_FULL;
}

const char *database_error(const struct database *database)
{
    return sqlite3_errstr(database->newest_code);
}

sqlite3_stmt *database_statement(struct database *database, enum database_statement statement)
{
    return database->statements[statement];
}

void database_bind_text(sqlite3_stmt *statement, int at, const char *text)
{
    if (text && text[0] != '\0')
        (void)sqlite3_bind_text(statement, at, text, -1, SQLITE_STATIC);
    else
        (void)sqlite3_bind_null(statement, at);
}

void database_reset(sqlite3_stmt *statement)
{
    (void)sqlite3_reset(statement);
    (void)sqlite3_clear_bindings(statement);
}

int database_step_row(struct database *database, sqlite3_stmt *statement)
{
    int code = sqlite3_step(statement);
    if (code == SQLITE_ROW)
        return SQLITE_ROW;
    database_reset(statement);
    return note(database, code);
}

int database_step_once(struct database *database, sqlite3_stmt *statement)
{
    int code = sqlite3_step(statement);
    database_reset(statement);
    return note(database, code);
}

static int execute(struct database *database, const char *sql)
{
    return note(database, sqlite3_exec(database->db, sql, NULL, NULL, NULL));
}

/* Returns the first column of the first row; 0 without a row, or on failure (*code). */
static int64_t ask_number(struct database *database, const char *sql, int *code)
{
    sqlite3_stmt *statement = NULL;
    int64_t number = 0;
    *code = sqlite3_prepare_v2(database->db, sql, -1, &statement, NULL);
    if (*code == SQLITE_OK) {
        *code = sqlite3_step(statement);
        if (*code == SQLITE_ROW)
            number = sqlite3_column_int64(statement, 0);
    }
    (void)sqlite3_finalize(statement);
    *code = note(database, *code);
    return number;
}

/* Opening */

static bool identify(const char *path, uint64_t *device, uint64_t *file)
{
    uv_fs_t request;
    bool is_there = uv_fs_stat(NULL, &request, path, NULL) == 0;
    *device = is_there ? request.statbuf.st_dev : 0;
    *file = is_there ? request.statbuf.st_ino : 0;
    uv_fs_req_cleanup(&request);
    return is_there;
}

/* SQLite makes files that everybody may read; -wal and -shm get the file's mode. */
static void make_file(const char *path)
{
    uv_fs_t request;
    int file = uv_fs_open(NULL, &request, path, UV_FS_O_RDWR | UV_FS_O_CREAT, FILE_MODE, NULL);
    uv_fs_req_cleanup(&request);
    if (file < 0)
        return; /* sqlite3_open_v2 says why */
    (void)uv_fs_close(NULL, &request, file, NULL);
    uv_fs_req_cleanup(&request);
}

/* Nothing is made when another process has done so in the meantime. */
static int make_schema(struct database *database)
{
    int code = execute(database, "PRAGMA auto_vacuum=INCREMENTAL; PRAGMA journal_mode=WAL; BEGIN IMMEDIATE;");
    bool is_made = code == 0 && ask_number(database, "SELECT count(*) FROM sqlite_schema", &code) > 0;
    if (code == 0 && !is_made)
        code = execute(database, schema);
    if (code == 0)
        return execute(database, "COMMIT");
    (void)sqlite3_exec(database->db, "ROLLBACK", NULL, NULL, NULL);
    return code;
}

/* Makes the schema in an empty file; refuses files of other programs and of later kdnetds. */
static int check_schema(struct database *database, char error[static STORE_ERROR_SIZE])
{
    int code = 0;
    int64_t tables = ask_number(database, "SELECT count(*) FROM sqlite_schema", &code);
    if (code == 0 && tables == 0)
        return make_schema(database);
    if (code)
        return code;
    int64_t application = ask_number(database, "PRAGMA application_id", &code);
    int64_t version = code ? 0 : ask_number(database, "PRAGMA user_version", &code);
    if (code)
        return code;
    if (application == APPLICATION_ID && version == SCHEMA_VERSION)
        return execute(database, "PRAGMA journal_mode=WAL");
    (void)snprintf(error, STORE_ERROR_SIZE, "%s",
                   application != APPLICATION_ID ? "the file is a database of another program: name another path"
                                                 : "the file was made by another version of kdnetd: name another path, "
                                                   "or move it away");
    return SQLITE_MISMATCH;
}

static int prepare(struct database *database)
{
#define DATABASE_TEXT(name, sql) [STATEMENT_##name] = (sql),
    static const char *const texts[] = {DATABASE_STATEMENTS(DATABASE_TEXT)};
#undef DATABASE_TEXT
    for (size_t i = 0; i < STATEMENTS; ++i) {
        int code = sqlite3_prepare_v3(database->db, texts[i], -1, SQLITE_PREPARE_PERSISTENT, &database->statements[i],
                                      NULL);
        if (code != SQLITE_OK)
            return note(database, code);
    }
    return 0;
}

/* A sequence number is never reused: neither one of the file, nor one that this process has given before. */
static int count_rows(struct database *database)
{
    int code = 0;
    int64_t newest = ask_number(database,
                                "SELECT max(ifnull((SELECT max(seq) FROM events),0), ifnull((SELECT seq FROM "
                                "sqlite_sequence WHERE name='events'),0))",
                                &code);
    int64_t oldest = code ? 0 : ask_number(database, "SELECT min(seq) FROM events", &code);
    if (code)
        return code;
    if (database->next < (uint64_t)newest + 1)
        database->next = (uint64_t)newest + 1;
    database->oldest = oldest > 0 ? (uint64_t)oldest : database->next;
    return 0;
}

/* Counts again when another process has written to the file: a second kdnetd, or the predecessor of this one. */
static int follow_others(struct database *database)
{
    sqlite3_stmt *statement = database_statement(database, STATEMENT_CHANGES);
    int code = database_step_row(database, statement);
    if (code != SQLITE_ROW)
        return code;
    int64_t changes = sqlite3_column_int64(statement, 0);
    database_reset(statement);
    if (changes == database->changes)
        return 0;
    code = count_rows(database);
    if (code == 0)
        database->changes = changes;
    return code;
}

/* SQLite calls it while another process holds the lock: false gives the statement up. */
static int wait_for_lock(void *user, int calls)
{
    struct database *database = user;
    uint64_t now_ns = uv_hrtime();
    if (calls == 0)
        database->locked_ns = now_ns;
    bool is_hurried = database->patience.is_hurried(database->patience.user);
    uint64_t limit_ms = is_hurried ? DATABASE_LOCK_SHORT_MS : DATABASE_LOCK_MS;
    if (now_ns - database->locked_ns >= limit_ms * 1000000)
        return 0;
    uv_sleep(LOCK_LOOK_MS);
    return 1;
}

static int set_up(struct database *database, char error[static STORE_ERROR_SIZE])
{
    int code = sqlite3_open_v2(database->path, &database->db,
                               SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL);
    if (code != SQLITE_OK)
        return note(database, code);
    (void)sqlite3_extended_result_codes(database->db, 1);
    (void)sqlite3_busy_handler(database->db, wait_for_lock, database);
    if (sqlite3_db_readonly(database->db, "main") == 1)
        return note(database, SQLITE_READONLY);
    code = execute(database, settings);
    if (code == 0)
        code = check_schema(database, error);
    if (code == 0 && database_bytes(database) <= CHECK_BYTES && !database_check(database))
        code = note(database, SQLITE_CORRUPT);
    if (code == 0)
        code = prepare(database);
    return code ? code : follow_others(database);
}

struct database *database_open(const char *path, const struct database_patience *patience,
                               char error[static STORE_ERROR_SIZE], bool *damaged)
{
    struct database *database = calloc(1, sizeof *database);
    *damaged = false;
    error[0] = '\0';
    if (database)
        *database = (struct database){.path = strdup(path), .changes = -1, .patience = *patience};
    if (!database || !database->path) {
        free(database);
        (void)snprintf(error, STORE_ERROR_SIZE, "out of memory");
        return NULL;
    }
    make_file(path);
    int code = set_up(database, error);
    if (code == 0 && identify(path, &database->device, &database->file))
        return database;
    *damaged = database_is_damage(code);
    if (error[0] == '\0')
        (void)snprintf(error, STORE_ERROR_SIZE, "%s", code ? database_error(database) : "the file went away");
    database_close(database);
    return NULL;
}

void database_close(struct database *database)
{
    if (!database)
        return;
    crash_row_drop_all(database);
    for (size_t i = 0; i < STATEMENTS; ++i)
        (void)sqlite3_finalize(database->statements[i]);
    (void)sqlite3_close(database->db);
    free(database->path);
    free(database);
}

/* Moves the log into the file. The log of a file that is closed without a checkpoint is read at the next opening. */
void database_settle(struct database *database)
{
    (void)sqlite3_wal_checkpoint_v2(database->db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
    (void)sqlite3_db_config(database->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
}

bool database_is_ours(const struct database *database)
{
    uint64_t device, file;
    return identify(database->path, &device, &file) && device == database->device && file == database->file;
}

/* Uses a connection of its own: the writer's has cached pages that may differ from the disk. */
bool database_check(const struct database *database)
{
    sqlite3 *db = NULL;
    sqlite3_stmt *statement = NULL;
    bool good = false;
    int code = sqlite3_open_v2(database->path, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_prepare_v2(db, "PRAGMA quick_check(1)", -1, &statement, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_step(statement);
    if (code == SQLITE_ROW) {
        const char *answer = (const char *)sqlite3_column_text(statement, 0);
        good = answer && strcmp(answer, "ok") == 0;
    }
    (void)sqlite3_finalize(statement);
    (void)sqlite3_close(db);
    return good || (code != SQLITE_ROW &&
                    !database_is_damage(code)); /* the check could not run: no reason to give up the file */
}

/* Setting aside */

static int rename_file(const char *from, const char *to)
{
    uv_fs_t request;
    int code = uv_fs_rename(NULL, &request, from, to, NULL);
    uv_fs_req_cleanup(&request);
    return code;
}

static void remove_file(const char *path)
{
    uv_fs_t request;
    (void)uv_fs_unlink(NULL, &request, path, NULL);
    uv_fs_req_cleanup(&request);
}

int database_set_aside(const char *path, char *aside, size_t size)
{
    char from[4200], to[4300], when[32] = "unknown";
    time_t now = time(NULL);
    struct tm utc;
    if (gmtime_r(&now, &utc))
        (void)strftime(when, sizeof when, "%Y%m%dT%H%M%SZ", &utc);
    (void)snprintf(aside, size, "%s.damaged-%s", path, when);
    int code = rename_file(path, aside);
    if (code != 0)
        return code;
    (void)snprintf(from, sizeof from, "%s-wal", path);
    (void)snprintf(to, sizeof to, "%s-wal", aside);
    (void)rename_file(from, to);
    (void)snprintf(from, sizeof from, "%s-shm", path);
    remove_file(from);
    return 0;
}

/* Numbers */

uint64_t database_newest(const struct database *database)
{
    return database->next - 1;
}

uint64_t database_events(const struct database *database)
{
    return database->next - database->oldest;
}

uint64_t database_bytes(const struct database *database)
{
    static const char *const ends[] = {"", "-wal"};
    char path[4200];
    uint64_t bytes = 0;
    for (size_t i = 0; i < 2; ++i) {
        uv_fs_t request;
        (void)snprintf(path, sizeof path, "%s%s", database->path, ends[i]);
        if (uv_fs_stat(NULL, &request, path, NULL) == 0)
            bytes += request.statbuf.st_size;
        uv_fs_req_cleanup(&request);
    }
    return bytes;
}

void database_skip_to(struct database *database, uint64_t seq)
{
    if (database->next > seq || database->oldest != database->next)
        return;
    database->next = seq + 1;
    database->oldest = seq + 1;
}

/* Transactions */

static void note_numbers(struct database *database)
{
    database->oldest_at_begin = database->oldest;
    database->next_at_begin = database->next;
}

int database_begin(struct database *database)
{
    note_numbers(database);
    int code = database_step_once(database, database_statement(database, STATEMENT_BEGIN));
    if (code == 0)
        code = follow_others(database);
    if (code == 0)
        note_numbers(database);
    return code;
}

int database_commit(struct database *database)
{
    int code = crash_row_put_all(database);
    if (code)
        return code;
    return database_step_once(database, database_statement(database, STATEMENT_COMMIT));
}

void database_rollback(struct database *database)
{
    database->oldest = database->oldest_at_begin;
    database->next = database->next_at_begin;
    crash_row_drop_all(database);
    if (sqlite3_get_autocommit(database->db) == 0)
        (void)sqlite3_exec(database->db, "ROLLBACK", NULL, NULL, NULL);
}
