/* SPDX-License-Identifier: Apache-2.0 */
/*
 * listening: losses of machines that may be their listener's fault, on the worker's side (net/hearing.h).
 */
#ifndef SERVICE_LISTENING_H
#define SERVICE_LISTENING_H

#include "service/worker/worker.h"

/* Publishes an event; holds back a loss that may be its listener's fault. Returns the number of its line in the
 * event log; 0: none. */
uint64_t listening_publish(struct worker *worker, struct target *target, const struct kdnet_event *event);

/* Applies the server's verdict on a listener. */
void listening_settle(struct worker *worker, struct listener *listener, enum hearing_verdict verdict,
                      uint64_t heard_us);

/* A listener is closed: its losses go to the listener that has the machines now, or are published. */
void listening_pass(struct worker *worker, const struct listener *from);

/* Counts the machines heard there in the last hour that are not lost, or whose loss is not published. Cost: visits
 * each row. */
size_t listening_count(const struct worker *worker, const struct listener *listener);

#endif
