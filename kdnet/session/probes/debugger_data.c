/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads the kernel's debugger data block: addresses of the bug check data, the build string and the image list. The
 * list that leads to the block is read first, unless another machine has shown the block's RVA in this kernel
 * (layout_cache.h).
 */
#include "kdnet/base/wire.h"
#include "kdnet/error.h"
#include "kdnet/kernel/layout_cache.h"
#include "kdnet/session/halt_internal.h"
#include "kdnet/session/probes/probe_internal.h"
#include "kdnet/session/request_internal.h"

static void found(struct kdnet_session *session, uint64_t address)
{
    session->kernel_info->data_address = kdnet_halt_address(session, address);
    session->kernel_info->block_found = true;
}

/* Takes the block's address from the cache, if a kernel like this one was read before. */
static void recall(struct kdnet_session *session)
{
    struct kdnet_kernel_info *info = session->kernel_info;
    uint32_t rva;
    info->block_recalled = !info->block_asked &&
                           kdnet_layout_cache_find(session->shared->layout_cache, &info->version, &rva);
    info->block_asked = true;
    if (info->block_recalled)
        found(session, kdnet_halt_kernel_base(session) + rva);
}

static bool next(struct kdnet_session *session, uint64_t now_us)
{
    struct kdnet_kernel_info *info = session->kernel_info;
    (void)now_us;
    if (info->version.debugger_data_list == 0)
        return false;
    if (!info->block_found)
        recall(session);
    if (info->block_found)
        return kdnet_request_read(session, KDNET_FOR_PROBE, info->data_address, KDNET_DEBUGGER_DATA_SIZE);
    return kdnet_request_read(session, KDNET_FOR_PROBE, kdnet_halt_address(session, info->version.debugger_data_list),
                              8);
}

/* The block is not at the expected address. An address from the cache is dropped: the machine's own list leads to
 * the block. */
static void is_not_there(struct kdnet_session *session)
{
    struct kdnet_kernel_info *info = session->kernel_info;
    bool recalled = info->block_recalled;
    info->block_recalled = info->block_found = false;
    if (recalled)
        kdnet_layout_cache_refute(session->shared->layout_cache, &info->version);
    else
        kdnet_settle(&info->facts, KDNET_FACT_DEBUGGER_DATA, false);
}

/* Whether the block belongs to the answering kernel, not to another image, and is not stale. */
static bool is_of_this_kernel(const struct kdnet_session *session, const struct kdnet_debugger_data *data)
{
    return kdnet_halt_address(session, data->kernel_base) == kdnet_halt_kernel_base(session) &&
           kdnet_halt_address(session, data->loaded_module_list) ==
               kdnet_halt_address(session, session->kernel_info->version.loaded_module_list);
}

static void take_block(struct kdnet_session *session, const struct kdnet_answer *answer)
{
    struct kdnet_kernel_info *info = session->kernel_info;
    bool known = kdnet_debugger_data_decode(answer->data, answer->length, &info->data) == KDNET_OK;
    bool ours = known && is_of_this_kernel(session, &info->data);
    if (!known || (info->block_recalled && !ours)) {
        is_not_there(session);
        return;
    }
    kdnet_settle(&info->facts, KDNET_FACT_DEBUGGER_DATA, true);
    if (ours && session->shared->layout_cache)
        kdnet_layout_cache_learn(session->shared->layout_cache, &info->version, info->data_address);
}

static enum kdnet_probe_outcome take(struct kdnet_session *session, const struct kdnet_answer *answer)
{
    if (!answer->whole)
        return KDNET_PROBE_UNUSABLE;
    if (session->kernel_info->block_found) {
        take_block(session, answer);
        return KDNET_PROBE_TAKEN;
    }
    found(session, kdnet_get_le64(answer->data));
    return KDNET_PROBE_MORE;
}

const struct kdnet_probe kdnet_probe_debugger_data = {
    .name = "debugger_data",
    .needs = KDNET_FACT_KERNEL,
    .gives = KDNET_FACT_DEBUGGER_DATA,
    .await = KDNET_AWAIT_LAST,
    .next = next,
    .take = take,
    .failed = is_not_there,
};
