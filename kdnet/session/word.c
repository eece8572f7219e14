/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Another host with the same keys tells the result of a break that is read here, too. Where the machine's way to us has
 * gone with its address, nothing that we send reaches the machine: then that host alone can read and release it.
 */
#include "kdnet/session/halt_internal.h"
#include "kdnet/session/last_break_internal.h"
#include "kdnet/session/resume_internal.h"
#include "kdnet/session/shared_internal.h"
#include "kdnet/session/word_internal.h"

/* The machine is not at a break any more for this host, until it is heard here. The host that has the machine knows
 * that it is not lost. `same`: the other host is at the same break. */
static void leave(struct kdnet_session *session, bool same, uint64_t now_us)
{
    struct kdnet_halt *halt = session->active ? &session->active->halt : NULL;
    session->history->stopped_us = 0;
    if (same && halt->stage == KDNET_STAGE_GOING) {
        kdnet_link_abandon(&session->active->link); /* the other host releases it: our Continue was not taken */
        kdnet_halt_set_stage(halt, KDNET_STAGE_RUNNING);
    } else if (kdnet_state_is_halted(session)) {
        kdnet_resume_implied(session, now_us);
    }
    session->lost = true;
}

/* Whether the machine is at a break, taken or not: one that is not taken waits for its turn to be read. */
static bool is_at_break(const struct kdnet_session *session)
{
    return kdnet_state_is_halted(session) || (session->history && session->history->stopped_us != 0);
}

/* Whether the machine has gone from here, of whose break another host has told the result. Of another break than the
 * one here, too: the machine has gone on from here to that one, and whoever let it go has told that, if only that it
 * did not answer. */
static bool is_told(struct kdnet_session *session, uint32_t checksum, uint64_t now_us)
{
    bool halted = kdnet_state_is_halted(session);
    bool same = halted && session->active->halt.stop.checksum == checksum;
    if (same)
        session->active->halt.told = true;
    if (!is_at_break(session) || !kdnet_is_away(session))
        return false;
    if (halted)
        session->active->halt.told = true;
    leave(session, same, now_us);
    return true;
}

bool kdnet_word_told(struct kdnet_session *session, uint32_t checksum, uint64_t now_us)
{
    bool left = is_told(session, checksum, now_us);
    kdnet_last_break_told(session, checksum); /* at last: a machine that has gone on makes its last break elsewhere */
    return left;
}

bool kdnet_word_await(struct kdnet_session *session, uint64_t now_us)
{
    struct kdnet_halt *halt = &session->active->halt;
    if (halt->waits_for_word || halt->stop.load_symbols || !kdnet_is_away(session))
        return false;
    if (halt->told) { /* while the address was here */
        leave(session, true, now_us);
        return true;
    }
    halt->waits_for_word = true;
    halt->deadline_us = now_us + session->shared->read_deadline_us;
    return true;
}

void kdnet_word_expire(struct kdnet_session *session, uint64_t now_us)
{
    const struct kdnet_halt *halt = &session->active->halt;
    bool goes = halt->stage == KDNET_STAGE_RESUMING || halt->stage == KDNET_STAGE_GOING;
    if (halt->told && goes && now_us >= kdnet_link_deadline(&session->active->link) && kdnet_is_away(session))
        leave(session, true, now_us);
}
