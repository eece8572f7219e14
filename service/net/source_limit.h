/* SPDX-License-Identifier: Apache-2.0 */
/*
 * source_limit: when more comes than can be handled, what one source may have of it.
 *
 * Uses nothing. Asked only while a socket holds more than was taken from it. A source has SOURCE_LIMIT_DATAGRAMS in
 * each SOURCE_LIMIT_WINDOW_US, far more than a machine that is being read needs; of what it sends beyond that every
 * fourth is taken, since somebody may send with its address. Sources are counted by hash, with another seed in each
 * window, so that a source that shares its counter with a flood does so once.
 */
#ifndef SERVICE_SOURCE_LIMIT_H
#define SERVICE_SOURCE_LIMIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SOURCE_LIMIT_WINDOW_US 100000U
#define SOURCE_LIMIT_DATAGRAMS 64U
#define SOURCE_LIMIT_COUNTERS  16384U

struct source_limit {
    uint64_t window; /* number of it */
    uint64_t seed;
    uint16_t counters[SOURCE_LIMIT_COUNTERS];
};

void source_limit_init(struct source_limit *source_limit, uint64_t seed);

/* Whether a datagram of the source with this hash is taken. */
bool source_limit_take(struct source_limit *source_limit, uint64_t source_hash, uint64_t now_us);

#endif
