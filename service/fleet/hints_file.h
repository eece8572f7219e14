/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hints_file: the hints on disk, so that a collector that starts has hints without other collectors.
 *
 * The first line names the format; each further one is a name, a hint and a checksum. A thread appends changes; it
 * rewrites and renames the file when half of it is old, and after a failed append. Lines that are damaged, of no
 * target, of another version or too long are skipped: hints are never trusted in any case.
 */
#ifndef SERVICE_HINTS_FILE_H
#define SERVICE_HINTS_FILE_H

#include "service/fleet/hints.h"

struct hints_file;

/* Reads the file and starts the thread. Copies `path`. NULL: out of memory or threads. Thread: the server's. Cost:
 * some 2 µs a line. */
struct hints_file *hints_file_open(struct hints *hints, const char *path);

/* Writes the changes, and ends. False: the disk hangs, and the thread still uses the hints. */
bool hints_file_close(struct hints_file *file, unsigned wait_ms);

/* `held`: nothing is written, because another process still writes the file. Before that process has changed it. */
void hints_file_hold(struct hints_file *file, bool held);

/* Formats all hints of `since_us` or later as a file's text, malloc'd. NULL: out of memory. */
char *hints_file_text(struct hints *hints, uint64_t since_us, size_t *length);

/* New targets may have hints in the file: reads it again, and writes it. NULL does nothing. */
void hints_file_look(struct hints_file *file);

/* Parses a file's text. Returns how many hints were accepted, and how many lines were skipped. */
size_t hints_file_parse(struct hints *hints, const char *text, size_t length, size_t *passed_over);

/* Formats a line of the file with its line end; 0: no room. */
size_t hints_file_line(const char *name, const struct hint *hint, char *out, size_t size);

#endif
