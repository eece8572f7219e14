/* SPDX-License-Identifier: Apache-2.0 */
/*
 * character: UTF-8, which characters may go to a terminal, and how wide they are there.
 *
 * Uses nothing of this tree. Does not depend on the locale.
 */
#ifndef SERVICE_CTL_CHARACTER_H
#define SERVICE_CTL_CHARACTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Returns the length of the UTF-8 character at `p`, and its code; 0 when invalid, including overlong forms and
 * surrogates. */
size_t character_take(const uint8_t *p, size_t length, uint32_t *code);

/* Writes a character as UTF-8. Returns its length, 1 to 4. */
size_t character_put(char out[static 4], uint32_t c);

/* Whether a character may go to a terminal or a log as it is: no control, nothing that reorders or hides text. */
bool character_is_plain(uint32_t c);

/* Returns the columns of a plain character on a terminal: 0 (a combining mark), 1 or 2. */
unsigned character_width(uint32_t c);

#endif
