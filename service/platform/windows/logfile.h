/* SPDX-License-Identifier: Apache-2.0 */
/* logfile: kdnetd.log, rotated to kdnetd.1.log … kdnetd.5.log by size. One thread. */
#ifndef SERVICE_PLATFORM_WINDOWS_LOGFILE_H
#define SERVICE_PLATFORM_WINDOWS_LOGFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <wchar.h>

#define LOGFILE_BYTES (10U << 20)
#define LOGFILE_OLD   5

struct logfile {
    wchar_t *folder; /* owned; NULL: none */
    void *handle;    /* NULL: not open */
    unsigned long long bytes;
};

void logfile_open(struct logfile *file, const wchar_t *folder);
bool logfile_write(struct logfile *file, const char *text, size_t length);
void logfile_close(struct logfile *file);

#endif
