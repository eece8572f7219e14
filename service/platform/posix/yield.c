/* SPDX-License-Identifier: Apache-2.0 */
#include "service/platform/yield.h"

#ifdef __linux__
#include <errno.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#define NICE 10
#define STEP 5 /* of nice values: a third of the weight */

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
