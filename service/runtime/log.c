/* SPDX-License-Identifier: Apache-2.0 */
#include "config/characters.h"
#include "service/runtime/log.h"
#include "service/platform/platform.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ESCAPE_MAX    4    /* \xNN */
#define CHARACTER_MAX 4    /* bytes of a character */
#define PIECE_SIZE    4096 /* bytes of a piece; most lines are shorter */
#define NS_A_MS       UINT64_C(1000000)

static atomic_int log_level = CONFIG_LOG_NOTICE;
static uv_once_t log_once = UV_ONCE_INIT;
static uv_mutex_t log_lock; /* of standard error, and of the count */
static uint64_t log_dropped;
static bool log_torn; /* the last written line lacks its end */

static void make_lock(void)
{
    if (uv_mutex_init(&log_lock) != 0)
        abort(); /* at the first line of all */
}

/* syslog's numbers, as systemd reads them. */
static const char *priority(enum config_log_level level)
{
    switch (level) {
    case CONFIG_LOG_ERROR:
        return "<3>";
    case CONFIG_LOG_WARNING:
        return "<4>";
    case CONFIG_LOG_NOTICE:
        return "<5>";
    case CONFIG_LOG_INFO:
        return "<6>";
    case CONFIG_LOG_DEBUG:
    default:
        return "<7>";
    }
}

void log_set_level(enum config_log_level level)
{
    atomic_store_explicit(&log_level, (int)level, memory_order_relaxed);
}

bool log_is_on(enum config_log_level level)
{
    return (int)level <= atomic_load_explicit(&log_level, memory_order_relaxed);
}

static bool is_plain(unsigned char c)
{
    if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'))
        return true;
    switch (c) {
    case '.':
    case ':':
    case '/':
    case '@':
    case '+':
    case '-':
    case '_':
    case '[':
    case ']':
    case '%':
    case ',':
    case '(':
    case ')':
        return true;
    default:
        return false;
    }
}

static size_t escape(unsigned char c, char out[static ESCAPE_MAX + 1])
{
    if (is_plain(c) || c == ' ') { /* nearly all */
        out[0] = (char)c;
        return 1;
    }
    static const char digits[] = "0123456789ABCDEF";
    static const char names[] = "\"\"\\\\\nn\rr\tt"; /* pairs: a byte, and the letter of its escape */
    for (size_t i = 0; i + 1 < sizeof names; i += 2)
        if (c == (unsigned char)names[i]) {
            out[0] = '\\';
            out[1] = names[i + 1];
            return 2;
        }
    if (c >= ' ' && c < 0x7f) {
        out[0] = (char)c;
        return 1;
    }
    out[0] = '\\';
    out[1] = 'x';
    out[2] = digits[c >> 4];
    out[3] = digits[c & 15];
    return ESCAPE_MAX;
}

/* Writes a character of `count` bytes whole, or not at all: false. */
static bool put_escaped(char *out, size_t size, size_t *used, const char *character, size_t count)
{
    char escaped[CHARACTER_MAX * ESCAPE_MAX + 1];
    size_t length = 0;
    for (size_t i = 0; i < count; ++i)
        length += escape((unsigned char)character[i], escaped + length);
    if (size - *used < length + 1)
        return false;
    memcpy(out + *used, escaped, length);
    *used += length;
    return true;
}

void log_quote(char *out, size_t size, size_t *used, const char *value, size_t length)
{
    bool plain = length > 0;
    for (size_t i = 0; i < length && plain; ++i)
        plain = is_plain((unsigned char)value[i]);
    if (plain) {
        size_t room = size - *used, count = length < room ? length : room;
        memcpy(out + *used, value, count);
        *used += count;
        return;
    }
    if (size - *used < 2)
        return;
    out[(*used)++] = '"';
    for (size_t i = 0; i < length;) {
        size_t count = characters_take(value + i, length - i);
        count = count > 0 ? count : 1;
        if (!put_escaped(out, size, used, value + i, count))
            break;
        i += count;
    }
    out[(*used)++] = '"';
}

/* A byte is kept for the end of the line. */
#define ROOM (LOG_LINE_SIZE - 1)

static void append(struct log_line *line, const char *text)
{
    size_t length = strlen(text);
    if (length > ROOM - line->length)
        length = ROOM - line->length;
    memcpy(line->text + line->length, text, length);
    line->length += length;
}

static void key(struct log_line *line, const char *name)
{
    append(line, " ");
    append(line, name);
    append(line, "=");
}

void log_begin(struct log_line *line, enum config_log_level level, const char *message)
{
    line->off = !log_is_on(level);
    line->length = 0;
    if (line->off)
        return;
    if (getenv("JOURNAL_STREAM"))
        append(line, priority(level));
    append(line, "level=");
    append(line, config_log_level_name(level));
    log_text(line, "msg", message);
}

void log_bytes(struct log_line *line, const char *name, const char *value, size_t length)
{
    if (line->off)
        return;
    key(line, name);
    log_quote(line->text, ROOM, &line->length, value, length);
}

void log_text(struct log_line *line, const char *name, const char *value)
{
    if (value)
        log_bytes(line, name, value, strlen(value));
}

void log_number(struct log_line *line, const char *name, uint64_t value)
{
    char text[24];
    (void)snprintf(text, sizeof text, "%" PRIu64, value);
    log_text(line, name, text);
}

void log_hex(struct log_line *line, const char *name, uint64_t value, int digits)
{
    char text[24];
    (void)snprintf(text, sizeof text, "0x%0*" PRIX64, digits, value);
    log_text(line, name, text);
}

void log_milliseconds(struct log_line *line, const char *name, uint64_t microseconds)
{
    char text[32];
    (void)snprintf(text, sizeof text, "%" PRIu64 ".%03" PRIu64, microseconds / 1000, microseconds % 1000);
    log_text(line, name, text);
}

static void write_dropped(void)
{
    char text[96];
    int length = snprintf(text, sizeof text, "%slevel=warning msg=\"log lines were dropped\" count=%" PRIu64 "\n",
                          log_torn ? "\n" : "", log_dropped);
    if (length < 0 || !platform_write_log(text, (size_t)length))
        return;
    log_dropped = 0;
    log_torn = false;
}

void log_end(struct log_line *line)
{
    if (line->off)
        return;
    line->text[line->length++] = '\n';
    uv_once(&log_once, make_lock);
    uv_mutex_lock(&log_lock);
    if (log_dropped > 0)
        write_dropped();
    if (!platform_write_log(line->text, line->length))
        ++log_dropped;
    uv_mutex_unlock(&log_lock);
}

/* Writes in pieces that a pipe takes atomically. */
static bool write_pieces(const char *text, size_t length, unsigned wait_ms)
{
    uint64_t until_ns = wait_ms > 0 ? uv_hrtime() + wait_ms * NS_A_MS : 0; /* a sleep of 1 ms takes 16 on Windows */
    for (size_t at = 0; at < length;) {
        size_t piece = length - at < PIECE_SIZE ? length - at : PIECE_SIZE;
        if (platform_write_log(text + at, piece)) {
            at += piece;
        } else if (wait_ms > 0 && uv_hrtime() < until_ns) {
            uv_sleep(1);
        } else {
            log_torn = log_torn || at > 0;
            return false;
        }
    }
    return true;
}

bool log_whole(enum config_log_level level, const char *message, const char *name, const char *value, size_t length,
               unsigned wait_ms)
{
    struct log_line line;
    log_begin(&line, level, message);
    if (line.off)
        return false;
    key(&line, name);
    size_t used = line.length, size = line.length + ESCAPE_MAX * length + 3;
    char *text = malloc(size);
    if (!text)
        return false;
    memcpy(text, line.text, line.length);
    log_quote(text, size - 1, &used, value, length);
    text[used++] = '\n';
    uv_once(&log_once, make_lock);
    uv_mutex_lock(&log_lock);
    if (log_dropped > 0)
        write_dropped();
    bool written = write_pieces(text, used, wait_ms);
    log_dropped += !written;
    uv_mutex_unlock(&log_lock);
    free(text);
    return written;
}

void log_plain(enum config_log_level level, const char *message)
{
    struct log_line line;
    log_begin(&line, level, message);
    log_end(&line);
}
