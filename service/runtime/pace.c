/* SPDX-License-Identifier: Apache-2.0 */
#include "service/runtime/pace.h"

#include <stdbool.h>

#define UNIT_PS_FIRST 10000U /* a poke with AES instructions: 6 ns */
#define UNIT_PS_MAX   1000000U
#define SLICE_LEAST   50U /* less than this part of a slice is not worth a round */

void pace_init(struct pace *pace, uint64_t now_us)
{
    *pace = (struct pace){.at_us = now_us, .credit_us = PACE_SLICE_US, .unit_ps = UNIT_PS_FIRST};
}

static bool is_barren(const struct pace *pace)
{
    return pace->all >= PACE_MEMORY / 2 && pace->good * PACE_WORTH < pace->all;
}

void pace_judge(struct pace *pace, uint64_t good, uint64_t all)
{
    pace->good += good;
    pace->all += all;
    for (; pace->all > PACE_MEMORY; pace->all /= 2) /* what is long ago counts less */
        pace->good /= 2;
}

void pace_pass(struct pace *pace, uint64_t now_us, uint64_t idle_us)
{
    uint64_t passed = now_us > pace->at_us ? now_us - pace->at_us : 0;
    pace->idle_us += idle_us;
    if (passed < PACE_LEAST) /* too short to be divided */
        return;
    uint64_t fresh = pace->idle_us < passed ? pace->idle_us : passed;
    uint64_t least = passed / PACE_LEAST;
    if (is_barren(pace)) {
        fresh /= PACE_BARREN;
        least /= PACE_LEAST;
    }
    if (fresh < least)
        fresh = least;
    pace->at_us = now_us;
    pace->idle_us = 0;
    pace->credit_us += fresh;
    if (pace->credit_us > PACE_CREDIT_US)
        pace->credit_us = PACE_CREDIT_US;
}

size_t pace_units(const struct pace *pace)
{
    uint64_t slice_us = pace->credit_us < PACE_SLICE_US ? pace->credit_us : PACE_SLICE_US;
    if (slice_us < SLICE_LEAST)
        return 0;
    return (size_t)(slice_us * 1000000 / pace->unit_ps) + 1;
}

void pace_spent(struct pace *pace, size_t units, uint64_t took_us)
{
    if (units == 0)
        return;
    uint64_t unit_ps = took_us < UINT64_MAX / 1000000 ? took_us * 1000000 / units : UNIT_PS_MAX;
    pace->credit_us = took_us < pace->credit_us ? pace->credit_us - took_us : 0;
    pace->unit_ps = (pace->unit_ps * 7 + unit_ps) / 8; /* one slice that was interrupted does not count for much */
    if (pace->unit_ps < UNIT_PS_FIRST / 10)
        pace->unit_ps = UNIT_PS_FIRST / 10;
    if (pace->unit_ps > UNIT_PS_MAX)
        pace->unit_ps = UNIT_PS_MAX;
}
