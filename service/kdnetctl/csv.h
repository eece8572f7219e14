/* SPDX-License-Identifier: Apache-2.0 */
/*
 * csv: rows of a file of comma-separated values, as spreadsheets write them (RFC 4180).
 *
 * Fields in quotes may hold commas, quotes and line ends. Accepts CRLF, and skips a byte order mark, empty lines and
 * lines that begin with #. When the first row has semicolons and no comma, semicolons separate.
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
    size_t line; /* line of the next row */
    char error[CSV_ERROR_SIZE];
    size_t error_line; /* 0: of the whole file */
};

struct csv_row {
    size_t line;
    size_t count;
    char *fields[CSV_FIELDS_MAX]; /* without the blanks around them; borrowed from the csv */
};

/* Reads a whole file. False: csv->error has the fault and its remedy; there is nothing to close. */
bool csv_open(struct csv *csv, const char *path);
void csv_close(struct csv *csv);

/* Gets the next row. False: none; csv->error has the fault, and is empty at the end. */
bool csv_next(struct csv *csv, struct csv_row *row);

#endif
