/* SPDX-License-Identifier: Apache-2.0 */
#include "service/worker/worker_clock.h"

#include <uv.h>

#define NS_PER_US 1000U

static struct worker_clock_stalls process;
static _Thread_local struct worker_clock own;

static bool is_late(const struct worker_clock *clock, uint64_t passed_us)
{
    return clock->watched && passed_us >= WORKER_CLOCK_STALL_US && passed_us - WORKER_CLOCK_STALL_US >= clock->sleep_us;
}

/* All threads wake from the same stall: the second one finds it left out already. */
static void leave_out(const struct worker_clock *clock, struct worker_clock_stalls *stalls, uint64_t system_us)
{
    uint64_t sum_us = atomic_load(&stalls->sum_us);
    int64_t late_us;
    do
        late_us = (int64_t)(system_us - sum_us - clock->now_us - clock->sleep_us);
    while (late_us >= (int64_t)WORKER_CLOCK_STALL_US &&
           !atomic_compare_exchange_weak(&stalls->sum_us, &sum_us, sum_us + (uint64_t)late_us));
}

uint64_t worker_clock_look(struct worker_clock *clock, struct worker_clock_stalls *stalls, uint64_t system_us)
{
    uint64_t passed_us = system_us - clock->looked_us;
    uint64_t lag_us = clock->looked_us - clock->now_us;
    bool late = is_late(clock, passed_us);
    if (late) {
        leave_out(clock, stalls, system_us);
        passed_us = clock->sleep_us;
    }
    uint64_t least_us = clock->now_us + (clock->watched ? passed_us / 2 : 0);
    uint64_t now_us = system_us - atomic_load_explicit(&stalls->sum_us, memory_order_relaxed);
    clock->looked_us = system_us;
    clock->now_us = (int64_t)(now_us - least_us) > 0 ? now_us : least_us;
    clock->sleep_us = 0;
    if (late)
        clock->past[clock->stalls++ % WORKER_CLOCK_PAST] = (struct worker_clock_stall){clock->now_us, lag_us};
    return clock->now_us;
}

void worker_clock_sleep(struct worker_clock *clock, uint64_t sleep_us)
{
    clock->sleep_us = sleep_us;
    clock->watched = true;
}

uint64_t worker_clock_lag_at(const struct worker_clock *clock, uint64_t us)
{
    uint64_t lag_us = clock->looked_us - clock->now_us;
    uint64_t kept = clock->stalls < WORKER_CLOCK_PAST ? clock->stalls : WORKER_CLOCK_PAST;
    for (uint64_t i = 1; i <= kept; ++i) {
        const struct worker_clock_stall *stall = &clock->past[(clock->stalls - i) % WORKER_CLOCK_PAST];
        if (stall->at_us <= us)
            break;
        lag_us = stall->lag_us;
    }
    return lag_us;
}

uint64_t worker_clock_stalled_us(const struct worker_clock *clock)
{
    return clock->stalls > 0 ? clock->past[(clock->stalls - 1) % WORKER_CLOCK_PAST].at_us : 0;
}

uint64_t worker_now_us(void)
{
    return worker_clock_look(&own, &process, uv_hrtime() / NS_PER_US);
}

void worker_will_sleep(uint64_t sleep_us)
{
    worker_clock_sleep(&own, sleep_us);
}

uint64_t worker_lag_us(void)
{
    return own.looked_us - own.now_us;
}

uint64_t worker_lag_at(uint64_t us)
{
    return worker_clock_lag_at(&own, us);
}

uint64_t worker_stalled_us(void)
{
    return worker_clock_stalled_us(&own);
}

uint64_t worker_stalls_us(void)
{
    return atomic_load(&process.sum_us);
}
