/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sender: datagrams into a UDP socket, many at a time.
 *
 * Uses address. One file of two is built: sender_mmsg.c (sendmmsg), sender_uv.c (libuv's way, one datagram a call).
 */
#ifndef SERVICE_PLATFORM_SENDER_H
#define SERVICE_PLATFORM_SENDER_H

#include "service/address.h"

#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#define SENDER_BATCH 64U

struct sender_datagram {
    struct address to;
    uint8_t *payload;
    size_t length;
};

/*
 * Sends at most SENDER_BATCH datagrams in order, as many as the socket takes without waiting.
 *
 * error  written when it took fewer: why the next one was not taken. UV_EAGAIN: later; else: it cannot be sent.
 * Returns how many it took.
 */
size_t sender_send(uv_udp_t *udp, const struct sender_datagram *datagrams, size_t count, int *error);

#endif
