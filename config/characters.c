/* SPDX-License-Identifier: Apache-2.0 */
#include "config/characters.h"

#include <stdint.h>

#define LONGEST 4U /* bytes of a character */

static bool goes_on(char c)
{
    return ((unsigned char)c & 0xc0U) == 0x80;
}

/* Bytes of a character that begins with `first`; 0: none does. */
static size_t length_by(unsigned char first)
{
    return first < 0x80 ? 1 : first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : first < 0xf5 ? 4 : 0;
}

size_t characters_take(const char *text, size_t left)
{
    uint32_t c = (unsigned char)text[0];
    size_t length = length_by((unsigned char)text[0]);
    if (length == 0 || length > left)
        return 0;
    c &= length == 1 ? 0x7fU : 0x7fU >> length;
    for (size_t i = 1; i < length; ++i) {
        if (!goes_on(text[i]))
            return 0;
        c = c << 6 | ((unsigned char)text[i] & 0x3fU);
    }
    bool too_long = (length == 3 && c < 0x800) || (length == 4 && c < 0x10000);
    return too_long || (c >= 0xd800 && c < 0xe000) || c > 0x10ffff ? 0 : length;
}

bool characters_is_control(const char *character)
{
    unsigned char first = (unsigned char)character[0];
    return first < 0x20 || first == 0x7f || (first == 0xc2 && (unsigned char)character[1] < 0xa0);
}

size_t characters_fit(const char *text, size_t length, size_t room)
{
    size_t fit = room;
    if (length <= room)
        return length;
    while (fit > 0 && room - fit + 1 < LONGEST && goes_on(text[fit]))
        --fit;
    return goes_on(text[fit]) ? room : fit;
}

/* Whether the last `left` bytes of a text are the beginning of a character. */
static bool is_beginning(const char *text, size_t left)
{
    size_t i = 1;
    while (i < left && goes_on(text[i]))
        ++i;
    return i == left && left < length_by((unsigned char)text[0]);
}

void characters_mend(char *text)
{
    for (size_t left = strlen(text); left > 0;) {
        size_t length = characters_take(text, left);
        if (length == 0 && is_beginning(text, left)) {
            *text = '\0';
            return;
        }
        if (length == 0)
            *text = '?';
        text += length > 0 ? length : 1;
        left -= length > 0 ? length : 1;
    }
}
