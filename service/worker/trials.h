/* SPDX-License-Identifier: Apache-2.0 */
/*
 * trials: pokes from addresses that are not known yet, waiting for the keys of their port to be tried on them.
 *
 * Uses address, targets, and of kdnet session, sift. The pokes of a port are tried in batches of up to
 * TRIALS_BATCH, some keys on all of the batch at once, in slices between the rounds of the loop. The queue is bounded,
 * has one poke of each source, not more than half of it from one IP address, and not more than half of it for one port
 * while another has some; ports take turns.
 *
 * Order of the keys for a poke: rows whose configured address is the source's; those without a configured address that
 * were never live; those that were. When the order of the rows changes (a reload), batches begin anew.
 */
#ifndef SERVICE_TRIALS_H
#define SERVICE_TRIALS_H

#include "kdnet/wire/handshake.h"
#include "kdnet/crypto/key_filter.h"
#include "service/net/address.h"
#include "service/targets/targets.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TRIALS_QUEUE    8192U
#define TRIALS_PER_IP   (TRIALS_QUEUE / 2)
#define TRIALS_PER_PORT (TRIALS_QUEUE / 2)
#define TRIALS_BATCH    1024U
#define TRIALS_CHAINS   8192U /* of queued pokes, by hash of their source */
#define TRIALS_IPS      4096U
#define TRIALS_KEYS     8U /* in one call of sift, at most */
#define TRIALS_PAYLOAD  (KDNET_HEADER_LENGTH + ((8 + KDNET_POKE_LENGTH + 15) / 16) * 16 + KDNET_TAG_LENGTH)

struct trial {
    uint16_t next;          /* place + 1; 0: none. In the queue of its port, or in the list of free places */
    uint16_t next_in_chain; /* the same, by hash of the source */
    uint32_t listener_id;   /* a listener may go away while a poke waits */
    uint16_t local_port;
    uint16_t length;
    uint8_t hops; /* workers that have tried their keys before */
    struct address source;
    uint8_t payload[TRIALS_PAYLOAD];
};

/*
 * Which of a pile could the rows' keys have sealed: as kdnet_key_filter, whose `keys` are those of up to TRIALS_KEYS
 * rows. A row to try for each: whether its key opened the poke; then the trial is over. And: no key opens it.
 */
struct trials_calls {
    size_t (*sift)(void *user, struct target *const *rows, size_t row_count, const struct kdnet_key_filter_batch *pile,
                   struct kdnet_key_filter_hit *hits, size_t *hit_count);
    size_t key_units; /* a unit of work is one poke with one key; a key by itself costs as much as so many */
    bool (*open)(void *user, struct target *target, const struct trial *trial);
    void (*unknown)(void *user, const struct trial *trial);
    void *user;
};

struct trials_port;

struct trials {
    struct trial *places; /* TRIALS_QUEUE */
    uint16_t free;        /* place + 1 */
    size_t count;
    uint16_t *chains; /* TRIALS_CHAINS: place + 1 of the first; 0: none */
    uint16_t *ips;    /* TRIALS_IPS: how many wait of the IP addresses with this hash */
    uint64_t seed;
    struct trials_port *ports; /* those that ever had a poke to wait */
    size_t port_count, turn;
    uint64_t tried;           /* keys, each on a batch */
    uint64_t opened, unknown; /* pokes */
};

/* Where a poke came in, and who has tried it. */
struct trials_origin {
    uint32_t listener_id;
    uint16_t local_port;
    uint8_t hops;
};

/* False: out of memory. */
bool trials_init(struct trials *trials, uint64_t seed);
void trials_clear(struct trials *trials);

/* Takes a copy of a poke, unless one of its source waits already. False: it is longer than any poke, or there is no
 * room. */
bool trials_add(struct trials *trials, const struct address *source, const struct trials_origin *origin,
                const uint8_t *payload, size_t length);

/* Does about `units` of work, at least one key's, for the port whose turn it is. Returns the units that it took; there
 * is more to do as long as trials->count > 0. */
size_t trials_work(struct trials *trials, const struct targets *targets, size_t units,
                   const struct trials_calls *calls);

#endif
