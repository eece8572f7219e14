/* SPDX-License-Identifier: Apache-2.0 */
/*
 * worker_loop: a worker's loop, from its start to its end.
 *
 * A round: sockets are drained, then deadlines are handled, so that an answer that is there is not late. Before the
 * loop sleeps, collected datagrams are sent, and the clock is told how long the sleep is meant to be.
 *
 * Thread: the worker's own, from worker_run until its thread is joined; before and after that the server's.
 */
#ifndef SERVICE_WORKER_LOOP_H
#define SERVICE_WORKER_LOOP_H

#include "service/worker/worker.h"

/* Makes the loop, its handles and its parts. False: out of memory, or OpenSSL lacks AES-256; call worker_clear when
 * `handles_ready`. */
bool worker_init(struct worker *worker, const struct worker_env *env, unsigned number);

/* Applies a configuration's settings to its sessions; not the rows. */
void worker_configure(struct worker *worker, const struct kdnetd_config *config);

/* Makes its thread, which waits for worker_run. Returns 0 or a UV_ code. */
int worker_start(struct worker *worker);

/* Lets the thread run the loop. */
void worker_run(struct worker *worker);

#define WORKER_STOP_READ_US 4000000U /* for reads under way and later ones, whatever read_deadline is */

/* From now on no look-up is waited for, no machine is read for longer, and no socket rests. */
void worker_stop(struct worker *worker);

/* Closes everything, so that the loop ends. */
void worker_finish(struct worker *worker);

/* Frees the rest. The thread must have ended; without one, the loop is run here. */
void worker_clear(struct worker *worker, bool started);

#endif
