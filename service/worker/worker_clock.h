/* SPDX-License-Identifier: Apache-2.0 */
/*
 * worker_clock: the time in which kdnetd serves; leaves out kdnetd's own standstills.
 *
 * When the process is stopped, its virtual machine is paused or the processor is taken away, kdnetd hears nobody, and
 * no machine's timeout may run out because of that. So a loop states how long it means to sleep, and each reading of
 * the clock compares: excess time since the thread's last reading, of WORKER_CLOCK_STALL_US at least, is left out for
 * the whole process, once. Deadlines shift by themselves, because all times in a worker are on this clock; they can be
 * compared between threads. When one thread alone stood still, the other threads' clock runs at half speed until they
 * are even; it never goes back.
 *
 * Thread: each has its own state; they share only the sum of the time left out.
 */
#ifndef SERVICE_WORKER_CLOCK_H
#define SERVICE_WORKER_CLOCK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define WORKER_CLOCK_STALL_US 100000U /* a loop that is so late has not served its machines */
#define WORKER_CLOCK_ENDLESS  UINT64_MAX
#define WORKER_CLOCK_PAST     64U /* remembered stalls of a thread */

/* Time left out, of all threads. */
struct worker_clock_stalls {
    _Atomic uint64_t sum_us;
};

struct worker_clock_stall {
    uint64_t at_us;  /* time of the reading that noticed the stall */
    uint64_t lag_us; /* lag before the stall */
};

/* State of one thread. All zero at first. */
struct worker_clock {
    uint64_t looked_us;                                /* the system's time at the last look */
    uint64_t now_us;                                   /* result of that reading */
    uint64_t sleep_us;                                 /* so long the thread may sleep before the next look */
    bool watched;                                      /* false for a thread that never states its sleep */
    uint64_t stalls;                                   /* of this thread, so far */
    struct worker_clock_stall past[WORKER_CLOCK_PAST]; /* the newest of them, in turn */
};

/* The time, from the system's monotonic time. */
uint64_t worker_clock_look(struct worker_clock *clock, struct worker_clock_stalls *stalls, uint64_t system_us);

/* The loop is about to sleep for at most `sleep_us` (WORKER_CLOCK_ENDLESS: unknown). */
void worker_clock_sleep(struct worker_clock *clock, uint64_t sleep_us);

/* Returns the lag behind the system's time when the clock read `us`. */
uint64_t worker_clock_lag_at(const struct worker_clock *clock, uint64_t us);

/* Returns when a stall of this thread was last noticed; 0: never. */
uint64_t worker_clock_stalled_us(const struct worker_clock *clock);

/* The functions below use the state of the calling thread. */

/* Any monotonic time, microseconds. */
uint64_t worker_now_us(void);
void worker_will_sleep(uint64_t sleep_us);

/* Lag behind the system's time, now and at `us`: a difference of two clock times plus that of their lags is the
 * duration for people. */
uint64_t worker_lag_us(void);
uint64_t worker_lag_at(uint64_t us);

uint64_t worker_stalled_us(void);

/* Returns how long kdnetd stood still since its start. Thread: any. */
uint64_t worker_stalls_us(void);

#endif
