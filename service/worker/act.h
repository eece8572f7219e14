/* SPDX-License-Identifier: Apache-2.0 */
/*
 * act: operators' actions on a machine: release it, reboot it, hand it to another debugger and take it back, read it
 * (again).
 *
 * An action that the machine's state does not permit is refused, and changes nothing.
 *
 * Thread: the worker's that has the target.
 */
#ifndef SERVICE_WORKER_ACT_H
#define SERVICE_WORKER_ACT_H

#include "service/targets/snapshots.h"
#include "service/worker/worker.h"

#define ACT_HAND_OVER_US    UINT64_C(600000000) /* default duration */
#define ACT_BREAK_IN_GAP_US UINT64_C(60000000)  /* between two break-ins of a machine */

enum act { ACT_RELEASE, ACT_TO_DEBUGGER, ACT_TAKE_BACK, ACT_REBOOT, ACT_READ, ACT_BREAK_IN };

enum act_outcome {
    ACT_DONE,
    ACT_UNDER_WAY,   /* a read has begun: act_look tells its progress */
    ACT_UNANSWERED,  /* a running machine was asked to stop, and did not; `state` as below */
    ACT_WRONG_STATE, /* `state` has the machine's state */
    ACT_TOO_OFTEN,   /* `wait_us` says for how long */
    ACT_NO_MEMORY,
};

struct act_result {
    enum act_outcome outcome;
    enum target_state state;
    uint64_t wait_us;
};

/* Returns a machine's state in the API's terms. */
enum target_state act_state(const struct target *target);

/* `for_us`: duration of ACT_TO_DEBUGGER; 0: ACT_HAND_OVER_US. Sends the resulting datagrams. */
struct act_result act_on(struct worker *worker, struct target *target, enum act act, uint64_t for_us);

/* Returns the progress of the read that was begun last: ACT_UNDER_WAY, ACT_DONE or ACT_UNANSWERED. */
struct act_result act_look(const struct target *target);

#endif
