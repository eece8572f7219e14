/* SPDX-License-Identifier: Apache-2.0 */
/*
 * targets: the table of machines, indexed by address, by configured address, and by keys still to try.
 *
 * Rows hold a session; this room calls it only to free it.
 *
 * A row has up to two places: `live`, the source of its last authentic data, and a candidate, a possible source of its
 * data: the source of a new poke of its run, or a former live place that another row took. A replayed poke moves no row
 * (responses.h). Two machines can share a place for a while (one got the other's address); a look-up returns all rows
 * at the place, the live one first.
 *
 * A target with several keys has a row for each: one for its key, and one for each old key that its machine may still
 * have. Rows of old keys are tried last.
 *
 * Rows lie side by side in chunks, by id, each with its session behind it: no allocator overhead and no table of
 * pointers. The lowest free id is used first, and a chunk without rows is freed. With AddressSanitizer a removed row
 * cannot be read, even while its chunk exists.
 *
 * Cost: 80 bytes a row besides its session, and 18 in the indexes; look-ups are one hash each. table.c has the rows,
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
#define TARGETS_SHARE_MAX 8 /* rows that may share one place */
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
    struct listener *listener; /* borrowed; receives the machine's datagrams and sends ours; NULL: no such place */
};

/* Members that few rows need. */
struct target_more {
    struct target_endpoint candidate;
    uint16_t candidate_via; /* as in struct address */
    /* two machines with one key: the live place alternates. Another host: a warning now and then */
    struct address moved_from;
    uint64_t moved_us, warned_us;
    struct address other_host; /* as the machine named it; port 0: unnamed */
    uint64_t other_host_us;    /* when the work of another host was seen last; 0: never */
    uint64_t silent_until_us;  /* for a machine that is handed over to another host */
    uint64_t broken_in_us;     /* last break-in to read the machine; 0: never */
    unsigned back_and_forth;
    uint8_t configured[16]; /* valid when `elsewhere`: the configured IP address */
    struct keyring *ring;   /* NULL: the target has one key */
    uint16_t slot;          /* slot of the row's key in the ring */
};

/* From `more` on, this and the session's first members are what a poke of an idle machine touches: 256 bytes. */
struct target {
    union {
        char here[TARGETS_NAME_HERE];
        char *apart;
    } name;                      /* targets_name */
    struct target_more *more;    /* NULL: neither a candidate nor a move */
    struct target_endpoint live; /* holds the configured IP address from the start */
    uint32_t id;
    uint32_t next_same_ip;                    /* chain of rows with this configured IP */
    uint32_t list_at;                         /* index in its group */
    uint16_t port;                            /* listening port of the target; 0: all */
    uint16_t group;                           /* group of the port */
    bool has_address : 1;                     /* has a configured address: tried first for datagrams from there */
    bool strict : 1;                          /* datagrams from other addresses are dropped */
    bool elsewhere : 1;                       /* live at another IP address than the configured one */
    bool old_key : 1;                         /* an old key of its target, or of a removed target */
    bool leaving : 1;                         /* its target was removed: the row goes when its machine is released */
    bool listed : 1, seen : 1;                /* in its group; live at least once */
    bool connected : 1, halted : 1, held : 1; /* as counted in the server's totals */
    bool noted : 1;                           /* halted, as admission was told last */
    bool gated : 1;                           /* the session's datagrams wait for its result to be written */
    bool name_apart : 1;                      /* the name is too long for the row */
    bool has_session : 1;                     /* behind the row, since targets_begin_session (targets_session) */
    bool handed_over : 1;                     /* to another debugger: we are silent, until more->silent_until_us */
    uint16_t via;                             /* `via` of its live place (struct address) */
    uint32_t snapshot;                        /* its slot (snapshots.h); 0: none */
};

/* Rows of one listening port (0: of all ports) whose keys are tried on an unknown poke; all but rows with a strict
 * address. Rows with an address, and rows of old keys, count as seen: they are tried late. */
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
    size_t row_size;               /* bytes, with its session */
    struct targets_chunk **chunks; /* by id / TARGETS_CHUNK; NULL: no row in use */
    size_t chunk_count;
    size_t count, ids, capacity;
    size_t free_from; /* all lower ids are in use */
    uint32_t *slots;  /* by place, open addressing: 0, or (id * 2 + is_candidate) + 1 */
    size_t slot_count, slots_used;
    uint32_t *ip_slots; /* open addressing: 0, or the first id of a chain + 1 */
    size_t ip_slot_count;
    size_t addressed; /* rows with a configured address */
    size_t old_keys;  /* rows of old keys */
    struct key_group *key_groups;
    size_t group_count;
    uint64_t order; /* changes whenever rows of a group change their indexes */
};

void targets_init(struct targets *targets, uint64_t seed);

/* Frees all rows and their sessions. */
void targets_clear(struct targets *targets);

/*
 * Makes room for `ids` rows in all, before targets_add. False: out of memory; everything is unchanged.
 */
bool targets_reserve(struct targets *targets, size_t ids);

/* Adds a row without a session. NULL: out of memory. Call targets_index when all are added. */
struct target *targets_add(struct targets *targets, const struct config_target *config, bool old_key);

/* Makes the session of a row without one. */
void targets_begin_session(struct target *target, const struct kdnet_session_shared *shared,
                           const struct kdnet_policy *policy, const struct kdnet_key *key);

/* Removes and frees a row and its session. */
void targets_remove(struct targets *targets, struct target *target);

/* Moves a row with its session out of the table, into memory of its own; its places are dropped and the old row is
 * gone. NULL: out of memory; the row stays. */
struct target *targets_release(struct targets *targets, struct target *target);

/* Moves a row from targets_release into this table, under another id, in room from targets_reserve. targets_index
 * makes a configured address known. NULL: no room, or out of memory; `apart` is unchanged. */
struct target *targets_adopt(struct targets *targets, struct target *apart);

/* Frees a row from targets_release, and its session. */
void targets_free(struct target *apart);

/* Changes a row's configured address, strictness, port or age of its key; the machine's live place stays, unless the
 * address is strict. Call targets_index afterwards. */
void targets_change(struct targets *targets, struct target *target, const struct config_target *config, bool old_key);

/* Makes the row one of an old key: tried late, and checked by sweep.c. */
void targets_age_key(struct targets *targets, struct target *target);

/* False: out of memory; the name is unchanged. */
bool targets_rename(struct target *target, const char *name);

/* Adds a row to a ring, which gets one more owner. False: out of memory; the row is then in none. */
bool targets_join_ring(struct target *target, struct keyring *ring, uint16_t slot);

/* Whether the row, among those of its target's keys, is the one that the machine uses, as far as known. */
bool targets_stands_for_all(const struct target *target);

/* Whether the machine has shown another key of its target since. */
bool targets_is_superseded(const struct target *target);

/*
 * Rebuilds the index of configured addresses; until then it may miss added or changed rows. False: out of memory; the
 * index is empty.
 */
bool targets_index(struct targets *targets);

/*
 * Finds the rows that have a place here, live ones first. Returns their number: 0 to TARGETS_SHARE_MAX.
 */
size_t targets_at(const struct targets *targets, const struct address *address, uint16_t local_port,
                  struct target *out[static TARGETS_SHARE_MAX]);

/* Where a look-up begins in the index of places. */
struct targets_home {
    size_t at;
    size_t slot_count; /* of the index then: it may grow; 0: not known */
};

/* The same; a home from targets_prefetch spares the hash of the address. */
size_t targets_at_home(const struct targets *targets, const struct address *address, uint16_t local_port,
                       struct targets_home home, struct target *out[static TARGETS_SHARE_MAX]);

/*
 * Prefetches into the CPU cache what `count` look-ups will touch, at most TARGETS_AHEAD. Writes where each begins, and
 * the rows that they will probably find, and returns how many those are. With a million rows each step waits for
 * memory; a batch waits once for all.
 */
size_t targets_prefetch(const struct targets *targets, const struct address *const *addresses, size_t count,
                        uint16_t local_port, struct targets_home homes[static TARGETS_AHEAD],
                        const struct target *rows[static TARGETS_AHEAD]);

/* Returns the first row with this configured IP, whatever its port; then follow next_same_ip. TARGETS_NONE: none. */
uint32_t targets_with_ip(const struct targets *targets, const uint8_t ip[static 16]);

struct target *targets_row(const struct targets *targets, uint32_t id); /* NULL: no such row */

/* The row of an id in use. Reads no member of the row. */
static inline struct target *targets_known(const struct targets *targets, uint32_t id)
{
    char *rows = (char *)(targets->chunks[id / TARGETS_CHUNK] + 1);
    return (struct target *)(void *)(rows + id % TARGETS_CHUNK * targets->row_size);
}

/* The session of a row that has one. Reads no member of the row. */
static inline struct kdnet_session *targets_session(const struct target *target)
{
    return (struct kdnet_session *)(uintptr_t)(target + 1);
}

/* The row of such a session. */
static inline struct target *targets_of_session(const struct kdnet_session *session)
{
    return (struct target *)(uintptr_t)session - 1;
}

/* Borrowed, for as long as the row is there. */
const char *targets_name(const struct target *target);

/* The group of a port, or NULL. Groups stay where they are until targets_clear or targets_add. */
const struct key_group *key_groups_find(const struct targets *targets, uint16_t port, bool old_keys);

/* Returns the next index in a group, from `at` on, of a row that was, or was not, live before; the count: none.
 * Cost: low; skips 64 rows at a time. */
size_t key_group_next(const struct key_group *group, bool seen, size_t at);

/*
 * The machine's own poke came from here, so the row's data may follow. No effect when the row is live here, or out of
 * memory: the next poke repeats it. When too many rows have this place, another candidate is dropped.
 */
void targets_set_candidate(struct targets *targets, struct target *target, const struct address *address,
                           struct listener *listener, uint16_t local_port);

/*
 * Authentic new data came from here: makes the row live here, and no other row. Returns whether the row was elsewhere.
 * A row that was live here becomes a candidate: a machine may send with its neighbour's address.
 */
bool targets_set_live(struct targets *targets, struct target *target, const struct address *address,
                      struct listener *listener, uint16_t local_port);

/* Returns the members that few rows need, zeroed when new; NULL: out of memory. */
struct target_more *targets_more(struct target *target);

/* Drops all places at a listener that is closed. */
void targets_forget_listener(struct targets *targets, const struct listener *listener);

/*
 * Moves all places with `via` (TARGETS_ANY_VIA: any) from a listener that is closed to another one of the same port.
 * They get `then` as their `via`; TARGETS_ANY_VIA keeps it.
 */
void targets_pass_listener(struct targets *targets, const struct listener *from, struct listener *to, uint16_t via,
                           uint16_t then);

bool targets_is_live(const struct target *target);

/* Where to send to; NULL: not known. */
const struct target_endpoint *targets_destination(const struct target *target);
struct address targets_address(const struct target_endpoint *endpoint); /* without `via` */
struct address targets_route(const struct target *target);              /* of the known destination; with `via` */

/* The configured IP address, with port 0; valid only when has_address. */
struct address targets_configured(const struct target *target);

/* Whether datagrams from this address may be this row's. */
bool targets_may_be(const struct target *target, const struct address *address, uint16_t local_port);

#endif
