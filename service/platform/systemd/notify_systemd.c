/* SPDX-License-Identifier: Apache-2.0 */
#include "service/platform/platform.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <systemd/sd-daemon.h>
#include <time.h>
#include <unistd.h>

/* Results are ignored: machines are served even when the service manager cannot be notified. */

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

void platform_notify_stopping(unsigned for_ms)
{
    (void)for_ms; /* the unit has its limit */
    (void)sd_notify(0, "STOPPING=1");
}

bool platform_notify_main(int64_t process)
{
    return sd_notifyf(0, "MAINPID=%" PRId64, process) > 0;
}

bool platform_is_managed(void)
{
    const char *path = getenv("NOTIFY_SOCKET");
    return path && path[0] != '\0' && getpid() != 1;
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

/* Errors of a socket (ICMP) are no reason to close it: FDPOLL=0. */
void platform_notify_keep(const char *name, uv_os_sock_t socket)
{
    char text[128];
    (void)snprintf(text, sizeof text, "FDSTORE=1\nFDPOLL=0\nFDNAME=%s", name);
    (void)sd_pid_notify_with_fds(0, 0, text, &socket, 1);
}

void platform_notify_forget(const char *name)
{
    (void)sd_notifyf(0, "FDSTOREREMOVE=1\nFDNAME=%s", name);
}
