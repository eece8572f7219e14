/* SPDX-License-Identifier: Apache-2.0 */
/* events_internal: the queue of events. Not for callers. */
#ifndef KDNET_EVENTS_INTERNAL_H
#define KDNET_EVENTS_INTERNAL_H

#include "kdnet/session/state_internal.h"

/* Room for one event, session id and what it belongs to filled in; with a full queue the oldest gives way. Needs a
 * session that is active. */
struct kdnet_event *kdnet_events_add(struct kdnet_session *session, enum kdnet_event_type type);

/* The oldest event leaves the queue. A session begins with its connected event, told or not. */
struct kdnet_event *kdnet_events_take(struct kdnet_session *session);

#endif
