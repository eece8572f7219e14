/* SPDX-License-Identifier: Apache-2.0 */
#include "service/worker/act.h"
#include "service/worker/handover.h"
#include "service/worker/pump.h"

enum target_state act_state(const struct target *target)
{
    const struct kdnet_session *session = target->session;
    if (target->handed_over)
        return TARGET_HANDED_OVER;
    if (!kdnet_session_is_connected(session))
        return !target->seen ? TARGET_NEVER_SEEN : target->rebooting ? TARGET_REBOOTING : TARGET_LOST;
    if (kdnet_session_is_halted(session) || kdnet_session_is_waiting(session))
        return target->held ? TARGET_HELD : TARGET_HALTED;
    if (kdnet_session_is_dumping(session))
        return TARGET_DUMPING;
    return target->rebooting ? TARGET_REBOOTING : TARGET_CONNECTED;
}

static struct act_result done(void)
{
    return (struct act_result){.outcome = ACT_DONE};
}

static struct act_result wrong_state(const struct target *target)
{
    return (struct act_result){.outcome = ACT_WRONG_STATE, .state = act_state(target)};
}

static struct act_result resume(struct worker *worker, struct target *target, enum kdnet_action action)
{
    uint64_t now_us = worker_now_us();
    if (act_state(target) != TARGET_HELD || kdnet_session_resume(target->session, action, now_us) != KDNET_OK)
        return wrong_state(target);
    pump_target(worker, target, NULL, NULL, now_us);
    return done();
}

/* A machine that is being read reboots when that is over. */
static struct act_result reboot(struct worker *worker, struct target *target)
{
    uint64_t now_us = worker_now_us();
    enum target_state state = act_state(target);
    if (state == TARGET_HELD)
        return resume(worker, target, KDNET_ACTION_REBOOT);
    if (state != TARGET_HALTED || kdnet_session_reboot(target->session) != KDNET_OK)
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
    default:
        return wrong_state(target);
    }
}
