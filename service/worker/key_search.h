/* SPDX-License-Identifier: Apache-2.0 */
/*
 * key_search: tries the keys of a port on pokes from unknown addresses.
 *
 * The pokes of a port are tried in batches of up to KEY_SEARCH_BATCH, some keys on the whole batch at once, in slices
 * between the rounds of the loop. The queue is bounded, has one poke of each source, at most half of it from one IP
 * address, and at most half of it for one port while another has some; ports take turns.
 *
 * Order of the keys for a poke: rows configured for the source's address; rows without a configured address that were
 * never live; rows that were. When the order of the rows changes (a reload), batches restart.
 */
#ifndef SERVICE_KEY_SEARCH_H
#define SERVICE_KEY_SEARCH_H

#include "kdnet/wire/handshake.h"
#include "kdnet/crypto/key_filter.h"
#include "service/net/address.h"
#include "service/targets/targets.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KEY_SEARCH_QUEUE    8192U
#define KEY_SEARCH_PER_IP   (KEY_SEARCH_QUEUE / 2)
#define KEY_SEARCH_PER_PORT (KEY_SEARCH_QUEUE / 2)
#define KEY_SEARCH_BATCH    1024U
#define KEY_SEARCH_CHAINS   8192U /* of queued pokes, by hash of their source */
#define KEY_SEARCH_IPS      4096U
#define KEY_SEARCH_KEYS     8U /* keys in one call of filter, at most */
#define KEY_SEARCH_PAYLOAD  (KDNET_HEADER_LENGTH + ((8 + KDNET_POKE_LENGTH + 15) / 16) * 16 + KDNET_TAG_LENGTH)

struct search_poke {
    uint16_t next;          /* index + 1; 0: none. In the queue of its port, or in the list of free entries */
    uint16_t next_in_chain; /* index + 1 in the chain of the source's hash */
    uint32_t listener_id;   /* a listener may go away while a poke waits */
    uint16_t local_port;
    uint16_t length;
    uint8_t hops; /* workers that have tried their keys before */
    struct address source;
    uint8_t payload[KEY_SEARCH_PAYLOAD];
};

/*
 * filter: finds the keys of rows that could have sealed pokes of a batch, like kdnet_key_filter, with the keys of up to
 * KEY_SEARCH_KEYS rows. try: tries a row on a poke; true: its key opened the poke, and the search for it ends.
 * unopened: no key opens the poke.
 */
struct key_search_calls {
    size_t (*filter)(void *user, struct target *const *rows, size_t row_count,
                     const struct kdnet_key_filter_batch *candidates, struct kdnet_key_filter_hit *hits,
                     size_t *hit_count);
    size_t key_units; /* a unit of work is one poke with one key; a key itself costs this many units */
    bool (*open)(void *user, struct target *target, const struct search_poke *search_poke);
    void (*unknown)(void *user, const struct search_poke *search_poke);
    void *user;
};

struct key_search_port;

struct key_search {
    struct search_poke *slots; /* KEY_SEARCH_QUEUE */
    uint16_t free;             /* index + 1; 0: no used entry is free */
    uint16_t used;             /* places that were ever used: the first ones */
    size_t count;
    uint16_t *chains; /* KEY_SEARCH_CHAINS: place + 1 of the first; 0: none */
    uint16_t *ips;    /* KEY_SEARCH_IPS: how many wait of the IP addresses with this hash */
    uint64_t seed;
    struct key_search_port *ports; /* ports that ever had a poke waiting */
    size_t port_count, turn;
    uint64_t tried;           /* keys, each on a batch */
    uint64_t opened, unknown; /* pokes */
};

/* Where a poke came in, and which workers have tried it. */
struct key_search_origin {
    uint32_t listener_id;
    uint16_t local_port;
    uint8_t hops;
};

/* False: out of memory. */
bool key_search_init(struct key_search *key_search, uint64_t seed);
void key_search_clear(struct key_search *key_search);

/* Adds a copy of a poke, unless one of its source waits already. False: longer than any poke, or no room. */
bool key_search_add(struct key_search *key_search, const struct address *source, const struct key_search_origin *origin,
                    const uint8_t *payload, size_t length);

/* Does about `units` of work, at least one key's, for the port whose turn it is. Returns the units done; there is
 * more to do while key_search->count > 0. */
size_t key_search_work(struct key_search *key_search, const struct targets *targets, size_t units,
                       const struct key_search_calls *calls);

#endif
