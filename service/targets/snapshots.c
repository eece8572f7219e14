/* SPDX-License-Identifier: Apache-2.0 */
#include "service/targets/snapshots_internal.h"
#include "kdnet/base/hash.h"
#include "service/targets/targets_internal.h"

#define TOMBSTONE   UINT32_MAX
#define INDEX_LEAST 64U

/* The start and the end */

struct snapshots *snapshots_new(void)
{
    struct snapshots *snapshots = calloc(1, sizeof *snapshots);
    if (!snapshots)
        return NULL;
    if (uv_rwlock_init(&snapshots->reading) == 0) {
        if (uv_mutex_init(&snapshots->lock) == 0) {
            if (uv_mutex_init(&snapshots->more_lock) == 0) {
                if (uv_mutex_init(&snapshots->order_lock) == 0)
                    return snapshots;
                uv_mutex_destroy(&snapshots->more_lock);
            }
            uv_mutex_destroy(&snapshots->lock);
        }
        uv_rwlock_destroy(&snapshots->reading);
    }
    free(snapshots);
    return NULL;
}

static void free_name(struct snapshots_owner *owner)
{
    if (owner->apart)
        free((void *)(uintptr_t)snapshots_name_of(owner));
    owner->apart = false;
}

static void free_chunk(struct snapshots_chunk *chunk)
{
    for (size_t i = 0; i < SNAPSHOTS_CHUNK; ++i) {
        free_name(&chunk->owners[i]);
        if (chunk->more)
            free(chunk->more[i]);
    }
    free(chunk->more);
    free(atomic_load(&chunk->labels));
    free(chunk);
}

void snapshots_free(struct snapshots *snapshots)
{
    if (!snapshots)
        return;
    for (size_t i = 0; i < SNAPSHOTS_CHUNKS && atomic_load(&snapshots->chunks[i]); ++i)
        free_chunk(atomic_load(&snapshots->chunks[i]));
    for (size_t i = 0; i < snapshots->kernel_count; ++i)
        free(snapshots->kernels[i]);
    free(snapshots->free_slots);
    free(snapshots->index);
    free(snapshots->gone);
    free(snapshots->order);
    uv_mutex_destroy(&snapshots->order_lock);
    uv_mutex_destroy(&snapshots->more_lock);
    uv_mutex_destroy(&snapshots->lock);
    uv_rwlock_destroy(&snapshots->reading);
    free(snapshots);
}

/* Names; the lock is held */

static uint64_t hash_of(const char *name)
{
    uint64_t hash = kdnet_hash_text(KDNET_HASH_START, name);
    hash = (hash ^ hash >> 32) * 0x9e3779b97f4a7c15U;
    return hash ^ hash >> 32;
}

/* Returns the slot of a name in the index, or the free slot for it. */
static size_t place_of(const struct snapshots *snapshots, const char *name)
{
    size_t at = targets_home(hash_of(name), snapshots->index_size), room = SIZE_MAX;
    for (;; at = targets_after(at, snapshots->index_size)) {
        uint32_t slot = snapshots->index[at];
        if (slot == 0)
            return room != SIZE_MAX ? room : at;
        if (slot == TOMBSTONE)
            room = room != SIZE_MAX ? room : at;
        else if (strcmp(snapshots_name_of(snapshots_owner_of(snapshots, slot)), name) == 0)
            return at;
    }
}

static size_t full_at(size_t index_size)
{
    return index_size / 8 * 7;
}

/* Keeps the index at most 7/8 full. False: out of memory; the index is unchanged. */
static bool grow_index(struct snapshots *snapshots, size_t names)
{
    size_t size = names / 3 * 4 + INDEX_LEAST;
    if (names <= full_at(snapshots->index_size) && snapshots->index_used < full_at(snapshots->index_size))
        return true;
    uint32_t *index = calloc(size, sizeof *index);
    if (!index)
        return false;
    free(snapshots->index);
    snapshots->index = index;
    snapshots->index_size = size;
    snapshots->index_used = 0;
    for (uint32_t slot = 1; slot <= snapshots->used; ++slot) {
        const struct snapshots_owner *owner = snapshots_owner_of(snapshots, slot);
        if (!owner->used)
            continue;
        index[place_of(snapshots, snapshots_name_of(owner))] = slot;
        ++snapshots->index_used;
    }
    return true;
}

static bool grow_slots(struct snapshots *snapshots, size_t slots)
{
    while (snapshots->capacity < slots) {
        size_t at = snapshots->capacity / SNAPSHOTS_CHUNK;
        struct snapshots_chunk *chunk = at < SNAPSHOTS_CHUNKS ? calloc(1, sizeof *chunk) : NULL;
        if (!chunk)
            return false;
        atomic_store_explicit(&snapshots->chunks[at], chunk, memory_order_release);
        snapshots->capacity += SNAPSHOTS_CHUNK;
    }
    return true;
}

bool snapshots_reserve(struct snapshots *snapshots, size_t targets)
{
    uv_mutex_lock(&snapshots->lock);
    size_t names = snapshots->used - snapshots->free_count + targets;
    bool good = grow_slots(snapshots, names) && grow_index(snapshots, names);
    uv_mutex_unlock(&snapshots->lock);
    return good;
}

static uint32_t take_slot(struct snapshots *snapshots)
{
    if (snapshots->free_count > 0)
        return snapshots->free_slots[--snapshots->free_count];
    if (!grow_slots(snapshots, snapshots->used + 1))
        return 0;
    return (uint32_t)++snapshots->used;
}

static bool set_name(struct snapshots_owner *owner, const char *name)
{
    size_t size = strlen(name) + 1;
    char *apart = size > SNAPSHOTS_NAME_HERE ? malloc(size) : NULL;
    if (size > SNAPSHOTS_NAME_HERE && !apart)
        return false;
    memcpy(apart ? apart : owner->name, name, size);
    if (apart)
        memcpy(owner->name, &apart, sizeof apart);
    owner->apart = apart != NULL;
    return true;
}

/* Labels of a slot; the lock is held. False: out of memory, and the slot has none. */
static bool set_labels(struct snapshots *snapshots, uint32_t slot, const struct config_labels *labels)
{
    struct snapshots_chunk *chunk = snapshots_chunk_of(snapshots, slot);
    struct snapshots_labels *all = atomic_load_explicit(&chunk->labels, memory_order_relaxed);
    if (!all && !labels)
        return true;
    if (!all && (all = calloc(1, sizeof *all)))
        atomic_store_explicit(&chunk->labels, all, memory_order_release);
    if (all)
        atomic_store_explicit(&all->of[(slot - 1) % SNAPSHOTS_CHUNK], labels, memory_order_release);
    return all != NULL;
}

static void clear_slot(struct snapshots_seat *slot)
{
    static const uint64_t none[SNAPSHOTS_WORDS];
    uint32_t sequence;
    if (!snapshots_begin_write(slot, &sequence))
        return;
    snapshots_publish_words(slot, none, 0);
    snapshots_end_write(slot, sequence);
}

static uint32_t add_name(struct snapshots *snapshots, const char *name, const struct config_labels *labels)
{
    if (!grow_index(snapshots, snapshots->used - snapshots->free_count + 1))
        return 0;
    uint32_t slot = take_slot(snapshots);
    if (slot == 0)
        return 0;
    struct snapshots_owner *owner = snapshots_owner_of(snapshots, slot);
    if (!set_name(owner, name)) {
        owner->used = false;
        return 0; /* the slot is lost: memory is out */
    }
    (void)set_labels(snapshots, slot, labels);
    clear_slot(snapshots_slot_at(snapshots, slot));
    size_t at = place_of(snapshots, name);
    snapshots->index_used += snapshots->index[at] == 0;
    snapshots->index[at] = slot;
    owner->gone = false;
    owner->used = true;
    ++snapshots->names_changed;
    return slot;
}

static uint32_t find_name(const struct snapshots *snapshots, const char *name)
{
    if (snapshots->index_size == 0)
        return 0;
    uint32_t slot = snapshots->index[place_of(snapshots, name)];
    return slot == TOMBSTONE ? 0 : slot;
}

uint32_t snapshots_slot(struct snapshots *snapshots, const char *name, const struct config_labels *labels)
{
    uv_mutex_lock(&snapshots->lock);
    uint32_t slot = find_name(snapshots, name);
    if (slot == 0) {
        slot = add_name(snapshots, name, labels);
    } else {
        struct snapshots_owner *owner = snapshots_owner_of(snapshots, slot);
        snapshots->names_changed += owner->gone;
        owner->gone = false;
        (void)set_labels(snapshots, slot, labels);
    }
    uv_mutex_unlock(&snapshots->lock);
    return slot;
}

uint32_t snapshots_find(struct snapshots *snapshots, const char *name)
{
    uv_mutex_lock(&snapshots->lock);
    uint32_t slot = find_name(snapshots, name);
    if (slot != 0 && snapshots_owner_of(snapshots, slot)->gone)
        slot = 0;
    uv_mutex_unlock(&snapshots->lock);
    return slot;
}

void snapshots_set_labels(struct snapshots *snapshots, uint32_t slot, const struct config_labels *labels)
{
    if (snapshots_labels_of(snapshots, slot) == labels)
        return;
    uv_mutex_lock(&snapshots->lock);
    (void)set_labels(snapshots, slot, labels);
    uv_mutex_unlock(&snapshots->lock);
}

static bool push(uint32_t **list, size_t *count, size_t *capacity, uint32_t slot)
{
    if (*count == *capacity) {
        size_t more = *capacity > 0 ? 2 * *capacity : 64;
        uint32_t *grown = realloc(*list, more * sizeof *grown);
        if (!grown)
            return false;
        *list = grown;
        *capacity = more;
    }
    (*list)[(*count)++] = slot;
    return true;
}

void snapshots_remove(struct snapshots *snapshots, uint32_t slot)
{
    uv_mutex_lock(&snapshots->lock);
    struct snapshots_owner *owner = snapshots_owner_of(snapshots, slot);
    if (owner->used && !owner->gone) {
        owner->gone = true;
        (void)set_labels(snapshots, slot, NULL);
        ++snapshots->names_changed;
        (void)push(&snapshots->gone, &snapshots->gone_count, &snapshots->gone_capacity, slot);
    }
    uv_mutex_unlock(&snapshots->lock);
}

static void give_back(struct snapshots *snapshots, uint32_t slot)
{
    struct snapshots_owner *owner = snapshots_owner_of(snapshots, slot);
    size_t at = place_of(snapshots, snapshots_name_of(owner));
    if (snapshots->index[at] == slot)
        snapshots->index[at] = TOMBSTONE;
    free_name(owner);
    owner->used = owner->gone = false;
    struct snapshots_chunk *chunk = snapshots_chunk_of(snapshots, slot);
    uv_mutex_lock(&snapshots->more_lock);
    if (chunk->more) {
        free(chunk->more[(slot - 1) % SNAPSHOTS_CHUNK]);
        chunk->more[(slot - 1) % SNAPSHOTS_CHUNK] = NULL;
    }
    uv_mutex_unlock(&snapshots->more_lock);
    snapshots->free_slots[snapshots->free_count++] = slot;
}

void snapshots_collect(struct snapshots *snapshots)
{
    uv_rwlock_wrlock(&snapshots->reading);
    uv_mutex_lock(&snapshots->lock);
    size_t room = snapshots->free_count + snapshots->gone_count;
    uint32_t *free_slots = snapshots->gone_count > 0 ? realloc(snapshots->free_slots, room * sizeof *free_slots) : NULL;
    if (free_slots) {
        snapshots->free_slots = free_slots;
        for (size_t i = 0; i < snapshots->gone_count; ++i) {
            const struct snapshots_owner *owner = snapshots_owner_of(snapshots, snapshots->gone[i]);
            if (owner->used && owner->gone)
                give_back(snapshots, snapshots->gone[i]);
        }
        snapshots->gone_count = 0;
        ++snapshots->names_changed;
    }
    uv_mutex_unlock(&snapshots->lock);
    uv_rwlock_wrunlock(&snapshots->reading);
}

static const char *const state_names[TARGET_STATES] = {
    [TARGET_NEVER_SEEN] = "never_seen",   [TARGET_CONNECTED] = "connected",
    [TARGET_HALTED] = "halted",           [TARGET_HELD] = "held",
    [TARGET_HANDED_OVER] = "handed_over", [TARGET_DUMPING] = "dumping",
    [TARGET_REBOOTING] = "rebooting",     [TARGET_LOST] = "lost",
};

const char *target_state_name(enum target_state state)
{
    return state_names[state];
}

bool target_state_parse(const char *name, enum target_state *state)
{
    for (unsigned i = 0; i < TARGET_STATES; ++i)
        if (strcmp(state_names[i], name) == 0) {
            *state = (enum target_state)i;
            return true;
        }
    return false;
}
