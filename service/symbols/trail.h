/* SPDX-License-Identifier: Apache-2.0 */
/* trail: the places that a look-up tried, with their answers, as one bounded text. */
#ifndef SERVICE_SYMBOLS_TRAIL_H
#define SERVICE_SYMBOLS_TRAIL_H

#include <stdbool.h>
#include <stddef.h>

#define SYMBOL_TRAIL_SIZE 1024

struct symbol_trail {
    char text[SYMBOL_TRAIL_SIZE]; /* "WHERE: ANSWER; WHERE: ANSWER"; printable ASCII, "..." at the end when cut */
    size_t length;
    bool full;
};

/* Empties the trail; call it before the first add. */
void symbol_trail_init(struct symbol_trail *trail);

void symbol_trail_add(struct symbol_trail *trail, const char *where, const char *answer);

/* Appends another trail. */
void symbol_trail_join(struct symbol_trail *trail, const struct symbol_trail *more);

#endif
