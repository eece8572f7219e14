/* SPDX-License-Identifier: Apache-2.0 */
/* A clock that jumps: preloaded, and the monotonic time is 200 s later as soon as there is a file KDNETD_LATER. */
#include <dlfcn.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#pragma GCC diagnostic ignored "-Wpedantic" /* a function from a void pointer: POSIX has it so */

#define JUMP_S 200

int clock_gettime(clockid_t clock, struct timespec *time)
{
    static int (*next)(clockid_t, struct timespec *);
    const char *mark = getenv("KDNETD_LATER"); // NOLINT(concurrency-mt-unsafe)
    if (!next)
        next = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    int error = next(clock, time);
    if (error == 0 && clock == CLOCK_MONOTONIC && mark && access(mark, F_OK) == 0)
        time->tv_sec += JUMP_S;
    return error;
}
