/* SPDX-License-Identifier: Apache-2.0 */
/*
 * listening: losses of machines that may be their listener's, on the worker's side (net/hearing.h).
 *
 * Uses publish, losses.
 */
#ifndef SERVICE_LISTENING_H
#define SERVICE_LISTENING_H

#include "service/worker/worker.h"

/* Publishes an event; but keeps a loss back that may be its listener's. Returns the number of its line in the event
 * log; 0: there is none. */
uint64_t listening_publish(struct worker *worker, struct target *target, const struct kdnet_event *event);

/* What the server has found out about a listener. */
void listening_settle(struct worker *worker, struct listener *listener, enum hearing_verdict verdict,
                      uint64_t heard_us);

/* A listener goes away: its losses belong to the listener that has the machines by now, or are published. */
void listening_pass(struct worker *worker, const struct listener *from);

/* Machines that were heard there in the last hour and are not lost, or not published as lost. Cost: a look at each row.
 */
size_t listening_count(const struct worker *worker, const struct listener *listener);

#endif
