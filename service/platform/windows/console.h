/* SPDX-License-Identifier: Apache-2.0 */
/* console: lines to standard error that never wait for a reader. */
#ifndef SERVICE_PLATFORM_WINDOWS_CONSOLE_H
#define SERVICE_PLATFORM_WINDOWS_CONSOLE_H

#include <stdbool.h>
#include <stddef.h>

void console_prepare(void);

/* Writes a whole line. False: standard error would block; nothing was written. */
bool console_write(const char *text, size_t length);

#endif
