/* SPDX-License-Identifier: Apache-2.0 */
/*
 * eventlog: the log of kdnetd as a service: a rotated file, and the Event Log for lines that somebody has to act on,
 * each kind with an ID of its own (messages.mc).
 */
#ifndef SERVICE_PLATFORM_WINDOWS_EVENTLOG_H
#define SERVICE_PLATFORM_WINDOWS_EVENTLOG_H

#include <stdbool.h>
#include <stddef.h>

#define EVENTLOG_SOURCE L"kdnetd"

/* Opens both logs; the folder is the log file's. A log that cannot be opened is left out. */
void eventlog_open(const wchar_t *folder);
bool eventlog_is_open(void);

/* Writes a line of log.h. Never waits for a reader. False: written nowhere. Thread: any, one at a time. */
bool eventlog_write_line(const char *text, size_t length);

/* Writes a line to the file at once, ahead of those that wait. It may wait for the disk. Thread: any. */
bool eventlog_write_at_once(const char *text, size_t length);

/* Writes what waits, for at most `wait_ms`. */
void eventlog_close(unsigned wait_ms);

#endif
