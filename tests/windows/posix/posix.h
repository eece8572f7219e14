/* SPDX-License-Identifier: Apache-2.0 */
/* posix: what unit tests call of POSIX and mingw-w64 lacks. Included ahead of each of their sources on Windows. */
#ifndef TESTS_WINDOWS_POSIX_H
#define TESTS_WINDOWS_POSIX_H

#include <stddef.h>
#include <stdio.h>
#include <sys/types.h>

/* As in POSIX: the last six characters of `path`, all X, become those of a folder that is new. */
char *mkdtemp(char *path);
/* A file without a name, for one process: `name` and `flags` are not looked at. */
int memfd_create(const char *name, unsigned flags);
#define MFD_CLOEXEC 0
ssize_t pread(int descriptor, void *bytes, size_t size, off_t offset);
int pipe(int ends[2]);
int setenv(const char *name, const char *value, int overwrite);
int unsetenv(const char *name);
char *strcasestr(const char *in, const char *what);

/* What a test of POSIX calls, which is skipped here (tests/support/system.h). */
#define SIGXFSZ 25
#define SIGPIPE 13
#define SIGKILL 9
int mkfifo(const char *path, unsigned mode);

/* A stream for writing: fclose() puts what was written into *text, which free() frees. */
FILE *open_memstream(char **text, size_t *length);
/* For writing, "w": fclose() puts what was written into `bytes`; or for reading. */
FILE *fmemopen(void *bytes, size_t size, const char *mode);
int posix_fclose(FILE *file);
#define fclose(file) posix_fclose(file)

/* Returns the number, not 0. */
#define dup2(from, to) ((dup2)(from, to) == 0 ? (to) : -1)

/* Sizes are size_t. */
#define read(descriptor, bytes, size)  (read)(descriptor, bytes, (unsigned)(size))
#define write(descriptor, bytes, size) (write)(descriptor, bytes, (unsigned)(size))

#endif
