/* SPDX-License-Identifier: Apache-2.0 */
#include "service/symbols/url.h"

#include <stdint.h>
#include <string.h>
#include <strings.h>

bool symbol_url_is(const char *text)
{
    return strncasecmp(text, "http://", 7) == 0 || strncasecmp(text, "https://", 8) == 0;
}

bool symbol_url_is_insecure(const char *url)
{
    return strncasecmp(url, "http://", 7) == 0;
}

const char *symbol_url_mistake(const char *url)
{
    const char *host = strncmp(url, "http://", 7) == 0 ? url + 7 : strncmp(url, "https://", 8) == 0 ? url + 8 : NULL;
    if (!host && symbol_url_is(url))
        return "write http:// and https:// in small letters";
    if (!host || *host == 0 || *host == '/')
        return "must be http://HOST/... or https://HOST/...";
    if (strchr(url, '@'))
        return "a URL with a user or password is not taken; use a server that needs none, or a folder";
    if (strpbrk(url, "?#\\\"<>"))
        return "a URL without query, fragment, quotes and backslashes is needed";
    if (strlen(url) > SYMBOL_URL_MAX)
        return "a URL of at most 1024 characters is needed";
    for (const char *c = url; *c; ++c)
        if (*c <= ' ' || *c > '~')
            return "spaces and non-ASCII characters in a URL must be percent-encoded, as %20";
    return NULL;
}

/* Returns the end of the user and password that begin at `start`; NULL: none. A password may contain any character
 * but those that end a place. */
static const char *user_end(const char *start)
{
    const char *end = NULL;
    for (const char *c = start; *c && *c != '*' && *c != ';'; ++c)
        if (*c == '@')
            end = c;
    return end;
}

static void put(char *out, size_t size, size_t *length, char c)
{
    if (*length + 1 < size)
        out[(*length)++] = c;
}

void symbol_url_redact(const char *place, char *out, size_t size)
{
    size_t length = 0;
    if (size == 0)
        return;
    for (const char *c = place; *c; ++c) {
        put(out, size, &length, *c);
        const char *end = c - place >= 2 && strncmp(c - 2, "://", 3) == 0 ? user_end(c + 1) : NULL;
        for (unsigned i = 0; end && i < 3; ++i)
            put(out, size, &length, '*');
        c = end ? end - 1 : c;
    }
    out[length] = 0;
}
