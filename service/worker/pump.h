/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pump: finishes each call of a session: publishes its events, sends its datagrams, arms its deadline.
 */
#ifndef SERVICE_PUMP_H
#define SERVICE_PUMP_H

#include "service/platform/receiver.h"
#include "service/worker/worker.h"

/*
 * Targets touched by this batch. They send after the whole batch, so an ACK and the reply behind it cost one pass, and
 * nothing is requested that has already arrived.
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

/* The two halves of pump_target. Publishes a session's events, and counts whether its machine halts; */
void pump_drain_events(struct worker *worker, struct target *target, uint64_t now_us);
/* sends a session's datagrams, unless its release waits for its result to be written, and arms its deadline. */
void pump_send_pending(struct worker *worker, struct target *target, struct listener *listener,
                       const struct address *source, uint64_t now_us);

/* Queues the target to send at the end of the batch, to where it was heard last. */
void pump_queue_send(struct worker *worker, struct target *target, const struct arrival *arrival);

/* Ends a batch: all queued targets send. Rows migrate only here, and after single datagrams. */
void pump_send_due(struct worker *worker, struct listener *listener, struct pending_sends *pending_sends,
                   uint64_t now_us);

void pump_expire(struct worker *worker);  /* sessions whose deadline has passed */
void pump_admit(struct worker *worker);   /* machines whose turn has come (admission.h) */
void pump_release(struct worker *worker); /* machines whose results are written by now, or have waited long enough */

#endif
