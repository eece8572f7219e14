/* SPDX-License-Identifier: Apache-2.0 */
#include "kdnet/session/probes/evidence_state_internal.h"

const struct kdnet_reads *kdnet_evidence_probe_reads(const struct kdnet_session *session)
{
    const struct kdnet_reads *reads = session->shared->reads;
    const struct kdnet_kernel_info *info = session->kernel_info;
    return reads && info && info->boot_cache && info->boot_cache->version == reads->version ? reads : NULL;
}
