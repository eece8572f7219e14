/* SPDX-License-Identifier: Apache-2.0 */
/* Reads IopFinalCrashDumpStatus, the purpose of the whole read. The symbol look-up gives the address. */
#include "kdnet/base/wire.h"
#include "kdnet/session/halt_internal.h"
#include "kdnet/session/probes/probe_internal.h"
#include "kdnet/session/request_internal.h"
#include "kdnet/session/symbols_internal.h"

/* Finds the address of the status. False: unknown, with the reason, or the look-up is pending. */
static bool find(struct kdnet_session *session)
{
    struct kdnet_halt *halt = &session->active->halt;
    struct kdnet_dump_status *status = &halt->dump_status;
    uint32_t rva;
    kdnet_want_symbols(session);
    switch (kdnet_find_rva(session, &session->kernel_info->pdb, KDNET_STATUS_SYMBOL, &rva, &status->source)) {
    case KDNET_RVA_FOUND:
        status->address = kdnet_halt_address(session, kdnet_halt_kernel_base(session) + rva);
        status->address_known = true;
        return true;
    case KDNET_RVA_ABSENT:
        status->reason = KDNET_REASON_SYMBOL_ABSENT;
        return false;
    case KDNET_RVA_PENDING:
        status->waiting = true;
        return false;
    case KDNET_RVA_NO_SYMBOLS:
        break;
    }
    status->reason = KDNET_REASON_NO_SYMBOLS;
    return false;
}

static bool next(struct kdnet_session *session, uint64_t now_us)
{
    struct kdnet_halt *halt = &session->active->halt;
    struct kdnet_dump_status *status = &halt->dump_status;
    (void)now_us;
    if (status->waiting)
        return false;
    bool found = find(session);
    if (!status->waiting)
        kdnet_settle(&halt->facts, KDNET_FACT_STATUS, false);
    return found && kdnet_request_read(session, KDNET_FOR_PROBE, status->address, 4);
}

static enum kdnet_probe_outcome take(struct kdnet_session *session, const struct kdnet_answer *answer)
{
    struct kdnet_halt *halt = &session->active->halt;
    if (!answer->whole) {
        halt->dump_status.reason = KDNET_REASON_UNREADABLE;
        return KDNET_PROBE_TAKEN;
    }
    halt->dump_status.value = kdnet_get_le32(answer->data);
    kdnet_settle(&halt->facts, KDNET_FACT_STATUS, true);
    return KDNET_PROBE_TAKEN;
}

/* Nothing to do: the fact was settled when the read was requested. */
static void failed(struct kdnet_session *session)
{
    (void)session;
}

const struct kdnet_probe kdnet_probe_dump_status = {
    .name = "dump_status",
    .needs = KDNET_FACT_KERNEL | KDNET_FACT_IDENTITY,
    .gives = KDNET_FACT_STATUS,
    .await = KDNET_AWAIT_IN_CRASH,
    .next = next,
    .take = take,
    .failed = failed,
};
