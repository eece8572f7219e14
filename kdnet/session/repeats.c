/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A machine at the end of its crash whose owner disabled automatic reboot can only spin: continued, it breaks in again
 * at once, thousands of times a second. Its breaks count as one break with one result and a counter; after a few
 * repeats the machine is continued once a minute. The first break of a crash, after which the dump is written, never
 * waits.
 */
#include "kdnet/kernel/crash.h"
#include "kdnet/session/demand_internal.h"
#include "kdnet/session/halt_internal.h"
#include "kdnet/session/repeats_internal.h"

#define REPEATS_AT_ONCE   3U
#define REPEATS_WAIT_US   UINT64_C(60000000)
#define REPEATS_FIRST_US  UINT64_C(1000000) /* after a break that only resembles the last one; doubles each time */
#define REPEATS_DOUBLINGS 6U

/* Whether the break is the second one, or a breakpoint inside a crash that Windows does not mark by a status. */
static bool may_be_last(const struct kdnet_session *session, const struct kdnet_break_facts *facts)
{
    const struct kdnet_crash *crash = &session->history->crash;
    enum kdnet_phase phase = kdnet_crash_phase(facts);
    if (phase == KDNET_PHASE_BUGCHECK_SECOND)
        return true;
    return phase == KDNET_PHASE_BREAK && facts->breakpoint && (crash->first_released || crash->bugcheck.known) &&
           !kdnet_demand_is_answer(session, true);
}

bool kdnet_repeats_is_one(const struct kdnet_session *session)
{
    const struct kdnet_last_break *last = &session->history->crash.last;
    struct kdnet_break_facts facts = kdnet_halt_facts(session);
    enum kdnet_phase phase = kdnet_crash_phase(&facts);
    return last->known && last->phase == phase && may_be_last(session, &facts) &&
           (phase == KDNET_PHASE_BUGCHECK_SECOND || last->checksum == session->active->halt.stop.checksum);
}

bool kdnet_repeats_is_reported(const struct kdnet_session *session, const struct kdnet_event_crash_status *status)
{
    const struct kdnet_last_break *last = &session->history->crash.last;
    return last->conclusion.verdict == status->conclusion.verdict &&
           last->conclusion.reason == status->conclusion.reason && last->status_known == status->status_known &&
           last->status == status->status;
}

void kdnet_repeats_keep(struct kdnet_session *session, const struct kdnet_event_crash_status *status)
{
    struct kdnet_last_break *last = &session->history->crash.last;
    struct kdnet_break_facts facts = kdnet_halt_facts(session);
    uint32_t repeated = kdnet_repeats_is_one(session) ? last->repeated : 0;
    *last = (struct kdnet_last_break){.known = may_be_last(session, &facts),
                                      .status_known = status->status_known,
                                      .phase = status->phase,
                                      .checksum = session->active->halt.stop.checksum,
                                      .status = status->status,
                                      .repeated = repeated,
                                      .conclusion = status->conclusion};
}

uint64_t kdnet_repeats_wait_us(const struct kdnet_session *session)
{
    const struct kdnet_last_break *last = &session->history->crash.last;
    if (!last->known || last->repeated <= REPEATS_AT_ONCE)
        return 0;
    unsigned doublings = last->repeated - REPEATS_AT_ONCE - 1;
    if (last->phase == KDNET_PHASE_BUGCHECK_SECOND || doublings >= REPEATS_DOUBLINGS)
        return REPEATS_WAIT_US;
    return REPEATS_FIRST_US << doublings;
}

void kdnet_repeats_end(struct kdnet_session *session)
{
    struct kdnet_last_break *last = &session->history->crash.last;
    if (last->phase == KDNET_PHASE_BREAK)
        *last = (struct kdnet_last_break){.known = false};
}
