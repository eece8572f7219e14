/* SPDX-License-Identifier: Apache-2.0 */
/*
 * route: finds the target of a datagram: by the address it came from, else by its configured address, else by its key.
 *
 * Uses deliver, solicit, unknown_poke, forward, pump. In this order: rows that are live or candidates at the source;
 * rows whose response went there; the worker that may have the row (forward.h); rows that are configured for the
 * source's IP; for a poke, all keys of the port; for data of an unknown connection, solicited pokes.
 */
#ifndef SERVICE_ROUTE_H
#define SERVICE_ROUTE_H

#include "service/platform/receiver.h"
#include "service/worker/worker.h"

/* Datagrams that a socket received together. */
void route_batch(struct listener *listener, const struct receiver_datagram *datagrams, size_t count);

/* One datagram; it may come from another worker. */
void route_arrival(struct arrival *arrival);

/* A datagram that another worker passed on, as its kind asks (forward.h). */
void route_forwarded(struct arrival *arrival, unsigned hops, size_t allowance);

#endif
