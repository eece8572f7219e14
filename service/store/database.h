/* SPDX-License-Identifier: Apache-2.0 */
/*
 * database: the store's SQLite file, as its writer uses it. Private to store/.
 *
 * database.c has the file and its schema, event_row.c the inserted rows, crash_row.c the crashes, retain.c the removal
 * of old rows. Functions that return an int return 0 or an SQLite code; database_error gives its text. Nothing between
 * database_begin and database_commit is visible yet; after any error call database_rollback.
 *
 * Thread: the writer's.
 */
#ifndef SERVICE_STORE_DATABASE_H
#define SERVICE_STORE_DATABASE_H

#include "service/store/line.h"
#include "service/store/rows.h"

#define DATABASE_NO_MEMORY 7 /* SQLITE_NOMEM, also for those who see no SQLite */

struct database;

/* While another process writes to the file, each call waits DATABASE_LOCK_MS for it, or only DATABASE_LOCK_SHORT_MS
 * once `is_hurried` says so; it is asked every few milliseconds. */
#define DATABASE_LOCK_MS       10000U
#define DATABASE_LOCK_SHORT_MS 1000U
struct database_patience {
    bool (*is_hurried)(void *user);
    void *user;
};

/* Opens or makes the file. NULL: the fault is in `error`; *damaged: the file is unreadable. */
struct database *database_open(const char *path, const struct database_patience *patience,
                               char error[static STORE_ERROR_SIZE], bool *damaged);
void database_close(struct database *database); /* NULL is fine */

const char *database_error(const struct database *database);

/* Moves committed data into the file itself, so that a later close takes little time. */
void database_settle(struct database *database);
bool database_is_damage(int code); /* the file cannot be read */
bool database_is_full(int code);   /* the connection serves on when there is room */

/* Whether the path still names the open file. */
bool database_is_ours(const struct database *database);

/* Checks the whole file. False: damaged. Cost: reads the file. */
bool database_check(const struct database *database);

/* Renames a damaged file, which is closed, and its log to PATH.damaged-TIME. Returns 0 or a UV_ code; `aside` gets
 * the new name. */
int database_set_aside(const char *path, char *aside, size_t size);

uint64_t database_newest(const struct database *database); /* highest seq ever used; 0: none */
uint64_t database_events(const struct database *database); /* rows */
uint64_t database_bytes(const struct database *database);  /* on the disk */
/* Sequence numbers go on behind `seq`. */
void database_skip_to(struct database *database, uint64_t seq);

int database_begin(struct database *database);
int database_commit(struct database *database);
void database_rollback(struct database *database);

/* Inserts an event. *seq: its number; 0: an event with this id exists already. */
int database_add(struct database *database, struct store_line *line, uint64_t *seq);
int database_has(struct database *database, const char *id, bool *has);

int database_acknowledge(struct database *database, const char *crash, const char *by, const char *note,
                         uint64_t time_us, bool *found);
int database_sink_ack(struct database *database, const char *sink, uint64_t seq, bool goes_back);
/* Removes the cursors of other sinks than these, and makes missing ones, behind the newest event. */
int database_keep_sinks(struct database *database, const char *const *sinks, size_t count);

int database_put_target(struct database *database, const struct store_target *target);
int database_targets(struct database *database, void (*each)(void *user, const struct store_target *target),
                     void *user);

/* retain.c */
struct database_gone {
    uint64_t events;
    uint64_t overrun;           /* of them: not acknowledged by a sink */
    char sink[STORE_TEXT_SIZE]; /* the sink that is furthest behind */
};

/* Gets the time of the event stored last; 0: none. */
int database_newest_us(struct database *database, uint64_t *time_us);

/* Removes the oldest events beyond the limits, at most `most`, and the crashes older than the rest. */
int database_retain(struct database *database, unsigned days, uint64_t bytes, uint64_t now_us, unsigned most,
                    struct database_gone *gone);

#endif
