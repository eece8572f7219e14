/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pace: how often something may begin: at most a number of times a second, and, after a rest, half a second's share at
 * once. What others ask of HTTP over TCP takes no more of the computer than this, for machines are served on it.
 */
#ifndef SERVICE_HTTP_PACE_H
#define SERVICE_HTTP_PACE_H

#include <stdbool.h>
#include <stdint.h>

#define PACE_REST_US 500000U /* the share of this time may begin at once */

struct pace {
    unsigned a_second; /* from 1 to 1,000,000 */
    uint64_t due_us;   /* when all that has begun is paid for */
};

/* Microseconds on a clock that does not jump. */
uint64_t pace_now_us(void);

/* Begins one, and returns true; false: not yet. now_us: as pace_now_us tells it. */
bool pace_take(struct pace *pace, uint64_t now_us);

/* Microseconds from now_us until pace_take succeeds; 0: it does now. */
uint64_t pace_left_us(const struct pace *pace, uint64_t now_us);

#endif
