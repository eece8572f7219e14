/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fetch: memory into the cache before it is read, where the compiler can say so. Uses nothing.
 */
#ifndef KDNET_FETCH_H
#define KDNET_FETCH_H

/* The cache line of `where`, which need not be valid to read. */
static inline void kdnet_fetch(const void *where)
{
#ifdef __GNUC__
    __builtin_prefetch(where);
#else
    (void)where;
#endif
}

#endif
