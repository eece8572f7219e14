/* SPDX-License-Identifier: Apache-2.0 */
/* The service manager is told by service_run.c's states; without a service nobody is. */
#include "service/platform/windows/service_state.h"
#include "service/platform/platform.h"

void platform_notify_ready(void)
{
    service_state_running();
}

void platform_notify_reloading(void)
{
}

void platform_notify_stopping(unsigned for_ms)
{
    service_state_stopping(for_ms);
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
