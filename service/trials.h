/* SPDX-License-Identifier: Apache-2.0 */
/*
 * trials: pokes from addresses that are not known yet, waiting for the keys of their port to be tried on them.
 *
 * Uses address, bucket, targets. Trying 100,000 keys takes 13 ms: it is done in slices of TRIALS_SLICE keys between the
 * rounds of the loop, TRIALS_PER_SECOND at most, so that no known target waits for it. The queue is bounded, has one
 * poke of each source, and not more than half of it from one IP address.
 *
 * Order of the keys for a poke: rows whose configured address is the source's; those without a configured address that
 * were never seen; those that were.
 */
#ifndef SERVICE_TRIALS_H
#define SERVICE_TRIALS_H

#include "kdnet/handshake.h"
#include "service/address.h"
#include "service/bucket.h"
#include "service/targets.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TRIALS_QUEUE      8192
#define TRIALS_PER_IP     (TRIALS_QUEUE / 2)
#define TRIALS_CHAINS     8192 /* of queued pokes, by hash of their source */
#define TRIALS_IPS        4096
#define TRIALS_SLICE      2048     /* keys between two rounds of the loop: 0.3 ms */
#define TRIALS_PER_SECOND 4000000U /* half a core while strangers poke */
#define TRIALS_PAYLOAD    (KDNET_HEADER_LENGTH + ((8 + KDNET_POKE_LENGTH + 15) / 16) * 16 + KDNET_TAG_LENGTH)

struct trial {
    uint16_t next_in_chain; /* place in the ring + 1; 0: none */
    uint32_t listener_id;   /* a listener may go away while a poke waits */
    uint16_t local_port;
    struct address source;
    uint8_t payload[TRIALS_PAYLOAD];
    size_t length;
    unsigned stage; /* which list is next */
    size_t at;      /* in it */
    uint32_t id;    /* in the chain of rows with this IP */
};

/* A row to try. Returns whether its key opened the poke; then the trial is over. */
typedef bool (*trials_try)(void *user, struct target *target, const struct trial *trial);

/* No key opens it. */
typedef void (*trials_unknown)(void *user, const struct trial *trial);

struct trials {
    struct trial *ring; /* TRIALS_QUEUE */
    size_t first, count;
    uint16_t *chains; /* TRIALS_CHAINS: place in the ring + 1 of the first; 0: none */
    uint16_t *ips;    /* TRIALS_IPS */
    uint64_t seed;
    struct bucket bucket;
    uint64_t refused; /* pokes that found no room */
    uint64_t tried;   /* keys */
};

/* False: out of memory. */
bool trials_init(struct trials *trials, uint64_t seed);
void trials_clear(struct trials *trials);

/* Takes a copy of a poke, unless one of its source waits already. False: it is longer than any poke, or there is no
 * room. */
bool trials_add(struct trials *trials, const struct address *source, uint32_t listener_id, uint16_t local_port,
                const uint8_t *payload, size_t length);

/* Tries a slice of keys. Returns whether there is more to do, now or when the bucket has filled (`*wait`). */
bool trials_work(struct trials *trials, const struct targets *targets, uint64_t now_us, trials_try try_row,
                 trials_unknown unknown, void *user, bool *wait);

#endif
