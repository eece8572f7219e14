/* SPDX-License-Identifier: Apache-2.0 */
/*
 * listener: a socket of a worker: opened, drained, rested, repaired and closed.
 *
 * Uses route, send, listening, receiver. When nothing is urgent, a socket that was drained rests for a few
 * milliseconds: a wake-up for each of thousands of idle machines would cost ten times what their datagrams cost.
 */
#ifndef SERVICE_LISTENER_H
#define SERVICE_LISTENER_H

#include "service/worker/worker.h"

/* Takes over a bound socket; `any`: it tells where each datagram was sent to. Returns 0 or a UV_ code; the socket is
 * closed then. */
int listener_open(struct worker *worker, uint32_t id, const struct address *local, uv_os_sock_t socket, bool any);

/* Other listeners of its port go on with the machines that they can hear. */
void listener_close(struct listener *listener);

void listener_on_rest(uv_timer_t *timer);
void listener_on_repair(uv_timer_t *timer); /* sockets that cannot receive are tried again */

/* Ends the rest of the sockets when something is urgent. Call it in each round of the loop. */
void listener_wake(struct worker *worker);

/* Brings counts that the kernel keeps up to date. */
void listener_count(struct listener *listener);

#endif
