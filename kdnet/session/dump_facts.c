/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Facts about a crash's dump besides the status: for the verdict, and for an assessment when the verdict is unknown.
 * Also detects a crash without a last break.
 */
#include "kdnet/session/dump_facts_internal.h"
#include "kdnet/session/events_internal.h"
#include "kdnet/session/evidence.h"
#include "kdnet/session/probes/dump_log_internal.h"
#include "kdnet/session/resend_internal.h"

#include <string.h>

#define POKES_ASK  3U  /* of a machine that should be writing its dump: it may be at a break that we did not receive */
#define POKES_TOLD 10U /* half a minute of pokes: the machine runs */

static enum kdnet_pointer_fact pointer_fact(const struct kdnet_evidence *evidence, const char *symbol)
{
    uint64_t pointer = 0;
    if (!kdnet_evidence_find(evidence, symbol, KDNET_READ_POINTER, &pointer))
        return KDNET_POINTER_UNKNOWN;
    return pointer == 0 ? KDNET_POINTER_NULL : KDNET_POINTER_SET;
}

static struct kdnet_dump_setup setup_of(const struct kdnet_evidence *evidence)
{
    struct kdnet_dump_setup setup = {.block = pointer_fact(evidence, KDNET_DUMP_BLOCK_SYMBOL),
                                     .driver = pointer_fact(evidence, KDNET_DUMP_DRIVER_SYMBOL)};
    uint64_t progress = 0;
    setup.progress_known = kdnet_evidence_find(evidence, KDNET_DUMP_PROGRESS_SYMBOL, KDNET_READ_U32, &progress);
    setup.progress = (uint32_t)progress;
    return setup;
}

void kdnet_dump_judge(struct kdnet_session *session, const struct kdnet_evidence *evidence,
                      struct kdnet_event_crash_status *status)
{
    struct kdnet_crash *crash = &session->history->crash;
    struct kdnet_dump_facts *facts = &status->dump;
    *facts = (struct kdnet_dump_facts){.phase = status->phase, .now = setup_of(evidence)};
    if (status->phase == KDNET_PHASE_BUGCHECK_FIRST) {
        crash->first_seen = true;
        crash->setup = facts->now;
    } else {
        facts->first_seen = crash->first_seen;
        facts->first = crash->setup;
    }
    facts->since_first_known = status->since_first_known;
    facts->since_first_us = status->since_first_us;
    bool completed = kdnet_dump_log_end(session, &facts->log);
    if (status->conclusion.verdict == KDNET_VERDICT_UNKNOWN && kdnet_dump_never_set_up(facts)) {
        status->conclusion.verdict = KDNET_VERDICT_NOT_STARTED;
        status->conclusion.source = KDNET_SOURCE_DUMP_BLOCK;
    } else if (status->conclusion.verdict == KDNET_VERDICT_UNKNOWN && completed) {
        status->conclusion.verdict = KDNET_VERDICT_WRITTEN;
        status->conclusion.source = KDNET_SOURCE_DUMP_LOG;
    }
    facts->verdict = status->conclusion.verdict;
}

/* --- a crash without a last break --------------------------------------------------------------------------------- */

void kdnet_last_break_expect(struct kdnet_session *session, uint64_t now_us)
{
    struct kdnet_awaited_break *awaited = &session->history->awaited;
    *awaited = (struct kdnet_awaited_break){.expected = true, .since_us = kdnet_state_people_us(session, now_us)};
}

void kdnet_last_break_came(struct kdnet_session *session)
{
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
