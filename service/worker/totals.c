/* SPDX-License-Identifier: Apache-2.0 */
#include "service/worker/totals.h"

void totals_count(struct worker *worker, struct target *target)
{
    bool connected = kdnet_session_is_connected(targets_session(target));
    bool halted = kdnet_session_is_halted(targets_session(target));
    if (connected == target->connected && !halted && !target->halted && !target->held && !target->noted)
        return; /* as at nearly every poke */
    totals_uncount(worker, target);
    target->connected = connected;
    target->halted = halted;
    target->held = target->held && halted;
    worker->totals.connected += connected;
    worker->totals.halted += halted;
    worker->totals.held += target->held;
    if (halted || target->noted) /* otherwise each poke would touch another cache line */
        admission_note(&worker->admission, target->id, halted, target->held, halted ? worker_patience_us(target) : 0,
                       worker_now_us());
    target->noted = halted;
}

void totals_uncount(struct worker *worker, struct target *target)
{
    worker->totals.connected -= target->connected;
    worker->totals.halted -= target->halted;
    worker->totals.held -= target->held && target->halted;
    target->connected = target->halted = false;
}

void totals_forget(struct worker *worker, struct target *target)
{
    totals_uncount(worker, target);
    admission_forget(&worker->admission, target->id);
    target->noted = false;
}
