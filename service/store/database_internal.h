/* SPDX-License-Identifier: Apache-2.0 */
/* database_internal: shared by the parts of database. Private to store/. */
#ifndef SERVICE_STORE_DATABASE_INTERNAL_H
#define SERVICE_STORE_DATABASE_INTERNAL_H

#include "service/store/database.h"

#include <sqlite3.h>

#define DATABASE_STATEMENTS(X)                                                                                         \
    X(BEGIN, "BEGIN IMMEDIATE")                                                                                        \
    X(COMMIT, "COMMIT")                                                                                                \
    X(HAS_EVENT, "SELECT 1 FROM events WHERE id=?1")                                                                   \
    X(CHANGES, "PRAGMA data_version")                                                                                  \
    X(ADD_EVENT, "INSERT INTO events(seq,id,time,type,target,crash,line) VALUES(?1,?2,?3,?4,?5,?6,?7) "                \
                 "ON CONFLICT(id) DO NOTHING")                                                                         \
    X(FIRST_OF_CRASH, "SELECT min(time) FROM events WHERE crash=?1")                                                   \
    X(GET_CRASH, "SELECT time,verdict_time,json FROM crashes WHERE crash=?1")                                          \
    X(PUT_CRASH, "INSERT OR REPLACE INTO crashes(crash,target,time,verdict,verdict_time,code,bucket,json) "            \
                 "VALUES(?1,?2,?3,?4,?5,?6,?7,?8)")                                                                    \
    X(PUT_KERNEL, "INSERT INTO targets(name,state,kernel,kernel_boot) VALUES(?1,'connected',?2,?3) "                   \
                  "ON CONFLICT(name) DO UPDATE SET kernel=excluded.kernel,kernel_boot=excluded.kernel_boot")           \
    X(GET_KERNEL, "SELECT kernel FROM targets WHERE name=?1 AND kernel_boot=?2")                                       \
    X(PUT_TARGET,                                                                                                      \
      "INSERT INTO targets(name,state,since,last_seen,held_until,address,version,boot,session,listener) "              \
      "VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10) ON CONFLICT(name) DO UPDATE SET "                                        \
      "state=excluded.state,since=excluded.since,last_seen=excluded.last_seen,held_until=excluded.held_until,"         \
      "address=excluded.address,version=excluded.version,boot=excluded.boot,session=excluded.session,"                 \
      "listener=excluded.listener")                                                                                    \
    X(DROP_TARGET, "DELETE FROM targets WHERE name=?1")                                                                \
    X(HAS_CRASH, "SELECT 1 FROM crashes WHERE crash=?1")                                                               \
    X(ACKNOWLEDGE, "INSERT OR REPLACE INTO acknowledged(crash,by,time,note) VALUES(?1,?2,?3,?4)")                      \
    X(SINK_ACK, "INSERT INTO sinks(name,seq) VALUES(?1,?2) ON CONFLICT(name) DO UPDATE SET seq=max(seq,excluded.seq)") \
    X(SINK_BACK, "UPDATE sinks SET seq=min(seq,?2) WHERE name=?1")                                                     \
    X(ADD_SINK, "INSERT OR IGNORE INTO sinks(name,seq) VALUES(?1,?2)")                                                 \
    X(DROP_SINKS, "DELETE FROM sinks WHERE name NOT IN (SELECT value FROM json_each(?1))")                             \
    X(SLOWEST_SINK, "SELECT name,seq FROM sinks ORDER BY seq LIMIT 1")                                                 \
    X(OLDEST_EVENTS, "SELECT seq,time FROM events ORDER BY seq LIMIT 1 OFFSET ?1")                                     \
    X(YOUNG_EVENT, "SELECT seq FROM events WHERE seq<?1 AND time>=?2 ORDER BY seq LIMIT 1")                            \
    X(DROP_EVENTS, "DELETE FROM events WHERE seq<?1")                                                                  \
    X(DROP_CRASHES, "DELETE FROM crashes WHERE crash IN (SELECT crash FROM crashes WHERE time<?1 LIMIT 1000)")         \
    X(DROP_ACKNOWLEDGED, "DELETE FROM acknowledged WHERE time<?1 AND crash NOT IN (SELECT crash FROM crashes)")

#define CRASH_ROW_LISTS 1024U

#define DATABASE_ENUM(name, sql) STATEMENT_##name,
enum database_statement { DATABASE_STATEMENTS(DATABASE_ENUM) STATEMENTS };
#undef DATABASE_ENUM

struct crash_row;

struct database {
    sqlite3 *db;
    sqlite3_stmt *statements[STATEMENTS];
    char *path;
    uint64_t device, file; /* identity of the open file */
    uint64_t oldest, next; /* seq of the oldest event, and of the next one; equal: no events */
    uint64_t oldest_at_begin, next_at_begin;
    int64_t changes; /* differs when another connection has written */
    int newest_code; /* of the last error */
    struct database_patience patience;
    uint64_t locked_ns;                            /* since when another process's transaction is waited for */
    struct crash_row *crash_rows[CRASH_ROW_LISTS]; /* changed in this transaction; lists by the crash's hash */
};

/* crash_row.c: rows of crashes are kept parsed until the transaction ends: a crash has several events at once. */

/* Updates a crash from its event. */
int crash_row_add(struct database *database, struct store_line *line);
/* Writes the changed rows, and forgets them. */
int crash_row_put_all(struct database *database);
void crash_row_drop_all(struct database *database);

/* Returns a prepared statement, ready for its values; database_step_once or database_reset resets it. */
sqlite3_stmt *database_statement(struct database *database, enum database_statement statement);
void database_bind_text(sqlite3_stmt *statement, int at, const char *text); /* NULL and empty: null */
/* Runs a statement without rows, and resets it. Returns 0 or an SQLite code. */
int database_step_once(struct database *database, sqlite3_stmt *statement);
/* Runs a statement with at most one row: SQLITE_ROW, 0 (no row), or a code. Reset the statement after reading the
 * row. */
int database_step_row(struct database *database, sqlite3_stmt *statement);
void database_reset(sqlite3_stmt *statement);

#endif
