/* SPDX-License-Identifier: Apache-2.0 */
/*
 * receiver: receives datagrams from a bound UDP socket, many at a time, when the caller wants them.
 *
 * One file of two is built:
 *
 *   receiver_mmsg.c  recvmmsg, 64 datagrams a call; the socket is watched, or drained on request
 *   receiver_uv.c    libuv's way, one datagram a call, always watched: on systems without recvmmsg
 *
 * An error pending on a socket (ICMP, `ss -K`) is fetched, and the socket stays watched. A call that keeps failing is
 * replaced by the next one that can receive: recvmmsg, recvmsg, recvfrom (a seccomp filter, an old kernel). When none
 * is left, the receiver has failed: it makes no call until receiver_retry.
 */
#ifndef SERVICE_PLATFORM_RECEIVER_H
#define SERVICE_PLATFORM_RECEIVER_H

#include "service/net/address.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#define RECEIVER_BATCH    64U
#define RECEIVER_DATAGRAM 4096U /* longer datagrams are not KDNET's */

struct receiver;

struct receiver_datagram {
    struct address source;
    const uint8_t *payload; /* borrowed for the call */
    size_t length;          /* 0: empty, longer than RECEIVER_DATAGRAM, or from no IP address */
};

struct receiver_calls {
    void (*ready)(void *user); /* datagrams are waiting: drain the socket. Repeated until it is drained, or the receiver
                                  has failed */
    void (*batch)(void *user, const struct receiver_datagram *datagrams, size_t count); /* at most RECEIVER_BATCH */
    /* Returns the number of our address that a datagram was sent to, for its source's `via`; IPv4 is ::ffff:a.b.c.d.
     * NULL: not needed; otherwise the socket must report the address (platform_report_local). */
    uint16_t (*via)(void *user, const uint8_t local[static 16]);
    void *user;
};

/*
 * Starts watching a socket. The udp handle stays usable for sending; its data belongs to the receiver. Returns 0 or a
 * UV_ code; then there is nothing to close.
 */
int receiver_open(struct receiver **out, uv_udp_t *udp, const struct receiver_calls *calls);

/* False: the socket cannot be watched (no descriptor left), and `ready` never comes: drain it periodically. */
bool receiver_is_watched(const struct receiver *receiver);

/* Returns why nothing can be received any more, a UV_ code; 0: working. */
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

/* Call it before closing the udp handle. NULL does nothing. */
void receiver_close(struct receiver *receiver);

#endif
