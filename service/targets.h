/* SPDX-License-Identifier: Apache-2.0 */
/*
 * targets: the table of machines: by address, by configured address, and by what is left to try.
 *
 * Uses address, config, and of kdnet key and session (rows hold a session; this room never calls it but to free it).
 *
 * A row has up to two places: `live`, where its last authentic data came from, and `candidate`, where an authentic poke
 * came from whose data is still to come: so a replayed poke, from wherever, moves nobody. Two machines can share a
 * place for a while (one got the other's address); a look-up gives all of them, the live one first.
 *
 * Cost: about 700 bytes a row besides its session; look-ups are one hash each.
 */
#ifndef SERVICE_TARGETS_H
#define SERVICE_TARGETS_H

#include "config/config.h"
#include "kdnet/session.h"
#include "service/address.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TARGETS_NONE       UINT32_MAX
#define TARGETS_SHARE_MAX  8 /* rows that may have one place at a time */
#define TARGETS_PLACE_LIVE 0
#define TARGETS_PLACE_POKE 1
#define TARGETS_PLACES     2

struct listener;

struct target_place {
    bool used;
    struct address address;
    struct listener *listener; /* borrowed; where its datagrams arrive, and ours go out */
    uint16_t local_port;       /* of that listener */
};

struct target {
    uint32_t id;
    char name[CONFIG_NAME_SIZE];
    struct kdnet_key key;
    bool has_address; /* configured: pokes from other IP addresses are not taken */
    struct address address;
    uint16_t port; /* listening port that it belongs to; 0: all */
    struct kdnet_policy policy;
    struct kdnet_session *session;

    struct target_place place[TARGETS_PLACES];
    char guidage[KDNET_GUIDAGE_SIZE]; /* of its kernel, as last told; empty: not known */
    bool connected, halted, held;     /* as counted in the server's totals */
    bool inquiring;                   /* counted among the inquiries under way */
    uint64_t halted_us;               /* since when */

    /* two machines with one key: the live place goes back and forth */
    struct address moved_from;
    uint64_t moved_us, warned_us;
    unsigned back_and_forth;

    uint32_t next_same_ip; /* chain of rows with this configured IP */
    uint32_t group;        /* of its port */
    bool listed, seen;     /* in the group's list of the seen or of the unseen */
    uint32_t list_at;
    bool kept; /* scratch of a reload */
};

struct targets_list {
    uint32_t *ids;
    size_t count, capacity;
};

/* Rows without a configured address, of one listening port (0: of all ports): the keys to try on a stranger's poke. */
struct targets_group {
    uint16_t port;
    struct targets_list list[2]; /* [0] never seen, [1] seen */
};

struct targets {
    uint64_t seed;
    struct target **rows; /* by id; NULL: free */
    size_t count, ids, capacity;
    uint32_t *free_ids;
    size_t free_count;
    uint32_t *slots; /* open addressing: 0, or (id * 2 + place) + 1 */
    size_t slot_count, slots_used;
    uint32_t *ip_slots; /* open addressing: 0, or the first id of a chain + 1 */
    size_t ip_slot_count;
    struct targets_group *groups;
    size_t group_count;
};

void targets_init(struct targets *targets, uint64_t seed);

/* Frees all rows and their sessions; wipes keys. */
void targets_clear(struct targets *targets);

/*
 * Makes room for `ids` rows in all. Call it before targets_add.
 * False: out of memory; everything is as it was.
 */
bool targets_reserve(struct targets *targets, size_t ids);

/* Adds a row without a session. NULL: out of memory. Call targets_index when all are added. */
struct target *targets_add(struct targets *targets, const struct config_target *config);

/* Frees a row and its session. */
void targets_remove(struct targets *targets, struct target *target);

/* Gives a row another configured address; places that it forbids are forgotten. */
void targets_set_address(struct targets *targets, struct target *target, bool has_address,
                         const struct config_address *address);

/* Makes the index of configured addresses anew. False: out of memory, and none is found by it. */
bool targets_index(struct targets *targets);

/*
 * The rows that have a place here, live ones first.
 * Returns how many: 0 to TARGETS_SHARE_MAX.
 */
size_t targets_at(const struct targets *targets, const struct address *address, uint16_t local_port,
                  struct target *out[static TARGETS_SHARE_MAX]);

/* The first row with this configured IP, whatever its port; then next_same_ip. TARGETS_NONE: there is none. */
uint32_t targets_with_ip(const struct targets *targets, const uint8_t ip[static 16]);

struct target *targets_row(const struct targets *targets, uint32_t id); /* NULL: no such row */

/* The group of a port, or NULL. Groups stay where they are until targets_clear or targets_add. */
const struct targets_group *targets_group_of(const struct targets *targets, uint16_t port);

/*
 * An authentic poke came from here: the row's data may follow. Nothing happens when the row is live here. When too many
 * rows have this place, another candidate goes.
 */
void targets_set_candidate(struct targets *targets, struct target *target, const struct address *address,
                           struct listener *listener, uint16_t local_port);

/* Authentic new data came from here: the row is here, and no other row is live here. Returns whether it was elsewhere.
 */
bool targets_set_live(struct targets *targets, struct target *target, const struct address *address,
                      struct listener *listener, uint16_t local_port);

/* Forgets a place. */
void targets_forget(struct targets *targets, struct target *target, unsigned place);

/* Forgets all places at a listener that goes away. */
void targets_forget_listener(struct targets *targets, const struct listener *listener);

/* Where to send to; NULL: not known. */
const struct target_place *targets_destination(const struct target *target);

/* May datagrams from this address be its? */
bool targets_may_be(const struct target *target, const struct address *address, uint16_t local_port);

/* kdnet's policy out of the configuration; `target` NULL: for all. */
void targets_policy(const struct kdnetd_config *config, const struct config_target *target, struct kdnet_policy *out);

#endif
