/* SPDX-License-Identifier: Apache-2.0 */
#include "service/platform/yield.h"

#include <windows.h>

void platform_yield(void)
{
    (void)SetThreadPriority(GetCurrentThread(), THREAD_PRIORITY_BELOW_NORMAL);
}

/* Windows gives nothing to a thread while others of a higher priority are ready: the thread stays as it is. */
void platform_step_back(void)
{
}

/* Windows lets a thread that was waiting for the network begin at once. */
void platform_begin_soon(void)
{
}
