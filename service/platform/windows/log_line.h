/* SPDX-License-Identifier: Apache-2.0 */
/* log_line: parses lines of the log, for the Event Log. */
#ifndef SERVICE_PLATFORM_WINDOWS_LOG_LINE_H
#define SERVICE_PLATFORM_WINDOWS_LOG_LINE_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Finds the value of a key in a line of log.h, without quotes and with the escapes \" \\ \n \r \t and \xNN decoded.
 * Returns whether the key is present; `out` always ends with a NUL.
 */
bool log_line_value(const char *line, size_t length, const char *key, char *out, size_t size);

/* Writes a line's essence: its mistake or advice, if any, else its message. */
void log_line_message(const char *line, size_t length, char *out, size_t size);

/* Returns the Event Log's ID for a line (messages.mc), 0: only for the log file; `type`: EVENTLOG_..._TYPE. */
unsigned long log_line_event(const char *line, size_t length, unsigned short *type);

#endif
