/* SPDX-License-Identifier: Apache-2.0 */
/* A share that hangs: preloaded, and who looks at, opens, writes, flushes or closes a file in a folder named "hung"
 * waits while there is a file "hangs" in it; for as many milliseconds as that file says, if it says any. */
#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#pragma GCC diagnostic ignored "-Wpedantic" /* a function from a void pointer: POSIX has it so */

#define LOOK_MS 20

/* -1: it is not there. */
static long told_ms(const char *mark)
{
    char text[16] = "";
    FILE *file = fopen(mark, "re");
    if (!file)
        return -1;
    long ms = fgets(text, sizeof text, file) ? strtol(text, NULL, 10) : LONG_MAX;
    (void)fclose(file);
    return ms;
}

static void stand_still(const char *mark)
{
    for (long waited_ms = 0; mark && waited_ms < told_ms(mark); waited_ms += LOOK_MS)
        (void)usleep(LOOK_MS * 1000);
}

/* NULL: the path is not of the share. */
static char *make_mark(const char *path)
{
    const char *share = strstr(path, "/hung/");
    char mark[4096];
    if (!share)
        return NULL;
    (void)snprintf(mark, sizeof mark, "%.*s/hung/hangs", (int)(share - path), path);
    return strdup(mark);
}

/* libuv closes files by system calls of its own: the kernel alone knows which file this is now. */
static void stand_still_at(int file)
{
    char link[64], path[4096];
    (void)snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = readlink(link, path, sizeof path - 1);
    path[length > 0 ? length : 0] = '\0';
    char *mark = make_mark(path);
    stand_still(mark);
    free(mark);
}

int stat(const char *restrict path, struct stat *restrict status)
{
    int (*next)(const char *, struct stat *) = (int (*)(const char *, struct stat *))dlsym(RTLD_NEXT, "stat");
    char *mark = make_mark(path);
    stand_still(mark);
    free(mark);
    return next(path, status);
}

static int open_as(const char *name, const char *path, int flags, unsigned mode)
{
    int (*next)(const char *, int, ...) = (int (*)(const char *, int, ...))dlsym(RTLD_NEXT, name);
    char *mark = make_mark(path);
    stand_still(mark);
    free(mark);
    return next(path, flags, mode);
}

#define OPEN(name)                                                                                                     \
    int name(const char *path, int flags, ...)                                                                         \
    {                                                                                                                  \
        va_list arguments;                                                                                             \
        va_start(arguments, flags);                                                                                    \
        unsigned mode = (flags & O_CREAT) != 0 ? va_arg(arguments, unsigned) : 0;                                      \
        va_end(arguments);                                                                                             \
        return open_as(#name, path, flags, mode);                                                                      \
    }
OPEN(open)
OPEN(open64)

ssize_t write(int file, const void *bytes, size_t length)
{
    ssize_t (*next)(int, const void *, size_t) = (ssize_t(*)(int, const void *, size_t))dlsym(RTLD_NEXT, "write");
    stand_still_at(file);
    return next(file, bytes, length);
}

#define FLUSH(name)                                                                                                    \
    int name(int file)                                                                                                 \
    {                                                                                                                  \
        int (*next)(int) = (int (*)(int))dlsym(RTLD_NEXT, #name);                                                      \
        stand_still_at(file);                                                                                          \
        return next(file);                                                                                             \
    }
FLUSH(fsync)
FLUSH(fdatasync)

int close(int file)
{
    int (*next)(int) = (int (*)(int))dlsym(RTLD_NEXT, "close");
    stand_still_at(file);
    return next(file);
}
