/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fields: members of kdnetd's JSON by path, for a table's cells. A missing member, or one of another type, gives "-":
 * answers of newer or older kdnetds break nothing.
 *
 * A path is names with dots between them: "last_crash.verdict".
 */
#ifndef SERVICE_CTL_FIELDS_H
#define SERVICE_CTL_FIELDS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#define FIELDS_SIZE 256

/* The value at a path, borrowed; NULL when there is none. */
const json_t *fields_at(const json_t *object, const char *path);

/* A text, borrowed; `otherwise` when the value is none. */
const char *fields_text(const json_t *object, const char *path, const char *otherwise);
bool fields_is(const json_t *object, const char *path, const char *text);
bool fields_true(const json_t *object, const char *path);
int64_t fields_number(const json_t *object, const char *path); /* 0 when absent */

/* Any value as a cell: texts as they are, numbers, yes and no, objects as k=v with spaces between them;
 * an object in one by its name. */
const char *fields_cell(const json_t *object, const char *path, char out[static FIELDS_SIZE]);

/* The one text that stands for an object: its name, place or code, borrowed; NULL when it has none. */
const char *fields_brief(const json_t *object);

/* A number of milliseconds as a duration. */
const char *fields_duration(const json_t *object, const char *path, char out[static FIELDS_SIZE]);

#endif
