/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Releases a halted machine: steps over the breakpoint, then performs the policy's action, repeated until the machine
 * has surely taken it. No deadline ends the release, and each path leaves a packet in flight with a timer, a chosen
 * hold, or a running machine.
 */
#include "kdnet/kernel/crash.h"
#include "kdnet/session/demand_internal.h"
#include "kdnet/session/halt_internal.h"
#include "kdnet/session/last_break_internal.h"
#include "kdnet/session/probes/context_internal.h"
#include "kdnet/session/probes/probe_internal.h"
#include "kdnet/session/probes/probes_internal.h"
#include "kdnet/session/repeats_internal.h"
#include "kdnet/session/report_internal.h"
#include "kdnet/session/request_internal.h"
#include "kdnet/session/resend_internal.h"
#include "kdnet/session/resume_internal.h"
#include "kdnet/session/shared_internal.h"

#include <string.h>

#define STEP_PATIENCE_US    12000000U /* wait for the reply to an acknowledged step; then the release goes on without */
#define MUTE_PATIENCE_US    1000000U  /* the same for a machine that has answered nothing since such a step */
#define ASKS_DEAF           4U
#define NESTED_ASKS         24U
#define RIVAL_ASKS          3U
#define PROOFS_MAX          20U  /* after so many proofs the Continue goes out all the same */
#define GOING_SENDS         12U  /* then only the target's pokes make us repeat a Continue */
#define GOING_HEARD         3U   /* pokes after which an unacknowledged Continue counts as done: its ACK was lost */
#define GOING_HEARD_DOUBTED 6U   /* the same, when the machine has repeated its break */
#define GOING_HEARD_MAX     200U /* pokes after which the Continue is not repeated any more */

/* Updates the crash that the released break belongs to. */
static void crash_goes_on(struct kdnet_session *session, uint64_t now_us)
{
    const struct kdnet_halt *halt = &session->active->halt;
    struct kdnet_crash *crash = &session->history->crash;
    if (halt->stop.load_symbols)
        return;
    if (halt->action == KDNET_ACTION_REBOOT) {
        *crash = (struct kdnet_crash){0}; /* no dump is written: the machine restarts at once */
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

/* Asks at growing intervals whether the machine runs: a machine may think about an acknowledged packet. */
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
    /* Asks whether the machine runs. Another break may wait under this one, or the Continue was acknowledged and not
     * taken. A machine that writes its dump, or goes down, is left alone. */
    if (halt->stop.nested)
        kdnet_resend_begin(session, NESTED_ASKS, now_us);
    else if (session->rival > 0) /* the machine may be at another break, which the other host received */
        kdnet_resend_begin(session, RIVAL_ASKS, now_us);
    else if (!session->history->crash.dumping && !halt->stop.shutdown)
        ask_slowly(session, now_us);
}

void kdnet_resume_implied(struct kdnet_session *session, uint64_t now_us)
{
    struct kdnet_link *link = &session->active->link;
    struct kdnet_halt *halt = &session->active->halt;
    if (link->busy && !link->wants_reply)
        kdnet_link_presume_done(link); /* the packet arrived; only its ACK was lost */
    kdnet_link_abandon(link);
    if (halt->stage == KDNET_STAGE_GOING) {
        kdnet_resume_done(session, now_us);
    } else if (halt->stage != KDNET_STAGE_RUNNING) {
        if (!halt->stop.load_symbols)
            kdnet_report_status(session, KDNET_REASON_LOST,
                                now_us); /* another host released the machine: the result is what was known by then */
        kdnet_halt_set_stage(halt, KDNET_STAGE_RUNNING);
    }
}

/* Like kdnet_resume_done, but without an ACK: the machine pokes, which a machine that writes its dump does not do. */
static void presume_done(struct kdnet_session *session, uint64_t now_us)
{
    kdnet_resume_done(session, now_us);
    kdnet_resend_begin(session, 0, now_us);
}

/*
 * Sends a request to prove the link in step. Consecutive proofs use different requests: otherwise the late reply to one
 * would be taken for the next one's, and so on, always one behind.
 */
static bool prove(struct kdnet_session *session)
{
    struct kdnet_halt *halt = &session->active->halt;
    if (halt->resuming.proofs % 2 == 1 && !kdnet_state_is_shared(session))
        return kdnet_request_plain(session, KDNET_FOR_PROOF, KDNET_API_GET_VERSION);
    return kdnet_request_read(session, KDNET_FOR_PROOF, halt->stop.change.program_counter + halt->resuming.proofs, 1);
}

/* Whether a proof is needed before the machine is changed or released, because nothing shows that it counts our
 * packets as we do. */
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

/* Whether the program counter still equals the state change's: neither we nor an earlier host have moved it. */
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

/* Whether the known registers are as wanted: stepped over the breakpoint, no tracing. */
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
            if (halt->resuming.interrupted) /* the machine may have broken in elsewhere, unheard: that break has another
                                               context */
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
 * The deadline came while a request is in flight. Whether its reply is awaited: when the machine cannot be released
 * without it, because nothing else proves the link in step, or the step over the breakpoint needs it. A machine that
 * thinks would only think longer about another request.
 */
static bool await_reply(struct kdnet_session *session)
{
    struct kdnet_halt *halt = &session->active->halt;
    struct kdnet_link *link = &session->active->link;
    bool steps = halt->action == KDNET_ACTION_CONTINUE && kdnet_halt_asks(halt, &kdnet_probe_context);
    bool rival = session->rival > 0; /* the reply comes before both are in step again */
    bool wanted = rival ||
                  (link->acked ? steps || kdnet_link_is_unsure(link) : kdnet_halt_asks(halt, &kdnet_probe_version));
    if (!link->busy || !link->wants_reply || link->sends == 0 || !wanted) {
        kdnet_link_abandon(link);
        return false;
    }
    kdnet_halt_set_stage(halt, KDNET_STAGE_RESUMING);
    return true;
}

/* Holds a machine that was read again, until the same time as before. */
static void hold_on(struct kdnet_session *session)
{
    struct kdnet_halt *halt = &session->active->halt;
    kdnet_link_abandon(&session->active->link);
    kdnet_halt_set_stage(halt, KDNET_STAGE_HELD);
    halt->again = false;
    halt->deadline_us = halt->held_until_us;
}

/* Chooses the action at this break. A machine that a host has stopped is never kept. */
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
    /* A machine that repeated its break was halted after a Continue: it counts as running when it does not answer a
     * RESEND. */
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
        kdnet_link_control(&active->link, KDNET_PACKET_RESEND, 0); /* a machine that is halted after all answers */
    }
}

/*
 * Under a new key it is unknown whether the earlier Continue was taken; a second Continue could release the next break
 * unread. A halted machine answers RESEND with its break; a running one does not.
 */
void kdnet_resume_rekeyed(struct kdnet_session *session, uint64_t now_us)
{
    struct kdnet_halt *halt = &session->active->halt;
    if (halt->stage != KDNET_STAGE_GOING)
        return;
    kdnet_link_abandon(&session->active->link);
    if (halt->resuming.asked == 0) /* one RESEND, however many new keys are in flight */
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
    if (halt->resuming.asked == ASKS_DEAF) /* once: the next poke is answered, whenever it comes */
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
    /* A machine that poked and is silent after its first break writes its dump: it has taken our Continue. Where it
     * could have been heard. */
    struct kdnet_break_facts facts = kdnet_halt_facts(session);
    if (active->halt.resuming.heard == 0 && !active->halt.stop.load_symbols &&
        kdnet_crash_phase(&facts) == KDNET_PHASE_BUGCHECK_FIRST && !active->halt.reported.release &&
        !kdnet_is_away(session)) {
        kdnet_report_released(session, now_us);
        crash_goes_on(session, now_us);
        active->halt.reported.release = true;
    }
    kdnet_link_sleep(&active->link); /* the machine's pokes wake the link */
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
            true; /* the machine may have dropped the packet: the answer to the RESET was perhaps an older RESET's */
        kdnet_link_distrust(link);
        return;
    }
    halt->resuming.proofs =
        PROOFS_MAX; /* the machine acknowledges and does not answer: further requests prove nothing */
    kdnet_probes_failed(session);
    kdnet_link_abandon(link);
    kdnet_resume_go_on(session);
}
