/* SPDX-License-Identifier: Apache-2.0 */
/*
 * event_builder: builds the JSON object of an event, and its line.
 *
 * Thread: any. A NULL value (out of memory) marks its object as failed, so that only the result of builder_finish has
 * to be checked.
 */
#ifndef SERVICE_EVENT_BUILDER_INTERNAL_H
#define SERVICE_EVENT_BUILDER_INTERNAL_H

#include "kdnet/event.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BUILDER_ADDRESS_DIGITS 16
#define BUILDER_STATUS_DIGITS  8

struct builder {
    json_t *object;
    bool failed;       /* a value is missing: memory was out */
    unsigned failures; /* json_memory_failures before the first value; of the object that builder_finish writes */
};

/* Gives the object a member; takes the value over. */
void builder_put(struct builder *b, const char *key, json_t *value);

/* Text of ours, which is ASCII. */
json_t *builder_text(const char *text);
json_t *builder_text_or_null(const char *text);

/* Makes a string of text from a machine: invalid UTF-8 becomes U+FFFD. */
json_t *builder_foreign_text(const char *text, size_t length);

/* Makes a string of the Windows build's name, from a machine; null when unknown. */
json_t *builder_build_lab(bool known, const char *text);

/* "0x" and `digits` digits, or as many as the value needs, 16 at most. */
json_t *builder_hex(uint64_t value, unsigned digits);

/* A duration in milliseconds, exact to the microsecond. */
json_t *builder_milliseconds(uint64_t us);

/* Writes the object as a line with line end, and frees the object. NULL: out of memory; else the caller frees the
 * line. */
char *builder_finish(struct builder *b, size_t *length);

#endif
