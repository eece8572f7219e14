/* SPDX-License-Identifier: Apache-2.0 */
/*
 * log: messages for people: one event a line on standard error, key=value.
 *
 *   level=notice msg="target connected" target=web-17 address=192.0.2.7:51111 version=5
 *
 * A line is built and then written:
 *
 *   struct log_line line;
 *   log_begin(&line, CONFIG_LOG_NOTICE, "target connected");
 *   log_text(&line, "target", name);
 *   log_end(&line);
 *
 * Text may come from a machine that has crashed, or from a stranger: one function quotes all of it. Writing never
 * waits: lines that standard error does not take are dropped and counted, and the count is logged later. Under systemd
 * (JOURNAL_STREAM is set) each line is prefixed with its priority. Thread: any.
 */
#ifndef SERVICE_LOG_H
#define SERVICE_LOG_H

#include "config/config.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LOG_LINE_SIZE 2048 /* longer lines are cut */

struct log_line {
    bool off; /* below the level: nothing is built */
    size_t length;
    char text[LOG_LINE_SIZE];
};

/* Sets the lowest level that is written. Default: notice. */
void log_set_level(enum config_log_level level);
bool log_is_on(enum config_log_level level);

void log_begin(struct log_line *line, enum config_log_level level, const char *message);
void log_text(struct log_line *line, const char *key, const char *value); /* NULL value: nothing is added */
void log_bytes(struct log_line *line, const char *key, const char *value, size_t length);
void log_number(struct log_line *line, const char *key, uint64_t value);
void log_hex(struct log_line *line, const char *key, uint64_t value, int digits); /* 0xC000007F */
void log_milliseconds(struct log_line *line, const char *key, uint64_t microseconds);
void log_end(struct log_line *line);

/*
 * Writes a line of any length with one value, quoted like all others but never truncated. Waits up to wait_ms for
 * standard error. Returns whether the whole line was written; false also for a level that is off.
 */
bool log_whole(enum config_log_level level, const char *message, const char *key, const char *value, size_t length,
               unsigned wait_ms);

/* A message with nothing besides. */
void log_plain(enum config_log_level level, const char *message);

/*
 * Appends `value` to `out` in log form: verbatim when it is not empty and has only letters, digits and characters like
 * . : / -; otherwise in double quotes, with \" \\ \n \r \t, and \xNN for bytes that are not printable ASCII.
 *
 * used  bytes of `out` in use, advanced; never beyond `size`. Text that does not fit is left out, and the quotes still
 *       close. No NUL is written.
 */
void log_quote(char *out, size_t size, size_t *used, const char *value, size_t length);

#endif
