/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fetch: memory into the cache before it is read, where the compiler can say so. Uses nothing.
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
