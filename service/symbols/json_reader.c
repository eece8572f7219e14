/* SPDX-License-Identifier: Apache-2.0 */
#include "service/symbols/json_reader.h"

#include <string.h>

#define NO_MORE (-1)

void json_reader_init(struct json_reader *reader, struct flow *flow)
{
    *reader = (struct json_reader){.flow = flow};
}

static int peek(struct json_reader *reader)
{
    struct flow *flow = reader->flow;
    while (flow->next == flow->end)
        if (!flow_fill(flow))
            return NO_MORE;
    return *flow->next;
}

static int take(struct json_reader *reader)
{
    int c = peek(reader);
    if (c != NO_MORE)
        ++reader->flow->next;
    return c;
}

static int take_after_blanks(struct json_reader *reader)
{
    int c = take(reader);
    while (c == ' ' || c == '\n' || c == '\r' || c == '\t')
        c = take(reader);
    return c;
}

static enum json_token bad(struct json_reader *reader, const char *mistake)
{
    if (!reader->mistake)
        reader->mistake = reader->flow->mistake ? reader->flow->mistake : mistake;
    return JSON_BAD;
}

static void put(struct json_reader *reader, int c)
{
    if (reader->length + 1 < sizeof reader->text)
        reader->text[reader->length++] = (char)c;
    else
        reader->cut = true;
}

static int hex_digit(int c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Parses \uXXXX: characters other than ASCII, and NUL, become a byte that no name of ours contains. */
static bool take_unicode(struct json_reader *reader)
{
    int value = 0;
    for (int i = 0; i < 4; ++i) {
        int digit = hex_digit(take(reader));
        if (digit < 0)
            return false;
        value = value << 4 | digit;
    }
    put(reader, value > 0 && value < 0x80 ? value : 0xff);
    return true;
}

static bool take_escape(struct json_reader *reader)
{
    static const char escapes[] = "\"\\/bfnrt", meant[] = "\"\\/\b\f\n\r\t";
    int c = take(reader);
    if (c == 'u')
        return take_unicode(reader);
    const char *at = c > 0 ? strchr(escapes, c) : NULL;
    if (!at)
        return false;
    put(reader, meant[at - escapes]);
    return true;
}

/* The quote is taken. */
static bool take_text(struct json_reader *reader)
{
    for (;;) {
        int c = take(reader);
        if (c == '"')
            return true;
        if (c < 0x20 || (c == '\\' && !take_escape(reader)))
            return false;
        if (c != '\\')
            put(reader, c);
    }
}

static bool take_digits(struct json_reader *reader)
{
    size_t count = 0;
    for (int c = peek(reader); c >= '0' && c <= '9'; c = peek(reader), ++count)
        put(reader, take(reader));
    return count > 0;
}

static bool take_number(struct json_reader *reader, int first)
{
    put(reader, first);
    if (first == '-') {
        first = take(reader);
        put(reader, first);
    }
    if (first < '0' || first > '9')
        return false;
    if (first != '0')
        (void)take_digits(reader);
    if (peek(reader) == '.') {
        put(reader, take(reader));
        if (!take_digits(reader))
            return false;
    }
    if (peek(reader) == 'e' || peek(reader) == 'E') {
        put(reader, take(reader));
        if (peek(reader) == '+' || peek(reader) == '-')
            put(reader, take(reader));
        return take_digits(reader);
    }
    return true;
}

static bool take_word(struct json_reader *reader, int first)
{
    const char *word = first == 't' ? "true" : first == 'f' ? "false" : "null";
    put(reader, first);
    for (const char *c = word + 1; *c; ++c) {
        if (take(reader) != *c)
            return false;
        put(reader, *c);
    }
    return *word == first;
}

static void after_value(struct json_reader *reader)
{
    reader->want = reader->depth > 0 ? JSON_WANT_COMMA : JSON_WANT_NOTHING;
}

static enum json_token open_bracket(struct json_reader *reader, bool object)
{
    if (reader->depth == JSON_DEPTH_MAX)
        return bad(reader, "its JSON is nested too deeply");
    reader->object[reader->depth++] = object;
    reader->want = JSON_WANT_FIRST;
    return object ? JSON_OPEN_OBJECT : JSON_OPEN_ARRAY;
}

static enum json_token close_bracket(struct json_reader *reader)
{
    --reader->depth;
    after_value(reader);
    return JSON_CLOSE;
}

static enum json_token take_value(struct json_reader *reader, int c)
{
    if (c == '{' || c == '[')
        return open_bracket(reader, c == '{');
    enum json_token token = c == '"' ? JSON_TEXT : c == 't' || c == 'f' || c == 'n' ? JSON_WORD : JSON_NUMBER;
    bool good = token == JSON_TEXT     ? take_text(reader)
                : token == JSON_NUMBER ? take_number(reader, c)
                                       : take_word(reader, c);
    if (!good)
        return bad(reader, "it is not JSON, or cut short");
    after_value(reader);
    return token;
}

static enum json_token take_name(struct json_reader *reader, int c)
{
    if (c != '"' || !take_text(reader) || take_after_blanks(reader) != ':')
        return bad(reader, "it is not JSON, or cut short");
    reader->want = JSON_WANT_VALUE;
    return JSON_NAME;
}

enum json_token json_reader_next(struct json_reader *reader)
{
    if (reader->mistake)
        return JSON_BAD;
    int c = take_after_blanks(reader);
    bool object = reader->depth > 0 && reader->object[reader->depth - 1];
    reader->length = 0;
    reader->cut = false;
    memset(reader->text, 0, 1);
    if (reader->want == JSON_WANT_NOTHING)
        return c == NO_MORE && !reader->flow->mistake ? JSON_END : bad(reader, "something follows its JSON");
    if (reader->want == JSON_WANT_FIRST || reader->want == JSON_WANT_COMMA) {
        if (c == (object ? '}' : ']'))
            return close_bracket(reader);
        if (reader->want == JSON_WANT_COMMA) {
            if (c != ',')
                return bad(reader, "it is not JSON, or cut short");
            c = take_after_blanks(reader);
        }
        reader->want = object ? JSON_WANT_NAME : JSON_WANT_VALUE;
    }
    enum json_token token = reader->want == JSON_WANT_NAME ? take_name(reader, c) : take_value(reader, c);
    reader->text[reader->length] = 0;
    return token;
}

bool json_reader_skip(struct json_reader *reader, enum json_token token)
{
    if (token != JSON_OPEN_OBJECT && token != JSON_OPEN_ARRAY)
        return token != JSON_BAD;
    for (unsigned outside = reader->depth - 1; reader->depth > outside;)
        if (json_reader_next(reader) == JSON_BAD)
            return false;
    return true;
}

bool json_reader_is(const struct json_reader *reader, const char *text)
{
    return !reader->cut && reader->length == strlen(text) && memcmp(reader->text, text, reader->length) == 0;
}

bool json_reader_number(const struct json_reader *reader, uint64_t most, uint64_t *value)
{
    uint64_t sum = 0;
    if (reader->cut || reader->length == 0)
        return false;
    for (size_t i = 0; i < reader->length; ++i) {
        int digit = reader->text[i] - '0';
        if (digit < 0 || digit > 9 || sum > most / 10)
            return false;
        sum = sum * 10 + (uint64_t)digit;
    }
    *value = sum;
    return sum <= most;
}
