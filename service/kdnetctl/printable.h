/* SPDX-License-Identifier: Apache-2.0 */
/*
 * printable: text that others wrote, made harmless for a terminal and measured in its columns.
 *
 * Uses character. Control characters, what turns or hides text, and bytes that are not UTF-8 come out as \n, \r, \t,
 * \xNN or \u{NNNN}. Backslashes stay as they are.
 */
#ifndef SERVICE_CTL_PRINTABLE_H
#define SERVICE_CTL_PRINTABLE_H

#include <stddef.h>
#include <stdio.h>

/* A copy that may go to a terminal, to be freed, and its width there (NULL: not wanted). NULL: out of memory. */
char *printable_copy(const char *text, size_t length, unsigned *width);

void printable_print(FILE *stream, const char *text, size_t length);

/* Prints a printable copy in at most `width` columns: what is longer is cut and ends with an ellipsis. Returns how many
 * columns were used. */
unsigned printable_print_cut(FILE *stream, const char *copy, unsigned width);

#endif
