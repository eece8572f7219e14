/* SPDX-License-Identifier: Apache-2.0 */
#include "service/platform/yield.h"

#include <windows.h>

void platform_yield(void)
{
    (void)SetThreadPriority(GetCurrentThread(), THREAD_PRIORITY_BELOW_NORMAL);
}
