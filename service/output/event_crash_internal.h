/* SPDX-License-Identifier: Apache-2.0 */
/*
 * event_crash: the members of an event that describe a crash: bugcheck, dump status, evidence, assessment, cause,
 * stack.
 *
 * Thread: any.
 */
#ifndef SERVICE_EVENT_CRASH_INTERNAL_H
#define SERVICE_EVENT_CRASH_INTERNAL_H

#include "service/output/event_builder_internal.h"

/* Adds the members of a crash_status. `tried`: the symbol sources that were tried, with their answers; or NULL. */
void event_crash_put(struct builder *b, const struct kdnet_event_crash_status *status, const char *tried);

/* code, name, parameters, from: the members of a bugcheck. */
void event_crash_put_bugcheck(struct builder *b, const struct kdnet_event_bugcheck *bugcheck);

/* Makes the bugcheck's object; null when no bugcheck is known. */
json_t *event_crash_bugcheck(const struct kdnet_event_bugcheck *bugcheck);

/* Makes the array of the four parameters. Out of memory marks `b` as failed. */
json_t *event_crash_parameters(struct builder *b, const struct kdnet_bugcheck *bugcheck);

#endif
