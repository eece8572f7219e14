/* SPDX-License-Identifier: Apache-2.0 */
/*
 * send: datagrams go out in batches; what a full socket does not take waits, in order, in bounded memory.
 *
 * Uses worker, sender. What is lost here is sent again by its session.
 */
#ifndef SERVICE_SEND_H
#define SERVICE_SEND_H

#include "service/worker/worker.h"

/* Collects a datagram for the next send_flush. `to` with the address of this computer that it leaves from (`via`). */
void send_datagram(struct listener *listener, const struct address *to, const uint8_t *payload, size_t length);

/* Collects what a session has to send: to the source of the datagram that was received, or to where its machine is. */
void send_outgoing(struct target *target, struct listener *listener, const struct address *source,
                   const struct kdnet_outgoing *out);

/* Sends what was collected. */
void send_flush(struct worker *worker);

/* The timer that tries again what waits for room in a socket. */
void send_on_timer(uv_timer_t *timer);

/* Forgets what waits: the listener closes. */
void send_drop_waiting(struct listener *listener);

#endif
