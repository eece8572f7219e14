/* SPDX-License-Identifier: Apache-2.0 */
/* Reads KiBugCheckData: the code of the bug check and its four parameters; zeros in a kernel that has not crashed. */
#include "kdnet/error.h"
#include "kdnet/kernel/bugcheck.h"
#include "kdnet/session/halt_internal.h"
#include "kdnet/session/identity_internal.h"
#include "kdnet/session/probes/probe_internal.h"
#include "kdnet/session/report_internal.h"
#include "kdnet/session/request_internal.h"

static bool next(struct kdnet_session *session, uint64_t now_us)
{
    uint32_t length = (uint32_t)(KDNET_BUGCHECK_VALUES * kdnet_halt_layout(session)->pointer_size);
    (void)now_us;
    return kdnet_request_read(session, KDNET_FOR_PROBE,
                              kdnet_halt_address(session, session->kernel_info->data.bugcheck_data), length);
}

static enum kdnet_probe_outcome take(struct kdnet_session *session, const struct kdnet_answer *answer)
{
    struct kdnet_halt *halt = &session->active->halt;
    struct kdnet_crash *crash = &session->history->crash;
    if (!answer->whole ||
        kdnet_bugcheck_decode(kdnet_halt_layout(session), answer->data, answer->length, &halt->bugcheck) != KDNET_OK)
        return KDNET_PROBE_UNUSABLE;
    kdnet_settle(&halt->facts, KDNET_FACT_BUGCHECK, true);
    if (halt->bugcheck.code != 0) {
        kdnet_identity_broke(session, &halt->bugcheck);
        kdnet_report_break(session);
        kdnet_report_bugcheck(session, &halt->bugcheck, true);
    } else if (!crash->printed) {
        /* this kernel has not crashed: the remembered crash belongs to an earlier boot */
        *crash = (struct kdnet_crash){.kernel_base = crash->kernel_base};
        kdnet_identity_over(session);
    }
    return KDNET_PROBE_TAKEN;
}

static void failed(struct kdnet_session *session)
{
    kdnet_settle(&session->active->halt.facts, KDNET_FACT_BUGCHECK, false);
}

const struct kdnet_probe kdnet_probe_bugcheck = {
    .name = "bugcheck",
    .needs = KDNET_FACT_KERNEL | KDNET_FACT_DEBUGGER_DATA,
    .gives = KDNET_FACT_BUGCHECK,
    .next = next,
    .take = take,
    .failed = failed,
};
