/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finds the PDB identity of the kernel's image, in three reads (kdnet/kernel/image_identity.h), or from an earlier boot
 * of this or another machine with the same fingerprint. Progress is kept between breaks.
 */
#include "kdnet/kernel/fingerprint.h"
#include "kdnet/session/halt_internal.h"
#include "kdnet/session/probes/probe_internal.h"
#include "kdnet/session/request_internal.h"
#include "kdnet/session/symbols_internal.h"

static bool make_fingerprint(const struct kdnet_session *session, struct kdnet_fingerprint *fingerprint)
{
    const struct kdnet_kernel_info *info = session->kernel_info;
    return kdnet_is_known(&info->facts, KDNET_FACT_DEBUGGER_DATA) &&
           kdnet_is_known(&info->facts, KDNET_FACT_BUILD_LAB) &&
           kdnet_fingerprint_make((enum kdnet_machine)info->version.machine, kdnet_halt_kernel_base(session),
                                  info->data_address, &info->data, info->build_lab, fingerprint);
}

static bool recall(struct kdnet_session *session)
{
    const struct kdnet_session_shared *shared = kdnet_ask_caller(session);
    struct kdnet_kernel_info *info = session->kernel_info;
    struct kdnet_fingerprint fingerprint;
    if (!shared->recall_image || !make_fingerprint(session, &fingerprint) ||
        !shared->recall_image(shared->user, &fingerprint, &info->pdb))
        return false;
    kdnet_settle(&info->facts, KDNET_FACT_IDENTITY, true);
    return true;
}

static void remember(struct kdnet_session *session)
{
    const struct kdnet_session_shared *shared = kdnet_ask_caller(session);
    struct kdnet_fingerprint fingerprint;
    if (shared->remember_image && make_fingerprint(session, &fingerprint))
        shared->remember_image(shared->user, &fingerprint, &session->kernel_info->pdb);
}

static bool next(struct kdnet_session *session, uint64_t now_us)
{
    const struct kdnet_image_way *way = &session->kernel_info->way;
    bool begun = session->active->halt.request.probe == &kdnet_probe_image_identity && way->part != KDNET_IMAGE_HEADER;
    (void)now_us;
    return (begun || !recall(session)) && kdnet_request_image_way(session, way, kdnet_halt_kernel_base(session));
}

static enum kdnet_probe_outcome take(struct kdnet_session *session, const struct kdnet_answer *answer)
{
    struct kdnet_kernel_info *info = session->kernel_info;
    struct kdnet_pdb pdb;
    if (answer->length == 0)
        return KDNET_PROBE_UNUSABLE;
    switch (kdnet_image_way_take(&info->way, answer->data, answer->length, &pdb)) {
    case KDNET_IMAGE_MORE:
        return KDNET_PROBE_MORE;
    case KDNET_IMAGE_UNIDENTIFIED:
        return KDNET_PROBE_UNUSABLE;
    case KDNET_IMAGE_IDENTIFIED:
        break;
    }
    info->pdb = pdb;
    kdnet_settle(&info->facts, KDNET_FACT_IDENTITY, true);
    remember(session);
    return KDNET_PROBE_TAKEN;
}

static void failed(struct kdnet_session *session)
{
    struct kdnet_kernel_info *info = session->kernel_info;
    info->way = (struct kdnet_image_way){0};
    kdnet_settle(&info->facts, KDNET_FACT_IDENTITY, false);
}

const struct kdnet_probe kdnet_probe_image_identity = {
    .name = "image_identity",
    .needs = KDNET_FACT_KERNEL,
    .gives = KDNET_FACT_IDENTITY,
    .await = KDNET_AWAIT_IN_CRASH,
    .next = next,
    .take = take,
    .failed = failed,
};
