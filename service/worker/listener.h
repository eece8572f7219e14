/* SPDX-License-Identifier: Apache-2.0 */
/*
 * listener: a socket of a worker: opened, drained, rested, repaired and closed.
 *
 * When nothing is urgent, a drained socket rests for a few milliseconds: a wake-up for each of thousands of idle
 * machines would cost ten times their datagrams.
 */
#ifndef SERVICE_LISTENER_H
#define SERVICE_LISTENER_H

#include "service/worker/worker.h"

/* Takes over a bound socket; `any`: the socket reports each datagram's destination. Returns 0 or a UV_ code; the
 * socket is then closed. */
int listener_open(struct worker *worker, uint32_t id, const struct address *local, uv_os_sock_t socket, bool any);

/* Other listeners of the port take over the machines that they can hear. */
void listener_close(struct listener *listener);

void listener_on_rest(uv_timer_t *timer);
void listener_on_repair(uv_timer_t *timer); /* retries sockets that cannot receive */

/* Ends the rest of the sockets when something is urgent. Call it in each round of the loop. */
void listener_wake(struct worker *worker);

/* Updates counts that the kernel keeps. */
void listener_count(struct listener *listener);

#endif
