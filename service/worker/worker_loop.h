/* SPDX-License-Identifier: Apache-2.0 */
/*
 * worker_loop: the loop of a worker, from its start to its end, and what each of its rounds does.
 *
 * Uses the whole room. A round: sockets are drained, then deadlines are handled, so that an answer that is there is not
 * late; before the loop sleeps, what was collected is sent, and the clock is told how long it means to sleep.
 *
 * Thread: the worker's own, from worker_run until its thread is joined; before and after that the server's.
 */
#ifndef SERVICE_WORKER_LOOP_H
#define SERVICE_WORKER_LOOP_H

#include "service/worker/worker.h"

/* Makes the loop, its handles and its parts. False: memory is out, or OpenSSL has no AES-256; worker_clear when
 * `handles_ready`. */
bool worker_init(struct worker *worker, const struct worker_env *env, unsigned number);

/* What its sessions are told by a configuration; not the rows. */
void worker_configure(struct worker *worker, const struct kdnetd_config *config);

/* Makes its thread, which waits for worker_run. Returns 0 or a UV_ code. */
int worker_start(struct worker *worker);

/* Lets its thread run the loop. */
void worker_run(struct worker *worker);

/* From now on no look-up is waited for, and no socket rests. */
void worker_stop(struct worker *worker);

/* Closes everything, so that the loop ends. */
void worker_finish(struct worker *worker);

/* Frees what is left. Its thread must have ended; without one, its loop is run here. */
void worker_clear(struct worker *worker, bool started);

#endif
