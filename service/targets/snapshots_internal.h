/* SPDX-License-Identifier: Apache-2.0 */
/* snapshots_internal: the table of snapshots. Not for others. */
#ifndef SERVICE_SNAPSHOTS_INTERNAL_H
#define SERVICE_SNAPSHOTS_INTERNAL_H

#include "service/targets/snapshots.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#define SNAPSHOTS_CHUNK     4096U
#define SNAPSHOTS_CHUNKS    4096U /* 16 million targets */
#define SNAPSHOTS_WORDS     7
#define SNAPSHOTS_NAME_HERE 16

/*
 * 64 bytes: a sequence lock. The sequence is odd during a write. All members are atomic, so that an overlapping reader
 * at worst reads nonsense, and learns from the sequence that it did.
 */
struct snapshots_seat {
    _Atomic uint32_t sequence;
    _Atomic uint32_t port; /* of the machine; the listener's in the upper half */
    _Atomic uint64_t word[SNAPSHOTS_WORDS];
};

enum snapshots_word {
    SNAPSHOTS_WORD_STATE,
    SNAPSHOTS_WORD_SINCE,
    SNAPSHOTS_WORD_LAST_SEEN,
    SNAPSHOTS_WORD_BOOT,
    SNAPSHOTS_WORD_SESSION,
    SNAPSHOTS_WORD_IP,
    SNAPSHOTS_WORD_IP_2
};

/* Layout of SNAPSHOTS_WORD_STATE: state, version, worker, flags, one byte each; then the kernel, 16 bits. */
#define SNAPSHOTS_FLAG_STALE   1U
#define SNAPSHOTS_FLAG_ADDRESS 2U
#define SNAPSHOTS_FLAG_BOOT    4U
#define SNAPSHOTS_FLAG_SESSION 8U

/* Whose a slot is: 18 bytes, of which there are millions. `used` and `gone` by `lock`; readers see the others without
 * it. */
struct snapshots_owner {
    char name[SNAPSHOTS_NAME_HERE]; /* when `apart`: the bytes of a pointer to it */
    bool apart;                     /* the name is too long to be here */
    bool used : 1;
    bool gone : 1; /* until snapshots_collect */
};

struct snapshots_labels {
    _Atomic(const struct config_labels *) of[SNAPSHOTS_CHUNK];
};

struct snapshots_chunk {
    struct snapshots_seat slots[SNAPSHOTS_CHUNK];
    struct snapshots_owner owners[SNAPSHOTS_CHUNK];
    _Atomic uint64_t changed[SNAPSHOTS_CHUNK / 64]; /* a bit for each */
    struct snapshot_more **more;                    /* NULL: none has any. By `more_lock` */
    _Atomic(struct snapshots_labels *) labels;      /* NULL: none has any. Made under `lock` */
};

struct snapshots {
    uv_rwlock_t reading; /* readers of names and labels; written by snapshots_collect alone */
    uv_mutex_t lock;     /* of names: which slot is whose */
    uv_mutex_t more_lock;
    _Atomic(struct snapshots_chunk *) chunks[SNAPSHOTS_CHUNKS];
    size_t capacity;      /* slots with memory */
    size_t used;          /* slots from the first on that were ever used */
    uint32_t *free_slots; /* given back */
    size_t free_count;
    uint32_t *index; /* by name, open addressing: slot, 0: free, TOMBSTONE. As long as needed, no power of two */
    size_t index_size, index_used;
    uint32_t *gone; /* slots of removed targets */
    size_t gone_count, gone_capacity;
    uint64_t names_changed; /* counts */
    uint32_t *order;        /* slots by name; one reader at a time, by order_lock */
    size_t order_count;
    uint64_t order_of; /* names_changed then */
    uv_mutex_t order_lock;
    size_t changed_at; /* where snapshots_changed goes on */
    char *kernels[SNAPSHOTS_KERNELS_MAX];
    size_t kernel_count;
};

static inline struct snapshots_chunk *snapshots_chunk_of(const struct snapshots *snapshots, uint32_t slot)
{
    return atomic_load_explicit(&((struct snapshots *)(uintptr_t)snapshots)->chunks[(slot - 1) / SNAPSHOTS_CHUNK],
                                memory_order_acquire);
}

static inline struct snapshots_seat *snapshots_slot_at(const struct snapshots *snapshots, uint32_t slot)
{
    return &snapshots_chunk_of(snapshots, slot)->slots[(slot - 1) % SNAPSHOTS_CHUNK];
}

static inline struct snapshots_owner *snapshots_owner_of(const struct snapshots *snapshots, uint32_t slot)
{
    return &snapshots_chunk_of(snapshots, slot)->owners[(slot - 1) % SNAPSHOTS_CHUNK];
}

static inline const char *snapshots_name_of(const struct snapshots_owner *owner)
{
    const char *apart = owner->name;
    if (owner->apart)
        memcpy(&apart, owner->name, sizeof apart);
    return apart;
}

static inline const struct config_labels *snapshots_labels_of(const struct snapshots *snapshots, uint32_t slot)
{
    struct snapshots_labels *labels = atomic_load_explicit(&snapshots_chunk_of(snapshots, slot)->labels,
                                                           memory_order_acquire);
    return labels ? atomic_load_explicit(&labels->of[(slot - 1) % SNAPSHOTS_CHUNK], memory_order_acquire) : NULL;
}

/* A reader of one of these words also sees the odd sequence: no fence, which TSan does not know. */
static inline void snapshots_publish_words(struct snapshots_seat *slot, const uint64_t word[static SNAPSHOTS_WORDS],
                                           uint32_t port)
{
    for (size_t i = 0; i < SNAPSHOTS_WORDS; ++i)
        atomic_store_explicit(&slot->word[i], word[i], memory_order_release);
    atomic_store_explicit(&slot->port, port, memory_order_release);
}

/* Begins a write; false: another write is in progress. */
static inline bool snapshots_begin_write(struct snapshots_seat *slot, uint32_t *sequence)
{
    *sequence = atomic_load_explicit(&slot->sequence, memory_order_relaxed);
    if (*sequence % 2 != 0 || !atomic_compare_exchange_strong_explicit(&slot->sequence, sequence, *sequence + 1,
                                                                       memory_order_acquire, memory_order_relaxed))
        return false;
    return true;
}

static inline void snapshots_end_write(struct snapshots_seat *slot, uint32_t sequence)
{
    atomic_store_explicit(&slot->sequence, sequence + 2, memory_order_release);
}

/* Reads a slot consistently. */
void snapshots_read_slot(struct snapshots_seat *slot, struct snapshot *out);

#endif
