/* SPDX-License-Identifier: Apache-2.0 */
#include "service/platform/yield.h"

#ifdef __linux__
#include <errno.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#define NICE     10
#define STEP     5 /* of nice values: a third of the weight */
#define SLICE_NS 500000U

/* struct sched_attr of linux/sched/types.h, whose header cannot be included beside sched.h of all C libraries. */
struct attributes {
    uint32_t size, policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t slice_ns, deadline_ns, period_ns;
};

static void set_nice(int nice)
{
    (void)setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), nice);
}
#endif

void platform_yield(void)
{
#ifdef __linux__
    set_nice(NICE);
#endif
}

void platform_step_back(void)
{
#ifdef __linux__
    errno = 0;
    int nice = getpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid));
    if (errno == 0 && nice < NICE)
        set_nice(nice + STEP < NICE ? nice + STEP : NICE);
#endif
}

/* A kernel from before 6.12 takes no notice of the slice. */
void platform_begin_soon(void)
{
#ifdef __linux__
    errno = 0;
    int nice = getpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid));
    struct attributes attributes = {.size = sizeof attributes, .nice = nice, .slice_ns = SLICE_NS};
    if (errno == 0)
        (void)syscall(SYS_sched_setattr, 0, &attributes, 0U);
#endif
}
