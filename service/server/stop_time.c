/* SPDX-License-Identifier: Apache-2.0 */
#include "service/server/stop_time.h"

struct share {
    uint64_t most_us, least_us;
};

static const struct share shares[STOP_STAGES] = {
    [STOP_MACHINES] = {STOP_TIME_MACHINES_US, STOP_TIME_MACHINES_US},
    [STOP_CLOSING] = {3000000, 500000},
    [STOP_AGAIN] = {200000, 200000},
    [STOP_RESULTS] = {8000000, 2000000},
    [STOP_UNWRITTEN] = {1600000, 800000},
    [STOP_KEPT] = {2000000, 800000},
    [STOP_LOOP] = {3000000, 200000},
    [STOP_READING] = {1000000, 100000},
    [STOP_LOG] = {3000000, 900000},
};

void stop_time_begin(struct stop_time *time, uint64_t now_us)
{
    if (time->begun)
        return;
    time->begun = true;
    time->by_us = now_us + STOP_TIME_US;
}

uint64_t stop_time_share(const struct stop_time *time, enum stop_stage stage, uint64_t now_us)
{
    uint64_t left_us = time->by_us > now_us ? time->by_us - now_us : 0, later_us = 0, most_us = shares[stage].most_us;
    for (unsigned later = stage + 1U; later < STOP_STAGES; ++later)
        later_us += shares[later].least_us;
    left_us = left_us > later_us ? left_us - later_us : 0;
    if (left_us < shares[stage].least_us)
        return shares[stage].least_us; /* something before has taken more than its share */
    return left_us < most_us ? left_us : most_us;
}
