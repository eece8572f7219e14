/* SPDX-License-Identifier: Apache-2.0 */
#include "service/symbols/trail.h"

#include <string.h>

void symbol_trail_init(struct symbol_trail *trail)
{
    trail->text[0] = 0;
    trail->length = 0;
    trail->full = false;
}

static void put(struct symbol_trail *trail, const char *text)
{
    static const char dots[] = "...";
    for (; *text && !trail->full; ++text) {
        if (trail->length + sizeof dots >= sizeof trail->text) {
            memcpy(trail->text + trail->length, dots, sizeof dots);
            trail->length += sizeof dots - 1;
            trail->full = true;
            return;
        }
        char c = *text;
        if ((unsigned char)c < 0x20 || (unsigned char)c > 0x7e)
            c = '?';
        trail->text[trail->length++] = c;
    }
    trail->text[trail->length] = 0;
}

void symbol_trail_add(struct symbol_trail *trail, const char *where, const char *answer)
{
    if (trail->length > 0)
        put(trail, "; ");
    put(trail, where);
    put(trail, ": ");
    put(trail, answer);
}

void symbol_trail_join(struct symbol_trail *trail, const struct symbol_trail *more)
{
    if (more->length > 0 && trail->length > 0)
        put(trail, "; ");
    put(trail, more->text);
}
