/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A slow disk: preloaded, and each fsync takes as many milliseconds as the file KDNETD_SLOW_DISK says at its time; one
 * that waits looks again, so that a disk which hangs can be let go on. Writes to a file whose name ends with what
 * KDNETD_SLOW_DISK.write says wait while that file is there.
 */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#pragma GCC diagnostic ignored "-Wpedantic" /* a function from a void pointer: POSIX has it so */

#define LOOK_MS 20

/* The text of the file KDNETD_SLOW_DISK with this ending; false: there is none. */
static int read_mark(const char *ending, char text[static 256])
{
    const char *path = getenv("KDNETD_SLOW_DISK");
    char name[4096];
    if (!path)
        return 0;
    (void)snprintf(name, sizeof name, "%s%s", path, ending);
    FILE *file = fopen(name, "re");
    if (!file)
        return 0;
    int there = fgets(text, 256, file) != NULL;
    (void)fclose(file);
    return there;
}

static void wait_as_told(void)
{
    char text[256];
    for (long waited_ms = 0; read_mark("", text) && waited_ms < strtol(text, NULL, 10); waited_ms += LOOK_MS)
        (void)usleep(LOOK_MS * 1000);
}

static int is_held(int file)
{
    char text[256], link[64], path[4096];
    if (!read_mark(".write", text))
        return 0;
    (void)snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = readlink(link, path, sizeof path);
    size_t ending = strlen(text);
    return length > 0 && (size_t)length >= ending && memcmp(path + length - ending, text, ending) == 0;
}

int fsync(int file)
{
    int (*next)(int) = (int (*)(int))dlsym(RTLD_NEXT, "fsync");
    wait_as_told();
    return next(file);
}

ssize_t write(int file, const void *bytes, size_t length)
{
    ssize_t (*next)(int, const void *, size_t) = (ssize_t(*)(int, const void *, size_t))dlsym(RTLD_NEXT, "write");
    while (is_held(file))
        (void)usleep(LOOK_MS * 1000);
    return next(file, bytes, length);
}

ssize_t pwrite(int file, const void *bytes, size_t length, off_t at)
{
    ssize_t (*next)(int, const void *, size_t, off_t) = (ssize_t(*)(int, const void *, size_t, off_t))dlsym(RTLD_NEXT,
                                                                                                            "pwrite");
    while (is_held(file))
        (void)usleep(LOOK_MS * 1000);
    return next(file, bytes, length, at);
}
