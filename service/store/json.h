/* SPDX-License-Identifier: Apache-2.0 */
/* json: JSON of the store, whole or not at all when memory is short. Thread: any. */
#ifndef SERVICE_STORE_JSON_H
#define SERVICE_STORE_JSON_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

/* Parses a text; *json is NULL when it is no JSON. False: there was no memory for it, so nothing is known of it; seen
 * by json_memory_watch. */
bool store_json_load(const char *text, size_t length, size_t flags, json_t **json);
/* Writes a value as text, with an end; the caller frees it. NULL: no memory. */
char *store_json_dump(const json_t *json, size_t flags);
/* Returns a text member of an object; NULL: absent or no text. Borrowed. */
const char *store_json_text(const json_t *object, const char *key);

#endif
