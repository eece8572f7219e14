/* SPDX-License-Identifier: Apache-2.0 */
/*
 * event_builder: the JSON values that events are made of, and the line that an event becomes.
 *
 * Uses jansson and, of kdnet, event. Thread: any. A value that is NULL (out of memory) marks its object as failed when
 * it is put, so that only builder_finish has to be asked.
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
    bool failed; /* a value is missing: memory was out */
};

/* Gives the object a member; takes the value over. */
void builder_put(struct builder *b, const char *key, json_t *value);

/* Text of ours, which is ASCII. */
json_t *builder_text(const char *text);
json_t *builder_text_or_null(const char *text);

/* Text from a machine: what is not valid UTF-8 in it becomes U+FFFD. */
json_t *builder_foreign_text(const char *text, size_t length);

/* The name of a Windows build, from a machine; null when it is not known. */
json_t *builder_build_lab(bool known, const char *text);

/* "0x" and `digits` digits, or as many as the value needs, 16 at most. */
json_t *builder_hex(uint64_t value, unsigned digits);

/* A duration in milliseconds, exact to the microsecond. */
json_t *builder_milliseconds(uint64_t us);

/* The object as a line with its end, and ends the object. NULL: out of memory; else the caller frees the line. */
char *builder_finish(struct builder *b, size_t *length);

#endif
