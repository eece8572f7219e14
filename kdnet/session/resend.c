/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A machine may be halted without our knowledge. RESEND asks the machine to repeat the packet that it waits with:
 * quickly at first, then at growing intervals, and about once an hour in any case.
 */
#include "kdnet/base/wire.h"
#include "kdnet/session/resend_internal.h"

#define ASK_SLOW_US     UINT64_C(5000000)
#define ASKS_STEADY     6U /* for half a minute */
#define ASKS_TAKE_OVER  8U
#define ASKS_FIRST      3U
#define ASK_DOUBLINGS   9U /* to an hour and a half */
#define ASKS_QUICK      3U /* the rest wait for the machine's pokes */
#define ASKED_AGAIN_MAX 3U
#define ASK_POKES       1200U /* an hour's */

void kdnet_resend_begin(struct kdnet_session *session, uint8_t times, uint64_t now_us)
{
    session->resend_left = times & 31U;
    session->resend_slow = 1;
    session->resend_us = times > 0 ? now_us : now_us + ASK_SLOW_US;
}

void kdnet_resend_meet(struct kdnet_session *session, bool took_over, uint64_t now_us)
{
    kdnet_resend_begin(session, took_over ? ASKS_TAKE_OVER : ASKS_FIRST, now_us);
    session->resend_us += KDNET_RESEND_PERIOD_US; /* the handshake's RESEND is the first */
    if (!took_over)
        session->resend_slow = ASKS_STEADY;
}

/*
 * A question that our RESEND brought again although its answer was acknowledged: the machine has not taken the answer,
 * or thinks about it. The next RESEND comes later, until the interval gives the machine time enough.
 */
void kdnet_resend_heard(struct kdnet_session *session, const struct kdnet_packet *packet)
{
    bool question = packet->type == KDNET_PACKET_DEBUG_IO || packet->type == KDNET_PACKET_FILE_IO;
    bool asked = session->resend_slow > 1 || (session->resend_slow > 0 && session->resend_left < ASKS_QUICK);
    if (!question || !asked)
        session->resend_repeats = 0;
    else if (session->resend_repeats < ASKED_AGAIN_MAX)
        ++session->resend_repeats;
    if (session->resend_repeats > 1)
        kdnet_link_diverged(&session->active->link);
    session->resend_left = session->resend_slow = 0;
}

/* Asks whether the machine has taken the acknowledged answer. */
void kdnet_resend_after_answer(struct kdnet_session *session, uint64_t now_us)
{
    static const uint8_t doublings[ASKED_AGAIN_MAX + 1] = {0, 2, 4, 7};
    kdnet_resend_begin(session, ASKS_QUICK, now_us);
    session->resend_us += (uint64_t)KDNET_RESEND_PERIOD_US << doublings[session->resend_repeats];
}

/*
 * Asks a running machine about once an hour whether it is halted. The machine's poke counter chooses the moment, so
 * that this costs no memory and spreads over the machines.
 */
static void ask_hourly(struct kdnet_session *session)
{
    bool runs = !session->active || (session->active->halt.stage == KDNET_STAGE_RUNNING && !session->active->link.busy);
    if (runs && kdnet_get_le64(session->target_random) % ASK_POKES == 0 && kdnet_state_wake(session))
        kdnet_link_control(&session->active->link, KDNET_PACKET_RESEND, 0);
}

void kdnet_resend_poked(struct kdnet_session *session, uint64_t now_us)
{
    if (session->resend_left > 0 && session->resend_us == KDNET_NEVER)
        session->resend_us = now_us;
    ask_hourly(session);
}

/* When to ask next: in threes, the next three with the next poke; in the end each time after twice as long. */
static void plan_ask(struct kdnet_session *session, uint64_t now_us)
{
    if (session->resend_left > 0 && (session->resend_left = (session->resend_left - 1U) & 31U) > 0) {
        session->resend_us = session->resend_left % ASKS_QUICK != 0 ? now_us + KDNET_RESEND_PERIOD_US : KDNET_NEVER;
        return;
    }
    if (session->resend_slow > ASKS_STEADY + ASK_DOUBLINGS) {
        session->resend_slow = 0; /* from now on as every machine is: kdnet_break_handler_heard */
        return;
    }
    unsigned doublings = session->resend_slow > ASKS_STEADY ? session->resend_slow - ASKS_STEADY : 0;
    session->resend_us = now_us + (ASK_SLOW_US << doublings);
    session->resend_slow = (session->resend_slow + 1U) & 31U;
}

void kdnet_resend_expire(struct kdnet_session *session, uint64_t now_us)
{
    if (session->resend_slow == 0 || session->lost || now_us < session->resend_us)
        return;
    if (!kdnet_state_wake(session)) {
        session->resend_us = now_us + ASK_SLOW_US; /* memory is out */
        return;
    }
    plan_ask(session, now_us);
    struct kdnet_active *active = session->active;
    if (active->halt.stage == KDNET_STAGE_RUNNING && !active->link.busy)
        kdnet_link_control(&active->link, KDNET_PACKET_RESEND, 0);
}

uint64_t kdnet_resend_deadline(const struct kdnet_session *session)
{
    return session->resend_slow > 0 && !session->lost ? session->resend_us : KDNET_NEVER;
}
