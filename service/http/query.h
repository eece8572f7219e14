/* SPDX-License-Identifier: Apache-2.0 */
/*
 * query: the parameters of a request: percent-decoded names and values, and their types.
 *
 * Input from strangers: bounded, one allocation.
 */
#ifndef SERVICE_HTTP_QUERY_H
#define SERVICE_HTTP_QUERY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define QUERY_MAX 64 /* parameters of a request */

struct query_parameter {
    const char *name, *value;
};

struct query {
    char *text; /* owned */
    size_t count;
    struct query_parameter of[QUERY_MAX];
};

/*
 * Decodes `a=b&c=d`; NULL is empty. Values are UTF-8 without control characters. Returns NULL, or the fault as a static
 * text; then `out` needs no clear.
 */
const char *query_parse(const char *text, struct query *out);
void query_clear(struct query *query);

/* Returns the `index`th value of a parameter, from 0; NULL: none. */
const char *query_get(const struct query *query, const char *name, size_t index);
size_t query_count(const struct query *query, const char *name);

/*
 * Decodes percent escapes in place. `plus`: + is a blank.
 * False: an escape is broken, or stands for a control character, or the text is not UTF-8.
 */
bool query_decode(char *text, bool plus);

/* Valid UTF-8 without control characters. */
bool query_is_text(const char *text);

/* Returns the bytes of the UTF-8 character at the start of a text that is not empty; 0: invalid. */
size_t query_character(const char *text);

/* Parses a decimal number from `least` to `most`. False: invalid. */
bool query_number(const char *text, uint64_t least, uint64_t most, uint64_t *out);

/*
 * A point in time: RFC 3339 with Z or an offset, or a duration back from now (90s, 5m, 24h, 7d, 2w).
 *
 * now_us, out  microseconds since 1970, UTC.
 */
bool query_time(const char *text, uint64_t now_us, uint64_t *out);

/* Parses a duration like 10m: s, m, h, d, w. False: invalid, or longer than 100 years. */
bool query_duration(const char *text, uint64_t *microseconds);

#endif
