/* SPDX-License-Identifier: Apache-2.0 */
/*
 * file: all that config/ wants of the file system. Private to config/; one implementation a platform
 * (file_posix.c, file_windows.c).
 */
#ifndef CONFIG_FILE_H
#define CONFIG_FILE_H

#include "config/config.h"

struct config_file {
    char *text; /* `length` bytes and a NUL; owned, wiped by config_file_clear */
    size_t length;
    struct config_file_id id;
    bool open_to_others; /* everyone on this machine may read, write or execute it */
    unsigned mode;       /* its permission bits, for the message; 0 where there are none */
};

/*
 * Reads a whole ordinary file of at most `limit` bytes. False: what is wrong and the remedy are in `error`, and `out`
 * needs no clear. Pipes, devices, directories and what the kernel makes up (/proc) are refused without a wait: the file
 * is asked what it is before it is opened.
 */
bool config_file_read(const char *path, size_t limit, struct config_file *out, char error[static CONFIG_ERROR_SIZE]);

void config_file_clear(struct config_file *file);

/* For a message about a file that is open to others: how it is open, and the remedy. */
void config_file_tell_open(const struct config_file *file, const char *path, char text[static CONFIG_ERROR_SIZE]);

/* The files that match a pattern, by name. A pattern without * ? [ matches itself. False: out of memory, or unreadable.
 */
bool config_file_glob(const char *pattern, char ***paths, size_t *count);

void config_file_free_paths(char **paths, size_t count);

/* `path` as seen from the folder of the file `from`; an absolute path stays. Owned by the caller; NULL: out of memory.
 */
char *config_file_resolve(const char *from, const char *path);

#endif
