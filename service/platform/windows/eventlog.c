/* SPDX-License-Identifier: Apache-2.0 */
/* Lines go through a ring to a thread of their own: neither a disk nor the Event Log holds up a worker. */
#include "service/platform/windows/eventlog.h"
#include "service/platform/windows/log_line.h"
#include "service/platform/windows/logfile.h"

#include "messages.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RING_BYTES   (1U << 20)
#define LINE_MAX     4096U
#define STRINGS      10
#define STRING_SIZE  (LINE_MAX + 1) /* the last string is a whole line */
#define EVENTS_BURST 200U           /* to the Event Log, at once; then EVENTS_RATE a second. All are in the file */
#define EVENTS_RATE  20U

struct eventlog {
    atomic_bool open;
    CRITICAL_SECTION lock; /* of the ring */
    CONDITION_VARIABLE news;
    char *ring;
    size_t begin, used; /* bytes */
    bool ends;
    HANDLE thread;
    HANDLE source; /* NULL: the Event Log does not know us */
    struct logfile file;
    ULONGLONG refilled_ms;
    unsigned tokens, lost;
};

static struct eventlog eventlog;

static void copy_in(const void *bytes, size_t length)
{
    const char *from = bytes;
    for (size_t i = 0; i < length; ++i)
        eventlog.ring[(eventlog.begin + eventlog.used + i) % RING_BYTES] = from[i];
    eventlog.used += length;
}

static void copy_out(void *bytes, size_t length)
{
    char *to = bytes;
    for (size_t i = 0; i < length; ++i)
        to[i] = eventlog.ring[(eventlog.begin + i) % RING_BYTES];
    eventlog.begin = (eventlog.begin + length) % RING_BYTES;
    eventlog.used -= length;
}

/* What is no UTF-8, as a text of a machine may be, becomes U+FFFD: the rest of the text counts. NULL: out of memory. */
static wchar_t *wide_of(const char *text)
{
    int length = MultiByteToWideChar(CP_UTF8, 0, text, -1, NULL, 0);
    wchar_t *wide = length > 0 ? malloc((size_t)length * sizeof *wide) : NULL;
    if (!wide)
        return NULL;
    (void)MultiByteToWideChar(CP_UTF8, 0, text, -1, wide, length);
    log_line_neutralise(wide);
    return wide;
}

static void tell_event(DWORD event, WORD type, char texts[STRINGS][STRING_SIZE], WORD count)
{
    wchar_t *wide[STRINGS];
    for (WORD i = 0; i < count; ++i)
        wide[i] = wide_of(texts[i]);
    const wchar_t *strings[STRINGS];
    for (WORD i = 0; i < count; ++i)
        strings[i] = wide[i] ? wide[i] : L"";
    if (!ReportEventW(eventlog.source, type, 0, event, NULL, count, 0, strings, NULL))
        ++eventlog.lost;
    for (WORD i = 0; i < count; ++i)
        free(wide[i]);
}

static bool may_tell(void)
{
    ULONGLONG now_ms = GetTickCount64();
    ULONGLONG more = (now_ms - eventlog.refilled_ms) * EVENTS_RATE / 1000;
    if (more > 0) {
        eventlog.tokens = eventlog.tokens + more < EVENTS_BURST ? eventlog.tokens + (unsigned)more : EVENTS_BURST;
        eventlog.refilled_ms = now_ms;
    }
    if (eventlog.tokens == 0)
        return false;
    --eventlog.tokens;
    return true;
}

static void tell_lost(void)
{
    static char texts[STRINGS][STRING_SIZE];
    (void)snprintf(texts[0], STRING_SIZE, "%u", eventlog.lost);
    eventlog.lost = 0;
    tell_event(EVENT_LINES_LOST, EVENTLOG_WARNING_TYPE, texts, 1);
}

/* Results of crashes are never rate-limited: each is of one machine's crash. */
static void tell_line(const char *line, size_t length)
{
    static const char *const keys[STRINGS - 2] = {"target",   "verdict",       "status", "status_name",
                                                  "bugcheck", "bugcheck_name", "phase",  "address"};
    static char texts[STRINGS][STRING_SIZE]; /* used by the one thread */
    WORD type = 0;
    DWORD event = log_line_event(line, length, &type);
    if (event == 0 || !eventlog.source)
        return;
    if (!may_tell() && (event < EVENT_DUMP_WRITTEN || (event & 0xffff) / 100 != 11)) {
        ++eventlog.lost;
        return;
    }
    if (eventlog.lost > 0)
        tell_lost();
    log_line_message(line, length, texts[0], STRING_SIZE);
    for (size_t i = 0; i + 2 < STRINGS; ++i)
        (void)log_line_value(line, length, keys[i], texts[i + 1], STRING_SIZE);
    (void)snprintf(texts[STRINGS - 1], STRING_SIZE, "%.*s", (int)(length > 0 ? length - 1 : 0), line);
    tell_event(event, type, texts, STRINGS);
}

static bool next_line(char line[static LINE_MAX + 64], size_t *length)
{
    unsigned short size = 0;
    EnterCriticalSection(&eventlog.lock);
    while (eventlog.used == 0 && !eventlog.ends)
        (void)SleepConditionVariableCS(&eventlog.news, &eventlog.lock, INFINITE);
    bool some = eventlog.used > 0;
    if (some) {
        copy_out(&size, sizeof size);
        copy_out(line, size);
    }
    LeaveCriticalSection(&eventlog.lock);
    *length = size;
    return some;
}

/* Puts the time ahead of a line. Returns how many bytes the whole has, at most size - 1. */
static size_t stamp(const char *line, size_t length, char *out, size_t size)
{
    SYSTEMTIME now;
    GetSystemTime(&now);
    int written = snprintf(out, size, "%04u-%02u-%02uT%02u:%02u:%02u.%03uZ %.*s", now.wYear, now.wMonth, now.wDay,
                           now.wHour, now.wMinute, now.wSecond, now.wMilliseconds, (int)length, line);
    return written < 0 ? 0 : (size_t)written < size ? (size_t)written : size - 1;
}

static DWORD WINAPI write_lines(void *user)
{
    static char stamped[LINE_MAX + 64];
    char line[LINE_MAX + 64];
    size_t length = 0;
    (void)user;
    while (next_line(line, &length)) {
        size_t whole = stamp(line, length, stamped, sizeof stamped);
        if (whole > 0)
            (void)logfile_write(&eventlog.file, stamped, whole);
        tell_line(line, length);
    }
    return 0;
}

/* The file may be about to be renamed: then this line is lost, or in the older one. */
bool eventlog_write_at_once(const char *text, size_t length)
{
    char stamped[512];
    DWORD written = 0;
    size_t whole = stamp(text, length, stamped, sizeof stamped);
    HANDLE file = eventlog.file.handle;
    return file && whole > 0 && WriteFile(file, stamped, (DWORD)whole, &written, NULL) && written == whole;
}

void eventlog_open(const wchar_t *folder)
{
    InitializeCriticalSection(&eventlog.lock);
    InitializeConditionVariable(&eventlog.news);
    eventlog.ring = malloc(RING_BYTES);
    if (!eventlog.ring)
        return;
    eventlog.tokens = EVENTS_BURST;
    eventlog.refilled_ms = GetTickCount64();
    eventlog.source = RegisterEventSourceW(NULL, EVENTLOG_SOURCE);
    if (folder)
        logfile_open(&eventlog.file, folder);
    eventlog.thread = CreateThread(NULL, 0, write_lines, NULL, 0, NULL);
    atomic_store(&eventlog.open, eventlog.thread != NULL);
}

bool eventlog_is_open(void)
{
    return atomic_load_explicit(&eventlog.open, memory_order_relaxed);
}

/* A text longer than a line is cut into pieces. */
bool eventlog_write_line(const char *text, size_t length)
{
    unsigned short size = (unsigned short)(length < LINE_MAX ? length : LINE_MAX);
    EnterCriticalSection(&eventlog.lock);
    bool fits = RING_BYTES - eventlog.used >= sizeof size + size;
    if (fits) {
        copy_in(&size, sizeof size);
        copy_in(text, size);
    }
    LeaveCriticalSection(&eventlog.lock);
    WakeConditionVariable(&eventlog.news);
    return fits;
}

void eventlog_close(unsigned wait_ms)
{
    if (!eventlog_is_open())
        return;
    EnterCriticalSection(&eventlog.lock);
    eventlog.ends = true;
    LeaveCriticalSection(&eventlog.lock);
    WakeConditionVariable(&eventlog.news);
    if (WaitForSingleObject(eventlog.thread, wait_ms) != WAIT_OBJECT_0)
        return; /* the Event Log hangs: the process ends all the same */
    atomic_store(&eventlog.open, false);
    logfile_close(&eventlog.file);
    if (eventlog.source)
        (void)DeregisterEventSource(eventlog.source);
}
