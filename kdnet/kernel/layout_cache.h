/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kernels: where the debugger data block lies in kernels that were read before, on any machine. In one fleet thousands
 * of machines run a handful of cache, and one driver may crash all of them at once: then each need not be asked what
 * another has told.
 *
 * Uses machine, manipulate. Any machine may lie about any kernel, so only the place of what proves itself on the
 * machine that uses it is shared: the block has a tag and names the image's base. The place of the identity record is
 * not shared: a record says nothing about the image that it lies in, only the image's own headers do. A place that
 * fails on one machine is a lie or a coincidence; its kernel is read whole from then on, whoever tells a place again.
 *
 * Not for several threads at once.
 */
#ifndef KDNET_LAYOUT_CACHE_H
#define KDNET_LAYOUT_CACHE_H

#include "kdnet/session.h"
#include "kdnet/wire/manipulate.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KDNET_LAYOUT_CACHE_MAX 64 /* then the oldest are forgotten */

/* What a kernel's version tells of it: two with the same look are most likely the same [inf]. */
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
        uint32_t block_rva; /* KDDEBUGGER_DATA64; 0: it failed on a machine, and is not learnt again */
    } kernel[KDNET_LAYOUT_CACHE_MAX];
};

/* Writes the RVA of the debugger data block of a kernel that looks like this one; false: it is not known. `kernels` may
 * be NULL. */
bool kdnet_layout_cache_find(const struct kdnet_layout_cache *cache, const struct kdnet_version *version,
                             uint32_t *block_rva);

/*
 * Remembers where a machine says that its block is, unless a place of this kernel is known, or failed once.
 *
 * block  an address; nothing is remembered when it lies outside of 4 GB behind the image's base.
 */
void kdnet_layout_cache_learn(struct kdnet_layout_cache *cache, const struct kdnet_version *version, uint64_t block);

/* What kdnet_layout_cache_find gave was wrong on this machine. NULL is fine. */
void kdnet_layout_cache_refute(struct kdnet_layout_cache *cache, const struct kdnet_version *version);

#endif
