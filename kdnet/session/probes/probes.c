/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs the probes in the table's order until all facts are known or the deadline comes, and hands each reply to its
 * probe. Facts that are constant during a boot are asked once. PROTOCOL.md section 7.
 */
#include "kdnet/base/wire.h"
#include "kdnet/error.h"
#include "kdnet/kernel/crash.h"
#include "kdnet/session/halt_internal.h"
#include "kdnet/session/probes/context_internal.h"
#include "kdnet/session/probes/probe_internal.h"
#include "kdnet/session/probes/probes_internal.h"
#include "kdnet/session/reach_internal.h"
#include "kdnet/session/repeats_internal.h"
#include "kdnet/session/request_internal.h"
#include "kdnet/session/symbols_internal.h"

#include <stdlib.h>
#include <string.h>

#define SHARE_DIVISOR 4U /* of the read deadline */

/* --- asking ------------------------------------------------------------------------------------------------------- */

/* Whether the break exceeds the rate limit and is no bug check. */
static bool is_unread(const struct kdnet_session *session)
{
    struct kdnet_halt *halt = &session->active->halt;
    struct kdnet_break_facts facts = kdnet_halt_facts(session);
    enum kdnet_phase phase = kdnet_crash_phase(&facts);
    if (phase == KDNET_PHASE_BUGCHECK_FIRST || phase == KDNET_PHASE_BUGCHECK_SECOND || kdnet_repeats_is_one(session))
        halt->unread = false;
    return halt->unread;
}

/* Whether the machine is far away, so that the path to the status comes before everything else; not for a machine
 * that may only shut down. */
static bool is_far(const struct kdnet_session *session)
{
    const struct kdnet_halt *halt = &session->active->halt;
    return kdnet_reach_is_far(session) && !halt->unread && !halt->hurried &&
           (!halt->stop.shutdown || kdnet_reach_in_crash(session));
}

static bool applies(const struct kdnet_session *session, unsigned when)
{
    if (session->active->halt.stop.load_symbols)
        return (when & KDNET_WHEN_KERNEL_LOAD) != 0;
    if ((when & KDNET_WHEN_BREAK) == 0 || ((when & KDNET_WHEN_PRINTS) && !session->shared->recall_image) ||
        ((when & KDNET_WHEN_UNNAMED) && kdnet_is_tried(&session->kernel_info->facts, KDNET_FACT_IDENTITY)))
        return false;
    if (when & KDNET_WHEN_FAR)
        return is_far(session);
    if (session->active->halt.hurried)
        return (when & KDNET_WHEN_STORM) != 0 ||
               ((when & KDNET_WHEN_GOES_DOWN) != 0 && session->active->halt.stop.shutdown);
    return (when & KDNET_WHEN_STORM) != 0 || !is_unread(session);
}

static bool ask(struct kdnet_session *session, const struct kdnet_probe *probe, uint64_t now_us)
{
    const struct kdnet_facts *boot = &session->kernel_info->facts;
    struct kdnet_halt *halt = &session->active->halt;
    unsigned known = boot->known | halt->facts.known, tried = boot->tried | halt->facts.tried;
    if ((known & probe->needs) != probe->needs || (probe->gives != 0 && (tried & probe->gives) == probe->gives) ||
        !probe->next(session, now_us))
        return false;
    halt->request.probe = probe;
    return true;
}

bool kdnet_probes_next(struct kdnet_session *session, uint64_t now_us)
{
    if (!session->kernel_info)
        return false;
    for (size_t i = 0; i < kdnet_probe_table_rows; ++i) {
        const struct kdnet_probe_row *row = &kdnet_probe_table[i];
        if (applies(session, row->when) && ask(session, row->probe, now_us))
            return true;
    }
    if (session->active->halt.stop.load_symbols && kdnet_is_known(&session->kernel_info->facts, KDNET_FACT_IDENTITY))
        kdnet_want_symbols(session);
    return false;
}

/* --- time --------------------------------------------------------------------------------------------------------- */

uint64_t kdnet_probe_share(struct kdnet_session *session, uint64_t now_us)
{
    struct kdnet_halt *halt = &session->active->halt;
    uint64_t until_us = now_us + session->shared->read_deadline_us / SHARE_DIVISOR;
    if (until_us < halt->deadline_us)
        halt->deadline_us = until_us;
    return halt->deadline_us;
}

bool kdnet_probe_has_time(const struct kdnet_session *session, uint64_t until_us, uint64_t now_us)
{
    return now_us + kdnet_link_reply_rtt(&session->active->link) < until_us;
}

/* --- states ------------------------------------------------------------------------------------------------------- */

void *kdnet_probe_state_find(const struct kdnet_session *session, const struct kdnet_probe *probe)
{
    const struct kdnet_probe_states *states = &session->active->states;
    for (size_t at = 0; at < states->count; ++at)
        if (states->of[at] == probe)
            return states->state[at];
    return NULL;
}

void *kdnet_probe_state(struct kdnet_session *session, const struct kdnet_probe *probe)
{
    struct kdnet_probe_states *states = &session->active->states;
    void *known = kdnet_probe_state_find(session, probe);
    size_t at = states->count;
    if (known || at == KDNET_PROBE_STATES)
        return known;
    states->state[at] = calloc(1, probe->state_size);
    states->of[at] = probe;
    states->count += states->state[at] != NULL;
    return states->state[at];
}

void kdnet_probe_state_end(struct kdnet_session *session, const struct kdnet_probe *probe)
{
    struct kdnet_probe_states *states = &session->active->states;
    for (size_t at = 0; at < states->count; ++at)
        if (states->of[at] == probe) {
            free(states->state[at]);
            states->of[at] = states->of[--states->count];
            states->state[at] = states->state[states->count];
            return;
        }
}

void kdnet_probes_begin(struct kdnet_session *session)
{
    struct kdnet_kernel_info *info = session->kernel_info;
    struct kdnet_facts *facts = &info->facts;
    kdnet_probe_states_clear(&session->active->states);
    facts->tried = facts->known;
    if (!kdnet_kernel_info_is_nt(info)) /* Windows may have started since */
        facts->tried = (uint16_t)(facts->tried & ~(unsigned)KDNET_FACT_VERSION);
    info->block_found = info->block_found && kdnet_is_known(facts, KDNET_FACT_DEBUGGER_DATA);
}

/* --- replies ------------------------------------------------------------------------------------------------------ */

/* Whether a reply belongs to the request in flight, and is not a late one. */
static bool is_our_reply(const struct kdnet_session *session, const struct kdnet_manipulate *reply)
{
    const struct kdnet_link *link = &session->active->link;
    const struct kdnet_request *request = &session->active->halt.request;
    if (!link->busy || !link->wants_reply || link->type != KDNET_PACKET_MANIPULATE ||
        kdnet_get_le32(link->payload) != reply->api)
        return false;
    return reply->api != KDNET_API_READ_VIRTUAL_MEMORY || reply->u.memory.address == request->address + request->have;
}

void kdnet_probes_failed(struct kdnet_session *session)
{
    struct kdnet_request *request = &session->active->halt.request;
    enum kdnet_purpose purpose = request->purpose;
    request->purpose = KDNET_FOR_NOTHING;
    request->have = 0;
    if (purpose == KDNET_FOR_PROBE)
        request->probe->failed(session);
}

/* Hands a complete answer to its probe. */
static void take(struct kdnet_session *session, const struct kdnet_answer *answer, uint64_t now_us)
{
    struct kdnet_request *request = &session->active->halt.request;
    const struct kdnet_probe *probe = request->probe;
    request->purpose = KDNET_FOR_NOTHING;
    request->have = 0;
    enum kdnet_probe_outcome outcome = probe->take(session, answer);
    if (outcome == KDNET_PROBE_UNUSABLE)
        probe->failed(session);
    else if (outcome == KDNET_PROBE_MORE && probe->next(session, now_us))
        request->probe = probe;
}

/* Takes the bytes of a read; requests the rest of a short one. */
static void take_memory(struct kdnet_session *session, const struct kdnet_manipulate *reply, uint64_t now_us)
{
    struct kdnet_request *request = &session->active->halt.request;
    size_t room = request->wanted - request->have;
    size_t given = reply->return_status == 0 ? reply->u.memory.actual : 0;
    if (given > reply->data_length)
        given = reply->data_length;
    if (given > room)
        given = room;
    memcpy(request->data + request->have, reply->data, given);
    request->have += (uint32_t)given;
    kdnet_reach_came(session, given);
    if (request->purpose != KDNET_FOR_PROBE) {
        request->have = 0; /* a proof: its arrival suffices */
        return;
    }
    bool enough = request->is_enough && request->is_enough(request->data, request->have);
    if (given > 0 && given < room && !enough && kdnet_request_rest(session))
        return;
    struct kdnet_answer answer = {
        .reply = reply, .data = request->data, .length = request->have, .whole = request->have == request->wanted};
    take(session, &answer, now_us);
}

/* A proof from a machine whose version is still unknown is also the version. */
static void take_proof(struct kdnet_session *session, const struct kdnet_manipulate *reply, uint64_t now_us)
{
    const struct kdnet_kernel_info *info = session->kernel_info;
    struct kdnet_request *request = &session->active->halt.request;
    struct kdnet_answer answer = {.reply = reply};
    if (reply->api != KDNET_API_GET_VERSION || !info || kdnet_is_known(&info->facts, KDNET_FACT_VERSION))
        return;
    request->probe = &kdnet_probe_version;
    take(session, &answer, now_us);
}

enum kdnet_reply_outcome kdnet_probes_reply(struct kdnet_session *session, const struct kdnet_packet *packet,
                                            uint64_t now_us)
{
    struct kdnet_halt *halt = &session->active->halt;
    struct kdnet_manipulate reply;
    struct kdnet_answer answer = {.reply = &reply};
    if (kdnet_manipulate_decode(packet->payload, packet->payload_length, &reply) != KDNET_OK ||
        !is_our_reply(session, &reply))
        return KDNET_REPLY_IGNORED;
    kdnet_link_replied(&session->active->link, now_us);
    if (halt->request.purpose == KDNET_FOR_PROOF && reply.api == KDNET_API_READ_VIRTUAL_MEMORY &&
        kdnet_state_is_shared(session))
        kdnet_link_proven(&session->active->link);
    halt->resuming.interrupted = false; /* the deadline, if it came, came while the machine worked on this reply */
    if (reply.api == KDNET_API_READ_VIRTUAL_MEMORY)
        take_memory(session, &reply, now_us);
    else if (halt->request.purpose == KDNET_FOR_PROBE)
        take(session, &answer, now_us);
    else if (halt->request.purpose == KDNET_FOR_PROOF)
        take_proof(session, &reply, now_us);
    else if (halt->request.purpose == KDNET_FOR_SET_CONTEXT)
        kdnet_context_was_set(session, &reply);
    else if (halt->request.purpose == KDNET_FOR_SAME && kdnet_context_differs(session, &reply))
        return KDNET_REPLY_ANOTHER_BREAK;
    return KDNET_REPLY_TAKEN;
}

bool kdnet_probes_ordinary_shutdown(const struct kdnet_session *session)
{
    const struct kdnet_halt *halt = &session->active->halt;
    const struct kdnet_kernel_info *info = session->kernel_info;
    if (!halt->stop.shutdown || session->history->crash.bugcheck.known || session->history->crash.first_released ||
        !kdnet_is_known(&info->facts, KDNET_FACT_VERSION))
        return false;
    return !kdnet_kernel_info_is_nt(info) ||
           (kdnet_is_known(&halt->facts, KDNET_FACT_BUGCHECK) && halt->bugcheck.code == 0);
}
