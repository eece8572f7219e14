/* SPDX-License-Identifier: Apache-2.0 */
#include "service/platform/platform.h"

void platform_notify_ready(void)
{
}

void platform_notify_reloading(void)
{
}

void platform_notify_stopping(void)
{
}

void platform_notify_status(const char *text)
{
    (void)text;
}

void platform_notify_alive(void)
{
}

uint64_t platform_watchdog_us(void)
{
    return 0;
}
