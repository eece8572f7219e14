/* SPDX-License-Identifier: Apache-2.0 */
#include "service/fleet/ending.h"

#define NS_A_MS UINT64_C(1000000)
#define LOOK_NS (50 * NS_A_MS)

bool ending_init(uv_mutex_t *lock, uv_cond_t *changed)
{
    if (uv_mutex_init(lock) != 0)
        return false;
    if (uv_cond_init(changed) == 0)
        return true;
    uv_mutex_destroy(lock);
    return false;
}

bool ending_pause(uv_mutex_t *lock, uv_cond_t *changed, const bool *stopping, unsigned wait_ms)
{
    uv_mutex_lock(lock);
    if (!*stopping && wait_ms > 0)
        (void)uv_cond_timedwait(changed, lock, wait_ms * NS_A_MS);
    bool ends = *stopping;
    uv_mutex_unlock(lock);
    return ends;
}

void ending_say(uv_mutex_t *lock, uv_cond_t *changed, bool *ended)
{
    uv_mutex_lock(lock);
    *ended = true;
    uv_cond_broadcast(changed);
    uv_mutex_unlock(lock);
}

bool ending_await(uv_mutex_t *lock, uv_cond_t *changed, bool *stopping, const bool *ended, unsigned wait_ms)
{
    uint64_t until_ns = uv_hrtime() + wait_ms * NS_A_MS;
    uv_mutex_lock(lock);
    *stopping = true;
    uv_cond_broadcast(changed);
    while (!*ended && uv_hrtime() < until_ns)
        (void)uv_cond_timedwait(changed, lock, LOOK_NS);
    bool done = *ended;
    uv_mutex_unlock(lock);
    return done;
}
