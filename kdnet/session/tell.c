/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The events of a break: each is told once. DESIGN.md section 3.
 */
#include "kdnet/session/inquiry_internal.h"

#include <string.h>

#define STORM_PERIOD_US 60000000U

void kdnet_tell_kernel(struct kdnet_session *session)
{
    struct kdnet_boot *boot = session->boot;
    if (!boot || !boot->version_known || boot->announced)
        return;
    boot->announced = true;
    struct kdnet_event_kernel *kernel = &kdnet_session_event(session, KDNET_EVENT_KERNEL)->u.kernel;
    kernel->who = (uint8_t)(boot->version.major >> 8);
    kernel->build = boot->version.minor;
    kernel->machine = boot->version.machine;
    kernel->kernel_base = kdnet_halt_kernel_base(session);
    kernel->build_lab_known = boot->build_lab_known;
    memcpy(kernel->build_lab, boot->build_lab, sizeof kernel->build_lab);
    kernel->pdb_known = boot->pdb_known;
    kernel->pdb = boot->pdb;
}

void kdnet_tell_bugcheck(struct kdnet_session *session, const struct kdnet_bugcheck *data, bool from_memory)
{
    struct kdnet_event_bugcheck *told = &session->past->crash.bugcheck;
    bool same = told->known && told->data.code == data->code &&
                memcmp(told->data.parameters, data->parameters, sizeof data->parameters) == 0;
    *told = (struct kdnet_event_bugcheck){.known = true, .from_memory = from_memory, .data = *data};
    if (!same)
        kdnet_session_event(session, KDNET_EVENT_BUGCHECK)->u.bugcheck = *told;
}

static void tell_break(struct kdnet_session *session)
{
    struct kdnet_halt *halt = &session->talk->halt;
    struct kdnet_break_facts facts = kdnet_halt_facts(session);
    struct kdnet_event_break_in *event = &kdnet_session_event(session, KDNET_EVENT_BREAK_IN)->u.break_in;
    halt->told_break = true;
    event->phase = kdnet_crash_phase(&facts);
    event->exception = facts.exception;
    event->code = halt->change.exception.code;
    event->address = halt->change.exception.address;
    event->first_chance = halt->change.exception.first_chance != 0;
}

void kdnet_tell_break(struct kdnet_session *session)
{
    struct kdnet_halt *halt = &session->talk->halt;
    if (halt->told_break || halt->unread || halt->repeat)
        return;
    if (!kdnet_repeats_is_one(session)) {
        tell_break(session);
        return;
    }
    halt->repeat = true; /* its result tells whether there is anything new */
    ++session->past->crash.last.repeated;
}

/* Why the status is not known, when no step has said so. */
static enum kdnet_reason why_unknown(const struct kdnet_session *session, enum kdnet_reason interrupted)
{
    const struct kdnet_boot *boot = session->boot;
    const struct kdnet_halt *halt = &session->talk->halt;
    if (halt->reason != KDNET_REASON_NONE)
        return halt->reason;
    if (boot && boot->version_known && !kdnet_boot_is_nt(boot))
        return KDNET_REASON_NO_KERNEL;
    return interrupted != KDNET_REASON_NONE ? interrupted : KDNET_REASON_UNREADABLE;
}

static void fill_status(const struct kdnet_session *session, enum kdnet_reason interrupted, uint64_t now_us,
                        struct kdnet_event_crash_status *event)
{
    const struct kdnet_halt *halt = &session->talk->halt;
    const struct kdnet_boot *boot = session->boot;
    const struct kdnet_crash *crash = &session->past->crash;
    struct kdnet_break_facts facts = kdnet_halt_facts(session);
    event->phase = kdnet_crash_phase(&facts);
    event->conclusion = kdnet_crash_conclude(event->phase, halt->status_known, halt->status, halt->source,
                                             why_unknown(session, interrupted));
    event->status_known = halt->status_known;
    event->status = halt->status;
    event->address_known = halt->address_known;
    event->address = halt->status_address;
    event->bugcheck = crash->bugcheck;
    if (boot && boot->build_lab_known) {
        event->build_lab_known = true;
        memcpy(event->build_lab, boot->build_lab, sizeof event->build_lab);
    }
    event->rtt_us = kdnet_link_rtt(&session->talk->link);
    event->read_us = kdnet_session_people_us(session, now_us) - halt->since_us;
    event->since_first_known = crash->first_released;
    event->since_first_us = crash->first_released ? halt->since_us - crash->first_released_us : 0;
    event->symbols_pending = halt->waiting && !halt->status_known;
    event->break_status_known = facts.at_status_break && facts.break_status_known;
    event->break_status = facts.break_status;
}

void kdnet_tell_status(struct kdnet_session *session, enum kdnet_reason interrupted, uint64_t now_us)
{
    struct kdnet_halt *halt = &session->talk->halt;
    struct kdnet_event_crash_status status = {.phase = KDNET_PHASE_BREAK};
    if (halt->told_status || halt->unread)
        return;
    halt->told_status = true;
    if (session->past->crash.printed && (!halt->bugcheck_known || halt->bugcheck.code == 0))
        kdnet_identity_broke(session, &session->past->crash.bugcheck.data);
    kdnet_tell_break(session);
    kdnet_tell_kernel(session);
    fill_status(session, interrupted, now_us, &status);
    if (halt->repeat && kdnet_repeats_is_told(session, &status))
        return;
    if (halt->repeat)
        tell_break(session);
    kdnet_repeats_keep(session, &status);
    struct kdnet_evidence *evidence = kdnet_gather_end(session);
    struct kdnet_event *event = kdnet_session_event(session, KDNET_EVENT_CRASH_STATUS);
    event->u.crash_status = status;
    event->u.crash_status.evidence = evidence;
    session->talk->evidence[event - session->talk->event] = evidence;
}

void kdnet_tell_released(struct kdnet_session *session, uint64_t now_us)
{
    struct kdnet_halt *halt = &session->talk->halt;
    if (halt->told_release)
        return;
    if ((halt->load_symbols || !halt->told_break) && !halt->told_held)
        return; /* an image, a question, an ordinary shutdown: no break for anybody to see */
    halt->told_release = halt->action != KDNET_ACTION_HOLD;
    struct kdnet_event_released *event = &kdnet_session_event(session, KDNET_EVENT_RELEASED)->u.released;
    event->action = halt->action;
    event->halted_us = kdnet_session_people_us(session, now_us) - halt->since_us;
    event->repeated = halt->said_again + (halt->repeat ? session->past->crash.last.repeated : 0);
    if (halt->action != KDNET_ACTION_CONTINUE)
        return;
    event->cleared = kdnet_halt_leftover(session);
    event->cleared_first = event->cleared != KDNET_LEFTOVER_NONE && !session->past->cleared_told;
    session->past->cleared_told |= event->cleared_first;
}

void kdnet_tell_held(struct kdnet_session *session, enum kdnet_break_kind why, uint64_t now_us)
{
    struct kdnet_halt *halt = &session->talk->halt;
    struct kdnet_event_held *event = &kdnet_session_event(session, KDNET_EVENT_HELD)->u.held;
    halt->told_held = true;
    event->why = why;
    event->hold_for_us = halt->deadline_us == KDNET_NEVER ? 0 : halt->deadline_us - now_us;
}

void kdnet_tell_storm(struct kdnet_session *session, uint64_t now_us)
{
    ++session->past->unread;
    if (session->past->storm_told_us != 0 && now_us - session->past->storm_told_us < STORM_PERIOD_US)
        return;
    session->past->storm_told_us = now_us;
    kdnet_session_event(session, KDNET_EVENT_BREAK_STORM)->u.break_storm.unread = session->past->unread;
    session->past->unread = 0;
}
