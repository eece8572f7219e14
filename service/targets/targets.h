/* SPDX-License-Identifier: Apache-2.0 */
/*
 * targets: the table of machines: by address, by configured address, and by what is left to try.
 *
 * Uses address, config, and of kdnet key and session (rows hold a session; this room never calls it but to free it).
 *
 * A row has up to two places: `live`, where its last authentic data came from, and a candidate, where its data may come
 * from: a new poke of its run did, or it was live there until another row was. A replayed poke, from wherever, moves
 * nobody (responses.h). Two machines can share a
 * place for a while (one got the other's address); a look-up gives all of them, the live one first.
 *
 * A target with several keys has a row for each: one for its key, and one for each old key that its machine may still
 * have. Rows of old keys are tried last.
 *
 * Rows lie side by side, in chunks, by id, each with its session behind it: no allocator's share and no table of
 * pointers. Ids are used again from the lowest on, and a chunk without rows is given back. With AddressSanitizer a row
 * that was removed cannot be read, even while its chunk is there.
 *
 * Cost: 88 bytes a row besides its session, and 18 in the indexes; look-ups are one hash each. table.c has the rows,
 * address_index.c the index by address, key_groups.c the lists of keys to try.
 */
#ifndef SERVICE_TARGETS_H
#define SERVICE_TARGETS_H

#include "config/config.h"
#include "kdnet/session.h"
#include "service/net/address.h"
#include "service/targets/keyring.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TARGETS_NONE      UINT32_MAX
#define TARGETS_SHARE_MAX 8 /* rows that may have one place at a time */
#define TARGETS_AHEAD     64
#define TARGETS_NAME_HERE 16    /* a Windows computer has a NetBIOS name of at most 15 characters [doc] */
#define TARGETS_CHUNK     4096U /* rows */
#define TARGETS_ANY_VIA   UINT16_MAX

struct listener;

struct target_endpoint {
    uint8_t ip[16];
    uint32_t scope;
    uint16_t port;             /* of the machine */
    uint16_t local_port;       /* of the listener */
    struct listener *listener; /* borrowed; where its datagrams arrive, and ours go out; NULL: there is no such place */
};

/* What few rows have. */
struct target_more {
    struct target_endpoint candidate;
    uint16_t candidate_via; /* as in struct address */
    /* two machines with one key: the live place goes back and forth; another host: warned of now and then */
    struct address moved_from;
    uint64_t moved_us, warned_us;
    struct address other_host; /* as the machine named it; port 0: it did not */
    uint64_t other_host_us;    /* when the work of another host was seen last; 0: never */
    uint64_t silent_until_us;  /* of one that is handed over */
    uint64_t broken_in_us;     /* when it was last stopped to be read; 0: never */
    unsigned back_and_forth;
    uint8_t configured[16]; /* only when `elsewhere`: its configured IP address */
    struct keyring *ring;   /* NULL: its target has one key */
    uint16_t slot;          /* of its key, there */
};

struct target {
    struct kdnet_session *session; /* behind the row; NULL until targets_begin_session */
    struct target_more *more;      /* NULL: neither a candidate nor a move */
    struct target_endpoint live;   /* its IP address is there from the start when it is configured */
    uint32_t id;
    uint32_t next_same_ip;                    /* chain of rows with this configured IP */
    uint32_t list_at;                         /* place in its group */
    uint16_t port;                            /* listening port that it belongs to; 0: all */
    uint16_t group;                           /* of its port */
    bool has_address : 1;                     /* configured: tried first with what comes from there */
    bool strict : 1;                          /* and nothing is taken that comes from elsewhere */
    bool elsewhere : 1;                       /* it is live at another IP address than the configured one */
    bool old_key : 1;                         /* of its target; or its target was removed */
    bool leaving : 1;                         /* its target was removed: it goes when its machine is let go on */
    bool listed : 1, seen : 1;                /* in its group; live at least once */
    bool connected : 1, halted : 1, held : 1; /* as counted in the server's totals */
    bool noted : 1;                           /* halted, as admission was told last */
    bool gated : 1;                           /* what its session has to send waits for its result to be written */
    bool name_apart : 1;                      /* it is too long to be here */
    bool handed_over : 1;                     /* to another debugger: we are silent, until more->silent_until_us */
    uint16_t via;                             /* of its live place, as in struct address */
    uint32_t snapshot;                        /* its slot (snapshots.h); 0: none */
    union {
        char here[TARGETS_NAME_HERE];
        char *apart;
    } name; /* targets_name */
};

/* Rows of one listening port (0: of all ports): the keys to try on an unknown poke. Only rows with a strict address
 * are in none. Those with an address, and of old keys, count as seen: they are tried late. */
struct key_group {
    uint16_t port;
    bool old_keys;  /* they have groups of their own */
    uint32_t *ids;  /* TARGETS_NONE: a gap. New ones come at the end */
    uint64_t *seen; /* a bit for each; of gaps, too */
    size_t count;   /* gaps included */
    size_t unseen, gaps, capacity;
};

/* TARGETS_CHUNK rows follow. */
struct targets_chunk {
    uint64_t used[TARGETS_CHUNK / 64]; /* a bit for each */
    size_t count;
};

struct targets {
    uint64_t seed;
    size_t row_size;               /* with its session */
    struct targets_chunk **chunks; /* by id / TARGETS_CHUNK; NULL: none of its rows is used */
    size_t chunk_count;
    size_t count, ids, capacity;
    size_t free_from; /* no id below it is free */
    uint32_t *slots;  /* by place, open addressing: 0, or (id * 2 + is it the candidate) + 1 */
    size_t slot_count, slots_used;
    uint32_t *ip_slots; /* open addressing: 0, or the first id of a chain + 1 */
    size_t ip_slot_count;
    size_t addressed; /* rows with a configured address */
    size_t old_keys;  /* rows of old keys */
    struct key_group *key_groups;
    size_t group_count;
    uint64_t order; /* another one whenever rows of a group have changed their places */
};

void targets_init(struct targets *targets, uint64_t seed);

/* Frees all rows and their sessions. */
void targets_clear(struct targets *targets);

/*
 * Makes room for `ids` rows in all. Call it before targets_add.
 * False: out of memory; everything is as it was.
 */
bool targets_reserve(struct targets *targets, size_t ids);

/* Adds a row without a session. NULL: out of memory. Call targets_index when all are added. */
struct target *targets_add(struct targets *targets, const struct config_target *config, bool old_key);

/* Makes the session of a row that has none. */
void targets_begin_session(struct target *target, const struct kdnet_session_shared *shared,
                           const struct kdnet_policy *policy, const struct kdnet_key *key);

/* Takes a row out and frees it, and its session. */
void targets_remove(struct targets *targets, struct target *target);

/* Takes a row out with its session, into memory of its own; its places are forgotten. The row that it was is gone.
 * NULL: out of memory, and it stays. */
struct target *targets_release(struct targets *targets, struct target *target);

/* Takes in what targets_release took out of another table, under another id, in room that targets_reserve made; when it
 * has a configured address, targets_index finds it. NULL: there is no room, or memory is out; it is as it was. */
struct target *targets_adopt(struct targets *targets, struct target *apart);

/* Frees a row that was taken out, and its session. */
void targets_free(struct target *apart);

/* Gives a row another configured address, strictness, port or age of its key; where its machine is live, it stays,
 * unless it is strict. Call targets_index afterwards. */
void targets_change(struct targets *targets, struct target *target, const struct config_target *config, bool old_key);

/* Makes it a row of an old key: it is tried late, and sweep.c looks at it. */
void targets_age_key(struct targets *targets, struct target *target);

/* False: out of memory; it keeps its name. */
bool targets_rename(struct target *target, const char *name);

/* Makes a row one of the keys of a ring, which gets an owner more. False: out of memory; it is in none then. */
bool targets_join_ring(struct target *target, struct keyring *ring, uint16_t slot);

/* Among the rows of its target's keys it is the one that its machine uses, as far as is known. */
bool targets_stands_for_all(const struct target *target);

/* Its machine has shown another key of its target since. */
bool targets_is_superseded(const struct target *target);

/*
 * Makes the index of configured addresses anew; until then, rows that were added or changed may not be found by it.
 * False: out of memory, and none is found by it.
 */
bool targets_index(struct targets *targets);

/*
 * The rows that have a place here, live ones first.
 * Returns how many: 0 to TARGETS_SHARE_MAX.
 */
size_t targets_at(const struct targets *targets, const struct address *address, uint16_t local_port,
                  struct target *out[static TARGETS_SHARE_MAX]);

/*
 * Fetches into the cache, ahead of targets_at, what `count` look-ups will touch, at most TARGETS_AHEAD; writes the rows
 * that they will probably find, and returns how many. With a million rows each step waits for memory; for a batch they
 * wait together.
 */
size_t targets_prefetch(const struct targets *targets, const struct address *const *addresses, size_t count,
                        uint16_t local_port, const struct target *rows[static TARGETS_AHEAD]);

/* The first row with this configured IP, whatever its port; then next_same_ip. TARGETS_NONE: there is none. */
uint32_t targets_with_ip(const struct targets *targets, const uint8_t ip[static 16]);

struct target *targets_row(const struct targets *targets, uint32_t id); /* NULL: no such row */

/* The row of an id that has one. Reads nothing of it. */
static inline struct target *targets_known(const struct targets *targets, uint32_t id)
{
    char *rows = (char *)(targets->chunks[id / TARGETS_CHUNK] + 1);
    return (struct target *)(void *)(rows + id % TARGETS_CHUNK * targets->row_size);
}

/* The session of a row that has one. Reads nothing of it. */
static inline struct kdnet_session *targets_session(struct target *target)
{
    return (struct kdnet_session *)(void *)(target + 1);
}

/* Borrowed, for as long as the row is there. */
const char *targets_name(const struct target *target);

/* The group of a port, or NULL. Groups stay where they are until targets_clear or targets_add. */
const struct key_group *key_groups_find(const struct targets *targets, uint16_t port, bool old_keys);

/* The first place in a group, from `at` on, of a row that was live before, or that was not; its count: there is none.
 * Cost: quick; 64 rows at a time are passed over. */
size_t key_group_next(const struct key_group *group, bool seen, size_t at);

/*
 * The machine's own poke came from here: the row's data may follow. Nothing happens when the row is live here, or
 * memory is out: then its next poke comes again. When too many rows have this place, another candidate goes.
 */
void targets_set_candidate(struct targets *targets, struct target *target, const struct address *address,
                           struct listener *listener, uint16_t local_port);

/*
 * Authentic new data came from here: the row is here, and no other row is live here. Returns whether it was elsewhere.
 * A row that was live here is a candidate from then on: a machine may send with its neighbour's address.
 */
bool targets_set_live(struct targets *targets, struct target *target, const struct address *address,
                      struct listener *listener, uint16_t local_port);

/* What few rows have, zero when it was not there; NULL: out of memory. */
struct target_more *targets_more(struct target *target);

/* Forgets all places at a listener that goes away. */
void targets_forget_listener(struct targets *targets, const struct listener *listener);

/*
 * Another listener of the same port goes on with the places of one that goes away: with all that came by way of `via`
 * (TARGETS_ANY_VIA: by any way). From now on it is `then`, TARGETS_ANY_VIA: as it was.
 */
void targets_pass_listener(struct targets *targets, const struct listener *from, struct listener *to, uint16_t via,
                           uint16_t then);

bool targets_is_live(const struct target *target);

/* Where to send to; NULL: not known. */
const struct target_endpoint *targets_destination(const struct target *target);
struct address targets_address(const struct target_endpoint *endpoint); /* without `via` */
struct address targets_route(const struct target *target); /* of its destination, which is known; with `via` */

/* Its configured IP address, with port 0; only when has_address. */
struct address targets_configured(const struct target *target);

/* May datagrams from this address be its? */
bool targets_may_be(const struct target *target, const struct address *address, uint16_t local_port);

#endif
