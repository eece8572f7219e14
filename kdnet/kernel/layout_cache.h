/* SPDX-License-Identifier: Apache-2.0 */
/*
 * layout_cache: RVAs of the debugger data block in kernels that were read before, on any machine. Thousands of machines
 * run a handful of kernels, and one driver may crash all of them at once: each need not be asked what another has
 * shown.
 *
 * Any machine may lie about any kernel, so the cache shares only an RVA that proves itself on the machine that uses it:
 * the block has a tag and names the image's base. The RVA of the identity record is not shared: only the image's own
 * headers lead to a trustworthy record. An RVA that fails on one machine is a lie or a coincidence; machines with that
 * kernel are then read in full, and the RVA is not learnt again.
 *
 * Not thread-safe.
 */
#ifndef KDNET_LAYOUT_CACHE_H
#define KDNET_LAYOUT_CACHE_H

#include "kdnet/session.h"
#include "kdnet/wire/manipulate.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KDNET_LAYOUT_CACHE_MAX 64 /* then the oldest are forgotten */

/* What GetVersion shows of a kernel: two kernels with equal fingerprints are most likely the same kernel [inf]. */
struct kdnet_kernel_fingerprint {
    uint32_t machine, build; /* no padding: looks are compared byte by byte */
    uint32_t list_rva;       /* DebuggerDataList */
    uint32_t modules_rva;    /* PsLoadedModuleList */
};

/* Zeros: none is known yet. */
struct kdnet_layout_cache {
    size_t count, next;
    struct {
        struct kdnet_kernel_fingerprint fingerprint;
        uint32_t block_rva; /* of KDDEBUGGER_DATA64; 0: failed on a machine, never learnt again */
    } kernel[KDNET_LAYOUT_CACHE_MAX];
};

/* Writes the RVA of the debugger data block for a kernel with this version; false: unknown. `cache` may be NULL. */
bool kdnet_layout_cache_find(const struct kdnet_layout_cache *cache, const struct kdnet_version *version,
                             uint32_t *block_rva);

/*
 * Learns the block's address from a machine, unless an RVA for this kernel is known or has failed.
 *
 * block  an address; ignored when outside of 4 GB behind the image's base.
 */
void kdnet_layout_cache_learn(struct kdnet_layout_cache *cache, const struct kdnet_version *version, uint64_t block);

/* Records that the RVA from kdnet_layout_cache_find was wrong on a machine. NULL does nothing. */
void kdnet_layout_cache_refute(struct kdnet_layout_cache *cache, const struct kdnet_version *version);

#endif
