/* SPDX-License-Identifier: Apache-2.0 */
#include "service/net/source_limit.h"

#include <string.h>

#define BEYOND 4U

void source_limit_init(struct source_limit *source_limit, uint64_t seed)
{
    memset(source_limit, 0, sizeof *source_limit);
    source_limit->seed = seed;
}

bool source_limit_take(struct source_limit *source_limit, uint64_t source_hash, uint64_t now_us)
{
    uint64_t window = now_us / SOURCE_LIMIT_WINDOW_US;
    if (window != source_limit->window) {
        source_limit->window = window;
        memset(source_limit->counters, 0, sizeof source_limit->counters);
    }
    uint64_t hash = (source_hash ^ source_limit->seed ^ window * 0x9e3779b97f4a7c15U) * 0xd6e8feb86659fd93U;
    uint16_t *counter = &source_limit->counters[(hash >> 32) % SOURCE_LIMIT_COUNTERS];
    if (*counter < UINT16_MAX)
        ++*counter;
    else
        *counter = UINT16_MAX - BEYOND + 1;
    return *counter <= SOURCE_LIMIT_DATAGRAMS || *counter % BEYOND == 0;
}
