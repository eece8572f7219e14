/* SPDX-License-Identifier: Apache-2.0 */
/* text: a growing text; an allocation failure is remembered and checked once at the end. Private to sinks/. */
#ifndef SERVICE_SINKS_TEXT_H
#define SERVICE_SINKS_TEXT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

struct text {
    char *bytes; /* NUL-ended; owned */
    size_t length, capacity;
    bool failed;
};

void text_add(struct text *text, const char *bytes, size_t length);
void text_string(struct text *text, const char *string);
void text_json(struct text *text, json_t *json); /* takes the reference; NULL: out of memory */
void text_clear(struct text *text);

#endif
