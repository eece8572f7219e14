/* SPDX-License-Identifier: Apache-2.0 */
/*
 * table: rows of text in columns, as wide as the terminal and never wider; properties of the terminal.
 *
 * On a terminal the widest columns are narrowed until the row fits, and times lose year and seconds before; elsewhere
 * nothing is truncated. Each text is made printable first.
 */
#ifndef SERVICE_CTL_TABLE_H
#define SERVICE_CTL_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#define TABLE_COLUMNS_MAX 12

struct screen {
    unsigned width; /* columns; 0: as wide as needed */
    unsigned height;
    bool colours;
};

/* Fills in a stream's screen: COLUMNS and LINES override the terminal; colours unless NO_COLOR is set or TERM is
 * dumb. */
void screen_of(FILE *stream, struct screen *screen);

enum colour { COLOUR_NONE, COLOUR_GOOD, COLOUR_BAD, COLOUR_WARN, COLOUR_DIM, COLOUR_STRONG };

/* Return the codes that begin and end a colour; empty texts without colours. */
const char *colour_begin(const struct screen *screen, enum colour colour);
const char *colour_end(const struct screen *screen, enum colour colour);

struct table_column {
    const char *heading;
    unsigned least; /* columns that it keeps while others can still be narrowed */
    bool right;     /* aligned to the right, as numbers are */
};

struct table;

/* NULL: out of memory. */
struct table *table_new(const struct table_column *columns, size_t count);
void table_free(struct table *table);

/* Adds a row; `texts` has one text a column, NULL for none. False: out of memory. */
bool table_add(struct table *table, const char *const *texts);

/* Of the newest row. */
void table_colour(struct table *table, size_t column, enum colour colour);

size_t table_rows(const struct table *table);

/* Headings, then at most `rows` of the rows. */
void table_print(const struct table *table, const struct screen *screen, size_t rows, FILE *out);

#endif
