/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Handles what a target sends: reads and releases breaks, answers prompts and file questions. PROTOCOL.md section 5.
 */
#include "kdnet/error.h"
#include "kdnet/session/break_handler_internal.h"
#include "kdnet/session/budget_internal.h"
#include "kdnet/session/console_internal.h"
#include "kdnet/session/demand_internal.h"
#include "kdnet/session/halt_internal.h"
#include "kdnet/session/identity_internal.h"
#include "kdnet/session/last_break_internal.h"
#include "kdnet/session/probes/context_internal.h"
#include "kdnet/session/probes/probes_internal.h"
#include "kdnet/session/reach_internal.h"
#include "kdnet/session/repeats_internal.h"
#include "kdnet/session/report_internal.h"
#include "kdnet/session/resend_internal.h"
#include "kdnet/session/resume_internal.h"
#include "kdnet/session/word_internal.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define ASKED_LATELY_US      1000000U
#define OTHER_HOST_POKES_MAX 10U /* consecutive pokes: half a minute */
#define IDENTIFY_DIVISOR     8U  /* of the read deadline: how long a kernel that starts is kept */

/* The awaited reply has come after the deadline: goes on towards the status while the machine may be awaited. */
static void beyond_deadline(struct kdnet_session *session, uint64_t now_us)
{
    if (!kdnet_probes_next(session, now_us) || !kdnet_reach_await(session, now_us))
        kdnet_resume_conclude(session, KDNET_REASON_TIMEOUT, now_us);
}

/* Whether the read may end. A pending look-up keeps the machine until the deadline, a probe's pause until its end, but
 * not a machine that runs unless an operator's demand stopped it. */
static bool may_conclude(const struct kdnet_session *session)
{
    const struct kdnet_halt *halt = &session->active->halt;
    return (!halt->dump_status.waiting && halt->paused_until_us == 0) || kdnet_demand_stopped_it(session);
}

/* Why a read ends whose questions have all been asked. */
static enum kdnet_reason end_of(const struct kdnet_halt *halt)
{
    if (halt->hurried)
        return KDNET_REASON_OVERLOADED;
    return halt->dump_status.waiting ? KDNET_REASON_NO_SYMBOLS : KDNET_REASON_NONE;
}

/* Asks a machine that is being read the next question, or concludes. */
static void read_on(struct kdnet_session *session, uint64_t now_us)
{
    struct kdnet_halt *halt = &session->active->halt;
    enum kdnet_fact tells_phase = halt->stop.shutdown ? KDNET_FACT_BUGCHECK : KDNET_FACT_CONTEXT;
    if (kdnet_probes_ordinary_shutdown(session)) {
        kdnet_resume_shut_down(session, now_us);
        return;
    }
    if (kdnet_is_tried(&halt->facts, tells_phase))
        kdnet_report_break(session);
    if (halt->late)
        beyond_deadline(session, now_us);
    else if (!kdnet_probes_next(session, now_us) && may_conclude(session))
        kdnet_resume_conclude(session, end_of(halt), now_us);
}

static void advance(struct kdnet_session *session, uint64_t now_us)
{
    struct kdnet_halt *halt = &session->active->halt;
    if (session->active->link.busy)
        return;
    if (halt->stage == KDNET_STAGE_READING && !halt->stop.load_symbols) {
        read_on(session, now_us);
    } else if (halt->stage == KDNET_STAGE_READING) {
        if (!kdnet_probes_next(session, now_us))
            kdnet_resume_loaded(session);
    } else if (halt->stage == KDNET_STAGE_RESUMING) {
        if (halt->stop.load_symbols)
            kdnet_resume_go_on(session);
        else
            kdnet_resume_next(session);
    }
}

/* Keeps what is known of the kernel; facts that could not be read are tried again. */
static bool renew_kernel_info(struct kdnet_session *session)
{
    if (!session->kernel_info)
        session->kernel_info = calloc(1, sizeof *session->kernel_info);
    if (!session->kernel_info)
        return false;
    kdnet_probes_begin(session);
    return true;
}

/* Takes one break from the machine's budget; false: it is used up, and no operator waits for this break. */
static bool take_break(struct kdnet_session *session, uint64_t now_us)
{
    return kdnet_demand_stopped_it(session) ||
           kdnet_budget_spend(&session->history->breaks_us, now_us, KDNET_BREAKS_AT_ONCE, KDNET_BREAK_EVERY_US);
}

/* Whether somebody wants to know which kernel it is that starts; once a boot. */
static bool is_to_be_identified(const struct kdnet_session *session)
{
    return session->active->halt.stop.kernel_loads && session->shared->want_rvas &&
           (!session->kernel_info || !kdnet_is_tried(&session->kernel_info->facts, KDNET_FACT_IDENTITY));
}

/*
 * An image comes or goes: the machine goes on at once, when the policy lets it. Only the kernel's own coming is looked
 * at, a few round trips once a boot, so that its symbols are there long before it may crash.
 */
static void on_load_symbols(struct kdnet_session *session, uint64_t now_us)
{
    struct kdnet_halt *halt = &session->active->halt;
    if (halt->stop.kernel_loads) {
        kdnet_last_break_missing(session, true);
        kdnet_identity_over(session);
    }
    halt->action = kdnet_state_action(session, KDNET_BREAK_KIND_LOAD_SYMBOLS);
    halt->deadline_us = KDNET_NEVER;
    if (halt->action == KDNET_ACTION_HOLD) {
        kdnet_resume_hold(session, now_us);
        kdnet_report_held(session, KDNET_BREAK_KIND_LOAD_SYMBOLS, now_us);
    } else if (is_to_be_identified(session) && take_break(session, now_us) && renew_kernel_info(session)) {
        halt->deadline_us = now_us + session->shared->read_deadline_us / IDENTIFY_DIVISOR;
        advance(session, now_us);
    } else {
        kdnet_resume_go_on(session);
    }
}

static bool is_state_change(const struct kdnet_packet *packet)
{
    return packet->type == KDNET_PACKET_STATE_CHANGE64 || packet->type == KDNET_PACKET_STATE_CHANGE32;
}

bool kdnet_break_handler_waits(struct kdnet_session *session, const struct kdnet_packet *packet, uint64_t now_us)
{
    const struct kdnet_active *active = session->active;
    const struct kdnet_link_memory *memory = active ? &active->link.memory : &session->link;
    if (!is_state_change(packet) || kdnet_demand_stopped_it(session) ||
        (active && (active->link.busy || active->halt.stage != KDNET_STAGE_RUNNING)) ||
        kdnet_link_is_repeat(memory, packet))
        return false;
    if (!session->history)
        session->history = calloc(1, sizeof *session->history);
    struct kdnet_history *history = session->history; /* without memory its time is lost, not its turn */
    uint32_t checksum = kdnet_packet_checksum(packet->payload, packet->payload_length);
    if (!history || (history->stopped_us != 0 && history->stopped_checksum == checksum))
        return true;
    history->stopped_us = kdnet_state_people_us(session, now_us);
    history->stopped_checksum = checksum;
    return true;
}

/* Start of the halt at the current state change, which may have waited for admission. */
static uint64_t take_stopped(struct kdnet_session *session, uint64_t now_us)
{
    struct kdnet_history *history = session->history;
    bool same = history->stopped_us != 0 && history->stopped_checksum == session->active->halt.stop.checksum;
    uint64_t since_us = same ? history->stopped_us : kdnet_state_people_us(session, now_us);
    history->stopped_us = 0;
    return since_us;
}

/* The machine has halted at the current state change: starts the read. */
static void begin_halt(struct kdnet_session *session, uint64_t now_us)
{
    struct kdnet_halt *halt = &session->active->halt;
    kdnet_halt_set_stage(halt, KDNET_STAGE_READING);
    halt->since_us = take_stopped(session, now_us);
    halt->deadline_us = now_us + kdnet_state_read_deadline(session);
    session->history->crash.dumping = session->going_down = false;
    halt->unread = !halt->stop.load_symbols && !halt->stop.shutdown && !take_break(session, now_us);
    halt->hurried = session->shared->breaks_pass && !halt->stop.load_symbols;
    if (!halt->stop.load_symbols)
        kdnet_demand_halted(session, halt->stop.shutdown);
    if (halt->stop.load_symbols)
        on_load_symbols(session, now_us);
    else if (!renew_kernel_info(session))
        kdnet_resume_conclude(session, KDNET_REASON_UNREADABLE, now_us);
    else
        advance(session, now_us);
}

static void begin_again(struct kdnet_session *session, uint64_t now_us)
{
    struct kdnet_halt *halt = &session->active->halt;
    kdnet_resume_done(session, now_us);
    size_t kept = offsetof(struct kdnet_halt, stage);
    memset((uint8_t *)halt + kept, 0, sizeof *halt - kept);
    begin_halt(session, now_us);
}

/* Whether a repeated packet may be the consequence of our RESEND or RESET. */
static bool asked_lately(const struct kdnet_link *link, uint64_t now_us)
{
    return link->asked_us != 0 && now_us - link->asked_us < ASKED_LATELY_US;
}

static void on_state_change(struct kdnet_session *session, const struct kdnet_packet *packet, uint64_t now_us)
{
    struct kdnet_halt *halt = &session->active->halt;
    bool same = halt->stop.length == packet->payload_length &&
                halt->stop.checksum == kdnet_packet_checksum(packet->payload, packet->payload_length);
    if (same && halt->stage != KDNET_STAGE_RUNNING && halt->stage != KDNET_STAGE_GOING) {
        kdnet_link_ignored(&session->active->link); /* repeated because of our RESEND or RESET: the machine waits, and
                                                       has not taken our request */
        return;
    }
    /* The Continue was not taken, and our RESEND or RESET brought the same break again. */
    if (same && halt->stage == KDNET_STAGE_GOING && asked_lately(&session->active->link, now_us)) {
        if (session->active->link.busy && session->active->link.sends == 0)
            return; /* the RESET before our Continue caused the repeat: the Continue is still to come */
        ++halt->resuming.duplicate_breaks;
        halt->resuming.proofs = 0; /* the machine speaks, so asking is useful again */
        kdnet_link_abandon(&session->active->link);
        kdnet_halt_set_stage(halt, KDNET_STAGE_RESUMING);
        if (!kdnet_is_known(&halt->facts, KDNET_FACT_CONTEXT) || !kdnet_context_ask(session, KDNET_FOR_SAME))
            advance(session, now_us);
        return;
    }
    /* A break inside a break: after the inner break the machine may wait at the outer one without another packet
     * [inf]. */
    bool nested = halt->stage != KDNET_STAGE_RUNNING && halt->stage != KDNET_STAGE_GOING;
    kdnet_resume_implied(session, now_us);
    kdnet_halt_keep_change(halt, packet);
    halt->stop.nested = nested;
    begin_halt(session, now_us);
}

/*
 * A reply while no break is known. Either a previous process made the request, and the machine is halted; or the
 * request was made before the release, and the machine answers late. In the second case a slow RESEND finds out whether
 * it runs.
 */
static void hear_unasked(struct kdnet_session *session, uint64_t now_us)
{
    bool released = session->history->crash.dumping || (session->resend_slow > 0 && session->resend_left == 0);
    if (!released)
        kdnet_resend_begin(session, KDNET_RESENDS_MAX, now_us);
}

/* A refused request may belong to a break that another host has ended: asks the machine for the break that it is at. */
static void doubt_refused(struct kdnet_session *session, const struct kdnet_packet *packet, uint64_t now_us)
{
    struct kdnet_link *link = &session->active->link;
    struct kdnet_manipulate reply;
    if (session->rival > 0 && !asked_lately(link, now_us) &&
        kdnet_manipulate_decode(packet->payload, packet->payload_length, &reply) == KDNET_OK &&
        reply.return_status != 0)
        kdnet_link_control(link, KDNET_PACKET_RESEND, 0);
}

static void on_reply(struct kdnet_session *session, const struct kdnet_packet *packet, uint64_t now_us)
{
    struct kdnet_manipulate reply;
    if (session->active->halt.stage == KDNET_STAGE_RUNNING) {
        if (kdnet_manipulate_decode(packet->payload, packet->payload_length, &reply) == KDNET_OK)
            hear_unasked(session, now_us);
        return;
    }
    switch (kdnet_probes_reply(session, packet, now_us)) {
    case KDNET_REPLY_TAKEN:
        doubt_refused(session, packet, now_us);
        advance(session, now_us);
        break;
    case KDNET_REPLY_ANOTHER_BREAK:
        begin_again(session, now_us);
        break;
    case KDNET_REPLY_IGNORED:
        break;
    }
}

void kdnet_break_handler_packet(struct kdnet_session *session, const struct kdnet_packet *packet, uint64_t now_us)
{
    if (packet->type != KDNET_PACKET_MANIPULATE) {
        kdnet_resend_heard(session, packet);
        if (!is_state_change(packet))
            session->history->stopped_us = 0; /* the machine has gone on from a break that was not taken */
    }
    switch (packet->type) {
    case KDNET_PACKET_STATE_CHANGE64:
    case KDNET_PACKET_STATE_CHANGE32:
        on_state_change(session, packet, now_us);
        break;
    case KDNET_PACKET_MANIPULATE:
        on_reply(session, packet, now_us);
        break;
    case KDNET_PACKET_DEBUG_IO:
        if (kdnet_console_is_same_question(session, packet))
            break;
        kdnet_resume_implied(session, now_us);
        kdnet_repeats_end(session);
        kdnet_console_debug_io(session, packet, now_us);
        break;
    case KDNET_PACKET_FILE_IO:
        if (kdnet_console_is_same_question(session, packet))
            break;
        kdnet_resume_implied(session, now_us);
        kdnet_repeats_end(session);
        kdnet_console_file_io(session, packet);
        break;
    default: /* trace I/O, control requests and unknown packets need only an ACK */
        break;
    }
}

void kdnet_break_handler_acked(struct kdnet_session *session, uint64_t now_us)
{
    struct kdnet_active *active = session->active;
    if (active->halt.stage == KDNET_STAGE_GOING)
        kdnet_resume_done(session, now_us);
    else if (active->question_doubted || kdnet_link_is_unsure(&active->link))
        kdnet_resend_after_answer(session, now_us);
}

void kdnet_break_handler_heard(struct kdnet_session *session, uint64_t now_us)
{
    kdnet_resend_poked(session, now_us);
    if (!session->history)
        return; /* nor is there an active session */
    kdnet_last_break_poked(session, now_us);
    kdnet_resume_poked(session, now_us);
}

void kdnet_break_handler_other_host(struct kdnet_session *session, uint64_t now_us)
{
    struct kdnet_halt *halt = session->active ? &session->active->halt : NULL;
    if (session->history)
        kdnet_last_break_came(session); /* perhaps the other host got the last break */
    if (!halt || halt->stage == KDNET_STAGE_RUNNING || ++halt->resuming.other_host_pokes < OTHER_HOST_POKES_MAX)
        return;
    kdnet_link_abandon(&session->active->link);
    if (halt->stage == KDNET_STAGE_GOING) {
        kdnet_resume_done(session, now_us);
        return;
    }
    if (!halt->stop.load_symbols)
        kdnet_report_status(session, KDNET_REASON_LOST, now_us);
    kdnet_halt_set_stage(halt,
                         KDNET_STAGE_RUNNING); /* only for this session: the other host may keep the machine halted */
}

void kdnet_break_handler_rebooted(struct kdnet_session *session, uint64_t now_us)
{
    struct kdnet_halt *halt = &session->active->halt;
    if (halt->stage == KDNET_STAGE_GOING)
        kdnet_resume_done(session, now_us); /* only the ACK was lost */
    else if (halt->stage == KDNET_STAGE_READING && !halt->stop.load_symbols)
        kdnet_report_status(session, KDNET_REASON_LOST, now_us);
    kdnet_halt_set_stage(halt, KDNET_STAGE_RUNNING);
    session->history->crash.dumping = false;
    session->history->awaited.rebooted = true;
    kdnet_demand_halted(session, true);
    session->history->cleared_reported = false;
    session->history->stopped_us = 0;
    kdnet_kernel_info_clear(session->kernel_info);
    free(session->kernel_info);
    session->kernel_info = NULL;
}

void kdnet_break_handler_expire(struct kdnet_session *session, uint64_t now_us)
{
    kdnet_resend_expire(session, now_us);
    if (!session->active)
        return;
    struct kdnet_halt *halt = &session->active->halt;
    kdnet_context_expire(session, now_us);
    kdnet_reach_expire(session, now_us);
    kdnet_word_expire(session, now_us);
    switch (halt->stage) {
    case KDNET_STAGE_READING:
        if (now_us >= halt->deadline_us && halt->stop.load_symbols)
            kdnet_resume_loaded(session);
        else if (now_us >= halt->deadline_us && !kdnet_word_await(session, now_us) &&
                 !kdnet_reach_await(session, now_us))
            kdnet_resume_conclude(session, KDNET_REASON_TIMEOUT, now_us);
        else if (halt->paused_until_us != 0 && now_us >= halt->paused_until_us)
            advance(session, now_us);
        break;
    case KDNET_STAGE_HELD:
        if (now_us >= halt->deadline_us)
            (void)kdnet_break_handler_resume(session, KDNET_ACTION_CONTINUE, now_us);
        break;
    case KDNET_STAGE_RESUMING:
        kdnet_resume_expire_step(session, now_us);
        break;
    case KDNET_STAGE_GOING:
        kdnet_resume_expire_going(session, now_us);
        break;
    case KDNET_STAGE_RUNNING:
        break;
    }
}

uint64_t kdnet_break_handler_deadline(const struct kdnet_session *session)
{
    uint64_t resend_us = kdnet_resend_deadline(session);
    if (!session->active)
        return resend_us;
    const struct kdnet_halt *halt = &session->active->halt;
    bool asking = halt->stage == KDNET_STAGE_GOING && !session->active->link.busy;
    bool waiting = halt->stage == KDNET_STAGE_READING || halt->stage == KDNET_STAGE_HELD || asking;
    bool paused = halt->stage == KDNET_STAGE_READING && halt->paused_until_us != 0;
    uint64_t own_us = paused && halt->paused_until_us < halt->deadline_us ? halt->paused_until_us : halt->deadline_us;
    return waiting && own_us < resend_us ? own_us : resend_us;
}

void kdnet_break_handler_symbols_came(struct kdnet_session *session, uint64_t now_us)
{
    struct kdnet_active *active = session->active;
    if (!active || active->halt.stage != KDNET_STAGE_READING || !active->halt.dump_status.waiting)
        return;
    active->halt.dump_status.waiting = false;
    advance(session, now_us);
}

int kdnet_break_handler_resume(struct kdnet_session *session, enum kdnet_action action, uint64_t now_us)
{
    struct kdnet_active *active = session->active;
    if (!active || active->halt.stage != KDNET_STAGE_HELD)
        return KDNET_ERR_STATE;
    if (action != KDNET_ACTION_CONTINUE && action != KDNET_ACTION_REBOOT)
        return KDNET_ERR_STATE;
    active->halt.action = action;
    active->halt.deadline_us = KDNET_NEVER;
    kdnet_link_abandon(&active->link);
    kdnet_halt_set_stage(&active->halt, KDNET_STAGE_RESUMING);
    advance(session, now_us);
    return KDNET_OK;
}

/* Reads a held machine again. The registers are kept, not read again, so that the machine can be released without
 * them. */
int kdnet_break_handler_read(struct kdnet_session *session, uint64_t now_us)
{
    struct kdnet_active *active = session->active;
    if (!active || active->halt.stage != KDNET_STAGE_HELD || !active->halt.reported.status)
        return KDNET_ERR_STATE;
    struct kdnet_halt *halt = &active->halt;
    if (!renew_kernel_info(session))
        return KDNET_ERR_MEMORY;
    kdnet_demand_reread(session);
    kdnet_link_abandon(&active->link);
    halt->again = true;
    halt->again_us = kdnet_state_people_us(session, now_us);
    halt->held_until_us = halt->deadline_us;
    halt->deadline_us = now_us + session->shared->read_deadline_us;
    halt->reported.status = halt->unread = halt->hurried = halt->late = false;
    halt->awaited = 0;
    kdnet_settle(&halt->facts, KDNET_FACT_BUGCHECK, false);
    kdnet_settle(&halt->facts, KDNET_FACT_STATUS, false);
    halt->facts.tried = (uint16_t)(halt->facts.tried & ~(unsigned)(KDNET_FACT_BUGCHECK | KDNET_FACT_STATUS));
    halt->dump_status = (struct kdnet_dump_status){0};
    halt->evidence_stage = KDNET_EVIDENCE_NOT_YET;
    halt->request.purpose = KDNET_FOR_NOTHING;
    kdnet_halt_set_stage(halt, KDNET_STAGE_READING);
    advance(session, now_us);
    return KDNET_OK;
}
