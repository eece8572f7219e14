/* SPDX-License-Identifier: Apache-2.0 */
/*
 * compat: the parts of C and POSIX that the sources use and mingw-w64 lacks. Included ahead of each source on Windows
 * (windows.cmake), sockets.h also ahead of those of config/ and service/, so that no source outside platform/windows/
 * and config/file_windows.c depends on Windows.
 */
#ifndef SERVICE_PLATFORM_WINDOWS_COMPAT_H
#define SERVICE_PLATFORM_WINDOWS_COMPAT_H

#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

void *compat_memmem(const void *in, size_t in_length, const void *what, size_t what_length);
void *compat_memrchr(const void *in, int byte, size_t length);
struct tm *compat_gmtime_r(const time_t *clock, struct tm *out);
struct tm *compat_localtime_r(const time_t *clock, struct tm *out);
char *compat_strsep(char **rest, const char *delimiters);
char *compat_strndup(const char *text, size_t most);

void compat_explicit_bzero(void *bytes, size_t length);
time_t compat_timegm(struct tm *utc);

/* Paths, environment and arguments are UTF-8 everywhere in kdnetd. */
FILE *compat_fopen(const char *path, const char *mode);
/* Valid until the end of the process. */
char *compat_getenv(const char *name);

#undef gmtime_r
#undef localtime_r
#define explicit_bzero compat_explicit_bzero
#define memmem         compat_memmem
#define memrchr        compat_memrchr
#define gmtime_r       compat_gmtime_r
#define localtime_r    compat_localtime_r
#define strsep         compat_strsep
#define strndup        compat_strndup
#define fopen          compat_fopen
#define timegm         compat_timegm
#define getenv         compat_getenv

#endif
