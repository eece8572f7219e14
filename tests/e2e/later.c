/* SPDX-License-Identifier: Apache-2.0 */
/* A clock that goes fast: preloaded, and as soon as there is a file KDNETD_LATER, the monotonic time is later by what
 * the main thread would have slept, which sleeps for 5 ms instead. (Time that jumps is something else: kdnetd stood
 * still.) */
#include <dlfcn.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#pragma GCC diagnostic ignored "-Wpedantic" /* a function from a void pointer: POSIX has it so */

#define NAP_MS 5

static atomic_long later_ms;

static int is_fast(void)
{
    const char *mark = getenv("KDNETD_LATER"); // NOLINT(concurrency-mt-unsafe)
    return mark && access(mark, F_OK) == 0 && syscall(SYS_gettid) == getpid();
}

int epoll_wait(int epoll, struct epoll_event *events, int most, int timeout)
{
    static int (*next)(int, struct epoll_event *, int, int);
    if (!next)
        next = (int (*)(int, struct epoll_event *, int, int))dlsym(RTLD_NEXT, "epoll_wait");
    if (timeout <= NAP_MS || !is_fast())
        return next(epoll, events, most, timeout);
    int count = next(epoll, events, most, NAP_MS);
    if (count == 0)
        atomic_fetch_add(&later_ms, timeout - NAP_MS);
    return count;
}

/* libuv waits this way or that, and with no mask. */
int epoll_pwait(int epoll, struct epoll_event *events, int most, int timeout, const sigset_t *mask)
{
    (void)mask;
    return epoll_wait(epoll, events, most, timeout);
}

int clock_gettime(clockid_t clock, struct timespec *time)
{
    static int (*next)(clockid_t, struct timespec *);
    if (!next)
        next = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    int error = next(clock, time);
    if (error != 0 || clock != CLOCK_MONOTONIC)
        return error;
    long later = atomic_load(&later_ms);
    time->tv_sec += later / 1000;
    time->tv_nsec += later % 1000 * 1000000;
    time->tv_sec += time->tv_nsec / 1000000000;
    time->tv_nsec %= 1000000000;
    return error;
}
