/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kernels: where things lie in kernels that were read before, on any machine. In one fleet thousands of machines run a
 * handful of kernels, and one driver may crash all of them at once: then each need not be asked what another has told.
 *
 * Uses machine, manipulate. Only places are remembered, never contents: what lies there is read from the machine itself
 * and has to prove what it is (the debugger data block by its tag and the base in it, the identity record by its tag).
 * So a kernel that only looks like one before costs a read more, and a machine that lies harms no other.
 *
 * Not for several threads at once.
 */
#ifndef KDNET_KERNELS_H
#define KDNET_KERNELS_H

#include "kdnet/manipulate.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KDNET_KERNELS_MAX 64 /* then the oldest are forgotten */

/* What a kernel's version tells of it: two with the same look are most likely the same [inf]. */
struct kdnet_kernel_look {
    uint32_t machine, build; /* no padding: looks are compared byte by byte */
    uint32_t list_rva;       /* DebuggerDataList */
    uint32_t modules_rva;    /* PsLoadedModuleList */
};

struct kdnet_kernel_places {
    uint32_t block_rva; /* KDDEBUGGER_DATA64 */
    uint32_t codeview_rva, codeview_size;
};

/* Zeros: none is known yet. */
struct kdnet_kernels {
    size_t count, next;
    struct {
        struct kdnet_kernel_look look;
        struct kdnet_kernel_places places;
    } kernel[KDNET_KERNELS_MAX];
};

/* Writes the places of a kernel that looks like this one; false: there was none. `kernels` may be NULL. */
bool kdnet_kernels_find(const struct kdnet_kernels *kernels, const struct kdnet_version *version,
                        struct kdnet_kernel_places *out);

/*
 * Remembers where things are in a kernel; what was remembered of one that looks like it is forgotten.
 *
 * block, codeview   addresses, as machines say them; nothing is remembered when one lies outside of 4 GB behind the
 *                   image's base, or the record is empty.
 */
void kdnet_kernels_learn(struct kdnet_kernels *kernels, const struct kdnet_version *version, uint64_t block,
                         uint64_t codeview, uint32_t codeview_size);

#endif
