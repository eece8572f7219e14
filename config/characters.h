/* SPDX-License-Identifier: Apache-2.0 */
/* characters: text in UTF-8 that is cut to a size between two characters, and text that may be none. */
#ifndef CONFIG_CHARACTERS_H
#define CONFIG_CHARACTERS_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

/* Returns the bytes of the character at the start of `text`, which has `left` bytes, at least one; 0: invalid UTF-8
 * (RFC 3629). */
size_t characters_take(const char *text, size_t left);

/* Whether a character is a control character: C0, DEL or C1. */
bool characters_is_control(const char *character);

/* Returns how many of the first `room` bytes of a text are whole characters; all of them where it is no UTF-8. */
size_t characters_fit(const char *text, size_t length, size_t room);

/* Removes the first bytes of a character from the end of a text that was cut, and puts ? for each other byte that is no
 * UTF-8. */
void characters_mend(char *text);

/* Two arguments for %.*s in place of %.`most`s. */
#define CHARACTERS(text, most) (int)characters_fit((text), strnlen((text), (most) + 1), (most)), (text)

#endif
