/* SPDX-License-Identifier: Apache-2.0 */
/*
 * file: all file system access of config/. Private to config/; one implementation a platform (file_posix.c,
 * file_windows.c).
 */
#ifndef CONFIG_FILE_H
#define CONFIG_FILE_H

#include "config/config.h"

struct config_file {
    char *text; /* `length` bytes and a NUL; owned, wiped by config_file_clear */
    size_t length;
    struct config_file_id id;
    bool open_to_others; /* everybody on this machine may read, write or execute the file */
    unsigned mode;       /* permission bits for the message; 0 where the platform has none */
};

/*
 * Reads a whole regular file of at most `limit` bytes. False: the mistake and its remedy are in `error`, and `out`
 * needs no clear. Pipes, devices, directories and files that the kernel makes up (/proc) are refused without waiting:
 * the type is checked before the file is opened.
 */
bool config_file_read(const char *path, size_t limit, struct config_file *out, char error[static CONFIG_ERROR_SIZE]);

void config_file_clear(struct config_file *file);

/* Writes how a file is open to others, and the remedy. */
void config_file_tell_open(const struct config_file *file, const char *path, char text[static CONFIG_ERROR_SIZE]);

/* Finds the files that match a pattern, sorted by name. A pattern without * ? [ matches itself. False: out of
 * memory, or unreadable. */
bool config_file_glob(const char *pattern, char ***paths, size_t *count);

void config_file_free_paths(char **paths, size_t count);

/* `path` as seen from the folder of the file `from`; an absolute path stays. Owned by the caller; NULL: out of memory.
 */
char *config_file_resolve(const char *from, const char *path);

#endif
