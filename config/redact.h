/* SPDX-License-Identifier: Apache-2.0 */
/*
 * redact: hides keys from libraries that leave copies of their input in freed memory. Private to config/.
 *
 * libyaml copies a text several times, and wipes no copy. So libyaml gets a text in which each key is replaced by a
 * word of the same length; the key is restored in the one string that config/ reads and wipes. Keys written with YAML
 * escapes, or shorter than 16 characters, are not recognised.
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

/* Hides possible keys in `length` bytes of text, which must stay until the clear. False: out of memory. */
bool config_redact(const char *text, size_t length, struct config_redaction *out);

/* Restores hidden keys in a string, whose length stays the same. */
void config_redact_restore(const struct config_redaction *redaction, char *string);

void config_redact_clear(struct config_redaction *redaction);

#endif
