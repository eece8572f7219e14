/* SPDX-License-Identifier: Apache-2.0 */
#include "config/text_windows.h"
#include "service/platform/windows/compat/compat.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

void *compat_memmem(const void *in, size_t in_length, const void *what, size_t what_length)
{
    const char *bytes = in;
    for (size_t at = 0; what_length <= in_length && at <= in_length - what_length; ++at)
        if (memcmp(bytes + at, what, what_length) == 0)
            return (void *)(uintptr_t)(bytes + at);
    return NULL;
}

void *compat_memrchr(const void *in, int byte, size_t length)
{
    const unsigned char *bytes = in;
    while (length > 0)
        if (bytes[--length] == (unsigned char)byte)
            return (void *)(uintptr_t)(bytes + length);
    return NULL;
}

/* The calendar repeats itself after 400 years, and Windows' functions end with the year 3000: in the years behind, they
 * are asked for the same day of an earlier year. */
#define CYCLE_S     INT64_C(12622780800)
#define CYCLE_YEARS 400
#define YEAR_3000_S INT64_C(32503680000)

struct tm *compat_gmtime_r(const time_t *clock, struct tm *out)
{
    time_t earlier = *clock;
    int years = 0;
    for (; earlier >= YEAR_3000_S && years < 10000; years += CYCLE_YEARS)
        earlier -= CYCLE_S;
    if (gmtime_s(out, &earlier) != 0)
        return NULL;
    out->tm_year += years;
    return out;
}

struct tm *compat_localtime_r(const time_t *clock, struct tm *out)
{
    return localtime_s(out, clock) == 0 ? out : NULL;
}

char *compat_strndup(const char *text, size_t most)
{
    size_t length = strnlen(text, most);
    char *copy = malloc(length + 1);
    if (!copy)
        return NULL;
    memcpy(copy, text, length);
    copy[length] = '\0';
    return copy;
}

char *compat_strsep(char **rest, const char *delimiters)
{
    char *word = *rest;
    if (!word)
        return NULL;
    char *end = word + strcspn(word, delimiters);
    *rest = *end != '\0' ? end + 1 : NULL;
    *end = '\0';
    return word;
}

void compat_explicit_bzero(void *bytes, size_t length)
{
    SecureZeroMemory(bytes, length);
}

time_t compat_timegm(struct tm *utc)
{
    struct tm earlier = *utc;
    int64_t seconds = 0;
    for (; earlier.tm_year >= 3000 - 1900 && seconds < 25 * CYCLE_S; seconds += CYCLE_S)
        earlier.tm_year -= CYCLE_YEARS;
    time_t begun = _mkgmtime(&earlier);
    return begun == -1 ? begun : begun + seconds;
}

FILE *compat_fopen(const char *path, const char *mode)
{
    wchar_t *wide = text_to_path(path), *wide_mode = text_to_wide(mode);
    FILE *file = wide && wide_mode ? _wfopen(wide, wide_mode) : NULL;
    free(wide);
    free(wide_mode);
    return file;
}

/* The string is never freed, as with getenv. A few names are asked for, each once or twice. */
char *compat_getenv(const char *name)
{
    wchar_t *wide = text_to_wide(name);
    const wchar_t *value = wide ? _wgetenv(wide) : NULL;
    char *text = value ? text_from_wide(value) : NULL;
    free(wide);
    return text;
}
