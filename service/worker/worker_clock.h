/* SPDX-License-Identifier: Apache-2.0 */
/*
 * worker_clock: the time in which kdnetd serves, which leaves out what it stood still.
 *
 * Uses libuv. When the process is stopped, its virtual machine is paused or the processor is taken from it, it hears
 * nobody, and nothing of what a machine has time for may run out because of that. So a loop says how long it means to
 * sleep, and each look at the clock compares: what passed beyond that since the thread's last look, and is
 * WORKER_CLOCK_STALL_US at least, is left out for the whole process, once. Deadlines move by themselves, for all times
 * in a worker are of this clock, and can be compared between threads. When one thread alone stood still, the clock of
 * the others goes half as fast until it is even; it never goes back.
 *
 * Thread: each has its own state, and they share only the sum of what is left out.
 */
#ifndef SERVICE_WORKER_CLOCK_H
#define SERVICE_WORKER_CLOCK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define WORKER_CLOCK_STALL_US 100000U /* a loop that is so late has not served its machines */
#define WORKER_CLOCK_ENDLESS  UINT64_MAX
#define WORKER_CLOCK_PAST     64U /* stalls of a thread that are remembered */

/* What is left out, of all threads. */
struct worker_clock_stalls {
    _Atomic uint64_t sum_us;
};

struct worker_clock_stall {
    uint64_t at_us;  /* as the look that noticed it told */
    uint64_t lag_us; /* before it */
};

/* Of one thread. All zero at first. */
struct worker_clock {
    uint64_t looked_us;                                /* the system's time at the last look */
    uint64_t now_us;                                   /* what that look told */
    uint64_t sleep_us;                                 /* so long the thread may sleep before the next look */
    bool watched;                                      /* a thread that never says how long it sleeps is not */
    uint64_t stalls;                                   /* of this thread, so far */
    struct worker_clock_stall past[WORKER_CLOCK_PAST]; /* the newest of them, in turn */
};

/* The time, from the system's monotonic time. */
uint64_t worker_clock_look(struct worker_clock *clock, struct worker_clock_stalls *stalls, uint64_t system_us);

/* The loop is about to sleep for so long at most (WORKER_CLOCK_ENDLESS: who knows). */
void worker_clock_sleep(struct worker_clock *clock, uint64_t sleep_us);

/* How far it was behind the system's time when it told `us`. */
uint64_t worker_clock_lag_at(const struct worker_clock *clock, uint64_t us);

/* When it noticed a stall of its thread last; 0: never. */
uint64_t worker_clock_stalled_us(const struct worker_clock *clock);

/* Those of the calling thread, in this process. */

/* Any monotonic time, microseconds. */
uint64_t worker_now_us(void);
void worker_will_sleep(uint64_t sleep_us);

/* By how much its time is behind the system's, now and then: a difference of times plus that of their lags is how long
 * something took for the people. */
uint64_t worker_lag_us(void);
uint64_t worker_lag_at(uint64_t us);

uint64_t worker_stalled_us(void);

/* How long kdnetd stood still, since it began. Thread: any. */
uint64_t worker_stalls_us(void);

#endif
