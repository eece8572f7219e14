/* SPDX-License-Identifier: Apache-2.0 */
/* Gets NtBuildLab, the kernel's build string, from the machine, or from other machines with the same symbol file. */
#include "kdnet/crash/trace_cache.h"
#include "kdnet/session/halt_internal.h"
#include "kdnet/session/probes/cause_internal.h"
#include "kdnet/session/probes/probe_internal.h"
#include "kdnet/session/request_internal.h"

#include <string.h>

static bool recall(struct kdnet_session *session)
{
    struct kdnet_kernel_info *info = session->kernel_info;
    const char *text = kdnet_is_known(&info->facts, KDNET_FACT_IDENTITY)
                           ? kdnet_trace_cache_lab(session->shared->trace_cache, kdnet_cause_kernel_id(info))
                           : NULL;
    if (text) {
        memcpy(info->build_lab, text, sizeof info->build_lab);
        kdnet_settle(&info->facts, KDNET_FACT_BUILD_LAB, true);
    }
    return text != NULL;
}

static bool next(struct kdnet_session *session, uint64_t now_us)
{
    (void)now_us;
    return !recall(session) && kdnet_request_read(session, KDNET_FOR_PROBE,
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
    struct kdnet_trace_cache *cache = session->shared->trace_cache;
    if (n > 0 && cache && kdnet_is_known(&info->facts, KDNET_FACT_IDENTITY))
        kdnet_trace_cache_learn_lab(cache, kdnet_cause_kernel_id(info), kdnet_cause_teller(session), info->build_lab);
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
