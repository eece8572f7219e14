/* SPDX-License-Identifier: Apache-2.0 */
/* log_line: parses lines of the log, for the Event Log. */
#ifndef SERVICE_PLATFORM_WINDOWS_LOG_LINE_H
#define SERVICE_PLATFORM_WINDOWS_LOG_LINE_H

#include <stdbool.h>
#include <stddef.h>
#include <wchar.h>

/*
 * Finds the value of a key in a line of log.h, without quotes and with the escapes \" \\ \n \r \t and \xNN decoded.
 * Returns whether the key is present; `out` always ends with a NUL.
 */
bool log_line_value(const char *line, size_t length, const char *key, char *out, size_t size);

/* Writes a line's essence: its mistake or advice, if any, else its message. */
void log_line_message(const char *line, size_t length, char *out, size_t size);

/*
 * Event Viewer takes a % ahead of a digit, also one in a string, for a string to be put in, as in the address
 * fe80::1%3, and %% for the number of a text (ReportEvent, "lpStrings"). Each such % becomes a LOG_LINE_PERCENT.
 */
#define LOG_LINE_PERCENT L'\uff05' /* ％, of full width */
void log_line_neutralise(wchar_t *text);

/* Returns the Event Log's ID for a line (messages.mc), 0: only for the log file; `type`: EVENTLOG_..._TYPE. */
unsigned long log_line_event(const char *line, size_t length, unsigned short *type);

#endif
