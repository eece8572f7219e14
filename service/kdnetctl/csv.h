/* SPDX-License-Identifier: Apache-2.0 */
/*
 * csv: rows of a file of comma-separated values, as spreadsheets write them (RFC 4180).
 *
 * Uses nothing of this tree. Fields in quotes may hold commas, quotes and line ends; a byte order mark, CRLF, empty
 * lines and lines that begin with # are passed over. Where the first row has semicolons and no comma, those separate.
 */
#ifndef SERVICE_CTL_CSV_H
#define SERVICE_CTL_CSV_H

#include <stdbool.h>
#include <stddef.h>

#define CSV_FIELDS_MAX 64
#define CSV_ERROR_SIZE 160

struct csv {
    char *text, *at, *end;
    char separator;
    size_t line; /* of the row that comes next */
    char error[CSV_ERROR_SIZE];
    size_t error_line; /* 0: of the whole file */
};

struct csv_row {
    size_t line;
    size_t count;
    char *fields[CSV_FIELDS_MAX]; /* without the blanks around them; borrowed from the csv */
};

/* Reads a file whole. False: csv->error says why and what helps; there is nothing to close. */
bool csv_open(struct csv *csv, const char *path);
void csv_close(struct csv *csv);

/* The next row. False: there is none; csv->error says why when it is not the end, and is empty when it is. */
bool csv_next(struct csv *csv, struct csv_row *row);

#endif
