/* SPDX-License-Identifier: Apache-2.0 */
/*
 * line: an event line, parsed as far as the store needs.
 *
 * A line comes from this process, which knows its facts, or from a file that may be damaged: lines that are no complete
 * event are refused.
 */
#ifndef SERVICE_STORE_LINE_H
#define SERVICE_STORE_LINE_H

#include "service/store/cut.h"
#include "service/store/json.h"
#include "service/store/rows.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STORE_LINE_MAX  ((size_t)1 << 20) /* bytes */
#define STORE_TEXT_SIZE 129               /* bytes of an id, with its NUL; all other texts are shorter */

struct store_line {
    const char *text; /* borrowed */
    size_t length;
    json_t *root;                      /* NULL: not parsed */
    struct store_span cut[STORE_CUTS]; /* values that `root` lacks; text NULL: it has the value, if there is one */
    bool no_memory;                    /* it could not be parsed for want of memory: it may be later */
    uint64_t time_us;
    char id[STORE_TEXT_SIZE], type[STORE_TEXT_SIZE];
    char target[STORE_TEXT_SIZE], crash[STORE_TEXT_SIZE]; /* empty: null */
};

/* False: no event, and nothing is to be cleared. */
bool store_line_parse(const char *text, size_t length, struct store_line *out);
/* Makes a line of known facts, unparsed. False: a fact is empty or too long, and nothing is to be cleared. */
bool store_line_take(const char *text, size_t length, const struct store_facts *facts, struct store_line *out);
/* Parses a line that was taken with its facts, for its other members but those that are cut out. False: it is no JSON
 * object. */
bool store_line_open(struct store_line *line);
void store_line_clear(struct store_line *line);

/* Finds the id of a line without parsing it; false: not found this way. The line may still be no event. */
bool store_line_id(const char *text, size_t length, char out[static STORE_TEXT_SIZE]);

/* Parses 2026-11-22T10:00:00.123456Z, with up to nine digits of a second. False: another form. */
bool store_time_parse(const char *text, uint64_t *time_us);

#endif
