/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sender: sends datagrams through a UDP socket, many at a time.
 *
 * One file of two is built: sender_mmsg.c (sendmmsg), sender_uv.c (libuv's way, one datagram a call, always from the
 * address that the system chooses). When sendmmsg keeps failing where another call succeeds (a seccomp filter, an old
 * kernel), that call replaces it: sendmsg, then sendto.
 */
#ifndef SERVICE_PLATFORM_SENDER_H
#define SERVICE_PLATFORM_SENDER_H

#include "service/net/address.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#define SENDER_BATCH 64U

struct sender_datagram {
    struct address to;
    uint8_t *payload;
    size_t length;
    const uint8_t *from; /* 16 bytes, an address of ours; IPv4 is ::ffff:a.b.c.d. NULL: the system chooses */
};

/* Which call a socket's datagrams go out by. Zero at the start. */
struct sender {
    uint8_t way;
    uint8_t refused; /* consecutive times that a slower call succeeded where this one failed */
};

/*
 * Sends at most SENDER_BATCH datagrams in order, as many as the socket takes without waiting.
 *
 * error  written when fewer were taken: why the next one was not. UV_EAGAIN: later; else: it cannot be sent.
 * Returns how many were taken.
 */
size_t sender_send(struct sender *sender, uv_udp_t *udp, const struct sender_datagram *datagrams, size_t count,
                   int *error);

/* Whether sendmmsg was given up for a slower call. */
bool sender_is_slow(const struct sender *sender);

#endif
