/* SPDX-License-Identifier: Apache-2.0 */
/* Changes of this computer's addresses, as the kernel tells them (rtnetlink(7)). */
#include "service/platform/platform.h"

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>
#include <unistd.h>

#define READ_MAX 64 /* messages taken at a time */

int platform_address_changes_open(void)
{
    int descriptor = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
    const struct sockaddr_nl local = {.nl_family = AF_NETLINK, .nl_groups = RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR};
    if (descriptor >= 0 && bind(descriptor, (const struct sockaddr *)&local, sizeof local) != 0) {
        (void)close(descriptor);
        descriptor = -1;
    }
    return descriptor;
}

bool platform_address_changes_read(int descriptor)
{
    char message[4096];
    ssize_t got = 1;
    for (int i = 0; i < READ_MAX && got > 0; ++i)
        got = recv(descriptor, message, sizeof message, MSG_DONTWAIT);
    return got != 0; /* when too many came for the buffer, an error says so, once */
}

void platform_address_changes_close(int descriptor)
{
    (void)close(descriptor);
}
