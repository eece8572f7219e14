/* SPDX-License-Identifier: Apache-2.0 */
#include "service/net/shares.h"

#include <string.h>

#define BEYOND 4U

void shares_init(struct shares *shares, uint64_t seed)
{
    memset(shares, 0, sizeof *shares);
    shares->seed = seed;
}

bool shares_take(struct shares *shares, uint64_t source_hash, uint64_t now_us)
{
    uint64_t window = now_us / SHARES_WINDOW_US;
    if (window != shares->window) {
        shares->window = window;
        memset(shares->counters, 0, sizeof shares->counters);
    }
    uint64_t hash = (source_hash ^ shares->seed ^ window * 0x9e3779b97f4a7c15U) * 0xd6e8feb86659fd93U;
    uint16_t *counter = &shares->counters[(hash >> 32) % SHARES_COUNTERS];
    if (*counter < UINT16_MAX)
        ++*counter;
    else
        *counter = UINT16_MAX - BEYOND + 1;
    return *counter <= SHARES_DATAGRAMS || *counter % BEYOND == 0;
}
