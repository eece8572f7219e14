/* SPDX-License-Identifier: Apache-2.0 */
#include "service/store/cut.h"
#include "service/store/json.h"

#include <stdlib.h>
#include <string.h>

#define DEPTH_MAX  16U
#define DIGITS_MAX 15U /* of a number: any such number fits jansson's integers and reals */

const char *const store_cut_names[STORE_CUTS] = {"cause", "stack"};

struct scan {
    const char *at, *end;
};

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static bool is_at(const struct scan *scan, char c)
{
    return scan->at < scan->end && *scan->at == c;
}

static void skip_space(struct scan *scan)
{
    while (scan->at < scan->end && is_space(*scan->at))
        ++scan->at;
}

static bool skip_mark(struct scan *scan, char mark)
{
    skip_space(scan);
    if (!is_at(scan, mark))
        return false;
    ++scan->at;
    return true;
}

/* --- the object: where its values begin and end ------------------------------------------------------------------- */

/* Skips a text, whatever is in it. *plain: it has no escapes. */
static bool skip_text(struct scan *scan, bool *plain)
{
    *plain = true;
    for (++scan->at; scan->at < scan->end && *scan->at != '"'; ++scan->at)
        if (*scan->at == '\\') {
            *plain = false;
            ++scan->at;
        }
    if (scan->at >= scan->end)
        return false;
    ++scan->at;
    return true;
}

static bool is_opening(char c)
{
    return c == '{' || c == '[';
}

static bool is_closing(char c)
{
    return c == '}' || c == ']';
}

/* Skips a value: to the comma behind it, or to the object's end. */
static bool skip_value(struct scan *scan)
{
    size_t depth = 0;
    for (; scan->at < scan->end; ++scan->at) {
        bool plain;
        char c = *scan->at;
        if (depth == 0 && (c == ',' || is_closing(c)))
            return true;
        depth += is_opening(c);
        depth -= is_closing(c);
        if (c == '"') {
            if (!skip_text(scan, &plain))
                return false;
            --scan->at;
        }
    }
    return false;
}

static void trim(struct store_span *span)
{
    while (span->length > 0 && is_space(span->text[span->length - 1]))
        --span->length;
}

/* --- a value: whether it is plain JSON ---------------------------------------------------------------------------- */

/* A text without bytes that need a look at more than one of them. */
static bool take_text(struct scan *scan)
{
    if (!skip_mark(scan, '"'))
        return false;
    for (; scan->at < scan->end && *scan->at != '"'; ++scan->at) {
        if (*scan->at < ' ' || *scan->at > '~')
            return false;
        if (*scan->at == '\\' && (++scan->at >= scan->end || *scan->at == '\0' || !strchr("\"\\/bfnrt", *scan->at)))
            return false;
    }
    return skip_mark(scan, '"');
}

static size_t take_digits(struct scan *scan)
{
    const char *first = scan->at;
    while (scan->at < scan->end && *scan->at >= '0' && *scan->at <= '9')
        ++scan->at;
    return (size_t)(scan->at - first);
}

static bool take_number(struct scan *scan)
{
    scan->at += is_at(scan, '-');
    bool zero = is_at(scan, '0');
    size_t whole = take_digits(scan), part = 0;
    if (whole == 0 || whole > DIGITS_MAX || (zero && whole > 1))
        return false;
    if (is_at(scan, '.')) {
        ++scan->at;
        part = take_digits(scan);
        if (part == 0 || part > DIGITS_MAX)
            return false;
    }
    return true;
}

static bool take_scalar(struct scan *scan)
{
    static const char *const words[] = {"null", "true", "false"};
    if (is_at(scan, '"'))
        return take_text(scan);
    for (size_t i = 0; i < sizeof words / sizeof words[0]; ++i) {
        size_t length = strlen(words[i]);
        if ((size_t)(scan->end - scan->at) >= length && memcmp(scan->at, words[i], length) == 0) {
            scan->at += length;
            return true;
        }
    }
    return take_number(scan);
}

static bool take_key(struct scan *scan)
{
    return take_text(scan) && skip_mark(scan, ':');
}

/* Behind a value: closes what ends there, and goes on to the next value. *depth 0: all is closed. */
static bool take_ends(struct scan *scan, const char *closing, size_t *depth)
{
    while (*depth > 0 && skip_mark(scan, closing[*depth - 1]))
        --*depth;
    if (*depth == 0)
        return true;
    return skip_mark(scan, ',') && (closing[*depth - 1] == ']' || take_key(scan));
}

static bool is_plain(const struct store_span *span)
{
    struct scan scan = {span->text, span->text + span->length};
    char closing[DEPTH_MAX];
    size_t depth = 0;
    do {
        bool object = skip_mark(&scan, '{');
        if (object || skip_mark(&scan, '[')) {
            if (depth == DEPTH_MAX)
                return false;
            closing[depth++] = object ? '}' : ']';
            skip_space(&scan);
            if (!is_at(&scan, closing[depth - 1])) {
                if (object && !take_key(&scan))
                    return false;
                continue;
            }
        } else if (!take_scalar(&scan)) {
            return false;
        }
        if (!take_ends(&scan, closing, &depth))
            return false;
    } while (depth > 0);
    return scan.at == scan.end;
}

/* --- members ------------------------------------------------------------------------------------------------------ */

/* Keeps a member's value when it is one of those that are looked for. */
static bool keep(const struct store_span *key, struct store_span value, struct store_span spans[static STORE_CUTS])
{
    for (size_t i = 0; i < STORE_CUTS; ++i) {
        if (key->length != strlen(store_cut_names[i]) || memcmp(key->text, store_cut_names[i], key->length) != 0)
            continue;
        trim(&value);
        if (spans[i].text || !is_plain(&value))
            return false;
        spans[i] = value;
    }
    return true;
}

static bool find_member(struct scan *scan, struct store_span spans[static STORE_CUTS])
{
    bool plain;
    skip_space(scan);
    struct store_span key = {scan->at + 1, 0};
    if (!is_at(scan, '"') || !skip_text(scan, &plain) || !plain)
        return false;
    key.length = (size_t)(scan->at - key.text) - 1;
    if (!skip_mark(scan, ':'))
        return false;
    skip_space(scan);
    struct store_span value = {scan->at, 0};
    if (!skip_value(scan))
        return false;
    value.length = (size_t)(scan->at - value.text);
    return keep(&key, value, spans);
}

bool store_cut_find(const char *text, size_t length, struct store_span spans[static STORE_CUTS])
{
    struct scan scan = {text, text + length};
    memset(spans, 0, STORE_CUTS * sizeof *spans);
    bool found = skip_mark(&scan, '{');
    while (found && (found = find_member(&scan, spans)) && skip_mark(&scan, ','))
        ;
    found = found && skip_mark(&scan, '}');
    skip_space(&scan);
    found = found && scan.at == scan.end && (spans[STORE_CUT_CAUSE].text || spans[STORE_CUT_STACK].text);
    if (!found)
        memset(spans, 0, STORE_CUTS * sizeof *spans);
    return found;
}

/* The first span that begins at or behind `at`; NULL: none. */
static const struct store_span *next_span(const struct store_span *spans, const char *at)
{
    const struct store_span *next = NULL;
    for (size_t i = 0; i < STORE_CUTS; ++i)
        if (spans[i].text && spans[i].text >= at && (!next || spans[i].text < next->text))
            next = &spans[i];
    return next;
}

static char *put(char *to, const char *from, size_t length)
{
    memcpy(to, from, length);
    return to + length;
}

char *store_cut_rest(const char *text, size_t length, const struct store_span spans[static STORE_CUTS],
                     size_t *rest_length)
{
    const char *at = text;
    const struct store_span *span;
    char *rest = malloc(length + STORE_CUTS * strlen("null") + 1), *to = rest;
    if (!rest)
        return NULL;
    while ((span = next_span(spans, at))) {
        to = put(to, at, (size_t)(span->text - at));
        to = put(to, "null", strlen("null"));
        at = span->text + span->length;
    }
    to = put(to, at, (size_t)(text + length - at));
    *to = '\0';
    *rest_length = (size_t)(to - rest);
    return rest;
}

bool store_cut_load(const char *text, size_t length, size_t flags, struct store_span spans[static STORE_CUTS],
                    json_t **json)
{
    if (!store_cut_find(text, length, spans))
        return store_json_load(text, length, flags, json);
    char *rest = store_cut_rest(text, length, spans, &length);
    *json = NULL;
    bool known = rest && store_json_load(rest, length, flags, json);
    free(rest);
    return known;
}

bool store_cut_counts(const struct store_span *value)
{
    struct scan scan = {value->text, value->text + value->length};
    if (!skip_mark(&scan, '{') && !skip_mark(&scan, '['))
        return false;
    skip_space(&scan);
    return scan.at < scan.end && !is_closing(*scan.at);
}

char *store_cut_join(char *object, char *const values[static STORE_CUTS])
{
    size_t length = strlen(object), more = 0;
    for (size_t i = 0; i < STORE_CUTS; ++i)
        more += values[i] ? strlen(values[i]) + strlen(store_cut_names[i]) + strlen(",\"\":") : 0;
    char *text = more > 0 ? realloc(object, length + more + 1) : object;
    if (!text) {
        free(object);
        return NULL;
    }
    char *to = text + length - 1; /* the object's end */
    for (size_t i = 0; i < STORE_CUTS; ++i) {
        if (!values[i])
            continue;
        to = put(to, ",\"", 2);
        to = put(to, store_cut_names[i], strlen(store_cut_names[i]));
        to = put(to, "\":", 2);
        to = put(to, values[i], strlen(values[i]));
    }
    *to++ = '}';
    *to = '\0';
    return text;
}
