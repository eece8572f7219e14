/* SPDX-License-Identifier: Apache-2.0 */
#include "service/platform/windows/log_line.h"

#include "messages.h"

#include <windows.h>

#include <string.h>

static int digit(char c)
{
    static const char digits[] = "0123456789ABCDEF";
    const char *found = c != '\0' ? strchr(digits, c) : NULL;
    return found ? (int)(found - digits) : -1;
}

/* Returns the byte of an escape, and advances behind the escape. */
static char unescape(const char **at, const char *end)
{
    char c = *(*at)++;
    if (c != '\\' || *at == end)
        return c;
    c = *(*at)++;
    if (c == 'x' && end - *at >= 2 && digit((*at)[0]) >= 0 && digit((*at)[1]) >= 0) {
        c = (char)(digit((*at)[0]) * 16 + digit((*at)[1]));
        *at += 2;
        return c;
    }
    return c == 'n' ? '\n' : c == 'r' ? '\r' : c == 't' ? '\t' : c;
}

/* Takes a value: up to the next blank, or its closing quote. */
static const char *take_value(const char *at, const char *end, char *out, size_t size)
{
    size_t used = 0;
    bool quoted = at < end && *at == '"';
    at += quoted;
    while (at < end && *at != (quoted ? '"' : ' ') && *at != '\n') {
        char c = quoted ? unescape(&at, end) : *at++;
        if (used + 1 < size && c != '\0')
            out[used++] = c;
    }
    if (size > 0)
        out[used] = '\0';
    return at < end && quoted ? at + 1 : at;
}

bool log_line_value(const char *line, size_t length, const char *key, char *out, size_t size)
{
    const char *at = line, *end = line + length;
    size_t key_length = strlen(key);
    while (at < end) {
        const char *name = at;
        while (at < end && *at != '=' && *at != ' ')
            ++at;
        bool found = (size_t)(at - name) == key_length && memcmp(name, key, key_length) == 0;
        if (at < end && *at == '=')
            at = take_value(at + 1, end, out, found ? size : 0);
        if (found)
            return true;
        while (at < end && *at == ' ')
            ++at;
    }
    if (size > 0)
        out[0] = '\0';
    return false;
}

void log_line_message(const char *line, size_t length, char *out, size_t size)
{
    if (!log_line_value(line, length, "mistake", out, size) && !log_line_value(line, length, "advice", out, size))
        (void)log_line_value(line, length, "msg", out, size);
}

struct kind {
    const char *key, *begins; /* the value of this key begins so */
    DWORD event;
};

/* The first match counts. windows/messages checks that each message occurs in the sources. */
static const struct kind kinds[] = {
    {"verdict", "written", EVENT_DUMP_WRITTEN},
    {"verdict", "failed", EVENT_DUMP_FAILED},
    {"verdict", "unknown", EVENT_DUMP_UNKNOWN},
    {"verdict", "not_started", EVENT_DUMP_NOT_STARTED},
    {"msg", "serving", EVENT_STARTED},
    {"msg", "stopping", EVENT_STOPPING},
    {"msg", "configuration read again", EVENT_CONFIGURATION_READ},
    {"msg", "the configuration is right, and perhaps", EVENT_CONFIGURATION_ADVICE},
    {"msg", "configuration", EVENT_CONFIGURATION_WRONG},
    {"msg", "a machine at ", EVENT_KEY_UNKNOWN},
    {"msg", "further pokes with unknown keys", EVENT_KEY_UNKNOWN},
    {"msg", "cannot listen", EVENT_LISTENER},
    {"msg", "datagrams cannot be received here", EVENT_LISTENER},
    {"msg", "no machine is heard at this listener", EVENT_LISTENER},
    {"msg", "no listener can be opened", EVENT_LISTENER},
    {"msg", "none of the new listeners can be opened", EVENT_LISTENER},
    {"msg", "out of memory: a listener is not opened", EVENT_LISTENER},
    {"msg", "result", EVENT_RESULTS},
};

void log_line_neutralise(wchar_t *text)
{
    for (; *text; ++text)
        if (*text == L'%' && (text[1] == L'%' || (text[1] >= L'0' && text[1] <= L'9')))
            *text = LOG_LINE_PERCENT;
}

static DWORD kind_of(const char *line, size_t length)
{
    char value[64];
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; ++i)
        if (log_line_value(line, length, kinds[i].key, value, sizeof value) &&
            strncmp(value, kinds[i].begins, strlen(kinds[i].begins)) == 0)
            return kinds[i].event;
    return 0;
}

/* Whether an ID is reported at any level; others need their line's level. */
static bool is_told_at_notice(DWORD event)
{
    return event == EVENT_DUMP_WRITTEN || event == EVENT_STARTED || event == EVENT_STOPPING ||
           event == EVENT_CONFIGURATION_READ;
}

unsigned long log_line_event(const char *line, size_t length, unsigned short *type)
{
    char level[16];
    DWORD event = kind_of(line, length);
    (void)log_line_value(line, length, "level", level, sizeof level);
    bool is_error = strcmp(level, "error") == 0, is_warning = strcmp(level, "warning") == 0;
    if (event == EVENT_DUMP_FAILED)
        is_error = true;
    *type = is_error ? EVENTLOG_ERROR_TYPE : is_warning ? EVENTLOG_WARNING_TYPE : EVENTLOG_INFORMATION_TYPE;
    if (event != 0 && (is_error || is_warning || is_told_at_notice(event)))
        return event;
    return is_error ? EVENT_ERROR_OTHER : is_warning ? EVENT_WARNING_OTHER : 0;
}
