/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hash: FNV-1a of 64 bits (Fowler, Noll, Vo; www.isthe.com/chongo/tech/comp/fnv). Quick on short texts. Whoever chooses
 * the bytes can make two with one hash: not for what a stranger sends.
 */
#ifndef KDNET_HASH_H
#define KDNET_HASH_H

#include <stddef.h>
#include <stdint.h>

#define KDNET_HASH_START UINT64_C(0xcbf29ce484222325)
#define KDNET_HASH_PRIME UINT64_C(0x100000001b3)

/* The hash of some bytes behind those whose hash is `hash`; KDNET_HASH_START: behind none. */
static inline uint64_t kdnet_hash(uint64_t hash, const void *bytes, size_t length)
{
    const uint8_t *at = (const uint8_t *)bytes;
    for (size_t i = 0; i < length; ++i)
        hash = (hash ^ at[i]) * KDNET_HASH_PRIME;
    return hash;
}

/* The same of a text's bytes, without its end. */
static inline uint64_t kdnet_hash_text(uint64_t hash, const char *text)
{
    for (; *text != '\0'; ++text)
        hash = (hash ^ (uint8_t)*text) * KDNET_HASH_PRIME;
    return hash;
}

#endif
