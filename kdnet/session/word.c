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

/* The break is over here. The host that has the machine knows that it is not lost. */
static void leave(struct kdnet_session *session, uint64_t now_us)
{
    struct kdnet_halt *halt = &session->active->halt;
    if (halt->stage == KDNET_STAGE_GOING) {
        kdnet_link_abandon(&session->active->link); /* the other host releases it: our Continue was not taken */
        kdnet_halt_set_stage(halt, KDNET_STAGE_RUNNING);
    } else {
        kdnet_resume_implied(session, now_us);
    }
    session->lost = true; /* until it is heard here */
}

bool kdnet_word_told(struct kdnet_session *session, uint32_t checksum, uint64_t now_us)
{
    kdnet_last_break_told(session, checksum);
    if (!kdnet_state_is_halted(session) || session->active->halt.stop.checksum != checksum)
        return false;
    session->active->halt.told = true;
    if (!kdnet_is_away(session))
        return false;
    leave(session, now_us);
    return true;
}

bool kdnet_word_await(struct kdnet_session *session, uint64_t now_us)
{
    struct kdnet_halt *halt = &session->active->halt;
    if (halt->waits_for_word || halt->stop.load_symbols || !kdnet_is_away(session))
        return false;
    halt->waits_for_word = true;
    halt->deadline_us = now_us + session->shared->read_deadline_us;
    return true;
}
