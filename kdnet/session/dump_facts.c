/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Facts about a crash's dump besides the status: for the verdict, and for an assessment when the verdict is unknown.
 */
#include "kdnet/session/dump_facts_internal.h"
#include "kdnet/session/evidence.h"
#include "kdnet/session/probes/dump_log_internal.h"

#include <string.h>

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
