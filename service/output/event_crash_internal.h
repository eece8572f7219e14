/* SPDX-License-Identifier: Apache-2.0 */
/*
 * event_crash: the members of an event that say what a crash was: bugcheck, dump status, evidence, assessment, cause,
 * stack.
 *
 * Uses event_builder and, of kdnet, event, assessment, trace, names. Thread: any.
 */
#ifndef SERVICE_EVENT_CRASH_INTERNAL_H
#define SERVICE_EVENT_CRASH_INTERNAL_H

#include "service/output/event_builder_internal.h"

/* The members of a crash_status. `tried`: which symbol sources were tried and what each answered; or NULL. */
void event_crash_put(struct builder *b, const struct kdnet_event_crash_status *status, const char *tried);

/* code, name, parameters, from: the members of a bugcheck. */
void event_crash_put_bugcheck(struct builder *b, const struct kdnet_event_bugcheck *bugcheck);

/* The same as an object; null when no bugcheck is known. */
json_t *event_crash_bugcheck(const struct kdnet_event_bugcheck *bugcheck);

/* The four parameters. Memory that is out marks `b` as failed. */
json_t *event_crash_parameters(struct builder *b, const struct kdnet_bugcheck *bugcheck);

#endif
