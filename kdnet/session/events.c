/* SPDX-License-Identifier: Apache-2.0 */
/* The events of a session until they are handed out. */
#include "kdnet/session/events_internal.h"
#include "kdnet/session/identity_internal.h"

#include <stdlib.h>
#include <string.h>

/* Removes the oldest event from the queue. The connected event starts a session id, even when it is not reported. */
struct kdnet_event *kdnet_events_take(struct kdnet_session *session)
{
    struct kdnet_active *active = session->active;
    struct kdnet_event *event = &active->event[active->event_first];
    active->event_first = (active->event_first + 1) % KDNET_EVENTS;
    --active->event_count;
    if (event->type == KDNET_EVENT_CONNECTED)
        session->told = 0;
    return event;
}

struct kdnet_event *kdnet_events_add(struct kdnet_session *session, enum kdnet_event_type type)
{
    struct kdnet_active *active = session->active;
    kdnet_identity_expire(session, session->last_seen_us);
    if (active->event_count == KDNET_EVENTS)
        (void)kdnet_events_take(session);
    unsigned place = (active->event_first + active->event_count++) % KDNET_EVENTS;
    struct kdnet_event *event = &active->event[place];
    free(active->evidence[place]);
    free(active->trace[place]);
    active->evidence[place] = NULL;
    active->trace[place] = NULL;
    memset(event, 0, sizeof *event);
    event->type = type;
    memcpy(event->session, session->id, sizeof event->session);
    kdnet_identity_fill(session, event);
    return event;
}
