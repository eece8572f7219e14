/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hints_file: the hints, on disk: a collector that starts has them without anybody else.
 *
 * Uses hints, platform, and kdnet's SHA-256. A first line says what it is; each further one is a name, a hint and a
 * checksum. What has changed is appended, by a thread of its own; the file is written anew, and renamed, when half of
 * it is old, and after an append that failed. What is damaged, of no target, of another version or too long is passed
 * over: nothing of it is believed in any case.
 */
#ifndef SERVICE_HINTS_FILE_H
#define SERVICE_HINTS_FILE_H

#include "service/fleet/hints.h"

struct hints_file;

/* Reads what is there, and starts the thread. `path` is copied. NULL: out of memory or threads. Thread: the server's.
 * Cost: some 2 µs a line. */
struct hints_file *hints_file_open(struct hints *hints, const char *path);

/* Writes what has changed, and ends. False: the disk hangs, and the hints are used further. */
bool hints_file_close(struct hints_file *file, unsigned wait_ms);

/* Targets have come, whose hints may be in the file: it is read again, and written. NULL is fine. */
void hints_file_look(struct hints_file *file);

/* What a file of this text says; returns how many hints counted, and how many lines were passed over. */
size_t hints_file_parse(struct hints *hints, const char *text, size_t length, size_t *passed_over);

/* A line of the file with its end; 0: it has no room. */
size_t hints_file_line(const char *name, const struct hint *hint, char *out, size_t size);

#endif
