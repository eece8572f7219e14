/* SPDX-License-Identifier: Apache-2.0 */
/* reader_internal: shared by the store's queries. Private to store/. */
#ifndef SERVICE_STORE_READER_INTERNAL_H
#define SERVICE_STORE_READER_INTERNAL_H

#include "service/store/store_read.h"

#include <sqlite3.h>

#define READER_SQL_SIZE  4096
#define READER_BINDS_MAX 64

/* A query under construction: its text and values. */
struct reader_query {
    char sql[READER_SQL_SIZE];
    size_t length;
    bool failed; /* out of memory, or too long */
    struct {
        char *text; /* NULL: a number */
        int64_t number;
    } bind[READER_BINDS_MAX];
    int binds;
    bool where; /* a condition is there already */
};

void reader_add(struct reader_query *query, const char *sql);
void reader_add_number(struct reader_query *query, int64_t number); /* sets the value of the ? that was added last */
void reader_add_text(struct reader_query *query, const char *text);
void reader_condition(struct reader_query *query, const char *sql); /* WHERE or AND, and the text */
/* FROM_US <= COLUMN < UNTIL_US; 0: no such bound. */
void reader_period(struct reader_query *query, const char *column, uint64_t from_us, uint64_t until_us);
/* COLUMN IN (...), when any text is there. */
void reader_one_of(struct reader_query *query, const char *column, const struct store_texts *texts);

/* The text of a row's column, valid until the next row; NULL: null. */
const char *reader_text(sqlite3_stmt *row, int column);

/* Returns false to get no further row. */
typedef bool reader_row(void *user, sqlite3_stmt *row);

/* Connects, runs the query, passes each row to `each`, and clears the query. *rows, unless NULL: how many rows came. */
enum store_result reader_run(struct store_reader *reader, struct reader_query *query, reader_row *each, void *user,
                             size_t *rows);

/* Runs a query for one number. `none` is the result when there is no row; *out is written only on STORE_DONE. */
enum store_result reader_number(struct store_reader *reader, struct reader_query *query, uint64_t *out,
                                enum store_result none);

#endif
