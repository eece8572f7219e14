/* SPDX-License-Identifier: Apache-2.0 */
/* A share that hangs: preloaded, and who looks at, opens, writes or closes a file in a folder named "hung" waits while
 * there is a file "hangs" in it. */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#pragma GCC diagnostic ignored "-Wpedantic" /* a function from a void pointer: POSIX has it so */

#define FILES 1024

static _Atomic(char *) mark_of[FILES]; /* of open files of the share; never freed */

static void stand_still(const char *mark)
{
    while (mark && access(mark, F_OK) == 0)
        (void)usleep(20000);
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
    int file = next(path, flags, mode);
    if (file >= 0 && file < FILES)
        atomic_store(&mark_of[file], mark);
    return file;
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
    if (file >= 0 && file < FILES)
        stand_still(atomic_load(&mark_of[file]));
    return next(file, bytes, length);
}

int close(int file)
{
    int (*next)(int) = (int (*)(int))dlsym(RTLD_NEXT, "close");
    if (file >= 0 && file < FILES)
        stand_still(atomic_exchange(&mark_of[file], NULL));
    return next(file);
}
