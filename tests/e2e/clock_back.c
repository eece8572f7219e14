/* SPDX-License-Identifier: Apache-2.0 */
/* A clock that is set back: preloaded, and while there is a file KDNETD_BACK, the time of day is an hour earlier. */
#include <dlfcn.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#pragma GCC diagnostic ignored "-Wpedantic" /* a function from a void pointer: POSIX has it so */

#define HOUR_S 3600

static time_t back_s(void)
{
    const char *mark = getenv("KDNETD_BACK"); // NOLINT(concurrency-mt-unsafe)
    return mark && access(mark, F_OK) == 0 ? HOUR_S : 0;
}

int clock_gettime(clockid_t clock, struct timespec *now)
{
    static int (*next)(clockid_t, struct timespec *);
    if (!next)
        next = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    int error = next(clock, now);
    if (error == 0 && clock == CLOCK_REALTIME)
        now->tv_sec -= back_s();
    return error;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone)
{
    struct timespec precise;
    int error = clock_gettime(CLOCK_REALTIME, &precise);
    (void)zone;
    now->tv_sec = precise.tv_sec;
    now->tv_usec = precise.tv_nsec / 1000;
    return error;
}

time_t time(time_t *out)
{
    struct timespec precise;
    (void)clock_gettime(CLOCK_REALTIME, &precise);
    if (out)
        *out = precise.tv_sec;
    return precise.tv_sec;
}
