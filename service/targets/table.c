/* SPDX-License-Identifier: Apache-2.0 */
/* The rows, and by configured address: a part of the room targets. */
#include "service/runtime/poison.h"
#include "service/targets/targets_internal.h"

#include <stdlib.h>
#include <string.h>

#define WORD 64U

void targets_init(struct targets *targets, uint64_t seed)
{
    size_t align = sizeof(uint64_t), session = kdnet_session_size();
    memset(targets, 0, sizeof *targets);
    targets->seed = seed;
    targets->row_size = sizeof(struct target) + (session + align - 1) / align * align;
}

static bool is_used(const struct targets *targets, size_t id)
{
    const struct targets_chunk *chunk = targets->chunks[id / TARGETS_CHUNK];
    return chunk && (chunk->used[id % TARGETS_CHUNK / WORD] >> id % WORD & 1) != 0;
}

/* Makes a chunk without rows; false: out of memory. Its pages are allocated by the system on first use. */
static bool make_chunk(struct targets *targets, size_t at)
{
    size_t rows = TARGETS_CHUNK * targets->row_size;
    struct targets_chunk *chunk = calloc(1, sizeof *chunk + rows);
    if (chunk)
        poison(chunk + 1, rows);
    targets->chunks[at] = chunk;
    return chunk != NULL;
}

/* Room for the row of a free id, all zero but the id; NULL: out of memory. */
static struct target *take_room(struct targets *targets, uint32_t id)
{
    struct targets_chunk **chunk = &targets->chunks[id / TARGETS_CHUNK];
    if (!*chunk && !make_chunk(targets, id / TARGETS_CHUNK))
        return NULL;
    (*chunk)->used[id % TARGETS_CHUNK / WORD] |= UINT64_C(1) << id % WORD;
    ++(*chunk)->count;
    ++targets->count;
    struct target *target = targets_known(targets, id);
    unpoison(target, targets->row_size);
    memset(target, 0, sizeof *target);
    target->id = id;
    return target;
}

static void give_room(struct targets *targets, struct target *target)
{
    uint32_t id = target->id;
    struct targets_chunk **chunk = &targets->chunks[id / TARGETS_CHUNK];
    poison(target, targets->row_size);
    --targets->count;
    if (id < targets->free_from)
        targets->free_from = id;
    (*chunk)->used[id % TARGETS_CHUNK / WORD] &= ~(UINT64_C(1) << id % WORD);
    if (--(*chunk)->count > 0)
        return;
    unpoison(*chunk + 1, TARGETS_CHUNK * targets->row_size);
    free(*chunk);
    *chunk = NULL;
}

/* Frees what a row owns, not the row. */
static void clear_row(struct target *target)
{
    if (target->has_session)
        kdnet_session_clear(targets_session(target));
    if (target->name_apart)
        free(target->name.apart);
    if (target->more)
        keyring_drop(target->more->ring);
    free(target->more);
}

void targets_clear(struct targets *targets)
{
    for (uint32_t id = 0; id < targets->ids; ++id) {
        struct target *target = targets_row(targets, id);
        if (!target)
            continue;
        clear_row(target);
        give_room(targets, target);
    }
    key_groups_clear(targets);
    free(targets->chunks);
    free(targets->slots);
    free(targets->ip_slots);
    targets_init(targets, targets->seed);
}

struct target *targets_row(const struct targets *targets, uint32_t id)
{
    return id < targets->ids && is_used(targets, id) ? targets_known(targets, id) : NULL;
}

bool targets_reserve(struct targets *targets, size_t ids)
{
    size_t before = targets->chunk_count, wanted = (ids + TARGETS_CHUNK - 1) / TARGETS_CHUNK;
    if (!targets_reserve_endpoints(targets, ids))
        return false;
    if (wanted > before) {
        struct targets_chunk **chunks = realloc(targets->chunks, wanted * sizeof *chunks);
        if (!chunks)
            return false;
        memset(chunks + before, 0, (wanted - before) * sizeof *chunks);
        targets->chunks = chunks;
        targets->chunk_count = wanted;
    }
    if (ids > targets->capacity)
        targets->capacity = ids;
    return true;
}

/* Returns an unused id; TARGETS_NONE: no room. */
static uint32_t free_id(struct targets *targets)
{
    if (targets->count < targets->ids)
        while (targets->free_from < targets->ids && is_used(targets, targets->free_from))
            ++targets->free_from;
    else
        targets->free_from = targets->ids;
    if (targets->free_from == targets->capacity)
        return TARGETS_NONE;
    if (targets->free_from == targets->ids)
        ++targets->ids;
    return (uint32_t)targets->free_from;
}

static void set_configured(struct targets *targets, struct target *target, bool has_address,
                           const struct config_address *address)
{
    targets->addressed += has_address;
    targets->addressed -= target->has_address;
    target->has_address = has_address;
    if (has_address && target->elsewhere)
        memcpy(target->more->configured, address->ip, sizeof target->more->configured);
    else if (has_address)
        memcpy(target->live.ip, address->ip, sizeof target->live.ip);
}

static void set_old(struct targets *targets, struct target *target, bool old_key)
{
    targets->old_keys += old_key;
    targets->old_keys -= target->old_key;
    target->old_key = old_key;
}

/* False: out of memory. */
static bool set_name(struct target *target, const char *name)
{
    size_t size = strlen(name) + 1;
    if (size <= sizeof target->name.here) {
        memcpy(target->name.here, name, size);
        return true;
    }
    target->name.apart = malloc(size);
    if (!target->name.apart)
        return false;
    memcpy(target->name.apart, name, size);
    target->name_apart = true;
    return true;
}

bool targets_rename(struct target *target, const char *name)
{
    struct target renamed = {.name_apart = false};
    if (!set_name(&renamed, name))
        return false;
    if (target->name_apart)
        free(target->name.apart);
    target->name = renamed.name;
    target->name_apart = renamed.name_apart;
    return true;
}

bool targets_join_ring(struct target *target, struct keyring *ring, uint16_t slot)
{
    struct target_more *more = targets_more(target);
    if (!more)
        return false;
    (void)keyring_take(ring);
    keyring_drop(more->ring);
    more->ring = ring;
    more->slot = slot;
    return true;
}

bool targets_stands_for_all(const struct target *target)
{
    const struct keyring *ring = target->more ? target->more->ring : NULL;
    uint32_t shown = ring ? keyring_shown(ring) : KEYRING_NONE;
    return shown == KEYRING_NONE ? !target->old_key : shown == target->more->slot;
}

bool targets_is_superseded(const struct target *target)
{
    const struct keyring *ring = target->more ? target->more->ring : NULL;
    uint32_t shown = ring ? keyring_shown(ring) : KEYRING_NONE;
    return shown != KEYRING_NONE && shown != target->more->slot;
}

const char *targets_name(const struct target *target)
{
    return target->name_apart ? target->name.apart : target->name.here;
}

struct target *targets_add(struct targets *targets, const struct config_target *config, bool old_key)
{
    uint32_t id = free_id(targets);
    struct target *target = id != TARGETS_NONE ? take_room(targets, id) : NULL;
    if (!target)
        return NULL;
    target->port = config->port;
    target->strict = config->strict && config->has_address;
    set_old(targets, target, old_key);
    target->next_same_ip = TARGETS_NONE;
    set_configured(targets, target, config->has_address, &config->address);
    if (set_name(target, config->name) && targets_enlist(targets, target))
        return target;
    targets_remove(targets, target);
    return NULL;
}

void targets_begin_session(struct target *target, const struct kdnet_session_shared *shared,
                           const struct kdnet_policy *policy, const struct kdnet_key *key)
{
    (void)kdnet_session_init(target + 1, shared, policy, key);
    target->has_session = true;
}

/* Removes a row from all indexes. */
static void hide(struct targets *targets, struct target *target)
{
    targets_forget_endpoints(targets, target);
    targets_delist(targets, target);
    targets->addressed -= target->has_address;
    targets->old_keys -= target->old_key;
}

void targets_remove(struct targets *targets, struct target *target)
{
    hide(targets, target);
    clear_row(target);
    give_room(targets, target);
}

struct target *targets_release(struct targets *targets, struct target *target)
{
    struct target *apart = malloc(targets->row_size);
    if (!apart)
        return NULL;
    hide(targets, target);
    *apart = *target;
    if (target->has_session)
        (void)kdnet_session_relocate(targets_session(target), apart + 1);
    give_room(targets, target);
    return apart;
}

struct target *targets_adopt(struct targets *targets, struct target *apart)
{
    uint32_t id = free_id(targets);
    struct target *target = id != TARGETS_NONE ? take_room(targets, id) : NULL;
    if (!target)
        return NULL;
    *target = *apart;
    target->id = id;
    target->next_same_ip = TARGETS_NONE;
    if (!targets_enlist(targets, target)) {
        give_room(targets, target);
        return NULL;
    }
    targets->addressed += target->has_address;
    targets->old_keys += target->old_key;
    if (apart->has_session)
        (void)kdnet_session_relocate(targets_session(apart), target + 1);
    free(apart);
    return target;
}

void targets_free(struct target *apart)
{
    clear_row(apart);
    free(apart);
}

struct address targets_configured(const struct target *target)
{
    struct address address = {.port = 0};
    memcpy(address.ip, target->elsewhere ? target->more->configured : target->live.ip, sizeof address.ip);
    return address;
}

/* Drops only places that a strict address forbids: the machine may be in a crash at its current place. */
static void forget_forbidden(struct targets *targets, struct target *target, const struct config_target *config)
{
    struct address live = targets_address(&target->live);
    bool moves = config->has_address && !address_same_ip(&live, config->address.ip);
    if (!targets_is_live(target) || !moves)
        return;
    /* Without memory for two addresses the row's place is dropped; the machine's next poke finds the row again. */
    if (config->strict || !targets_more(target))
        targets_forget_endpoints(targets, target);
    else if (!target->elsewhere)
        target->elsewhere = true; /* set_configured writes the address */
}

void targets_change(struct targets *targets, struct target *target, const struct config_target *config, bool old_key)
{
    targets_delist(targets, target);
    forget_forbidden(targets, target, config);
    struct address live = targets_address(&target->live);
    if (target->elsewhere && (!config->has_address || address_same_ip(&live, config->address.ip)))
        target->elsewhere = false;
    set_configured(targets, target, config->has_address, &config->address);
    target->port = config->port;
    target->strict = config->strict && config->has_address;
    set_old(targets, target, old_key);
    targets_drop_more(target);
    (void)targets_enlist(targets, target); /* without memory the row is still found by its places */
}

void targets_age_key(struct targets *targets, struct target *target)
{
    targets_delist(targets, target);
    set_old(targets, target, true);
    (void)targets_enlist(targets, target);
}

bool targets_may_be(const struct target *target, const struct address *address, uint16_t local_port)
{
    return (target->port == 0 || target->port == local_port) &&
           (!target->strict || address_same_ip(address, target->live.ip));
}

static bool is_configured(const struct target *target, const uint8_t ip[static 16])
{
    return memcmp(target->elsewhere ? target->more->configured : target->live.ip, ip, sizeof target->live.ip) == 0;
}

bool targets_index(struct targets *targets)
{
    size_t wanted = targets->addressed * 3 / 2 + TARGETS_SLOTS_MIN;
    free(targets->ip_slots);
    targets->ip_slot_count = 0;
    targets->ip_slots = calloc(wanted, sizeof *targets->ip_slots);
    if (!targets->ip_slots)
        return false;
    targets->ip_slot_count = wanted;
    for (size_t i = targets->ids; i-- > 0;) {
        struct target *target = targets_row(targets, (uint32_t)i);
        if (!target || !target->has_address)
            continue;
        struct address address = targets_configured(target);
        size_t at = targets_home(address_hash_ip(address.ip, targets->seed), wanted);
        while (targets->ip_slots[at] != 0 &&
               !is_configured(targets_known(targets, targets->ip_slots[at] - 1), address.ip))
            at = targets_after(at, wanted);
        target->next_same_ip = targets->ip_slots[at] != 0 ? targets->ip_slots[at] - 1 : TARGETS_NONE;
        targets->ip_slots[at] = target->id + 1;
    }
    return true;
}

/* Between targets_remove and targets_index a chain may begin with an id that is unused, or another row's. */
uint32_t targets_with_ip(const struct targets *targets, const uint8_t ip[static 16])
{
    if (targets->ip_slot_count == 0)
        return TARGETS_NONE;
    size_t at = targets_home(address_hash_ip(ip, targets->seed), targets->ip_slot_count);
    for (; targets->ip_slots[at] != 0; at = targets_after(at, targets->ip_slot_count)) {
        const struct target *target = targets_row(targets, targets->ip_slots[at] - 1);
        if (target && target->has_address && is_configured(target, ip))
            return target->id;
    }
    return TARGETS_NONE;
}
