/* SPDX-License-Identifier: Apache-2.0 */
#include "service/http/pace.h"

#include <uv.h>

uint64_t pace_now_us(void)
{
    return uv_hrtime() / 1000;
}

uint64_t pace_left_us(const struct pace *pace, uint64_t now_us)
{
    return pace->due_us > now_us + PACE_REST_US ? pace->due_us - now_us - PACE_REST_US : 0;
}

bool pace_take(struct pace *pace, uint64_t now_us)
{
    if (pace_left_us(pace, now_us) > 0)
        return false;
    if (pace->due_us < now_us)
        pace->due_us = now_us;
    pace->due_us += 1000000U / pace->a_second;
    return true;
}
