/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The events of a break: each is told once. DESIGN.md section 3.
 */
#include "kdnet/crash/trace.h"
#include "kdnet/kernel/crash.h"
#include "kdnet/session/demand_internal.h"
#include "kdnet/session/dump_facts_internal.h"
#include "kdnet/session/events_internal.h"
#include "kdnet/session/halt_internal.h"
#include "kdnet/session/identity_internal.h"
#include "kdnet/session/last_break_internal.h"
#include "kdnet/session/probes/cause_internal.h"
#include "kdnet/session/probes/evidence_internal.h"
#include "kdnet/session/repeats_internal.h"
#include "kdnet/session/report_internal.h"

#include <string.h>

#define STORM_PERIOD_US 60000000U

void kdnet_report_kernel(struct kdnet_session *session)
{
    struct kdnet_kernel_info *info = session->kernel_info;
    if (!info || !kdnet_is_known(&info->facts, KDNET_FACT_VERSION) || info->reported)
        return;
    info->reported = true;
    struct kdnet_event_kernel *kernel = &kdnet_events_add(session, KDNET_EVENT_KERNEL)->u.kernel;
    kernel->who = (uint8_t)(info->version.major >> 8);
    kernel->build = info->version.minor;
    kernel->machine = info->version.machine;
    kernel->kernel_base = kdnet_halt_kernel_base(session);
    kernel->build_lab_known = kdnet_is_known(&info->facts, KDNET_FACT_BUILD_LAB);
    memcpy(kernel->build_lab, info->build_lab, sizeof kernel->build_lab);
    kernel->pdb_known = kdnet_is_known(&info->facts, KDNET_FACT_IDENTITY);
    kernel->pdb = info->pdb;
}

void kdnet_report_bugcheck(struct kdnet_session *session, const struct kdnet_bugcheck *data, bool from_memory)
{
    struct kdnet_event_bugcheck *told = &session->history->crash.bugcheck;
    bool same = told->known && told->data.code == data->code &&
                memcmp(told->data.parameters, data->parameters, sizeof data->parameters) == 0;
    *told = (struct kdnet_event_bugcheck){.known = true, .from_memory = from_memory, .data = *data};
    if (!same)
        kdnet_events_add(session, KDNET_EVENT_BUGCHECK)->u.bugcheck = *told;
}

static void report_break(struct kdnet_session *session)
{
    struct kdnet_halt *halt = &session->active->halt;
    struct kdnet_break_facts facts = kdnet_halt_facts(session);
    struct kdnet_event_break_in *event = &kdnet_events_add(session, KDNET_EVENT_BREAK_IN)->u.break_in;
    halt->reported.break_in = true;
    event->phase = kdnet_crash_phase(&facts);
    event->exception = facts.exception;
    event->code = halt->stop.change.exception.code;
    event->address = halt->stop.change.exception.address;
    event->first_chance = halt->stop.change.exception.first_chance != 0;
}

void kdnet_report_break(struct kdnet_session *session)
{
    struct kdnet_halt *halt = &session->active->halt;
    if (halt->reported.break_in || halt->unread || halt->repeat)
        return;
    if (!kdnet_repeats_is_one(session)) {
        report_break(session);
        return;
    }
    halt->repeat = true; /* the result decides whether there is anything new */
    ++session->history->crash.last.repeated;
}

/* Why the status is not known, when no step has said so. */
static enum kdnet_reason why_unknown(const struct kdnet_session *session, enum kdnet_reason interrupted)
{
    const struct kdnet_kernel_info *info = session->kernel_info;
    const struct kdnet_halt *halt = &session->active->halt;
    if (halt->dump_status.reason != KDNET_REASON_NONE)
        return halt->dump_status.reason;
    if (info && kdnet_is_known(&info->facts, KDNET_FACT_VERSION) && !kdnet_kernel_info_is_nt(info))
        return KDNET_REASON_NO_KERNEL;
    return interrupted != KDNET_REASON_NONE ? interrupted : KDNET_REASON_UNREADABLE;
}

static void fill_status(const struct kdnet_session *session, enum kdnet_reason interrupted, uint64_t now_us,
                        struct kdnet_event_crash_status *event)
{
    const struct kdnet_halt *halt = &session->active->halt;
    const struct kdnet_kernel_info *info = session->kernel_info;
    const struct kdnet_crash *crash = &session->history->crash;
    struct kdnet_break_facts facts = kdnet_halt_facts(session);
    event->phase = kdnet_crash_phase(&facts);
    event->conclusion = kdnet_crash_conclude(event->phase, kdnet_is_known(&halt->facts, KDNET_FACT_STATUS),
                                             halt->dump_status.value, halt->dump_status.source,
                                             why_unknown(session, interrupted));
    event->status_known = kdnet_is_known(&halt->facts, KDNET_FACT_STATUS);
    event->status = halt->dump_status.value;
    event->address_known = halt->dump_status.address_known;
    event->address = halt->dump_status.address;
    event->bugcheck = crash->bugcheck;
    if (info && kdnet_is_known(&info->facts, KDNET_FACT_BUILD_LAB)) {
        event->build_lab_known = true;
        memcpy(event->build_lab, info->build_lab, sizeof event->build_lab);
    }
    event->rtt_us = kdnet_link_rtt(&session->active->link);
    event->read_us = kdnet_state_people_us(session, now_us) - (halt->again ? halt->again_us : halt->since_us);
    event->since_first_known = crash->first_released;
    event->since_first_us = crash->first_released ? halt->since_us - crash->first_released_us : 0;
    event->symbols_pending = halt->dump_status.waiting && !kdnet_is_known(&halt->facts, KDNET_FACT_STATUS);
    event->break_status_known = facts.at_status_break && facts.break_status_known;
    event->break_status = facts.break_status;
}

/* Whether a result says more than that the machine did not answer. */
static bool is_read(const struct kdnet_conclusion *conclusion)
{
    return conclusion->verdict != KDNET_VERDICT_UNKNOWN ||
           (conclusion->reason != KDNET_REASON_TIMEOUT && conclusion->reason != KDNET_REASON_LOST &&
            conclusion->reason != KDNET_REASON_OVERLOADED);
}

void kdnet_report_status(struct kdnet_session *session, enum kdnet_reason interrupted, uint64_t now_us)
{
    struct kdnet_halt *halt = &session->active->halt;
    struct kdnet_event_crash_status status = {.phase = KDNET_PHASE_BREAK};
    bool wanted = halt->again || kdnet_demand_stopped_it(session); /* by an operator, who is always answered */
    kdnet_demand_told(session);
    if (halt->reported.status || halt->unread)
        return;
    halt->reported.status = true;
    if (session->history->crash.printed &&
        (!kdnet_is_known(&halt->facts, KDNET_FACT_BUGCHECK) || halt->bugcheck.code == 0))
        kdnet_identity_broke(session, &session->history->crash.bugcheck.data);
    kdnet_report_break(session);
    kdnet_report_kernel(session);
    fill_status(session, interrupted, now_us, &status);
    status.demanded = wanted;
    kdnet_dump_judge(session, kdnet_evidence_probe_look(session), &status);
    if (status.phase != KDNET_PHASE_BUGCHECK_FIRST && status.phase != KDNET_PHASE_BOOT)
        kdnet_last_break_came(session);
    if (halt->told && !wanted && status.conclusion.verdict == KDNET_VERDICT_UNKNOWN)
        return; /* beside the other host's result */
    if (halt->repeat && !wanted && kdnet_repeats_is_reported(session, &status))
        return;
    if (halt->repeat && !halt->again)
        report_break(session);
    kdnet_repeats_keep(session, &status);
    struct kdnet_trace *trace = kdnet_cause_end(session);
    struct kdnet_evidence *evidence = kdnet_evidence_probe_end(session);
    session->active->told_checksum = is_read(&status.conclusion) ? halt->stop.checksum : 0;
    struct kdnet_event *event = kdnet_events_add(session, KDNET_EVENT_CRASH_STATUS);
    event->u.crash_status = status;
    event->u.crash_status.evidence = evidence;
    session->active->evidence[event - session->active->event] = evidence;
    event->u.crash_status.trace = trace;
    session->active->trace[event - session->active->event] = trace;
    memcpy(event->u.crash_status.bucket, session->history->crash.bucket, sizeof event->u.crash_status.bucket);
}

void kdnet_report_released(struct kdnet_session *session, uint64_t now_us)
{
    struct kdnet_halt *halt = &session->active->halt;
    if (halt->reported.release)
        return;
    if ((halt->stop.load_symbols || !halt->reported.break_in) && !halt->reported.held)
        return; /* an image, a question, an ordinary shutdown: no break for anybody to see */
    halt->reported.release = halt->action != KDNET_ACTION_HOLD;
    struct kdnet_event_released *event = &kdnet_events_add(session, KDNET_EVENT_RELEASED)->u.released;
    event->action = halt->action;
    event->halted_us = kdnet_state_people_us(session, now_us) - halt->since_us;
    event->repeated = halt->resuming.duplicate_breaks + (halt->repeat ? session->history->crash.last.repeated : 0);
    if (halt->action != KDNET_ACTION_CONTINUE)
        return;
    event->cleared = kdnet_halt_leftover(session);
    event->cleared_first = event->cleared != KDNET_LEFTOVER_NONE && !session->history->cleared_reported;
    session->history->cleared_reported |= event->cleared_first;
}

void kdnet_report_held(struct kdnet_session *session, enum kdnet_break_kind why, uint64_t now_us)
{
    struct kdnet_halt *halt = &session->active->halt;
    struct kdnet_event_held *event = &kdnet_events_add(session, KDNET_EVENT_HELD)->u.held;
    halt->reported.held = true;
    event->why = why;
    event->hold_for_us = halt->deadline_us == KDNET_NEVER ? 0 : halt->deadline_us - now_us;
}

void kdnet_report_storm(struct kdnet_session *session, uint64_t now_us)
{
    ++session->history->unread;
    if (session->history->storm_reported_us != 0 && now_us - session->history->storm_reported_us < STORM_PERIOD_US)
        return;
    session->history->storm_reported_us = now_us;
    kdnet_events_add(session, KDNET_EVENT_BREAK_STORM)->u.break_storm.unread = session->history->unread;
    session->history->unread = 0;
}
