/* SPDX-License-Identifier: Apache-2.0 */
/* Detects a crash without a last break: the machine runs, or has rebooted, and its last break never came. */
#include "kdnet/session/last_break_internal.h"
#include "kdnet/session/events_internal.h"
#include "kdnet/session/resend_internal.h"
#include "kdnet/session/state_internal.h"

#define POKES_ASK  3U  /* of a machine that should be writing its dump: it may be at a break that we did not receive */
#define POKES_TOLD 10U /* half a minute of pokes: the machine runs */

void kdnet_last_break_expect(struct kdnet_session *session, uint64_t now_us)
{
    struct kdnet_awaited_break *awaited = &session->history->awaited;
    *awaited = (struct kdnet_awaited_break){.expected = true,
                                            .checksum = session->active->halt.stop.checksum,
                                            .since_us = kdnet_state_people_us(session, now_us)};
}

void kdnet_last_break_came(struct kdnet_session *session)
{
    session->history->awaited.expected = false;
}

void kdnet_last_break_told(struct kdnet_session *session, uint32_t checksum)
{
    if (session->history && checksum != session->history->awaited.checksum)
        session->history->awaited.expected = false;
}

void kdnet_last_break_missing(struct kdnet_session *session, bool rebooted)
{
    struct kdnet_awaited_break *awaited = &session->history->awaited;
    if (!awaited->expected || !kdnet_state_wake(session))
        return;
    awaited->expected = false;
    struct kdnet_event_no_last_break *event = &kdnet_events_add(session, KDNET_EVENT_NO_LAST_BREAK)->u.no_last_break;
    event->rebooted = rebooted || awaited->rebooted;
    event->since_first_us = kdnet_state_people_us(session, session->last_seen_us) - awaited->since_us;
    event->bugcheck = session->history->crash.bugcheck;
}

void kdnet_last_break_poked(struct kdnet_session *session, uint64_t now_us)
{
    struct kdnet_history *history = session->history;
    if (!history || !history->awaited.expected || kdnet_state_is_halted(session))
        return;
    if (++history->awaited.pokes == POKES_ASK && history->crash.dumping)
        kdnet_resend_begin(session, POKES_ASK, now_us);
    if (history->awaited.pokes < POKES_TOLD)
        return;
    kdnet_last_break_missing(session, false);
    history->crash.dumping = false;
}
