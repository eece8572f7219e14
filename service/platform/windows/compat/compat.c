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

struct tm *compat_gmtime_r(const time_t *clock, struct tm *out)
{
    return gmtime_s(out, clock) == 0 ? out : NULL;
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
    return _mkgmtime(utc);
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
