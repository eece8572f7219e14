/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pump: what a session has after a call: its events are published, its datagrams sent, its deadline armed.
 *
 * Uses listening (publish), send, migration, totals, release_gate, admission, timers.
 */
#ifndef SERVICE_PUMP_H
#define SERVICE_PUMP_H

#include "service/platform/receiver.h"
#include "service/worker/worker.h"

/*
 * Targets that have something to send, perhaps, once all of a batch is through: what comes together is answered
 * together, an ACK and the reply behind it with one look, and nothing is asked for that is already there.
 */
struct pending_sends {
    struct {
        struct target *target;
        const struct address *source;
    } due[RECEIVER_BATCH];
    size_t count;
};

/* Publishes events, sends datagrams and arms the deadline. `listener` and `source` NULL: no datagram was received. */
void pump_target(struct worker *worker, struct target *target, struct listener *listener, const struct address *source,
                 uint64_t now_us);

/* The two halves of pump_target: publishes what a session has to say, and counts whether its machine halts; */
void pump_drain_events(struct worker *worker, struct target *target, uint64_t now_us);
/* sends what a session has, unless its release waits for its result to be written, and arms its deadline. */
void pump_send_pending(struct worker *worker, struct target *target, struct listener *listener,
                       const struct address *source, uint64_t now_us);

/* The target sends at the end of the batch, to where it was heard last. */
void pump_queue_send(struct worker *worker, struct target *target, const struct arrival *arrival);

/* The end of a batch: all that were queued send. Rows move to other workers only here, and for what came alone. */
void pump_send_due(struct worker *worker, struct listener *listener, struct pending_sends *pending_sends,
                   uint64_t now_us);

void pump_expire(struct worker *worker);  /* sessions whose deadline has passed */
void pump_admit(struct worker *worker);   /* machines whose turn has come (admission.h) */
void pump_release(struct worker *worker); /* machines whose results are written by now, or have waited long enough */

#endif
