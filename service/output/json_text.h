/* SPDX-License-Identifier: Apache-2.0 */
/*
 * json_text: writes a JSON value as text, the same bytes as jansson's json_dumps with JSON_COMPACT and
 * JSON_REAL_PRECISION(15), in a tenth of the time: in a storm of crashes the events' text is a third of all work.
 *
 * Values are trees that this process has built: no loops in them, strings of valid UTF-8.
 */
#ifndef SERVICE_JSON_TEXT_H
#define SERVICE_JSON_TEXT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

/* Text that grows; zeros: empty. `text` is the owner's to free. */
struct json_text {
    char *text;
    size_t length, size;
};

/* Adds bytes; false: out of memory. */
bool json_text_add(struct json_text *out, const char *bytes, size_t length);

/* Adds a value; false: out of memory, or deeper than JSON_TEXT_DEPTH_MAX. */
#define JSON_TEXT_DEPTH_MAX 32U
bool json_text_add_value(struct json_text *out, json_t *value);

#endif
