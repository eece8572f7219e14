/* SPDX-License-Identifier: Apache-2.0 */
/*
 * printable: foreign text, made harmless for a terminal and measured in its columns.
 *
 * Control characters, characters that reorder or hide text, and invalid UTF-8 become \n, \r, \t, \xNN or \u{NNNN}.
 * Backslashes stay.
 */
#ifndef SERVICE_CTL_PRINTABLE_H
#define SERVICE_CTL_PRINTABLE_H

#include <stddef.h>
#include <stdio.h>

/* Returns a copy that may go to a terminal, to be freed, and its width there (may be NULL). NULL: out of memory. */
char *printable_copy(const char *text, size_t length, unsigned *width);

void printable_print(FILE *stream, const char *text, size_t length);

/* Prints a printable copy in at most `width` columns, truncated with an ellipsis. Returns the columns used. */
unsigned printable_print_cut(FILE *stream, const char *copy, unsigned width);

#endif
