/* SPDX-License-Identifier: Apache-2.0 */
/* A share that hangs: preloaded, and whoever looks at a file in a folder named "hung" waits while there is a file
 * "hangs" in it. */
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#pragma GCC diagnostic ignored "-Wpedantic" /* a function from a void pointer: POSIX has it so */

int stat(const char *restrict path, struct stat *restrict status)
{
    int (*next)(const char *, struct stat *) = (int (*)(const char *, struct stat *))dlsym(RTLD_NEXT, "stat");
    const char *share = strstr(path, "/hung/");
    char mark[4096];
    if (share) {
        (void)snprintf(mark, sizeof mark, "%.*s/hung/hangs", (int)(share - path), path);
        while (access(mark, F_OK) == 0)
            (void)usleep(20000);
    }
    return next(path, status);
}
