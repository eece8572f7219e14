/* SPDX-License-Identifier: Apache-2.0 */
/*
 * publish: an event of a session, as a line of results (output/publisher.h) and as a line of the log.
 *
 * Uses totals, publisher, verdict, log.
 */
#ifndef SERVICE_PUBLISH_H
#define SERVICE_PUBLISH_H

#include "service/worker/worker.h"

/* Publishes an event. Returns the number of its line in the event log; 0: none. */
uint64_t publish_event(struct worker *worker, struct target *target, const struct kdnet_event *event);

/* Publishes that a target was removed from the configuration. Nothing of it is published afterwards. */
void publish_removed(struct worker *worker, const struct target *target);

#endif
