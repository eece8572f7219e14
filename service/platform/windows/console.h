/* SPDX-License-Identifier: Apache-2.0 */
/* console: lines to standard error that never wait for a reader. */
#ifndef SERVICE_PLATFORM_WINDOWS_CONSOLE_H
#define SERVICE_PLATFORM_WINDOWS_CONSOLE_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Writes a whole line. False: standard error would block; nothing was written. From the first line on a pipe does not
 * wait: what is written otherwise has to be written before, or is lost where the pipe is full.
 */
bool console_write(const char *text, size_t length);

#endif
