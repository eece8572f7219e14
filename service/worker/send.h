/* SPDX-License-Identifier: Apache-2.0 */
/*
 * send: sends datagrams in batches; those that a full socket does not take wait, in order, in bounded memory.
 *
 * A datagram dropped here is retransmitted by its session.
 */
#ifndef SERVICE_SEND_H
#define SERVICE_SEND_H

#include "service/worker/worker.h"

/* Collects a datagram for the next send_flush. `to`: with our address that it leaves from (`via`). */
void send_datagram(struct listener *listener, const struct address *to, const uint8_t *payload, size_t length);

/* Collects a session's datagram: to the source of the received datagram, or to the machine's place. */
void send_outgoing(struct target *target, struct listener *listener, const struct address *source,
                   const struct kdnet_outgoing *out);

/* Sends the collected datagrams. */
void send_flush(struct worker *worker);

/* The timer that retries datagrams waiting for room in a socket. */
void send_on_timer(uv_timer_t *timer);

/* Drops waiting datagrams: the listener closes. */
void send_drop_waiting(struct listener *listener);

#endif
