/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads the registers of a halted machine, and sets them so that the machine does not trap again. PROTOCOL.md section
 * 6.
 *
 * A CONTEXT of x64 makes the longest datagram, about 1,340 bytes. In a network that drops datagrams of this length, the
 * machine could not be stepped over its breakpoint, and a crash would never come to its dump. So when the whole CONTEXT
 * is lost on either way, the few registers that count go in pieces (GetContextEx, SetContextEx; the second was never
 * seen [inf]).
 */
#include "kdnet/base/wire.h"
#include "kdnet/kernel/crash.h"
#include "kdnet/session/halt_internal.h"
#include "kdnet/session/probes/context_internal.h"
#include "kdnet/session/probes/probe_internal.h"
#include "kdnet/session/reach_internal.h"
#include "kdnet/session/request_internal.h"

#include <string.h>

/* Returns the offset of the piece of a CONTEXT with both registers that are read. */
static uint32_t piece_begin(const struct kdnet_machine_layout *layout)
{
    return (uint32_t)(layout->pc_at < layout->argument_at ? layout->pc_at : layout->argument_at);
}

static uint32_t piece_length(const struct kdnet_machine_layout *layout)
{
    size_t last = layout->pc_at > layout->argument_at ? layout->pc_at : layout->argument_at;
    return (uint32_t)(last + layout->pointer_size) - piece_begin(layout);
}

bool kdnet_context_ask(struct kdnet_session *session, enum kdnet_purpose purpose)
{
    const struct kdnet_machine_layout *layout = kdnet_halt_layout(session);
    struct kdnet_manipulate manipulate = {.api = KDNET_API_GET_CONTEXT_EX};
    if (purpose == KDNET_FOR_PROBE)
        session->active->halt.request.probe = &kdnet_probe_context;
    if (!layout || !session->kernel_info->pieces)
        return kdnet_request_plain(session, purpose, KDNET_API_GET_CONTEXT);
    manipulate.u.context_ex.offset = piece_begin(layout);
    manipulate.u.context_ex.count = piece_length(layout);
    return kdnet_request(session, purpose, &manipulate, true);
}

bool kdnet_context_set(struct kdnet_session *session)
{
    struct kdnet_halt *halt = &session->active->halt;
    const struct kdnet_machine_layout *layout = kdnet_halt_layout(session);
    struct kdnet_manipulate manipulate = {.api = KDNET_API_SET_CONTEXT};
    if (session->kernel_info->pieces) {
        manipulate.api = KDNET_API_SET_CONTEXT_EX;
        manipulate.u.context_ex.offset = (uint32_t)layout->pc_at;
        manipulate.u.context_ex.count = (uint32_t)layout->pointer_size;
        manipulate.data = halt->registers.bytes + layout->pc_at;
        manipulate.data_length = layout->pointer_size;
    } else if (halt->registers.length == layout->context_size) {
        manipulate.u.set_context.flags = kdnet_get_le32(halt->registers.bytes + layout->context_flags_at);
        manipulate.data = halt->registers.bytes;
        manipulate.data_length = halt->registers.length;
    } else {
        return false; /* only a piece is known, and pieces are not taken */
    }
    return kdnet_request(session, KDNET_FOR_SET_CONTEXT, &manipulate, true);
}

/* Copies a reply's registers into `context`; false when the reply is too short. */
static bool take(const struct kdnet_machine_layout *layout, const struct kdnet_manipulate *reply, uint8_t *context,
                 size_t *length)
{
    bool piece = reply->api == KDNET_API_GET_CONTEXT_EX;
    *length = piece ? piece_length(layout) : layout->context_size;
    if (reply->return_status != 0 || reply->data_length < *length)
        return false;
    memcpy(context + (piece ? piece_begin(layout) : 0), reply->data, *length);
    return true;
}

bool kdnet_context_differs(const struct kdnet_session *session, const struct kdnet_manipulate *reply)
{
    const struct kdnet_machine_layout *layout = kdnet_halt_layout(session);
    uint8_t context[KDNET_CONTEXT_MAX];
    size_t length;
    return layout && take(layout, reply, context, &length) &&
           kdnet_machine_pc(layout, context) != kdnet_machine_pc(layout, session->active->halt.registers.bytes);
}

/* A loader and a hypervisor do not know these requests [cap]. True when the reply belongs to such a request. */
static bool refuse_pieces(struct kdnet_session *session, const struct kdnet_manipulate *reply)
{
    if (reply->api != KDNET_API_GET_CONTEXT_EX && reply->api != KDNET_API_SET_CONTEXT_EX)
        return false;
    session->kernel_info->pieces = false;
    session->kernel_info->pieces_refused = true;
    return true;
}

void kdnet_context_was_set(struct kdnet_session *session, const struct kdnet_manipulate *reply)
{
    /* If setting the whole CONTEXT failed, the machine traps again, and the next break tries again. */
    if (reply->return_status != 0 && refuse_pieces(session, reply))
        (void)kdnet_context_set(session);
}

void kdnet_context_expire(struct kdnet_session *session, uint64_t now_us)
{
    struct kdnet_halt *halt = &session->active->halt;
    struct kdnet_link *link = &session->active->link;
    struct kdnet_kernel_info *info = session->kernel_info;
    enum kdnet_purpose purpose = halt->request.purpose;
    bool asks = purpose == KDNET_FOR_SAME || kdnet_halt_asks(halt, &kdnet_probe_context);
    bool sets = purpose == KDNET_FOR_SET_CONTEXT;
    if (halt->stage == KDNET_STAGE_RUNNING || !link->busy || (!asks && !sets) || now_us < kdnet_link_deadline(link))
        return;
    bool lost = asks ? link->acked : !link->acked; /* no answer to a read comes; a write does not arrive */
    if (!info || info->pieces || info->pieces_refused || !kdnet_halt_layout(session) || !lost ||
        !kdnet_reach_is_too_long(session, ++halt->registers.too_large, now_us))
        return;
    kdnet_reach_context_too_long(session);
    kdnet_link_abandon(link);
    if (sets)
        (void)kdnet_context_set(session);
    else
        (void)kdnet_context_ask(session, purpose);
}

/* --- the probe ---------------------------------------------------------------------------------------------------- */

/* Reads the registers at a breakpoint, whose purpose they show; other breaks do not need them. */
static bool next(struct kdnet_session *session, uint64_t now_us)
{
    const struct kdnet_halt *halt = &session->active->halt;
    (void)now_us;
    return kdnet_halt_state(halt) == KDNET_STATE_EXCEPTION &&
           kdnet_crash_is_breakpoint(halt->stop.change.exception.code) && kdnet_context_ask(session, KDNET_FOR_PROBE);
}

static enum kdnet_probe_outcome take_context(struct kdnet_session *session, const struct kdnet_answer *answer)
{
    struct kdnet_halt *halt = &session->active->halt;
    const struct kdnet_machine_layout *layout = kdnet_halt_layout(session);
    if (layout && take(layout, answer->reply, halt->registers.bytes, &halt->registers.length)) {
        kdnet_settle(&halt->facts, KDNET_FACT_CONTEXT, true);
        return KDNET_PROBE_TAKEN;
    }
    return refuse_pieces(session, answer->reply) ? KDNET_PROBE_TAKEN : KDNET_PROBE_UNUSABLE; /* the whole comes next */
}

static void failed(struct kdnet_session *session)
{
    kdnet_settle(&session->active->halt.facts, KDNET_FACT_CONTEXT, false);
}

const struct kdnet_probe kdnet_probe_context = {
    .name = "context",
    .needs = KDNET_FACT_KERNEL,
    .gives = KDNET_FACT_CONTEXT,
    .await = KDNET_AWAIT_LAST,
    .next = next,
    .take = take_context,
    .failed = failed,
};
