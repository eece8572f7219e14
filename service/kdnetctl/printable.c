/* SPDX-License-Identifier: Apache-2.0 */
#include "service/kdnetctl/printable.h"
#include "service/kdnetctl/character.h"

#include <stdlib.h>
#include <string.h>

#define ESCAPE_MAX 12 /* bytes of \u{10ffff} and its NUL */

static size_t escape(uint32_t c, char out[static ESCAPE_MAX])
{
    const char *known = c == '\n' ? "\\n" : c == '\r' ? "\\r" : c == '\t' ? "\\t" : NULL;
    if (known)
        return (size_t)snprintf(out, ESCAPE_MAX, "%s", known);
    return (size_t)snprintf(out, ESCAPE_MAX, c < 0x100 ? "\\x%02x" : "\\u{%04x}", (unsigned)c);
}

/* Converts the next character of a text to its printable form. Returns the bytes of the text that it replaces. */
static size_t take(const uint8_t *p, size_t length, char out[static ESCAPE_MAX], size_t *written, unsigned *width)
{
    uint32_t c = p[0];
    size_t count = character_take(p, length, &c);
    if (count > 0 && character_is_plain(c)) {
        *written = character_put(out, c);
        *width = character_width(c);
    } else {
        *written = escape(c, out);
        *width = (unsigned)*written;
    }
    return count > 0 ? count : 1;
}

char *printable_copy(const char *text, size_t length, unsigned *width)
{
    char *copy = malloc(length * ESCAPE_MAX + 1), *at = copy, *smaller;
    unsigned sum = 0, some;
    size_t written;
    if (!copy)
        return NULL;
    for (size_t i = 0; i < length; sum += some, at += written) {
        char piece[ESCAPE_MAX];
        i += take((const uint8_t *)text + i, length - i, piece, &written, &some);
        memcpy(at, piece, written);
    }
    *at = '\0';
    if (width)
        *width = sum;
    smaller = realloc(copy, (size_t)(at - copy) + 1);
    return smaller ? smaller : copy;
}

void printable_print(FILE *stream, const char *text, size_t length)
{
    for (size_t i = 0; i < length;) {
        char piece[ESCAPE_MAX];
        size_t written;
        unsigned width;
        i += take((const uint8_t *)text + i, length - i, piece, &written, &width);
        (void)fwrite(piece, 1, written, stream);
    }
}

static unsigned width_at(const char *copy, size_t length, size_t *count)
{
    uint32_t c = 0;
    *count = character_take((const uint8_t *)copy, length, &c);
    if (*count == 0) { /* not a printable copy */
        *count = 1;
        return 1;
    }
    return character_width(c);
}

unsigned printable_print_cut(FILE *stream, const char *copy, unsigned width)
{
    size_t length = strlen(copy), at = 0, fits = 0, count;
    unsigned columns = 0, before = 0;
    for (; at < length; at += count) {
        unsigned wide = width_at(copy + at, length - at, &count);
        if (columns + wide > width)
            break;
        if (columns + wide < width) { /* leaves a column for the ellipsis */
            fits = at + count;
            before = columns + wide;
        }
        columns += wide;
    }
    if (at == length) {
        (void)fwrite(copy, 1, length, stream);
        return columns;
    }
    if (width == 0)
        return 0;
    (void)fwrite(copy, 1, fits, stream);
    (void)fputs("\xe2\x80\xa6", stream);
    return before + 1;
}
