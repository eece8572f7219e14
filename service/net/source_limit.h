/* SPDX-License-Identifier: Apache-2.0 */
/*
 * source_limit: limits one source's share when more datagrams come than can be handled.
 *
 * Used only while a socket holds more datagrams than were taken from it. A source may have SOURCE_LIMIT_DATAGRAMS in
 * each SOURCE_LIMIT_WINDOW_US, far more than a machine that is being read needs. Of further datagrams every fourth is
 * taken, since somebody else may send with the source's address. Sources are counted by hash, with another seed in each
 * window, so that a source shares its counter with a flood only once.
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
    uint64_t window; /* number of the window */
    uint64_t seed;
    uint16_t counters[SOURCE_LIMIT_COUNTERS];
};

void source_limit_init(struct source_limit *source_limit, uint64_t seed);

/* Whether a datagram of the source with this hash is taken. */
bool source_limit_take(struct source_limit *source_limit, uint64_t source_hash, uint64_t now_us);

#endif
