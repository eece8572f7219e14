/* SPDX-License-Identifier: Apache-2.0 */
/*
 * steer: which worker serves an address.
 *
 * Depends on the IP address alone, not on the port: a machine that restarts uses another port and must find its
 * session. The kernel computes the same for the sockets of one port (platform_steer), so that datagrams arrive at their
 * worker; where the kernel cannot, workers forward datagrams.
 */
#ifndef SERVICE_STEER_H
#define SERVICE_STEER_H

#include <stdint.h>

#define STEER_MULTIPLIER 0x9E3779B1U
#define STEER_SHIFT      16

struct steer {
    uint32_t seed;    /* secret, so that nobody outside can choose the worker */
    unsigned workers; /* 1 or more */
};

/* The worker of an address, 0 to workers - 1. IPv4 is ::ffff:a.b.c.d. */
unsigned steer_worker(const struct steer *steer, const uint8_t ip[static 16]);

#endif
