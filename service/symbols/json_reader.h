/* SPDX-License-Identifier: Apache-2.0 */
/*
 * json_reader: reads JSON as a sequence of tokens, from a stream of any length, in constant memory.
 *
 * A tree of the whole text, as jansson makes it, costs 43 MiB for the 6.6 MB of a real table, and many times more for a
 * hostile one; this reader stores only the nesting and one short text. It checks each document against the grammar of
 * RFC 8259, except the encoding of texts: text other than ASCII never equals a name of ours.
 */
#ifndef SERVICE_SYMBOLS_JSON_READER_H
#define SERVICE_SYMBOLS_JSON_READER_H

#include "service/symbols/flow.h"

#define JSON_DEPTH_MAX 64
#define JSON_TEXT_SIZE 320 /* of a name, a text or a number; longer ones come out with `cut` set */

enum json_token {
    JSON_BAD, /* `mistake` says why; also when the document is cut short */
    JSON_END, /* after the document */
    JSON_OPEN_OBJECT,
    JSON_OPEN_ARRAY,
    JSON_CLOSE, /* either */
    JSON_NAME,  /* name of a member; its value follows */
    JSON_TEXT,
    JSON_NUMBER,
    JSON_WORD, /* true, false, null */
};

struct json_reader {
    struct flow *flow;   /* borrowed, just opened */
    const char *mistake; /* constant text */
    unsigned depth;      /* open objects and arrays */
    bool object[JSON_DEPTH_MAX];
    enum { JSON_WANT_VALUE, JSON_WANT_FIRST, JSON_WANT_NAME, JSON_WANT_COMMA, JSON_WANT_NOTHING } want;
    bool cut; /* `text` is only the beginning */
    char text[JSON_TEXT_SIZE];
    size_t length;
};

void json_reader_init(struct json_reader *reader, struct flow *flow);

/* Reads the next token; names, texts, numbers and words are in `text`, NUL-terminated. */
enum json_token json_reader_next(struct json_reader *reader);

/* Skips to the end of the value that begins with `token`. False: JSON_BAD came. */
bool json_reader_skip(struct json_reader *reader, enum json_token token);

/* Whether the last token's text equals `text`. */
bool json_reader_is(const struct json_reader *reader, const char *text);

/* Parses the last number as an integer from 0 to `most`; false: another number. */
bool json_reader_number(const struct json_reader *reader, uint64_t most, uint64_t *value);

#endif
