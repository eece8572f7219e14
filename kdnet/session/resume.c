/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a halted machine is let go: over the breakpoint, then the policy's action, repeated until the machine has surely
 * taken it. No deadline ends this, and each way through it leaves either something under way with a timer, a chosen
 * hold, or a machine that runs.
 */
#include "kdnet/kernel/crash.h"
#include "kdnet/session/demand_internal.h"
#include "kdnet/session/dump_facts_internal.h"
#include "kdnet/session/halt_internal.h"
#include "kdnet/session/probes/context_internal.h"
#include "kdnet/session/probes/probe_internal.h"
#include "kdnet/session/probes/probes_internal.h"
#include "kdnet/session/repeats_internal.h"
#include "kdnet/session/report_internal.h"
#include "kdnet/session/request_internal.h"
#include "kdnet/session/resend_internal.h"
#include "kdnet/session/resume_internal.h"

#include <string.h>

#define STEP_PATIENCE_US    12000000U /* for the reply to a step that was acknowledged; then it goes without */
#define MUTE_PATIENCE_US    1000000U  /* of one that has answered nothing since such a step */
#define ASKS_DEAF           4U
#define NESTED_ASKS         24U
#define RIVAL_ASKS          3U
#define PROOFS_MAX          20U  /* then the Continue goes out all the same */
#define GOING_SENDS         12U  /* then only the target's pokes make us repeat a Continue */
#define GOING_HEARD         3U   /* pokes after which an unacknowledged Continue counts as done: its ACK was lost */
#define GOING_HEARD_DOUBTED 6U   /* the same, when it has said its break again */
#define GOING_HEARD_MAX     200U /* then it is not repeated any more */

/* What a release means for the crash that the break belongs to. */
static void crash_goes_on(struct kdnet_session *session, uint64_t now_us)
{
    const struct kdnet_halt *halt = &session->active->halt;
    struct kdnet_crash *crash = &session->history->crash;
    if (halt->stop.load_symbols)
        return;
    if (halt->action == KDNET_ACTION_REBOOT) {
        *crash = (struct kdnet_crash){0}; /* no dump is written: it starts anew at once */
        return;
    }
    struct kdnet_break_facts facts = kdnet_halt_facts(session);
    crash->printed = false;
    switch (kdnet_crash_phase(&facts)) {
    case KDNET_PHASE_BUGCHECK_FIRST:
        crash->first_released = true;
        crash->first_released_us = kdnet_state_people_us(session, now_us);
        crash->dumping = true;
        kdnet_last_break_expect(session, now_us);
        break;
    case KDNET_PHASE_SHUTDOWN:
        *crash = (struct kdnet_crash){0}; /* the machine is about to start anew */
        break;
    default:
        break;
    }
}

/* Does it run? One that thinks about what it has acknowledged is given time. */
static void ask_slowly(struct kdnet_session *session, uint64_t now_us)
{
    uint64_t thinks_us = 2ULL * kdnet_link_reply_rtt(&session->active->link);
    kdnet_resend_begin(session, 0, now_us);
    if (session->resend_us < now_us + thinks_us)
        session->resend_us = now_us + thinks_us;
}

void kdnet_resume_done(struct kdnet_session *session, uint64_t now_us)
{
    struct kdnet_halt *halt = &session->active->halt;
    bool told = halt->reported.release;
    kdnet_report_released(session, now_us);
    if (!told)
        crash_goes_on(session, now_us);
    session->going_down = halt->stop.shutdown || halt->action == KDNET_ACTION_REBOOT;
    kdnet_halt_set_stage(halt, KDNET_STAGE_RUNNING);
    halt->request.purpose = KDNET_FOR_NOTHING;
    /* Does it run? Another break may wait under this one, or the Continue was acknowledged and not taken. A machine
     * that writes its dump, or goes down, is left alone. */
    if (halt->stop.nested)
        kdnet_resend_begin(session, NESTED_ASKS, now_us);
    else if (session->rival > 0) /* it may have been at another break, or be at one that the other host was told of */
        kdnet_resend_begin(session, RIVAL_ASKS, now_us);
    else if (!session->history->crash.dumping && !halt->stop.shutdown)
        ask_slowly(session, now_us);
}

/* The same, but nothing shows that it has: no ACK, and pokes, which a machine that writes its dump does not send. */
static void presume_done(struct kdnet_session *session, uint64_t now_us)
{
    kdnet_resume_done(session, now_us);
    kdnet_resend_begin(session, 0, now_us);
}

/*
 * Asks for something with a reply. Each proof is another question than the one before: else the late reply to that one
 * would be taken for this one's, and so on, always one behind.
 */
static bool prove(struct kdnet_session *session)
{
    struct kdnet_halt *halt = &session->active->halt;
    if (halt->resuming.proofs % 2 == 1)
        return kdnet_request_plain(session, KDNET_FOR_PROOF, KDNET_API_GET_VERSION);
    return kdnet_request_read(session, KDNET_FOR_PROOF, halt->stop.change.program_counter + halt->resuming.proofs, 1);
}

/* Whether something is asked before the machine is changed or let go, because nothing shows that it counts our packets
 * as we do. */
static bool must_prove(struct kdnet_session *session)
{
    struct kdnet_halt *halt = &session->active->halt;
    if (!kdnet_link_is_unsure(&session->active->link) || halt->resuming.proofs++ >= PROOFS_MAX)
        return false;
    kdnet_halt_set_stage(halt, KDNET_STAGE_RESUMING);
    return prove(session);
}

void kdnet_resume_go_on(struct kdnet_session *session)
{
    struct kdnet_halt *halt = &session->active->halt;
    const struct kdnet_machine_layout *layout = kdnet_halt_layout(session);
    struct kdnet_manipulate manipulate;
    if (halt->stop.prompt) {
        kdnet_halt_set_stage(halt, KDNET_STAGE_GOING);
        (void)kdnet_link_send(&session->active->link, KDNET_PACKET_DEBUG_IO, false, halt->stop.report,
                              halt->stop.change.report_length);
        return;
    }
    if (must_prove(session))
        return;
    struct kdnet_control_report report = {0};
    enum kdnet_machine machine = KDNET_MACHINE_UNKNOWN;
    /* WinDbg continues load-symbols plainly, exceptions with the control set [cap frames 954, 234, 950]. */
    if (layout && kdnet_halt_state(halt) == KDNET_STATE_EXCEPTION) {
        machine = layout->machine;
        kdnet_machine_report(machine, halt->stop.change.report, halt->stop.change.report_length, &report);
    }
    if (halt->action == KDNET_ACTION_REBOOT)
        manipulate = (struct kdnet_manipulate){.api = KDNET_API_REBOOT};
    else
        kdnet_manipulate_continue(&manipulate, machine,
                                  kdnet_crash_continue_status(&halt->stop.change, kdnet_halt_is_user_mode(session)),
                                  kdnet_halt_leftover(session) == KDNET_LEFTOVER_NONE ? report.dr7 : 0);
    kdnet_halt_set_stage(halt, KDNET_STAGE_GOING);
    halt->resuming.heard = 0;
    kdnet_request(session, KDNET_FOR_NOTHING, &manipulate, false);
}

/* The program counter is still the state change's: no host before us, nor we, have moved it. */
static bool stands_on_it(const struct kdnet_session *session)
{
    const struct kdnet_halt *halt = &session->active->halt;
    return kdnet_machine_pc(kdnet_halt_layout(session), halt->registers.bytes) ==
           kdnet_halt_address(session, halt->stop.change.program_counter);
}

/* Whether registers are to be set before the Continue: over the breakpoint; on ARM64 also to end a single step. */
static bool must_set_registers(const struct kdnet_session *session)
{
    const struct kdnet_halt *halt = &session->active->halt;
    const struct kdnet_machine_layout *layout = kdnet_halt_layout(session);
    if (halt->action != KDNET_ACTION_CONTINUE || halt->resuming.stepped || !layout)
        return false;
    return kdnet_halt_must_step(session) ||
           (layout->machine == KDNET_MACHINE_ARM64 && kdnet_halt_leftover(session) != KDNET_LEFTOVER_NONE);
}

/* Whether what is known of the registers is as it shall be: somebody has stepped, nothing is traced. */
static bool registers_are_good(const struct kdnet_session *session)
{
    const struct kdnet_halt *halt = &session->active->halt;
    uint8_t context[KDNET_CONTEXT_MAX];
    if (kdnet_halt_must_step(session))
        return !stands_on_it(session);
    memcpy(context, halt->registers.bytes, sizeof context);
    return !kdnet_machine_stop_tracing(kdnet_halt_layout(session), context);
}

static void change_registers(struct kdnet_session *session)
{
    struct kdnet_halt *halt = &session->active->halt;
    const struct kdnet_machine_layout *layout = kdnet_halt_layout(session);
    if (kdnet_halt_must_step(session))
        kdnet_machine_set_pc(layout, halt->registers.bytes,
                             kdnet_machine_pc(layout, halt->registers.bytes) + layout->break_length);
    else
        (void)kdnet_machine_stop_tracing(layout, halt->registers.bytes);
}

void kdnet_resume_next(struct kdnet_session *session)
{
    struct kdnet_halt *halt = &session->active->halt;
    kdnet_halt_set_stage(halt, KDNET_STAGE_RESUMING);
    if (must_set_registers(session)) {
        if (kdnet_is_known(&halt->facts, KDNET_FACT_CONTEXT) && registers_are_good(session)) {
            kdnet_resume_go_on(session);
            return;
        }
        if (!kdnet_is_known(&halt->facts, KDNET_FACT_CONTEXT) && !kdnet_is_tried(&halt->facts, KDNET_FACT_CONTEXT)) {
            if (kdnet_context_ask(session, KDNET_FOR_PROBE))
                return;
        } else if (kdnet_is_known(&halt->facts, KDNET_FACT_CONTEXT)) {
            if (halt->resuming
                    .interrupted) /* it may have broken in elsewhere, unheard: that break has another context */
                kdnet_link_doubt(&session->active->link);
            halt->resuming.interrupted = false;
            if (must_prove(session))
                return;
            change_registers(session);
            halt->resuming.stepped = true;
            if (kdnet_context_set(session))
                return;
        }
    }
    kdnet_resume_go_on(session);
}

void kdnet_resume_hold(struct kdnet_session *session, uint64_t now_us)
{
    struct kdnet_halt *halt = &session->active->halt;
    uint64_t hold_for_us = session->policy->hold_for_us;
    kdnet_halt_set_stage(halt, KDNET_STAGE_HELD);
    halt->deadline_us = hold_for_us > 0 ? now_us + hold_for_us : KDNET_NEVER;
}

/*
 * The deadline has come while something is asked. Its reply is waited for when the machine is not let go without one:
 * when nothing else shows that it counts our packets as we do, or when it is needed for the step over the breakpoint.
 * One that thinks would only think longer if it was asked something else. Returns whether it is.
 */
static bool await_reply(struct kdnet_session *session)
{
    struct kdnet_halt *halt = &session->active->halt;
    struct kdnet_link *link = &session->active->link;
    bool steps = halt->action == KDNET_ACTION_CONTINUE && kdnet_halt_asks(halt, &kdnet_probe_context);
    bool wanted = link->acked ? steps || kdnet_link_is_unsure(link) : kdnet_halt_asks(halt, &kdnet_probe_version);
    if (!link->busy || !link->wants_reply || link->sends == 0 || !wanted) {
        kdnet_link_abandon(link);
        return false;
    }
    kdnet_halt_set_stage(halt, KDNET_STAGE_RESUMING);
    return true;
}

/* A machine that was read again stands as before, until the same time as before. */
static void hold_on(struct kdnet_session *session)
{
    struct kdnet_halt *halt = &session->active->halt;
    kdnet_link_abandon(&session->active->link);
    kdnet_halt_set_stage(halt, KDNET_STAGE_HELD);
    halt->again = false;
    halt->deadline_us = halt->held_until_us;
}

/* What becomes of a machine at this break. One that a host has stopped is never kept. */
static enum kdnet_action choose_action(const struct kdnet_session *session, const struct kdnet_break_facts *facts)
{
    if (session->active->halt.reboot)
        return KDNET_ACTION_REBOOT;
    if (kdnet_demand_is_answer(session, false))
        return KDNET_ACTION_CONTINUE;
    return kdnet_state_action(session, kdnet_crash_break_kind(facts));
}

void kdnet_resume_conclude(struct kdnet_session *session, enum kdnet_reason interrupted, uint64_t now_us)
{
    struct kdnet_halt *halt = &session->active->halt;
    struct kdnet_break_facts facts = kdnet_halt_facts(session);
    if (halt->unread)
        kdnet_report_storm(session, now_us);
    kdnet_report_status(session, interrupted, now_us);
    if (halt->again && !halt->reboot) {
        hold_on(session);
        return;
    }
    halt->action = choose_action(session, &facts);
    halt->deadline_us = KDNET_NEVER;
    halt->resuming.interrupted = interrupted == KDNET_REASON_TIMEOUT && session->active->link.sends > 0;
    uint64_t wait_us = halt->repeat && halt->action != KDNET_ACTION_REBOOT ? kdnet_repeats_wait_us(session) : 0;
    if (halt->action != KDNET_ACTION_HOLD && wait_us == 0) {
        if (!await_reply(session))
            kdnet_resume_next(session);
        return;
    }
    kdnet_link_abandon(&session->active->link);
    kdnet_resume_hold(session, now_us);
    if (halt->action != KDNET_ACTION_HOLD || halt->deadline_us < now_us + wait_us)
        halt->deadline_us = now_us + wait_us;
    if (halt->reported.break_in && halt->action == KDNET_ACTION_HOLD)
        kdnet_report_released(session, now_us);
    else
        kdnet_report_held(session, kdnet_crash_break_kind(&facts), now_us);
}

void kdnet_resume_shut_down(struct kdnet_session *session, uint64_t now_us)
{
    struct kdnet_halt *halt = &session->active->halt;
    halt->action = kdnet_state_action(session, KDNET_BREAK_KIND_SHUTDOWN);
    halt->deadline_us = KDNET_NEVER;
    if (halt->action != KDNET_ACTION_HOLD) {
        kdnet_resume_next(session);
        return;
    }
    kdnet_resume_hold(session, now_us);
    kdnet_report_held(session, KDNET_BREAK_KIND_SHUTDOWN, now_us);
}

void kdnet_resume_loaded(struct kdnet_session *session)
{
    struct kdnet_halt *halt = &session->active->halt;
    halt->deadline_us = KDNET_NEVER;
    if (halt->stop.kernel_loads && session->kernel_info &&
        kdnet_is_known(&session->kernel_info->facts, KDNET_FACT_IDENTITY)) /* else a later break may tell more */
        kdnet_report_kernel(session);
    if (!await_reply(session))
        kdnet_resume_go_on(session);
}

void kdnet_resume_poked(struct kdnet_session *session, uint64_t now_us)
{
    struct kdnet_active *active = session->active;
    if (!active || active->halt.stage != KDNET_STAGE_GOING)
        return;
    struct kdnet_halt *halt = &active->halt;
    ++halt->resuming.heard;
    /* One that has said its break again stood still after a Continue: it is believed when it is asked and does not. */
    unsigned patience = halt->resuming.duplicate_breaks > 0 ? GOING_HEARD_DOUBTED : GOING_HEARD;
    if (halt->resuming.heard >= patience && active->link.sends > GOING_SENDS / 2 && !halt->reported.release) {
        kdnet_report_released(session, now_us);
        crash_goes_on(session, now_us);
        halt->reported.release = true;
    }
    if (halt->resuming.heard >= GOING_HEARD_MAX) {
        kdnet_link_abandon(&active->link);
        presume_done(session, now_us);
    } else if (active->link.sends >= GOING_SENDS) {
        kdnet_link_wake(&active->link, now_us);
        kdnet_link_control(&active->link, KDNET_PACKET_RESEND, 0); /* one that is halted after all says so */
    }
}

/*
 * Under a new key nobody knows whether the Continue of before was taken; sent again, it could release the next break
 * unread. A machine that is halted answers RESEND with its break; one that runs does not.
 */
void kdnet_resume_rekeyed(struct kdnet_session *session, uint64_t now_us)
{
    struct kdnet_halt *halt = &session->active->halt;
    if (halt->stage != KDNET_STAGE_GOING)
        return;
    kdnet_link_abandon(&session->active->link);
    if (halt->resuming.asked == 0) /* one answer to it all, however many keys there are on the way */
        halt->resuming.asked = 1;  /* the handshake's own */
    halt->deadline_us = now_us + KDNET_RESEND_PERIOD_US;
}

static void ask_again(struct kdnet_session *session, uint64_t now_us)
{
    struct kdnet_halt *halt = &session->active->halt;
    if (now_us < halt->deadline_us)
        return;
    if (halt->resuming.asked++ >= KDNET_RESENDS_MAX) {
        presume_done(session, now_us);
        return;
    }
    if (halt->resuming.asked == ASKS_DEAF) /* once: its next poke is answered, whenever that comes */
        kdnet_state_suspect_key(session);
    kdnet_link_control(&session->active->link, KDNET_PACKET_RESEND, 0);
    halt->deadline_us = now_us + (uint64_t)KDNET_RESEND_PERIOD_US * halt->resuming.asked;
}

void kdnet_resume_expire_going(struct kdnet_session *session, uint64_t now_us)
{
    struct kdnet_active *active = session->active;
    if (!active->link.busy) {
        ask_again(session, now_us);
        return;
    }
    if (active->link.sends < GOING_SENDS || now_us < kdnet_link_deadline(&active->link))
        return;
    /* A machine that poked and now is silent after its first break has begun to dump: it has taken our Continue. */
    struct kdnet_break_facts facts = kdnet_halt_facts(session);
    if (active->halt.resuming.heard == 0 && !active->halt.stop.load_symbols &&
        kdnet_crash_phase(&facts) == KDNET_PHASE_BUGCHECK_FIRST && !active->halt.reported.release) {
        kdnet_report_released(session, now_us);
        crash_goes_on(session, now_us);
        active->halt.reported.release = true;
    }
    kdnet_link_sleep(&active->link); /* its pokes wake it */
}

void kdnet_resume_expire_step(struct kdnet_session *session, uint64_t now_us)
{
    struct kdnet_halt *halt = &session->active->halt;
    struct kdnet_link *link = &session->active->link;
    uint64_t patience_us = link->memory.mute ? MUTE_PATIENCE_US : STEP_PATIENCE_US;
    if (now_us < kdnet_link_deadline(link) || !link->acked || now_us - link->acked_us < patience_us)
        return;
    link->memory.mute = true;
    if (kdnet_link_is_unsure(link) && !halt->resuming.distrusted) {
        halt->resuming.distrusted =
            true; /* it may have thrown it away: the answer to the RESET was an older one's, say */
        kdnet_link_distrust(link);
        return;
    }
    halt->resuming.proofs = PROOFS_MAX; /* it acknowledges and does not answer: asking on proves nothing */
    kdnet_probes_failed(session);
    kdnet_link_abandon(link);
    kdnet_resume_go_on(session);
}
