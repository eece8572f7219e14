/* SPDX-License-Identifier: Apache-2.0 */
/*
 * eventlog: where the lines of the log go when kdnetd runs as a service: a file that is renamed when it has grown, and
 * those that somebody is to act on also to the Event Log, each kind with an ID of its own (messages.mc).
 */
#ifndef SERVICE_PLATFORM_WINDOWS_EVENTLOG_H
#define SERVICE_PLATFORM_WINDOWS_EVENTLOG_H

#include <stdbool.h>
#include <stddef.h>

#define EVENTLOG_SOURCE L"kdnetd"

/* Opens both; the folder is that of the log file. What cannot be opened is left out. */
void eventlog_open(const wchar_t *folder);
bool eventlog_is_open(void);

/* A line of log.h. Never waits for a reader. False: it was written nowhere. Thread: any, one at a time. */
bool eventlog_write_line(const char *text, size_t length);

void eventlog_close(void);

#endif
