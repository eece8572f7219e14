/* SPDX-License-Identifier: Apache-2.0 */
/*
 * unknown_sources: senders that poke with a key that no target has, counted by source, so that an operator is told once
 * and not for each packet.
 *
 * Bounded: UNKNOWN_SOURCES_ROWS sources. A source that was reported, or was silent for UNKNOWN_SOURCES_STALE_US, makes
 * room; otherwise a new source is only counted, so that a flood hides no earlier source. A source is reported
 * UNKNOWN_SOURCES_FIRST_US after its first poke, then once in UNKNOWN_SOURCES_AGAIN_US while it goes on; and at most
 * UNKNOWN_SOURCES_PER_SECOND and UNKNOWN_SOURCES_PER_MINUTE of all.
 */
#ifndef SERVICE_UNKNOWN_SOURCES_H
#define SERVICE_UNKNOWN_SOURCES_H

#include "service/net/address.h"
#include "service/net/bucket.h"
#include "service/worker/key_search.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define UNKNOWN_SOURCES_WAYS       ((size_t)8)
#define UNKNOWN_SOURCES_SETS       ((size_t)128)
#define UNKNOWN_SOURCES_ROWS       (UNKNOWN_SOURCES_WAYS * UNKNOWN_SOURCES_SETS)
#define UNKNOWN_SOURCES_FIRST_US   1000000U
#define UNKNOWN_SOURCES_AGAIN_US   60000000U
#define UNKNOWN_SOURCES_STALE_US   10000000U /* three pokes missed */
#define UNKNOWN_SOURCES_PER_SECOND 10
#define UNKNOWN_SOURCES_PER_MINUTE 100

struct unknown_source {
    bool used, reported;
    uint8_t version;
    uint16_t listen_port;
    struct address source; /* of the last poke */
    uint64_t count;        /* pokes since the last report */
    uint64_t first_us, last_us, reported_us;
    uint8_t payload[KEY_SEARCH_PAYLOAD]; /* first poke since the last report */
    size_t length;
};

struct unknown_sources {
    uint64_t seed;
    struct bucket second;
    uint64_t minute_us; /* start of the current minute */
    unsigned minute_count;
    uint64_t unreported; /* pokes of sources without room, or dropped before their report */
    struct unknown_source rows[UNKNOWN_SOURCES_ROWS];
};

void unknown_sources_init(struct unknown_sources *unknown_sources, uint64_t seed);

/* Counts a poke. Cost: one hash and UNKNOWN_SOURCES_WAYS compares. */
void unknown_sources_note(struct unknown_sources *unknown_sources, const struct search_poke *poke, uint8_t version,
                          uint64_t now_us);

/*
 * Returns the next source to report; false: none now. `out` has the count since the last report, which restarts. at  0
 * in the first call of a round, then left alone.
 */
bool unknown_sources_next(struct unknown_sources *unknown_sources, size_t *at, uint64_t now_us,
                          struct unknown_source *out);

/* Returns the pokes since the last call that will not be logged individually. */
uint64_t unknown_sources_unreported(struct unknown_sources *unknown_sources);

#endif
