/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bucket: a token bucket: so many a second, and so many at once. Uses nothing.
 */
#ifndef SERVICE_BUCKET_H
#define SERVICE_BUCKET_H

#include <stdbool.h>
#include <stdint.h>

struct bucket {
    uint64_t per_second, burst;
    uint64_t tokens;
    uint64_t filled_us;
};

static inline void bucket_init(struct bucket *bucket, uint64_t per_second, uint64_t burst)
{
    *bucket = (struct bucket){.per_second = per_second, .burst = burst, .tokens = burst};
}

/* Takes up to `wanted` tokens; returns how many. */
static inline uint64_t bucket_take(struct bucket *bucket, uint64_t wanted, uint64_t now_us)
{
    uint64_t passed = now_us > bucket->filled_us ? now_us - bucket->filled_us : 0;
    if (passed > 10000000) /* longer pauses do not count, so that nothing overflows */
        passed = 10000000;
    uint64_t fresh = passed * bucket->per_second / 1000000;
    if (fresh > 0) {
        bucket->tokens = bucket->tokens + fresh > bucket->burst ? bucket->burst : bucket->tokens + fresh;
        bucket->filled_us = now_us;
    }
    uint64_t taken = wanted < bucket->tokens ? wanted : bucket->tokens;
    bucket->tokens -= taken;
    return taken;
}

#endif
