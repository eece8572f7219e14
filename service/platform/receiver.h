/* SPDX-License-Identifier: Apache-2.0 */
/*
 * receiver: datagrams out of a bound UDP socket, many at a time, and when we want them.
 *
 * Uses address. One file of two is built:
 *
 *   receiver_mmsg.c  recvmmsg, 64 datagrams a call; the socket is watched, or drained when it suits us
 *   receiver_uv.c    libuv's way, one datagram a call, always watched: where there is no recvmmsg
 *
 * An error that a socket has to tell (ICMP, `ss -K`) is taken from it, and it is watched on. A call that goes on to
 * fail is given up for the next one that can receive: recvmmsg, recvmsg, recvfrom (a filter of system calls, an old
 * kernel). When none is left, the receiver has failed: it asks for nothing more until receiver_retry.
 */
#ifndef SERVICE_PLATFORM_RECEIVER_H
#define SERVICE_PLATFORM_RECEIVER_H

#include "service/net/address.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#define RECEIVER_BATCH    64U
#define RECEIVER_DATAGRAM 4096U /* what is longer is no datagram of ours */

struct receiver;

struct receiver_datagram {
    struct address source;
    const uint8_t *payload; /* borrowed for the call */
    size_t length;          /* 0: empty, longer than RECEIVER_DATAGRAM, or from no IP address */
};

struct receiver_calls {
    void (*ready)(void *user); /* there is something: drain it. Comes again until it is, or the receiver has failed */
    void (*batch)(void *user, const struct receiver_datagram *datagrams, size_t count); /* at most RECEIVER_BATCH */
    /* The number of the address of ours that a datagram was sent to, for its source's `via`; IPv4 is ::ffff:a.b.c.d.
     * NULL: it need not be known. Otherwise the socket must tell it (platform_report_local). */
    uint16_t (*via)(void *user, const uint8_t local[static 16]);
    void *user;
};

/*
 * Watches a socket. The udp handle goes on to send; its data belongs to the receiver.
 * Returns 0 or a UV_ code; then there is nothing to close.
 */
int receiver_open(struct receiver **out, uv_udp_t *udp, const struct receiver_calls *calls);

/* False: it cannot be watched (no descriptor is left), and `ready` never comes: drain it again and again. */
bool receiver_is_watched(const struct receiver *receiver);

/* Why nothing can be received any more, a UV_ code; 0: it can. */
int receiver_error(const struct receiver *receiver);

/* Whether recvmmsg was given up for a slower call. */
bool receiver_is_slow(const struct receiver *receiver);

/* Begins anew after a failure: watches, with the first call again. */
void receiver_retry(struct receiver *receiver);

/* Gives at most `batches` batches to the caller. Returns whether nothing was left. */
bool receiver_drain(struct receiver *receiver, size_t batches);

/* Whether `ready` comes, or the caller drains by itself. Only where receiver_can_rest. */
void receiver_watch(struct receiver *receiver, bool on);
bool receiver_can_rest(void);

/* Before its udp handle is closed. NULL is fine. */
void receiver_close(struct receiver *receiver);

#endif
