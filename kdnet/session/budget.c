/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rate limits of the events that a machine causes: for each kind of event a burst, then one each second. Events beyond
 * the limit are counted and reported as one event a kind. Results of crashes have a limit of their own, so that no
 * flood of other breaks suppresses one. The clock is the time when the machine was last heard, so no timer is needed.
 */
#include "kdnet/session/budget_internal.h"
#include "kdnet/session/events_internal.h"

#define REPORT_SUPPRESSED_US UINT64_C(10000000) /* after the first suppressed event */

bool kdnet_budget_spend(uint64_t *back_us, uint64_t now_us, unsigned at_once, uint64_t every_us)
{
    uint64_t from_us = *back_us > now_us ? *back_us : now_us;
    if (from_us + every_us > now_us + at_once * every_us)
        return false;
    *back_us = from_us + every_us;
    return true;
}

static bool is_free(const struct kdnet_event *event)
{
    switch (event->type) {
    case KDNET_EVENT_CONNECTED:
        return event->u.connected.first; /* a whole fleet may connect at once: an idle target must not need a history */
    case KDNET_EVENT_CRASH_STATUS:
        return event->u.crash_status.demanded;
    case KDNET_EVENT_LOST: /* rare by their nature */
    case KDNET_EVENT_BREAK_STORM:
    case KDNET_EVENT_SUPPRESSED:
        return true;
    default:
        return false;
    }
}

static unsigned budget_of(const struct kdnet_event *event)
{
    bool result = event->type == KDNET_EVENT_CRASH_STATUS;
    enum kdnet_phase phase = result ? event->u.crash_status.phase : KDNET_PHASE_BREAK;
    return result && phase != KDNET_PHASE_BREAK && phase != KDNET_PHASE_BOOT ? KDNET_BUDGET_CRASH
                                                                             : (unsigned)event->type;
}

bool kdnet_budget_allows(struct kdnet_session *session, const struct kdnet_event *event)
{
    struct kdnet_budget *budget = &session->history->budget;
    unsigned of = budget_of(event);
    if (is_free(event) ||
        kdnet_budget_spend(&budget->back_us[of], session->last_seen_us, KDNET_EVENTS_AT_ONCE, KDNET_EVENT_EVERY_US))
        return true;
    ++budget->suppressed[event->type];
    if (budget->report_us == 0)
        budget->report_us = session->last_seen_us + REPORT_SUPPRESSED_US;
    return false;
}

bool kdnet_budget_is_whole(const struct kdnet_budget *budget, uint64_t now_us)
{
    if (budget->report_us != 0)
        return false;
    for (unsigned i = 0; i < KDNET_BUDGETS; ++i)
        if (budget->back_us[i] > now_us)
            return false;
    return true;
}

uint64_t kdnet_budget_deadline(const struct kdnet_session *session)
{
    return session->history && session->history->budget.report_us != 0 ? session->history->budget.report_us
                                                                       : KDNET_NEVER;
}

void kdnet_budget_expire(struct kdnet_session *session, uint64_t now_us)
{
    if (now_us < kdnet_budget_deadline(session) || !kdnet_state_wake(session))
        return;
    struct kdnet_budget *budget = &session->history->budget;
    for (unsigned type = 0; type < KDNET_EVENT_TYPES; ++type) {
        if (budget->suppressed[type] == 0)
            continue;
        struct kdnet_event *event = kdnet_events_add(session, KDNET_EVENT_SUPPRESSED);
        event->u.suppressed.kind = (enum kdnet_event_type)type;
        event->u.suppressed.count = budget->suppressed[type];
        budget->suppressed[type] = 0;
    }
    budget->report_us = 0;
}
