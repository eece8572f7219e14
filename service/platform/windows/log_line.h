/* SPDX-License-Identifier: Apache-2.0 */
/* log_line: what a line of the log says, for the Event Log. */
#ifndef SERVICE_PLATFORM_WINDOWS_LOG_LINE_H
#define SERVICE_PLATFORM_WINDOWS_LOG_LINE_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Finds the value of a key in a line of log.h, without its quotes; what \" \\ \n \r \t and \xNN stand for is written.
 * Returns whether the key is there; `out` always ends with a NUL.
 */
bool log_line_value(const char *line, size_t length, const char *key, char *out, size_t size);

/* What a line says in one string: its mistake or advice where it has one, else its message. */
void log_line_message(const char *line, size_t length, char *out, size_t size);

/* The Event Log's ID for a line (messages.mc), 0: it is for the log file alone; `type`: EVENTLOG_..._TYPE. */
unsigned long log_line_event(const char *line, size_t length, unsigned short *type);

#endif
