/* SPDX-License-Identifier: Apache-2.0 */
#include "service/http/query.h"

#include <stdlib.h>
#include <string.h>

#define SECOND_US    UINT64_C(1000000)
#define LONGEST_S    (UINT64_C(100) * 366 * 86400)
#define DAY_S        86400
#define LAST_YEAR    9999U
#define FIRST_YEAR   1970U
#define DAYS_400     146097U /* in 400 years */
#define TO_1970_DAYS 719468U /* from 0000-03-01 */
#define FRACTION_MAX 6

static int digit_of(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

size_t query_character(const char *text)
{
    const unsigned char *at = (const unsigned char *)text;
    if (at[0] < 0x80)
        return 1;
    size_t length = at[0] >= 0xf0 ? 4 : at[0] >= 0xe0 ? 3 : 2;
    if (at[0] < 0xc2 || at[0] > 0xf4)
        return 0;
    for (size_t i = 1; i < length; ++i)
        if ((at[i] & 0xc0) != 0x80)
            return 0;
    bool overlong = (at[0] == 0xe0 && at[1] < 0xa0) || (at[0] == 0xf0 && at[1] < 0x90);
    bool surrogate = at[0] == 0xed && at[1] >= 0xa0;
    bool beyond = at[0] == 0xf4 && at[1] >= 0x90;
    return overlong || surrogate || beyond ? 0 : length;
}

bool query_is_text(const char *text)
{
    while (*text != '\0') {
        const unsigned char *at = (const unsigned char *)text;
        size_t length = at[0] < ' ' || at[0] == 0x7f ? 0 : query_character(text);
        if (length == 0 || (at[0] == 0xc2 && at[1] < 0xa0))
            return false;
        text += length;
    }
    return true;
}

bool query_decode(char *text, bool plus)
{
    char *out = text;
    for (const char *at = text; *at != '\0'; ++at) {
        char c = *at;
        if (c == '%') {
            int high = digit_of(at[1]), low = high < 0 ? -1 : digit_of(at[2]);
            if (low < 0 || high * 16 + low == 0)
                return false;
            c = (char)(high * 16 + low);
            at += 2;
        } else if (c == '+' && plus) {
            c = ' ';
        }
        *out++ = c;
    }
    *out = '\0';
    return query_is_text(text);
}

static const char *take(struct query *out, char *part)
{
    char *equals = strchr(part, '=');
    if (out->count == QUERY_MAX)
        return "there are more than 64 parameters; ask for less at a time";
    if (equals)
        *equals = '\0';
    char *value = equals ? equals + 1 : part + strlen(part);
    if (!query_decode(part, true) || !query_decode(value, true))
        return "a parameter has a broken percent escape, a control character, or is not UTF-8";
    out->of[out->count++] = (struct query_parameter){part, value};
    return NULL;
}

const char *query_parse(const char *text, struct query *out)
{
    const char *error = NULL;
    *out = (struct query){.text = text ? strdup(text) : NULL};
    if (!text)
        return NULL;
    if (!out->text)
        return "out of memory";
    for (char *part = out->text, *next = NULL; part && !error; part = next) {
        next = strchr(part, '&');
        if (next)
            *next++ = '\0';
        if (part[0] != '\0')
            error = take(out, part);
    }
    if (error)
        query_clear(out);
    return error;
}

void query_clear(struct query *query)
{
    free(query->text);
    *query = (struct query){.text = NULL};
}

const char *query_get(const struct query *query, const char *name, size_t index)
{
    for (size_t i = 0; i < query->count; ++i)
        if (strcmp(query->of[i].name, name) == 0 && index-- == 0)
            return query->of[i].value;
    return NULL;
}

size_t query_count(const struct query *query, const char *name)
{
    size_t count = 0;
    for (size_t i = 0; i < query->count; ++i)
        count += strcmp(query->of[i].name, name) == 0;
    return count;
}

bool query_number(const char *text, uint64_t least, uint64_t most, uint64_t *out)
{
    uint64_t number = 0;
    const char *at = text;
    for (; *at >= '0' && *at <= '9' && at - text < 18; ++at)
        number = number * 10 + (uint64_t)(*at - '0');
    if (at == text || *at != '\0' || number < least || number > most)
        return false;
    *out = number;
    return true;
}

bool query_duration(const char *text, uint64_t *microseconds)
{
    static const struct {
        char unit;
        uint64_t seconds;
    } units[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', DAY_S}, {'w', 7 * DAY_S}};
    uint64_t number = 0;
    const char *at = text;
    for (; *at >= '0' && *at <= '9' && at - text < 10; ++at)
        number = number * 10 + (uint64_t)(*at - '0');
    if (at == text || at[0] == '\0' || at[1] != '\0')
        return false;
    for (size_t i = 0; i < sizeof units / sizeof units[0]; ++i)
        if (units[i].unit == *at && number <= LONGEST_S / units[i].seconds) {
            *microseconds = number * units[i].seconds * SECOND_US;
            return true;
        }
    return false;
}

/* `count` digits; false: they are not there. */
static bool digits(const char **at, int count, unsigned *out)
{
    unsigned number = 0;
    for (int i = 0; i < count; ++i) {
        char c = (*at)[i];
        if (c < '0' || c > '9')
            return false;
        number = number * 10 + (unsigned)(c - '0');
    }
    *at += count;
    *out = number;
    return true;
}

static bool sign(const char **at, char expected)
{
    return *(*at)++ == expected;
}

struct date {
    unsigned year, month, day, hour, minute, second;
};

static bool take_date(const char **at, struct date *out)
{
    return digits(at, 4, &out->year) && sign(at, '-') && digits(at, 2, &out->month) && sign(at, '-') &&
           digits(at, 2, &out->day) && (**at == 'T' || **at == 't' || **at == ' ') && ++*at &&
           digits(at, 2, &out->hour) && sign(at, ':') && digits(at, 2, &out->minute) && sign(at, ':') &&
           digits(at, 2, &out->second);
}

static bool is_date(const struct date *d)
{
    static const unsigned char days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (d->year % 4 == 0 && d->year % 100 != 0) || d->year % 400 == 0;
    if (d->year < FIRST_YEAR || d->year > LAST_YEAR || d->month < 1 || d->month > 12)
        return false;
    unsigned most = days[d->month - 1] + (leap && d->month == 2 ? 1U : 0U);
    return d->day >= 1 && d->day <= most && d->hour < 24 && d->minute < 60 && d->second <= 60;
}

/* Days from 1970-01-01, with years that start in March. */
static int64_t day_number(const struct date *d)
{
    unsigned year = d->month <= 2 ? d->year - 1 : d->year;
    unsigned era = year / 400, in_era = year % 400;
    unsigned in_year = (153 * (d->month > 2 ? d->month - 3 : d->month + 9) + 2) / 5 + d->day - 1;
    return (int64_t)era * DAYS_400 + in_era * 365 + in_era / 4 - in_era / 100 + in_year - (int64_t)TO_1970_DAYS;
}

static bool take_fraction(const char **at, uint64_t *microseconds)
{
    uint64_t unit = SECOND_US / 10;
    *microseconds = 0;
    if (**at != '.')
        return true;
    const char *first = ++*at;
    for (; **at >= '0' && **at <= '9' && *at - first < 18; ++*at, unit /= 10)
        *microseconds += (uint64_t)(**at - '0') * unit;
    return *at != first;
}

/* Z, or +hh:mm, whose + a query without %2B has as a blank. */
static bool take_zone(const char **at, int64_t *seconds)
{
    char first = *(*at)++;
    unsigned hour = 0, minute = 0;
    *seconds = 0;
    if (first == 'Z' || first == 'z')
        return **at == '\0';
    if (first != '+' && first != '-' && first != ' ')
        return false;
    if (!digits(at, 2, &hour) || !sign(at, ':') || !digits(at, 2, &minute) || hour > 23 || minute > 59)
        return false;
    *seconds = (int64_t)(hour * 3600 + minute * 60) * (first == '-' ? -1 : 1);
    return **at == '\0';
}

static bool parse_date(const char *text, uint64_t *out)
{
    struct date date;
    uint64_t fraction = 0;
    int64_t zone = 0;
    if (!take_date(&text, &date) || !is_date(&date) || !take_fraction(&text, &fraction) || !take_zone(&text, &zone))
        return false;
    int64_t seconds = day_number(&date) * DAY_S + (int64_t)(date.hour * 3600 + date.minute * 60 + date.second) - zone;
    if (seconds < 0)
        return false;
    *out = (uint64_t)seconds * SECOND_US + fraction;
    return true;
}

bool query_time(const char *text, uint64_t now_us, uint64_t *out)
{
    uint64_t back_us = 0;
    if (!query_duration(text, &back_us))
        return parse_date(text, out);
    *out = back_us < now_us ? now_us - back_us : 0;
    return true;
}
