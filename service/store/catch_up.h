/* SPDX-License-Identifier: Apache-2.0 */
/*
 * catch_up: the lines of the result file that a store may lack: its newest part, and that of the file before it.
 *
 * Uses line. Thread: any; waits for the disk.
 */
#ifndef SERVICE_STORE_CATCH_UP_H
#define SERVICE_STORE_CATCH_UP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* False ends it. */
typedef bool catch_up_fn(void *user, const char *line, size_t length);

/*
 * Hands on each whole line of the newest `bytes` of PATH.1 and PATH, oldest first. A line that is longer than
 * STORE_LINE_MAX is passed over, and the end of a file without its line end, which is still being written.
 * Returns whether `each` never ended it. A file that cannot be read has no lines.
 */
bool catch_up_read(const char *path, uint64_t bytes, catch_up_fn *each, void *user);

#endif
