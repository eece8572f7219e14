/* SPDX-License-Identifier: Apache-2.0 */
#include "service/kdnetctl/times.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static bool read_digits(const char **at, int count, int least, int most, int *out)
{
    int value = 0;
    for (int i = 0; i < count; ++i, ++*at) {
        if (**at < '0' || **at > '9')
            return false;
        value = value * 10 + (**at - '0');
    }
    *out = value;
    return value >= least && value <= most;
}

static bool read_mark(const char **at, char mark)
{
    return *(*at)++ == mark;
}

static bool read_fraction(const char **at, int64_t *out_us)
{
    int64_t unit = 100000;
    *out_us = 0;
    if (**at != '.')
        return true;
    for (++*at; **at >= '0' && **at <= '9'; ++*at, unit /= 10)
        *out_us += (**at - '0') * unit;
    return true;
}

bool times_parse(const char *text, int64_t *out_us)
{
    struct tm calendar = {0};
    int64_t micros;
    bool good = read_digits(&text, 4, 1970, 9999, &calendar.tm_year) && read_mark(&text, '-') &&
                read_digits(&text, 2, 1, 12, &calendar.tm_mon) && read_mark(&text, '-') &&
                read_digits(&text, 2, 1, 31, &calendar.tm_mday) && read_mark(&text, 'T') &&
                read_digits(&text, 2, 0, 23, &calendar.tm_hour) && read_mark(&text, ':') &&
                read_digits(&text, 2, 0, 59, &calendar.tm_min) && read_mark(&text, ':') &&
                read_digits(&text, 2, 0, 60, &calendar.tm_sec) && read_fraction(&text, &micros) &&
                read_mark(&text, 'Z') && *text == '\0';
    if (!good)
        return false;
    calendar.tm_year -= 1900;
    calendar.tm_mon -= 1;
    *out_us = (int64_t)timegm(&calendar) * 1000000 + micros;
    return true;
}

/* "+01:00". Windows' strftime has no such form. */
static void add_zone(char *text, size_t size, const struct tm *local, time_t second)
{
    struct tm calendar = *local;
    long minutes = (long)((timegm(&calendar) - second) / 60), most = labs(minutes);
    (void)snprintf(text, size, "%c%02ld:%02ld", minutes < 0 ? '-' : '+', most / 60, most % 60);
}

const char *times_format(int64_t time_us, bool utc, char out[static TIMES_SIZE])
{
    time_t second = (time_t)(time_us / 1000000);
    struct tm calendar;
    if (!(utc ? gmtime_r(&second, &calendar) : localtime_r(&second, &calendar)))
        return strcpy(out, "-"); // NOLINT(clang-analyzer-security.insecureAPI.strcpy): two bytes
    size_t length = strftime(out, TIMES_SIZE, utc ? "%Y-%m-%d %H:%M:%SZ" : "%Y-%m-%d %H:%M:%S", &calendar);
    if (!utc)
        add_zone(out + length, TIMES_SIZE - length, &calendar, second);
    return out;
}

const char *times_local(const char *text, bool utc, char out[static TIMES_SIZE])
{
    int64_t time_us;
    if (text && times_parse(text, &time_us))
        return times_format(time_us, utc, out);
    (void)snprintf(out, TIMES_SIZE, "-");
    return out;
}

bool times_parse_duration(const char *text, int64_t *out_ms)
{
    static const struct {
        const char *name;
        int64_t ms;
    } units[] = {{"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", 86400000}};
    size_t digits = strspn(text, "0123456789");
    if (digits == 0 || digits > 9)
        return false;
    for (size_t i = 0; i < sizeof units / sizeof units[0]; ++i)
        if (strcmp(text + digits, units[i].name) == 0) {
            *out_ms = strtoll(text, NULL, 10) * units[i].ms;
            return true;
        }
    return false;
}

const char *times_duration(double ms, char out[static TIMES_SIZE])
{
    if (ms < 1000)
        (void)snprintf(out, TIMES_SIZE, "%.1f ms", ms);
    else if (ms < 120e3)
        (void)snprintf(out, TIMES_SIZE, "%.1f s", ms / 1e3);
    else if (ms < 7200e3)
        (void)snprintf(out, TIMES_SIZE, "%.0f min", ms / 60e3);
    else if (ms < 172800e3)
        (void)snprintf(out, TIMES_SIZE, "%.0f h", ms / 3600e3);
    else
        (void)snprintf(out, TIMES_SIZE, "%.0f d", ms / 86400e3);
    return out;
}
