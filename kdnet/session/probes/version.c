/* SPDX-License-Identifier: Apache-2.0 */
/* Asks which component answers (Windows, its loader or a hypervisor), its build, processor and base address. */
#include "kdnet/session/halt_internal.h"
#include "kdnet/session/identity_internal.h"
#include "kdnet/session/last_break_internal.h"
#include "kdnet/session/probes/probe_internal.h"
#include "kdnet/session/request_internal.h"

static bool next(struct kdnet_session *session, uint64_t now_us)
{
    (void)now_us;
    return kdnet_request_plain(session, KDNET_FOR_PROBE, KDNET_API_GET_VERSION);
}

/* A loader, or a kernel elsewhere, has started since: the crash before is over. */
static void end_crash(struct kdnet_session *session)
{
    const struct kdnet_kernel_info *info = session->kernel_info;
    struct kdnet_crash *crash = &session->history->crash;
    bool nt = kdnet_kernel_info_is_nt(info);
    bool over = !nt || (crash->kernel_base != 0 && crash->kernel_base != info->version.kernel_base);
    if (over && !crash->printed)
        *crash = (struct kdnet_crash){0};
    crash->kernel_base = nt ? info->version.kernel_base : 0;
}

static enum kdnet_probe_outcome take(struct kdnet_session *session, const struct kdnet_answer *answer)
{
    struct kdnet_kernel_info *info = session->kernel_info;
    const struct kdnet_version *version = &answer->reply->u.version;
    if (answer->reply->return_status != 0)
        return KDNET_PROBE_UNUSABLE;
    bool same = info->version.major == version->major && info->version.minor == version->minor &&
                info->version.kernel_base == version->kernel_base;
    if (kdnet_is_known(&info->facts, KDNET_FACT_VERSION) && !same) {
        kdnet_kernel_info_clear(info);
        *info = (struct kdnet_kernel_info){0}; /* another component answers: facts about the previous one are void */
    }
    info->version = *version;
    kdnet_settle(&info->facts, KDNET_FACT_VERSION, true);
    kdnet_settle(&info->facts, KDNET_FACT_KERNEL, kdnet_kernel_info_is_nt(info) && kdnet_halt_layout(session));
    end_crash(session);
    if (kdnet_identity_is_new_boot(session)) {
        kdnet_last_break_missing(session, true);
        kdnet_identity_over(session);
    }
    return KDNET_PROBE_TAKEN;
}

static void failed(struct kdnet_session *session)
{
    struct kdnet_facts *facts = &session->kernel_info->facts;
    kdnet_settle(facts, KDNET_FACT_VERSION, kdnet_is_known(facts, KDNET_FACT_VERSION));
}

/* Also gives KDNET_FACT_KERNEL when Windows answers. */
const struct kdnet_probe kdnet_probe_version = {
    .name = "version",
    .gives = KDNET_FACT_VERSION,
    .await = KDNET_AWAIT_IN_CRASH,
    .next = next,
    .take = take,
    .failed = failed,
};
