/* SPDX-License-Identifier: Apache-2.0 */
/* The readers' half of snapshots. */
#include "service/targets/snapshots_internal.h"

static bool view(struct snapshots *snapshots, uint32_t slot, snapshots_fn *each, void *user)
{
    struct snapshot_view made = {.name = snapshots_name_of(snapshots_owner_of(snapshots, slot)),
                                 .labels = snapshots_labels_of(snapshots, slot)};
    const struct snapshots_chunk *chunk = snapshots_chunk_of(snapshots, slot);
    snapshots_read_slot(snapshots_slot_at(snapshots, slot), &made.snapshot);
    uv_mutex_lock(&snapshots->more_lock);
    if (chunk->more && chunk->more[(slot - 1) % SNAPSHOTS_CHUNK])
        made.more = *chunk->more[(slot - 1) % SNAPSHOTS_CHUNK];
    uv_mutex_unlock(&snapshots->more_lock);
    struct snapshot *shown = &made.snapshot;
    if (shown->state == TARGET_HELD && made.more.held_since_us != 0 && shown->has_boot &&
        memcmp(shown->boot, made.more.held_boot, sizeof shown->boot) == 0)
        shown->since_us = made.more.held_since_us;
    return each(user, &made);
}

bool snapshots_look(struct snapshots *snapshots, const char *name, snapshots_fn *each, void *user)
{
    uv_rwlock_rdlock(&snapshots->reading);
    uint32_t slot = snapshots_find(snapshots, name);
    if (slot != 0)
        (void)view(snapshots, slot, each, user);
    uv_rwlock_rdunlock(&snapshots->reading);
    return slot != 0;
}

struct named {
    const char *name;
    uint32_t slot;
};

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct named *)a)->name, ((const struct named *)b)->name);
}

static size_t count_used(struct snapshots *snapshots)
{
    uv_mutex_lock(&snapshots->lock);
    size_t used = snapshots->used;
    snapshots->order_of = snapshots->names_changed;
    uv_mutex_unlock(&snapshots->lock);
    return used;
}

/* Lists all used slots, in no order. The caller frees the list. A worker may wait for the lock, which is held for
 * some thousand names at a time. */
static struct named *list_names(struct snapshots *snapshots, size_t *count)
{
    size_t used = count_used(snapshots);
    struct named *names = malloc((used + 1) * sizeof *names);
    *count = 0;
    for (uint32_t first = 1; names && first <= used; first += SNAPSHOTS_CHUNK) {
        uv_mutex_lock(&snapshots->lock);
        for (uint32_t slot = first; slot <= used && slot < first + SNAPSHOTS_CHUNK; ++slot) {
            const struct snapshots_owner *owner = snapshots_owner_of(snapshots, slot);
            if (owner->used && !owner->gone)
                names[(*count)++] = (struct named){snapshots_name_of(owner), slot};
        }
        uv_mutex_unlock(&snapshots->lock);
    }
    return names;
}

static uint64_t count_changes(struct snapshots *snapshots)
{
    uv_mutex_lock(&snapshots->lock);
    uint64_t changes = snapshots->names_changed;
    uv_mutex_unlock(&snapshots->lock);
    return changes;
}

/* Sorts when names came or went; order_lock is held, and names stay while `reading` is. */
static void put_in_order(struct snapshots *snapshots)
{
    size_t count = 0;
    if (snapshots->order && snapshots->order_of == count_changes(snapshots))
        return;
    struct named *names = list_names(snapshots, &count);
    uint32_t *order = names ? malloc((count + 1) * sizeof *order) : NULL;
    if (order) {
        qsort(names, count, sizeof *names, by_name);
        for (size_t i = 0; i < count; ++i)
            order[i] = names[i].slot;
        free(snapshots->order);
        snapshots->order = order;
        snapshots->order_count = count;
    }
    free(names);
}

/* The first place behind a name. */
static size_t find_place(const struct snapshots *snapshots, const char *after)
{
    size_t low = 0, high = after ? snapshots->order_count : 0;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(snapshots_name_of(snapshots_owner_of(snapshots, snapshots->order[middle])), after) > 0)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

void snapshots_each(struct snapshots *snapshots, const char *after, snapshots_fn *each, void *user)
{
    bool goes_on = true;
    uv_mutex_lock(&snapshots->order_lock);
    uv_rwlock_rdlock(&snapshots->reading);
    put_in_order(snapshots);
    for (size_t i = find_place(snapshots, after); goes_on && i < snapshots->order_count; ++i)
        goes_on = view(snapshots, snapshots->order[i], each, user);
    uv_rwlock_rdunlock(&snapshots->reading);
    uv_mutex_unlock(&snapshots->order_lock);
}

/* Calls `look` for each used slot. */
static void look_at_slots(struct snapshots *snapshots, void (*look)(void *user, struct snapshots_seat *slot),
                          void *user)
{
    uv_mutex_lock(&snapshots->lock);
    size_t used = snapshots->used;
    uv_mutex_unlock(&snapshots->lock);
    for (uint32_t first = 1; first <= used; first += SNAPSHOTS_CHUNK) {
        uv_mutex_lock(&snapshots->lock);
        for (uint32_t slot = first; slot <= used && slot < first + SNAPSHOTS_CHUNK; ++slot) {
            const struct snapshots_owner *owner = snapshots_owner_of(snapshots, slot);
            if (owner->used && !owner->gone)
                look(user, snapshots_slot_at(snapshots, slot));
        }
        uv_mutex_unlock(&snapshots->lock);
    }
}

static void count_state(void *user, struct snapshots_seat *slot)
{
    size_t *counts = user;
    unsigned state = (unsigned)(atomic_load_explicit(&slot->word[SNAPSHOTS_WORD_STATE], memory_order_relaxed) & 0xff);
    ++counts[state < TARGET_STATES ? state : TARGET_NEVER_SEEN];
}

void snapshots_count(struct snapshots *snapshots, size_t counts[static TARGET_STATES])
{
    memset(counts, 0, TARGET_STATES * sizeof counts[0]);
    look_at_slots(snapshots, count_state, counts);
}

struct heard {
    uint64_t since_us;
    size_t count;
};

static void count_heard(void *user, struct snapshots_seat *slot)
{
    struct heard *heard = user;
    heard->count += atomic_load_explicit(&slot->word[SNAPSHOTS_WORD_LAST_SEEN], memory_order_relaxed) >=
                    heard->since_us;
}

size_t snapshots_heard_since(struct snapshots *snapshots, uint64_t since_us)
{
    struct heard heard = {since_us, 0};
    look_at_slots(snapshots, count_heard, &heard);
    return heard.count;
}

static bool is_whose(struct snapshots *snapshots, uint32_t slot)
{
    uv_mutex_lock(&snapshots->lock);
    const struct snapshots_owner *owner = snapshots_owner_of(snapshots, slot);
    bool used = slot <= snapshots->used && owner->used && !owner->gone;
    uv_mutex_unlock(&snapshots->lock);
    return used;
}

/* Reads the changed targets among 64 slots; returns how many. */
static size_t hand_on_changed(struct snapshots *snapshots, uint32_t first, snapshots_fn *each, void *user)
{
    struct snapshots_chunk *chunk = snapshots_chunk_of(snapshots, first);
    _Atomic uint64_t *bits = &chunk->changed[(first - 1) % SNAPSHOTS_CHUNK / 64];
    size_t count = 0;
    if (atomic_load_explicit(bits, memory_order_relaxed) == 0)
        return 0;
    uint64_t changed = atomic_exchange_explicit(bits, 0, memory_order_acquire);
    for (uint32_t i = 0; i < 64; ++i)
        if (changed >> i & 1 && is_whose(snapshots, first + i)) {
            (void)view(snapshots, first + i, each, user);
            ++count;
        }
    return count;
}

size_t snapshots_changed(struct snapshots *snapshots, snapshots_fn *each, void *user, size_t most)
{
    size_t count = 0;
    uv_rwlock_rdlock(&snapshots->reading);
    uv_mutex_lock(&snapshots->lock);
    size_t slots = snapshots->capacity;
    uv_mutex_unlock(&snapshots->lock);
    size_t looks = slots / 64;
    for (; looks > 0 && count + 64 <= most; --looks) {
        if (snapshots->changed_at >= slots)
            snapshots->changed_at = 0;
        count += hand_on_changed(snapshots, (uint32_t)snapshots->changed_at + 1, each, user);
        snapshots->changed_at += 64;
    }
    uv_rwlock_rdunlock(&snapshots->reading);
    return looks > 0 ? most : count; /* there may be more */
}
