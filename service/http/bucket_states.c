/* SPDX-License-Identifier: Apache-2.0 */
#include "service/http/bucket_states.h"

#include <stdbool.h>
#include <stddef.h>

#define PERIOD_US (BUCKET_STATES_MINUTES * UINT64_C(60000000))

struct found {
    size_t count;
    uint64_t machines[BUCKET_STATES_RANKS];
};

/* The store's order is by crashes: a machine may have crashed more than once. */
static bool take(void *user, const struct store_bucket *bucket)
{
    struct found *found = user;
    size_t at = found->count++;
    for (; at > 0 && found->machines[at - 1] < bucket->machines; --at)
        found->machines[at] = found->machines[at - 1];
    found->machines[at] = bucket->machines;
    return found->count < BUCKET_STATES_RANKS;
}

void bucket_states_read(struct bucket_states *buckets, struct store_reader *reader, uint64_t now_us)
{
    struct found found = {.count = 0};
    uint64_t since_us = now_us > PERIOD_US ? now_us - PERIOD_US : 0;
    if (store_buckets(reader, since_us, BUCKET_STATES_RANKS, take, &found) != STORE_DONE)
        return;
    for (size_t i = 0; i < BUCKET_STATES_RANKS; ++i)
        atomic_store_explicit(&buckets->machines[i], found.machines[i], memory_order_relaxed);
}
