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

/* Opens the connection if needed. False: no store, or unreadable now. */
bool reader_connect(struct store_reader *reader);
sqlite3 *reader_database(struct store_reader *reader);
/* Converts an SQLite code for the caller; reports damage to the writer. */
enum store_result reader_result(struct store_reader *reader, int code);

void reader_add(struct reader_query *query, const char *sql);
void reader_add_number(struct reader_query *query, int64_t number); /* sets the value of the ? that was added last */
void reader_add_text(struct reader_query *query, const char *text);
void reader_condition(struct reader_query *query, const char *sql); /* WHERE or AND, and the text */
/* COLUMN IN (...), when any text is there. */
void reader_one_of(struct reader_query *query, const char *column, const struct store_texts *texts);
void reader_query_clear(struct reader_query *query);
/* NULL: *code has the fault. The caller finalizes the statement. */
sqlite3_stmt *reader_prepare(struct store_reader *reader, const struct reader_query *query, int *code);

#endif
