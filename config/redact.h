/* SPDX-License-Identifier: Apache-2.0 */
/*
 * redact: a text without its keys, for libraries that leave what they read in freed memory. Private to config/.
 *
 * libyaml copies a text several times, and wipes none of the copies. So it is given one in which each key is replaced
 * by a word of the same length; what stood there is put back into the one string that is read and wiped here.
 * A key that is written with YAML's escapes, or shorter than 16 characters, is not recognised.
 */
#ifndef CONFIG_REDACT_H
#define CONFIG_REDACT_H

#include <stdbool.h>
#include <stddef.h>

struct config_redaction {
    const char *original; /* borrowed */
    char *text;           /* `length` bytes; owned */
    size_t length;
    size_t *at; /* where each hidden word stands in both texts */
    size_t count, capacity;
};

/* Hides what may be a key in `length` bytes of text, which must stay until clear. False: out of memory. */
bool config_redact(const char *text, size_t length, struct config_redaction *out);

/* Puts back what is hidden in a string, which keeps its length. */
void config_redact_restore(const struct config_redaction *redaction, char *string);

void config_redact_clear(struct config_redaction *redaction);

#endif
