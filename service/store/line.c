/* SPDX-License-Identifier: Apache-2.0 */
#include "service/store/line.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Days since 1970 of a Gregorian date: years start in March, so that leap days come last. */
static int64_t days_of(int64_t year, unsigned month, unsigned day)
{
    year -= month <= 2;
    int64_t era = year / 400;
    unsigned of_era = (unsigned)(year - era * 400);
    unsigned of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
    return era * 146097 + (int64_t)(of_era * 365 + of_era / 4 - of_era / 100 + of_year) - 719468;
}

/* `digits` decimal digits at *at, which is moved behind them. */
static bool take_number(const char **at, unsigned digits, unsigned *out)
{
    *out = 0;
    for (unsigned i = 0; i < digits; ++i, ++*at) {
        if (**at < '0' || **at > '9')
            return false;
        *out = *out * 10 + (unsigned)(**at - '0');
    }
    return true;
}

static bool take_mark(const char **at, char mark)
{
    return *(*at)++ == mark;
}

/* Parses an optional fraction into microseconds. */
static bool take_fraction(const char **at, unsigned *us)
{
    unsigned scale = 100000, digits = 0;
    *us = 0;
    if (**at != '.')
        return true;
    for (++*at; **at >= '0' && **at <= '9'; ++*at, scale /= 10, ++digits)
        *us += (unsigned)(**at - '0') * scale;
    return digits > 0 && digits <= 9;
}

bool store_time_parse(const char *text, uint64_t *time_us)
{
    unsigned year, month, day, hour, minute, second, us;
    const char *at = text;
    if (!take_number(&at, 4, &year) || !take_mark(&at, '-') || !take_number(&at, 2, &month) || !take_mark(&at, '-') ||
        !take_number(&at, 2, &day) || !take_mark(&at, 'T') || !take_number(&at, 2, &hour) || !take_mark(&at, ':') ||
        !take_number(&at, 2, &minute) || !take_mark(&at, ':') || !take_number(&at, 2, &second) ||
        !take_fraction(&at, &us) || !take_mark(&at, 'Z') || *at != '\0')
        return false;
    if (year < 1970 || month < 1 || month > 12 || day < 1 || day > 31 || hour > 23 || minute > 59 || second > 60)
        return false;
    uint64_t seconds = (uint64_t)days_of(year, month, day) * 86400 + hour * 3600 + minute * 60 + second;
    *time_us = seconds * 1000000 + us;
    return true;
}

/* Copies a text member; `may_be_null`: null is the empty text. */
static bool copy_text(const json_t *object, const char *key, bool may_be_null, char out[static STORE_TEXT_SIZE])
{
    const json_t *value = json_object_get(object, key);
    out[0] = '\0';
    if (!json_is_string(value))
        return may_be_null && (!value || json_is_null(value));
    size_t length = json_string_length(value);
    if (length == 0 || length >= STORE_TEXT_SIZE)
        return false;
    memcpy(out, json_string_value(value), length + 1);
    return true;
}

static bool keep_text(const char *text, char out[static STORE_TEXT_SIZE])
{
    size_t length = text ? strnlen(text, STORE_TEXT_SIZE) : 0;
    bool fits = length > 0 && length < STORE_TEXT_SIZE;
    memcpy(out, fits ? text : "", fits ? length + 1 : 1);
    return fits;
}

bool store_line_take(const char *text, size_t length, const struct store_facts *facts, struct store_line *out)
{
    out->text = text;
    out->length = length;
    out->root = NULL;
    memset(out->cut, 0, sizeof out->cut);
    out->no_memory = false;
    out->time_us = facts->time_us;
    return length <= STORE_LINE_MAX && keep_text(facts->id, out->id) && keep_text(facts->type, out->type) &&
           (keep_text(facts->target, out->target) || !facts->target) &&
           (keep_text(facts->crash, out->crash) || !facts->crash);
}

bool store_line_open(struct store_line *line)
{
    if (!line->root)
        line->no_memory = !store_cut_load(line->text, line->length, JSON_REJECT_DUPLICATES, line->cut, &line->root);
    return json_is_object(line->root);
}

bool store_line_parse(const char *text, size_t length, struct store_line *out)
{
    out->no_memory = false;
    if (length > STORE_LINE_MAX)
        return false;
    out->text = text;
    out->length = length;
    memset(out->cut, 0, sizeof out->cut);
    out->no_memory = !store_json_load(text, length, JSON_REJECT_DUPLICATES, &out->root);
    const char *time_text = store_json_text(out->root, "time");
    if (time_text && store_time_parse(time_text, &out->time_us) && copy_text(out->root, "id", false, out->id) &&
        copy_text(out->root, "event", false, out->type) && copy_text(out->root, "target", true, out->target) &&
        copy_text(out->root, "crash", true, out->crash))
        return true;
    store_line_clear(out);
    return false;
}

void store_line_clear(struct store_line *line)
{
    json_decref(line->root);
    line->root = NULL;
}

bool store_line_id(const char *text, size_t length, char out[static STORE_TEXT_SIZE])
{
    static const char mark[] = "\"id\":\"";
    const size_t mark_length = sizeof mark - 1;
    const char *end = text + length;
    for (const char *at = text; (size_t)(end - at) > mark_length; ++at) {
        at = memchr(at, '"', (size_t)(end - at) - mark_length);
        if (!at)
            return false;
        if (memcmp(at, mark, mark_length) != 0)
            continue;
        at += mark_length;
        const char *close = memchr(at, '"', (size_t)(end - at));
        if (!close || close == at || (size_t)(close - at) >= STORE_TEXT_SIZE)
            return false;
        memcpy(out, at, (size_t)(close - at));
        out[close - at] = '\0';
        return true;
    }
    return false;
}
