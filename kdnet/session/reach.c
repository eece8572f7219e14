/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Machines that are hard to reach. When the round trip is too long to ask everything before the deadline, the path to
 * the status comes first, and its last replies are awaited beyond the deadline. When the network drops long datagrams,
 * the reply to a long read never comes although the machine acknowledges the request: reads become shorter for the rest
 * of the boot.
 */
#include "kdnet/base/wire.h"
#include "kdnet/kernel/crash.h"
#include "kdnet/session/halt_internal.h"
#include "kdnet/session/probes/probe_internal.h"
#include "kdnet/session/reach_internal.h"
#include "kdnet/session/request_internal.h"

#define ROUND_TRIPS        12U /* of a whole reading */
#define ROUND_TRIPS_SHARED 24U /* the same where another host receives a part of the replies */
#define AWAITED            1U  /* replies awaited beyond the deadline */
/* The same at the last break: the machine needs no step over a breakpoint, or can only spin. */
#define AWAITED_LAST       3U
#define TOO_LONG           2U /* timeouts after which something long is given up */
#define TOO_LONG_US        300000U
#define THINKS_US          12000000U
#define READ_LEAST         256U /* bytes that every network carries */
#define READ_AS_PIECE      512U /* of a read where a whole CONTEXT did not come */

bool kdnet_reach_is_far(const struct kdnet_session *session)
{
    const struct kdnet_link *link = &session->active->link;
    uint64_t ack_us = kdnet_link_rtt(link), reply_us = kdnet_link_reply_rtt(link);
    uint64_t trips = session->rival > 0 ? ROUND_TRIPS_SHARED : ROUND_TRIPS;
    return trips * (ack_us > reply_us ? ack_us : reply_us) > kdnet_state_read_deadline(session);
}

bool kdnet_reach_in_crash(const struct kdnet_session *session)
{
    const struct kdnet_crash *crash = &session->history->crash;
    return crash->printed || crash->first_released || crash->bugcheck.known;
}

/* Whether the break may be the last one of a crash. */
static bool may_be_last(const struct kdnet_session *session)
{
    struct kdnet_break_facts facts = kdnet_halt_facts(session);
    return facts.shutdown || (facts.breakpoint && session->history->crash.first_released);
}

/* Whether the request in flight is on the path to the status, or shows that a machine is at its last break, from
 * which it would only come back. */
static bool is_on_the_way(const struct kdnet_session *session)
{
    const struct kdnet_halt *halt = &session->active->halt;
    if (halt->request.purpose != KDNET_FOR_PROBE)
        return false;
    switch (halt->request.probe->await) {
    case KDNET_AWAIT_IN_CRASH:
        return true;
    case KDNET_AWAIT_LAST:
        return may_be_last(session) && !halt->stop.shutdown;
    case KDNET_AWAIT_NEVER:
        break;
    }
    return false;
}

bool kdnet_reach_await(struct kdnet_session *session, uint64_t now_us)
{
    struct kdnet_halt *halt = &session->active->halt;
    const struct kdnet_link *link = &session->active->link;
    bool far = kdnet_reach_is_far(session);
    unsigned most = far && may_be_last(session) ? AWAITED_LAST : AWAITED;
    bool wanted = far ? is_on_the_way(session) : kdnet_halt_asks(halt, &kdnet_probe_dump_status);
    bool first = kdnet_halt_asks(halt, &kdnet_probe_version) && !halt->late; /* without which nothing can be asked */
    if (!link->busy || !link->wants_reply || !wanted || (!first && halt->awaited >= most) ||
        !kdnet_reach_in_crash(session))
        return false;
    halt->awaited += first ? 0 : 1;
    halt->late = true;
    halt->deadline_us = now_us + kdnet_link_reply_timeout(link);
    return true;
}

/* --- long datagrams ----------------------------------------------------------------------------------------------- */

bool kdnet_reach_is_too_long(const struct kdnet_session *session, unsigned timeouts, uint64_t now_us)
{
    const struct kdnet_link *link = &session->active->link;
    uint64_t since_us = link->acked ? link->acked_us : link->begun_us;
    uint64_t timeout_us = kdnet_link_reply_timeout(link); /* as long as possible: the machine may be thinking */
    uint64_t patience_us = timeout_us < KDNET_LINK_RTO_MAX_US ? 2 * timeout_us : THINKS_US;
    return timeouts >= TOO_LONG && now_us - since_us >= (patience_us > TOO_LONG_US ? patience_us : TOO_LONG_US);
}

void kdnet_reach_context_too_long(struct kdnet_session *session)
{
    struct kdnet_kernel_info *info = session->kernel_info;
    info->pieces = true;
    if (info->read_most == 0)
        info->read_most = READ_AS_PIECE;
}

void kdnet_reach_came(struct kdnet_session *session, size_t length)
{
    struct kdnet_kernel_info *info = session->kernel_info;
    if (!info || length <= READ_LEAST)
        return;
    info->too_long = 0;
    if (info->read_most > 0 && length > info->read_most)
        info->read_most = 0; /* the machine was only slow */
}

/* Returns the length of the read in flight; 0: none. */
static uint32_t under_way(const struct kdnet_session *session)
{
    const struct kdnet_link *link = &session->active->link;
    const struct kdnet_halt *halt = &session->active->halt;
    bool stands = halt->stage == KDNET_STAGE_READING || halt->stage == KDNET_STAGE_RESUMING;
    if (!stands || !link->busy || !link->wants_reply || link->type != KDNET_PACKET_MANIPULATE ||
        kdnet_get_le32(link->payload) != KDNET_API_READ_VIRTUAL_MEMORY)
        return 0;
    return kdnet_request_next_length(session);
}

void kdnet_reach_expire(struct kdnet_session *session, uint64_t now_us)
{
    struct kdnet_halt *halt = &session->active->halt;
    struct kdnet_link *link = &session->active->link;
    struct kdnet_kernel_info *info = session->kernel_info;
    uint32_t length = under_way(session);
    if (!info || length <= READ_LEAST || !link->acked || now_us < kdnet_link_deadline(link))
        return;
    if (info->too_long < TOO_LONG)
        ++info->too_long;
    if (!kdnet_reach_is_too_long(session, info->too_long, now_us))
        return;
    info->too_long = 0;
    bool half = length / 2 > READ_LEAST && halt->stage == KDNET_STAGE_READING;
    info->read_most = (uint16_t)(half ? length / 2 : READ_LEAST);
    info->pieces = info->pieces || !info->pieces_refused;
    kdnet_link_abandon(link);
    (void)kdnet_request_rest(session);
}
