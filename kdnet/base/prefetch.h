/* SPDX-License-Identifier: Apache-2.0 */
/*
 * prefetch: loads memory into the CPU cache ahead of its use, where the compiler has an instruction for it.
 */
#ifndef KDNET_PREFETCH_H
#define KDNET_PREFETCH_H

/* The cache line of `where`, which need not be valid to read. */
static inline void kdnet_prefetch(const void *where)
{
#ifdef __GNUC__
    __builtin_prefetch(where);
#else
    (void)where;
#endif
}

#endif
