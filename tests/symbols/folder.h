/* SPDX-License-Identifier: Apache-2.0 */
/* folder: a temporary folder for one test, and files in it. */
#ifndef TESTS_SYMBOLS_FOLDER_H
#define TESTS_SYMBOLS_FOLDER_H

#include <stddef.h>

#define FOLDER_PATH 512

/* Makes an empty folder; its path is the same until folder_remove. */
const char *folder_make(void);
void folder_remove(void);

/* Writes a file at a path in the folder, and the folders above it. */
void folder_write(const char *path, const void *bytes, size_t length);

/* A path in the folder; in one of four buffers that are used in turn. */
const char *folder_path(const char *path);

/* The text of a file in the folder; "" when there is none. In a buffer that the next call uses. */
const char *folder_read(const char *path);

#endif
