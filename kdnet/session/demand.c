/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A read that an operator demands. A running machine is asked to break in, by a datagram of one byte that nothing
 * acknowledges: the state change is the answer. A RESEND follows each request and recovers a lost state change. A
 * second request that reaches a halted machine makes the machine break in once more after its release [ros]; that break
 * counts as ours, too. PROTOCOL.md section 4.
 */
#include "kdnet/error.h"
#include "kdnet/kernel/crash.h"
#include "kdnet/session/demand_internal.h"
#include "kdnet/session/halt_internal.h"
#include "kdnet/session/resend_internal.h"

#include <stdlib.h>

#define STEP_US       UINT64_C(500000) /* between a request and its RESEND, and between the RESEND and the next request */
#define LOOK_US       UINT64_C(50000)     /* interval of checking whether the link is free */
#define LATE_US       UINT64_C(60000000)  /* how long a further break may be the answer to a late request */
#define UNANSWERED_US UINT64_C(600000000) /* the same, when no break came */

static struct kdnet_demand_state *demand_of(const struct kdnet_session *session)
{
    return session->history ? &session->history->demand : NULL;
}

int kdnet_demand_begin(struct kdnet_session *session, uint64_t now_us)
{
    if (!session->connected || session->lost || kdnet_session_is_waiting(session) ||
        kdnet_session_is_dumping(session) || kdnet_state_is_halted(session))
        return KDNET_ERR_STATE;
    if (!session->history)
        session->history = calloc(1, sizeof *session->history);
    struct kdnet_demand_state *demand = demand_of(session);
    if (!demand)
        return KDNET_ERR_MEMORY;
    if (demand->now == KDNET_DEMAND_ASKED)
        return KDNET_ERR_STATE;
    *demand = (struct kdnet_demand_state){.now = KDNET_DEMAND_ASKED, .begun_us = now_us, .next_us = now_us};
    kdnet_demand_expire(session, now_us);
    return KDNET_OK;
}

void kdnet_demand_reread(struct kdnet_session *session)
{
    *demand_of(session) = (struct kdnet_demand_state){.now = KDNET_DEMAND_HALTED, .held = true};
}

static void end(struct kdnet_session *session, enum kdnet_demand how)
{
    struct kdnet_demand_state *demand = demand_of(session);
    demand->now = how;
    demand->due = false;
    demand->ended_us = session->last_seen_us;
}

void kdnet_demand_halted(struct kdnet_session *session, bool ends)
{
    struct kdnet_demand_state *demand = demand_of(session);
    if (demand->now != KDNET_DEMAND_ASKED)
        return;
    if (ends)
        end(session, KDNET_DEMAND_UNANSWERED);
    demand->now = ends ? demand->now : KDNET_DEMAND_HALTED;
    demand->due = false;
}

void kdnet_demand_told(struct kdnet_session *session)
{
    if (demand_of(session)->now == KDNET_DEMAND_HALTED)
        end(session, KDNET_DEMAND_DONE);
}

bool kdnet_demand_stopped_it(const struct kdnet_session *session)
{
    const struct kdnet_demand_state *demand = demand_of(session);
    return demand && (demand->now == KDNET_DEMAND_ASKED || demand->now == KDNET_DEMAND_HALTED) && !demand->held;
}

bool kdnet_demand_lasts(const struct kdnet_history *history, uint64_t now_us)
{
    const struct kdnet_demand_state *demand = &history->demand;
    switch (demand->now) {
    case KDNET_DEMAND_NONE:
        return false;
    case KDNET_DEMAND_DONE:
        return now_us < demand->ended_us + LATE_US;
    case KDNET_DEMAND_UNANSWERED:
        return now_us < demand->ended_us + UNANSWERED_US;
    case KDNET_DEMAND_ASKED:
    case KDNET_DEMAND_HALTED:
        break;
    }
    return true;
}

/* Whether the break may be the answer to a break-in request: its status at the kernel's own breakpoint says so, or
 * is unknown. */
bool kdnet_demand_is_answer(const struct kdnet_session *session, bool asked)
{
    const struct kdnet_history *history = session->history;
    const struct kdnet_kernel_info *info = session->kernel_info;
    struct kdnet_break_facts facts = kdnet_halt_facts(session);
    bool ours = kdnet_demand_lasts(history, session->last_seen_us) && !history->demand.held;
    bool elsewhere = info && kdnet_is_known(&info->facts, KDNET_FACT_DEBUGGER_DATA) && !facts.at_status_break;
    if (kdnet_crash_break_kind(&facts) != KDNET_BREAK_KIND_BREAK || !facts.breakpoint || facts.user_mode || elsewhere ||
        (facts.break_status_known && facts.break_status != KDNET_BREAK_CONTROL_C))
        return false;
    return ours || (!asked && session->shared->break_in_allowed);
}

bool kdnet_demand_take_due(struct kdnet_session *session)
{
    struct kdnet_demand_state *demand = demand_of(session);
    bool due = demand && demand->due && session->connected && !session->lost;
    if (due)
        demand->due = false;
    return due;
}

/* Whether nothing is in flight that a break-in could disturb. */
static bool is_clear(const struct kdnet_session *session)
{
    const struct kdnet_active *active = session->active;
    return !session->offers && (!active || (active->halt.stage == KDNET_STAGE_RUNNING && !active->link.busy));
}

void kdnet_demand_expire(struct kdnet_session *session, uint64_t now_us)
{
    struct kdnet_demand_state *demand = demand_of(session);
    uint64_t timeout_us = kdnet_session_timeout(session);
    if (!demand || demand->now != KDNET_DEMAND_ASKED || now_us < demand->next_us)
        return;
    if (now_us >= demand->begun_us + KDNET_BREAK_IN_FOR_US || session->lost) {
        end(session, KDNET_DEMAND_UNANSWERED);
        kdnet_resend_begin(session, KDNET_RESENDS_MAX, now_us); /* the machine may be halted all the same */
        return;
    }
    demand->next_us = now_us + LOOK_US;
    if (!is_clear(session))
        return;
    if (demand->steps % 2 == 0)
        demand->due = true;
    else if (kdnet_state_wake(session))
        kdnet_link_control(&session->active->link, KDNET_PACKET_RESEND, 0);
    ++demand->steps;
    demand->next_us = now_us + (timeout_us > STEP_US ? timeout_us : STEP_US);
}

uint64_t kdnet_demand_deadline(const struct kdnet_session *session)
{
    const struct kdnet_demand_state *demand = demand_of(session);
    return demand && demand->now == KDNET_DEMAND_ASKED ? demand->next_us : KDNET_NEVER;
}
