/* SPDX-License-Identifier: Apache-2.0 */
/*
 * route: finds the target of a datagram: by its source address, else by its configured address, else by its key.
 *
 * In this order: rows that are live or candidates at the source; rows whose response went there; the worker that may
 * have the row (forward.h); rows configured for the source's IP; for a poke, all keys of the port; for data of an
 * unknown connection, requests to poke.
 */
#ifndef SERVICE_ROUTE_H
#define SERVICE_ROUTE_H

#include "service/platform/receiver.h"
#include "service/worker/worker.h"

/* Routes the datagrams that a socket received together. */
void route_batch(struct listener *listener, const struct receiver_datagram *datagrams, size_t count);

/* Routes one datagram, perhaps from another worker. */
void route_arrival(struct arrival *arrival);

/* Routes a forwarded datagram by its kind (forward.h). */
void route_forwarded(struct arrival *arrival, unsigned hops, size_t allowance);

#endif
