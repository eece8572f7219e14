/* SPDX-License-Identifier: Apache-2.0 */
/*
 * steer: which worker serves an address.
 *
 * Uses nothing. By the IP address alone, not by the port: a machine that restarts comes from another port, and must
 * find its session. The kernel does the same sum for the sockets of one port (platform_steer), so that datagrams arrive
 * where they belong; where it cannot, workers pass them on.
 */
#ifndef SERVICE_STEER_H
#define SERVICE_STEER_H

#include <stdint.h>

#define STEER_MULTIPLIER 0x9E3779B1U
#define STEER_SHIFT      16

struct steer {
    uint32_t seed;    /* so that nobody outside can choose the worker */
    unsigned workers; /* 1 or more */
};

/* The worker of an address, 0 to workers - 1. IPv4 is ::ffff:a.b.c.d. */
unsigned steer_worker(const struct steer *steer, const uint8_t ip[static 16]);

#endif
