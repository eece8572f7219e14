/* SPDX-License-Identifier: Apache-2.0 */
/*
 * catch_up: reads lines that a store may lack from the newest part of the result file and of the file before it.
 *
 * Thread: any; waits for the disk.
 */
#ifndef SERVICE_STORE_CATCH_UP_H
#define SERVICE_STORE_CATCH_UP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Returns false to stop. */
typedef bool catch_up_fn(void *user, const char *line, size_t length);

/*
 * Hands on each complete line in the newest `bytes` of PATH.1 and PATH, oldest first. Skips lines longer than
 * STORE_LINE_MAX, and a last line without line end, which is still being written. Returns whether `each` always
 * returned true, and there was memory. An unreadable file counts as empty.
 */
bool catch_up_read(const char *path, uint64_t bytes, catch_up_fn *each, void *user);

#endif
