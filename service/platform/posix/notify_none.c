/* SPDX-License-Identifier: Apache-2.0 */
#include "service/platform/platform.h"

void platform_notify_ready(void)
{
}

void platform_notify_reloading(void)
{
}

void platform_notify_stopping(unsigned for_ms)
{
    (void)for_ms;
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

void platform_notify_keep(const char *name, uv_os_sock_t socket)
{
    (void)name;
    (void)socket;
}

void platform_notify_forget(const char *name)
{
    (void)name;
}

bool platform_notify_main(int64_t process)
{
    (void)process;
    return false;
}

bool platform_is_managed(void)
{
    return false;
}
