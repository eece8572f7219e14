/* SPDX-License-Identifier: Apache-2.0 */
/*
 * forward: datagrams that one worker passes to another.
 *
 * Reasons:
 *
 *   STRAY   the kernel gave it to the wrong worker: to that of its address
 *   OWNER   another worker's row has its machine, and has not moved yet
 *   BACK    the row had moved when an OWNER came: to the worker of its address again; never passed on further
 *   TRY     a poke that no key of this worker opens: to the next one, until each has tried
 *   NOBODY  no worker has a key for it: to the worker of its address, where the row may have come meanwhile
 *   SOLICIT data that no row takes: the other worker may ask its machines to poke
 *   SHOWN   came to another collector, which showed it (stray.h)
 *
 * Forwards may be lost, like any datagram: a worker takes FORWARD_MAX at a time; those without room are counted.
 */
#ifndef SERVICE_FORWARD_H
#define SERVICE_FORWARD_H

#include "service/worker/worker.h"

#define FORWARD_MAX 4096U

enum forward_kind {
    FORWARD_NONE, /* came from the socket */
    FORWARD_STRAY,
    FORWARD_OWNER,
    FORWARD_BACK,
    FORWARD_TRY,
    FORWARD_NOBODY,
    FORWARD_SOLICIT,
    FORWARD_SHOWN,
};

/* Forwards a datagram that no row here takes, when another worker may have its row. `rows_here`: rows here have its
 * source, with another key. False: it stays here. */
bool forward_datagram(const struct arrival *arrival, bool rows_here);

/* Forwards a poke that no key of this worker opens, after `hops` others. False: there is no other worker. */
bool forward_unopened(const struct arrival *arrival, unsigned hops);

/* Lets another worker ask its machines to poke: workers take turns. False: this worker's turn, or the only worker. */
bool forward_solicit(const struct arrival *arrival, size_t allowance);

/*
 * The row of this source has come here from worker `from`, to which its datagrams were forwarded. Those come back
 * first, and datagrams that arrive meanwhile wait for them.
 */
void forward_await(struct worker *worker, const struct address *source, uint16_t local_port, unsigned from);

/* Whether a datagram has to wait for earlier ones. Call it only while worker->holds has some. */
bool forward_hold(const struct arrival *arrival);

/* Frees waiting datagrams. */
void forward_clear(struct worker *worker);

/* Datagrams of this source are for this worker: tells the worker of the address, if that is another. */
void forward_claim(struct worker *worker, const struct address *source, uint16_t local_port);

#endif
