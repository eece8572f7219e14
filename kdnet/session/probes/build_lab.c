/* SPDX-License-Identifier: Apache-2.0 */
/* NtBuildLab: the kernel's build string. */
#include "kdnet/session/halt_internal.h"
#include "kdnet/session/probes/probe_internal.h"
#include "kdnet/session/request_internal.h"

#include <string.h>

static bool next(struct kdnet_session *session, uint64_t now_us)
{
    (void)now_us;
    return kdnet_request_read(session, KDNET_FOR_PROBE,
                              kdnet_halt_address(session, session->kernel_info->data.build_lab),
                              KDNET_BUILD_LAB_SIZE - 1);
}

/* A part will do: behind the text the page may end. */
static enum kdnet_probe_outcome take(struct kdnet_session *session, const struct kdnet_answer *answer)
{
    struct kdnet_kernel_info *info = session->kernel_info;
    size_t n = strnlen((const char *)answer->data, answer->length);
    if (answer->length == 0)
        return KDNET_PROBE_UNUSABLE;
    memcpy(info->build_lab, answer->data, n);
    info->build_lab[n] = '\0';
    kdnet_settle(&info->facts, KDNET_FACT_BUILD_LAB, n > 0);
    return KDNET_PROBE_TAKEN;
}

static void failed(struct kdnet_session *session)
{
    kdnet_settle(&session->kernel_info->facts, KDNET_FACT_BUILD_LAB, false);
}

const struct kdnet_probe kdnet_probe_build_lab = {
    .name = "build_lab",
    .needs = KDNET_FACT_KERNEL | KDNET_FACT_DEBUGGER_DATA,
    .gives = KDNET_FACT_BUILD_LAB,
    .await = KDNET_AWAIT_IN_CRASH,
    .next = next,
    .take = take,
    .failed = failed,
};
