/* SPDX-License-Identifier: Apache-2.0 */
/*
 * database: the store's SQLite file, as its writer uses it. Not for others.
 *
 * Uses line, rows. database.c has the file and its schema, event_row.c what is put into it, crash_row.c the crashes,
 * retain.c what goes. Functions that return an int return 0 or an SQLite code; database_error says it in words.
 * Between database_begin and database_commit nothing is there yet; after any error call database_rollback.
 *
 * Thread: the writer's.
 */
#ifndef SERVICE_STORE_DATABASE_H
#define SERVICE_STORE_DATABASE_H

#include "service/store/line.h"
#include "service/store/rows.h"

struct database;

/* Opens or makes the file. NULL: what is wrong is in `error`; *damaged: the file is one that cannot be read. */
struct database *database_open(const char *path, char error[static STORE_ERROR_SIZE], bool *damaged);
void database_close(struct database *database); /* NULL is fine */

const char *database_error(const struct database *database);

/* It will be closed soon: what was committed goes into the file itself, so that closing it takes little. */
void database_settle(struct database *database);
bool database_is_damage(int code); /* the file cannot be read */
bool database_is_full(int code);   /* the connection serves on when there is room */

/* Is the file that its path names still the one that is open? */
bool database_is_ours(const struct database *database);

/* Looks at the whole file. False: it is damaged. Cost: reads all of it. */
bool database_check(const struct database *database);

/* Moves a damaged file, which is closed, to PATH.damaged-TIME, with its log. Returns 0 or a UV_ code; `aside` has its
 * new name. */
int database_set_aside(const char *path, char *aside, size_t size);

uint64_t database_newest(const struct database *database); /* the newest seq that there ever was; 0: none */
uint64_t database_events(const struct database *database); /* rows */
uint64_t database_bytes(const struct database *database);  /* on the disk */
/* Sequence numbers go on behind `seq`. */
void database_skip_to(struct database *database, uint64_t seq);

int database_begin(struct database *database);
int database_commit(struct database *database);
void database_rollback(struct database *database);

/* Puts an event. *seq: its number; 0: an event of this id is there already. */
int database_add(struct database *database, const struct store_line *line, const char *text, size_t length,
                 uint64_t *seq);
int database_has(struct database *database, const char *id, bool *has);

/* crash_row.c: what an event says of a crash. */
int database_add_to_crash(struct database *database, const struct store_line *line);

int database_acknowledge(struct database *database, const char *crash, const char *by, const char *note,
                         uint64_t time_us, bool *found);
int database_sink_ack(struct database *database, const char *sink, uint64_t seq, bool goes_back);
/* Cursors of other sinks than these go; each of these has one afterwards, behind the newest event if it is new. */
int database_keep_sinks(struct database *database, const char *const *sinks, size_t count);

int database_put_target(struct database *database, const struct store_target *target);
int database_targets(struct database *database, void (*each)(void *user, const struct store_target *target),
                     void *user);

/* retain.c */
struct database_gone {
    uint64_t events;
    uint64_t overrun;           /* of them: not acknowledged by a sink */
    char sink[STORE_TEXT_SIZE]; /* the one that is furthest behind */
};

/* The time of the event that was stored last; 0: there is none. */
int database_newest_us(struct database *database, uint64_t *time_us);

/* Takes out the oldest events beyond the bounds, at most `most`, and the crashes that are older. */
int database_retain(struct database *database, unsigned days, uint64_t bytes, uint64_t now_us, unsigned most,
                    struct database_gone *gone);

#endif
