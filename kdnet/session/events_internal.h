/* SPDX-License-Identifier: Apache-2.0 */
/* events_internal: the queue of events. Not for callers. */
#ifndef KDNET_EVENTS_INTERNAL_H
#define KDNET_EVENTS_INTERNAL_H

#include "kdnet/session/state_internal.h"

/* Adds an event with session id and identity filled in; a full queue drops its oldest event. Needs an active
 * session. */
struct kdnet_event *kdnet_events_add(struct kdnet_session *session, enum kdnet_event_type type);

/* Removes the oldest event from the queue. The connected event starts a session id, even when it is not reported. */
struct kdnet_event *kdnet_events_take(struct kdnet_session *session);

#endif
