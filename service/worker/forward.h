/* SPDX-License-Identifier: Apache-2.0 */
/*
 * forward: datagrams that one worker passes to another.
 *
 * Uses worker, mailbox, forwarding_table, holds. Why one is passed on:
 *
 *   STRAY   the kernel gave it to the wrong worker: to that of its address
 *   OWNER   its source's machine was found among the rows of another worker, and has not moved yet
 *   BACK    it had moved when such a forward came: to the worker of its address again; nobody passes that on
 *   TRY     a poke that no key of this worker opens: to the next one, until each has tried
 *   NOBODY  none has a key for it: to the worker of its address, where the row may have come meanwhile
 *   SOLICIT data of nobody: the other one's machines may be asked to poke
 *
 * They may be lost, as any datagram: a worker takes FORWARD_MAX at a time; what finds no room is counted.
 */
#ifndef SERVICE_FORWARD_H
#define SERVICE_FORWARD_H

#include "service/worker/worker.h"

#define FORWARD_MAX 4096U

enum forward_kind {
    FORWARD_NONE, /* it came from the socket */
    FORWARD_STRAY,
    FORWARD_OWNER,
    FORWARD_BACK,
    FORWARD_TRY,
    FORWARD_NOBODY,
    FORWARD_SOLICIT,
};

/* Passes a datagram on that is no row's here, when another worker may have one. `rows_here`: its source has some, of
 * another key. False: it stays here. */
bool forward_datagram(const struct arrival *arrival, bool rows_here);

/* Passes on a poke that no key of this worker opens, after `hops` others. False: there is no other worker. */
bool forward_unopened(const struct arrival *arrival, unsigned hops);

/* Lets another worker solicit pokes: workers take turns. False: it is this one's turn, or it is alone. */
bool forward_solicit(const struct arrival *arrival, size_t allowance);

/*
 * The row of this source has come here from worker `from`, to which datagrams of it were passed on: those come back
 * first, and what arrives meanwhile waits for them.
 */
void forward_await(struct worker *worker, const struct address *source, uint16_t local_port, unsigned from);

/* Whether a datagram waits for those before it. Ask only while worker->holds has some. */
bool forward_hold(const struct arrival *arrival);

/* Frees what waits. */
void forward_clear(struct worker *worker);

/* Datagrams of this source are for this worker: to be told to that of the address, when it is another. */
void forward_claim(struct worker *worker, const struct address *source, uint16_t local_port);

#endif
