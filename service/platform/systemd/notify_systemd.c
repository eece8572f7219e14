/* SPDX-License-Identifier: Apache-2.0 */
#include "service/platform/platform.h"

#include <inttypes.h>
#include <stdio.h>
#include <systemd/sd-daemon.h>
#include <time.h>

/* A service manager that cannot be told is no reason to serve machines less: results are not looked at. */

void platform_notify_ready(void)
{
    (void)sd_notify(0, "READY=1");
}

void platform_notify_reloading(void)
{
    struct timespec now = {0};
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    (void)sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64,
                     (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000);
}

void platform_notify_stopping(void)
{
    (void)sd_notify(0, "STOPPING=1");
}

void platform_notify_status(const char *text)
{
    (void)sd_notifyf(0, "STATUS=%s", text);
}

void platform_notify_alive(void)
{
    (void)sd_notify(0, "WATCHDOG=1");
}

uint64_t platform_watchdog_us(void)
{
    uint64_t interval = 0;
    return sd_watchdog_enabled(0, &interval) > 0 ? interval : 0;
}
