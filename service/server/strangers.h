/* SPDX-License-Identifier: Apache-2.0 */
/*
 * strangers: who pokes with a key that no target has: counted by source, so that an operator is told once and not for
 * each packet.
 *
 * Uses address, bucket, trials. Bounded: STRANGERS_ROWS sources; one that was told of, or was silent for
 * STRANGERS_STALE_US, makes room, and when there is none the newcomer is only counted: a flood hides nobody who came
 * before it. A source is told of STRANGERS_FIRST_US after its first poke, then once in STRANGERS_AGAIN_US while it goes
 * on; and at most STRANGERS_PER_SECOND and STRANGERS_PER_MINUTE of all.
 */
#ifndef SERVICE_STRANGERS_H
#define SERVICE_STRANGERS_H

#include "service/net/address.h"
#include "service/net/bucket.h"
#include "service/worker/trials.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STRANGERS_WAYS       ((size_t)8)
#define STRANGERS_SETS       ((size_t)128)
#define STRANGERS_ROWS       (STRANGERS_WAYS * STRANGERS_SETS)
#define STRANGERS_FIRST_US   1000000U
#define STRANGERS_AGAIN_US   60000000U
#define STRANGERS_STALE_US   10000000U /* three pokes missed */
#define STRANGERS_PER_SECOND 10
#define STRANGERS_PER_MINUTE 100

struct stranger {
    bool used, told;
    uint8_t version;
    uint16_t listen_port;
    struct address source; /* of the last poke */
    uint64_t count;        /* since it was told of */
    uint64_t first_us, last_us, told_us;
    uint8_t payload[TRIALS_PAYLOAD]; /* its first poke since it was told of */
    size_t length;
};

struct strangers {
    uint64_t seed;
    struct bucket second;
    uint64_t minute_us; /* when the minute that is counted began */
    unsigned minute_count;
    uint64_t untold; /* pokes of sources that found no room, or had to make room before they were told of */
    struct stranger rows[STRANGERS_ROWS];
};

void strangers_init(struct strangers *strangers, uint64_t seed);

/* Counts a poke. Cost: one hash and STRANGERS_WAYS compares. */
void strangers_note(struct strangers *strangers, const struct trial *poke, uint8_t version, uint64_t now_us);

/*
 * The next source to tell of; false: none now. `out` has its count since the last time, which starts again.
 * at  0 in the first call of a round, then left alone.
 */
bool strangers_next(struct strangers *strangers, size_t *at, uint64_t now_us, struct stranger *out);

/* Pokes that will not be told of one by one, since the last call. */
uint64_t strangers_untold(struct strangers *strangers);

#endif
