/* SPDX-License-Identifier: Apache-2.0 */
#include "service/worker/act.h"
#include "service/runtime/log.h"
#include "service/worker/handover.h"
#include "service/worker/pump.h"

enum target_state act_state(const struct target *target)
{
    const struct kdnet_session *session = targets_session(target);
    if (target->handed_over)
        return TARGET_HANDED_OVER;
    if (!kdnet_session_is_connected(session))
        return !target->seen ? TARGET_NEVER_SEEN : TARGET_LOST;
    if (kdnet_session_is_halted(session) || kdnet_session_is_waiting(session))
        return target->held ? TARGET_HELD : TARGET_HALTED;
    if (kdnet_session_is_dumping(session))
        return TARGET_DUMPING;
    return kdnet_session_is_going_down(session) ? TARGET_REBOOTING : TARGET_CONNECTED;
}

static struct act_result done(void)
{
    return (struct act_result){.outcome = ACT_DONE};
}

/* A machine that is read again is halted, but must be left alone like one that is being read. */
static struct act_result wrong_state(const struct target *target)
{
    enum target_state state = act_state(target);
    bool again = state == TARGET_HELD && kdnet_session_demand(targets_session(target)) == KDNET_DEMAND_HALTED;
    return (struct act_result){.outcome = ACT_WRONG_STATE, .state = again ? TARGET_HALTED : state};
}

static struct act_result resume(struct worker *worker, struct target *target, enum kdnet_action action)
{
    uint64_t now_us = worker_now_us();
    if (act_state(target) != TARGET_HELD || kdnet_session_resume(targets_session(target), action, now_us) != KDNET_OK)
        return wrong_state(target);
    pump_target(worker, target, NULL, NULL, now_us);
    return done();
}

/* A machine that is being read reboots after the read. */
static struct act_result reboot(struct worker *worker, struct target *target)
{
    uint64_t now_us = worker_now_us();
    enum target_state state = act_state(target);
    if (state == TARGET_HELD)
        return resume(worker, target, KDNET_ACTION_REBOOT);
    if (state != TARGET_HALTED || kdnet_session_reboot(targets_session(target)) != KDNET_OK)
        return wrong_state(target);
    pump_target(worker, target, NULL, NULL, now_us);
    return done();
}

static struct act_result hand_over(struct worker *worker, struct target *target, uint64_t for_us)
{
    uint64_t until_us = worker_now_us() + (for_us > 0 ? for_us : ACT_HAND_OVER_US);
    if (act_state(target) != TARGET_HELD)
        return wrong_state(target);
    return handover_begin(worker, target, until_us) ? done() : (struct act_result){.outcome = ACT_NO_MEMORY};
}

static struct act_result begun(struct worker *worker, struct target *target, int error, uint64_t now_us)
{
    if (error == KDNET_ERR_MEMORY)
        return (struct act_result){.outcome = ACT_NO_MEMORY};
    if (error != KDNET_OK)
        return wrong_state(target);
    pump_target(worker, target, NULL, NULL, now_us);
    worker_target_changed(worker, target);
    return (struct act_result){.outcome = ACT_UNDER_WAY};
}

static struct act_result read_again(struct worker *worker, struct target *target)
{
    uint64_t now_us = worker_now_us();
    if (act_state(target) != TARGET_HELD)
        return wrong_state(target);
    return begun(worker, target, kdnet_session_read(targets_session(target), now_us), now_us);
}

static struct act_result break_in(struct worker *worker, struct target *target)
{
    uint64_t now_us = worker_now_us();
    enum target_state state = act_state(target);
    struct log_line line;
    if (state == TARGET_HELD)
        return read_again(worker, target);
    if (state != TARGET_CONNECTED || worker->stopping)
        return wrong_state(target);
    struct target_more *more = targets_more(target);
    if (!more)
        return (struct act_result){.outcome = ACT_NO_MEMORY};
    if (more->broken_in_us != 0 && now_us - more->broken_in_us < ACT_BREAK_IN_GAP_US)
        return (struct act_result){.outcome = ACT_TOO_OFTEN,
                                   .wait_us = more->broken_in_us + ACT_BREAK_IN_GAP_US - now_us};
    struct act_result result = begun(worker, target, kdnet_session_break_in(targets_session(target), now_us), now_us);
    if (result.outcome != ACT_UNDER_WAY)
        return result;
    more->broken_in_us = now_us;
    log_begin(&line, CONFIG_LOG_NOTICE, "target is stopped to be read, as an operator wants it");
    log_text(&line, "target", targets_name(target));
    log_end(&line);
    return result;
}

struct act_result act_look(const struct target *target)
{
    switch (kdnet_session_demand(targets_session(target))) {
    case KDNET_DEMAND_ASKED:
    case KDNET_DEMAND_HALTED:
        return (struct act_result){.outcome = ACT_UNDER_WAY};
    case KDNET_DEMAND_DONE:
        return done();
    case KDNET_DEMAND_NONE: /* the machine was handed over, or its target removed and added again */
    case KDNET_DEMAND_UNANSWERED:
        break;
    }
    return (struct act_result){.outcome = ACT_UNANSWERED, .state = act_state(target)};
}

struct act_result act_on(struct worker *worker, struct target *target, enum act act, uint64_t for_us)
{
    switch (act) {
    case ACT_RELEASE:
        return resume(worker, target, KDNET_ACTION_CONTINUE);
    case ACT_REBOOT:
        return reboot(worker, target);
    case ACT_TO_DEBUGGER:
        return hand_over(worker, target, for_us);
    case ACT_TAKE_BACK:
        if (!target->handed_over)
            return wrong_state(target);
        handover_end(worker, target);
        return done();
    case ACT_READ:
        return read_again(worker, target);
    case ACT_BREAK_IN:
        return break_in(worker, target);
    }
    return wrong_state(target);
}
