/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Builds without SQLite: a configured store is degraded, with the reason; results go to the result file. No file is
 * ever open, so of database.h only database_open and database_close are called.
 */
#include "service/store/database.h"
#include "service/store/store_read.h"

#include <stdio.h>
#include <stdlib.h>

#define NO_SQLITE "this kdnetd was built without SQLite: install libsqlite3-dev and build it again, or set store: none"
#define NO_FILE   1

struct database *database_open(const char *path, const struct database_patience *patience,
                               char error[static STORE_ERROR_SIZE], bool *damaged)
{
    (void)path;
    (void)patience;
    *damaged = false;
    (void)snprintf(error, STORE_ERROR_SIZE, "%s", NO_SQLITE);
    return NULL;
}

void database_close(struct database *database)
{
    (void)database;
}

void database_settle(struct database *database)
{
    (void)database;
}

const char *database_error(const struct database *database)
{
    (void)database;
    return NO_SQLITE;
}

bool database_is_damage(int code)
{
    (void)code;
    return false;
}

bool database_is_full(int code)
{
    (void)code;
    return false;
}

bool database_is_ours(const struct database *database)
{
    (void)database;
    return true;
}

bool database_check(const struct database *database)
{
    (void)database;
    return true;
}

int database_set_aside(const char *path, char *aside, size_t size)
{
    (void)path;
    (void)snprintf(aside, size, "%s", "");
    return NO_FILE;
}

uint64_t database_newest(const struct database *database)
{
    (void)database;
    return 0;
}

uint64_t database_events(const struct database *database)
{
    (void)database;
    return 0;
}

uint64_t database_bytes(const struct database *database)
{
    (void)database;
    return 0;
}

void database_skip_to(struct database *database, uint64_t seq)
{
    (void)database;
    (void)seq;
}

int database_begin(struct database *database)
{
    (void)database;
    return NO_FILE;
}

int database_commit(struct database *database)
{
    (void)database;
    return NO_FILE;
}

void database_rollback(struct database *database)
{
    (void)database;
}

int database_add(struct database *database, struct store_line *line, uint64_t *seq)
{
    (void)database;
    (void)line;
    *seq = 0;
    return NO_FILE;
}

int database_has(struct database *database, const char *id, bool *has)
{
    (void)database;
    (void)id;
    *has = false;
    return NO_FILE;
}

int database_acknowledge(struct database *database, const char *crash, const char *by, const char *note,
                         uint64_t time_us, bool *found)
{
    (void)database;
    (void)crash;
    (void)by;
    (void)note;
    (void)time_us;
    *found = false;
    return NO_FILE;
}

int database_sink_ack(struct database *database, const char *sink, uint64_t seq, bool goes_back)
{
    (void)database;
    (void)sink;
    (void)seq;
    (void)goes_back;
    return NO_FILE;
}

int database_keep_sinks(struct database *database, const char *const *sinks, size_t count)
{
    (void)database;
    (void)sinks;
    (void)count;
    return NO_FILE;
}

int database_put_target(struct database *database, const struct store_target *target)
{
    (void)database;
    (void)target;
    return NO_FILE;
}

int database_targets(struct database *database, void (*each)(void *user, const struct store_target *target), void *user)
{
    (void)database;
    (void)each;
    (void)user;
    return NO_FILE;
}

int database_newest_us(struct database *database, uint64_t *time_us)
{
    (void)database;
    *time_us = 0;
    return NO_FILE;
}

int database_retain(struct database *database, unsigned days, uint64_t bytes, uint64_t now_us, unsigned most,
                    struct database_gone *gone)
{
    (void)database;
    (void)days;
    (void)bytes;
    (void)now_us;
    (void)most;
    *gone = (struct database_gone){0};
    return NO_FILE;
}

struct store_reader {
    struct store *store;
};

struct store_reader *store_reader_open(struct store *store)
{
    struct store_reader *reader = malloc(sizeof *reader);
    if (reader)
        reader->store = store;
    return reader;
}

void store_reader_close(struct store_reader *reader)
{
    free(reader);
}

enum store_result store_events(struct store_reader *reader, const struct store_event_query *query, store_event_fn *each,
                               void *user)
{
    (void)reader;
    (void)query;
    (void)each;
    (void)user;
    return STORE_UNAVAILABLE;
}

enum store_result store_event_seq(struct store_reader *reader, const char *id, uint64_t *seq)
{
    (void)reader;
    (void)id;
    (void)seq;
    return STORE_UNAVAILABLE;
}

enum store_result store_event_bounds(struct store_reader *reader, struct store_bounds *out)
{
    (void)reader;
    *out = (struct store_bounds){0};
    return STORE_UNAVAILABLE;
}

enum store_result store_crashes(struct store_reader *reader, const struct store_crash_query *query,
                                store_crash_fn *each, void *user, uint64_t *total)
{
    (void)reader;
    (void)query;
    (void)each;
    (void)user;
    (void)total;
    return STORE_UNAVAILABLE;
}

enum store_result store_buckets(struct store_reader *reader, uint64_t since_us, uint64_t limit, store_bucket_fn *each,
                                void *user)
{
    (void)reader;
    (void)since_us;
    (void)limit;
    (void)each;
    (void)user;
    return STORE_UNAVAILABLE;
}

enum store_result store_sinks(struct store_reader *reader, store_sink_fn *each, void *user)
{
    (void)reader;
    (void)each;
    (void)user;
    return STORE_UNAVAILABLE;
}

enum store_result store_sink_cursor(struct store_reader *reader, const char *sink, uint64_t *seq)
{
    (void)reader;
    (void)sink;
    (void)seq;
    return STORE_UNAVAILABLE;
}

bool store_backup(const char *path, const char *to, char error[static STORE_ERROR_SIZE])
{
    (void)path;
    (void)to;
    (void)snprintf(error, STORE_ERROR_SIZE, "%s", NO_SQLITE);
    return false;
}
