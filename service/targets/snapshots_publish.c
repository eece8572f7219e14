/* SPDX-License-Identifier: Apache-2.0 */
/* The workers' half of snapshots: publication, and the facts that few targets have. */
#include "service/targets/snapshots_internal.h"
#include "config/verdicts.h"

static void pack(const struct snapshot *snapshot, uint64_t word[static SNAPSHOTS_WORDS], uint32_t *port)
{
    uint64_t flags = (snapshot->stale ? SNAPSHOTS_FLAG_STALE : 0) |
                     (snapshot->has_address ? SNAPSHOTS_FLAG_ADDRESS : 0) |
                     (snapshot->has_boot ? SNAPSHOTS_FLAG_BOOT : 0) |
                     (snapshot->has_session ? SNAPSHOTS_FLAG_SESSION : 0);
    word[SNAPSHOTS_WORD_STATE] = (uint64_t)snapshot->state | (uint64_t)snapshot->version << 8 |
                                 (uint64_t)snapshot->worker << 16 | flags << 24 | (uint64_t)snapshot->kernel << 32;
    word[SNAPSHOTS_WORD_SINCE] = snapshot->since_us;
    word[SNAPSHOTS_WORD_LAST_SEEN] = snapshot->last_seen_us;
    memcpy(&word[SNAPSHOTS_WORD_BOOT], snapshot->boot, SNAPSHOTS_ID_LENGTH);
    memcpy(&word[SNAPSHOTS_WORD_SESSION], snapshot->session, SNAPSHOTS_ID_LENGTH);
    memcpy(&word[SNAPSHOTS_WORD_IP], snapshot->address.ip, sizeof snapshot->address.ip);
    *port = (uint32_t)snapshot->address.port | (uint32_t)snapshot->listener_port << 16;
}

static void snapshots_unpack(const uint64_t word[static SNAPSHOTS_WORDS], uint32_t port, struct snapshot *out)
{
    uint64_t flags = word[SNAPSHOTS_WORD_STATE] >> 24 & 0xff;
    *out = (struct snapshot){.state = (enum target_state)(word[SNAPSHOTS_WORD_STATE] & 0xff),
                             .version = (uint8_t)(word[SNAPSHOTS_WORD_STATE] >> 8),
                             .worker = (uint8_t)(word[SNAPSHOTS_WORD_STATE] >> 16),
                             .stale = (flags & SNAPSHOTS_FLAG_STALE) != 0,
                             .has_address = (flags & SNAPSHOTS_FLAG_ADDRESS) != 0,
                             .has_boot = (flags & SNAPSHOTS_FLAG_BOOT) != 0,
                             .has_session = (flags & SNAPSHOTS_FLAG_SESSION) != 0,
                             .kernel = (uint16_t)(word[SNAPSHOTS_WORD_STATE] >> 32),
                             .listener_port = (uint16_t)(port >> 16),
                             .since_us = word[SNAPSHOTS_WORD_SINCE],
                             .last_seen_us = word[SNAPSHOTS_WORD_LAST_SEEN],
                             .address = {.port = (uint16_t)port}};
    memcpy(out->boot, &word[SNAPSHOTS_WORD_BOOT], SNAPSHOTS_ID_LENGTH);
    memcpy(out->session, &word[SNAPSHOTS_WORD_SESSION], SNAPSHOTS_ID_LENGTH);
    memcpy(out->address.ip, &word[SNAPSHOTS_WORD_IP], sizeof out->address.ip);
}

static void snapshots_read_words(struct snapshots_seat *slot, uint64_t word[static SNAPSHOTS_WORDS], uint32_t *port)
{
    for (size_t i = 0; i < SNAPSHOTS_WORDS; ++i)
        word[i] = atomic_load_explicit(&slot->word[i], memory_order_acquire);
    *port = atomic_load_explicit(&slot->port, memory_order_acquire);
}

void snapshots_read_slot(struct snapshots_seat *slot, struct snapshot *out)
{
    uint64_t word[SNAPSHOTS_WORDS];
    uint32_t port, before, after;
    do {
        before = atomic_load_explicit(&slot->sequence, memory_order_acquire);
        snapshots_read_words(slot, word, &port);
        after = atomic_load_explicit(&slot->sequence, memory_order_relaxed);
    } while (before % 2 != 0 || before != after);
    snapshots_unpack(word, port, out);
}

static void mark_changed(struct snapshots *snapshots, uint32_t slot)
{
    size_t at = (slot - 1) % SNAPSHOTS_CHUNK;
    (void)atomic_fetch_or_explicit(&snapshots_chunk_of(snapshots, slot)->changed[at / 64], UINT64_C(1) << at % 64,
                                   memory_order_release);
}

bool snapshots_publish(struct snapshots *snapshots, uint32_t slot, const struct snapshot *snapshot, uint64_t now_us)
{
    struct snapshots_seat *to = snapshots_slot_at(snapshots, slot);
    struct snapshot made = *snapshot, before;
    uint64_t word[SNAPSHOTS_WORDS];
    uint32_t sequence, port;
    if (!snapshots_begin_write(to, &sequence))
        return false;
    snapshots_read_words(to, word, &port);
    snapshots_unpack(word, port, &before);
    if (before.stale && made.state == TARGET_NEVER_SEEN) {
        snapshots_end_write(to, sequence);
        return false;
    }
    bool same_boot = made.has_boot && before.has_boot && memcmp(made.boot, before.boot, sizeof made.boot) == 0;
    bool same_state = made.state == before.state && !before.stale;
    made.since_us = same_state ? before.since_us : made.state == TARGET_NEVER_SEEN ? 0 : now_us;
    made.kernel = same_boot || !made.has_boot ? before.kernel : 0;
    pack(&made, word, &port);
    snapshots_publish_words(to, word, port);
    snapshots_end_write(to, sequence);
    mark_changed(snapshots, slot);
    return !same_state;
}

enum target_state snapshots_state(struct snapshots *snapshots, uint32_t slot)
{
    struct snapshots_seat *from = snapshots_slot_at(snapshots, slot);
    unsigned state = (unsigned)(atomic_load_explicit(&from->word[SNAPSHOTS_WORD_STATE], memory_order_relaxed) & 0xff);
    return state < TARGET_STATES ? (enum target_state)state : TARGET_NEVER_SEEN;
}

void snapshots_heard(struct snapshots *snapshots, uint32_t slot, uint64_t last_seen_us)
{
    struct snapshots_seat *to = snapshots_slot_at(snapshots, slot);
    uint32_t sequence;
    if (!snapshots_begin_write(to, &sequence))
        return;
    atomic_store_explicit(&to->word[SNAPSHOTS_WORD_LAST_SEEN], last_seen_us, memory_order_release);
    snapshots_end_write(to, sequence);
}

void snapshots_restore(struct snapshots *snapshots, uint32_t slot, const struct snapshot *snapshot)
{
    struct snapshots_seat *to = snapshots_slot_at(snapshots, slot);
    struct snapshot made = *snapshot;
    uint64_t word[SNAPSHOTS_WORDS];
    uint32_t sequence, port;
    if (!snapshots_begin_write(to, &sequence))
        return;
    snapshots_read_words(to, word, &port);
    if ((enum target_state)(word[SNAPSHOTS_WORD_STATE] & 0xff) == TARGET_NEVER_SEEN) {
        made.stale = true;
        pack(&made, word, &port);
        snapshots_publish_words(to, word, port);
    }
    snapshots_end_write(to, sequence);
}

/* What few have */

/* Made when there is none; NULL: out of memory. more_lock is held. */
static struct snapshot_more *more_of(struct snapshots *snapshots, uint32_t slot)
{
    struct snapshots_chunk *chunk = snapshots_chunk_of(snapshots, slot);
    if (!chunk->more)
        chunk->more = calloc(SNAPSHOTS_CHUNK, sizeof(struct snapshot_more *));
    if (!chunk->more)
        return NULL;
    struct snapshot_more **more = &chunk->more[(slot - 1) % SNAPSHOTS_CHUNK];
    if (!*more)
        *more = calloc(1, sizeof **more);
    return *more;
}

static void copy_text(char *to, size_t size, const char *from)
{
    size_t length = strnlen(from, size - 1);
    memcpy(to, from, length);
    to[length] = '\0';
}

void snapshots_note_crash(struct snapshots *snapshots, uint32_t slot, const char *crash, const char *verdict,
                          uint64_t time_us)
{
    uv_mutex_lock(&snapshots->more_lock);
    struct snapshot_more *more = more_of(snapshots, slot);
    if (more && strcmp(more->crash, crash) != 0) {
        copy_text(more->crash, sizeof more->crash, crash);
        more->crash_us = time_us;
        copy_text(more->verdict, sizeof more->verdict, verdict);
    } else if (more && verdicts_worth(verdict) >= verdicts_worth(more->verdict)) {
        copy_text(more->verdict, sizeof more->verdict, verdict);
    }
    uv_mutex_unlock(&snapshots->more_lock);
}

void snapshots_restore_crash(struct snapshots *snapshots, uint32_t slot, const char *crash, const char *verdict,
                             uint64_t time_us)
{
    uv_mutex_lock(&snapshots->more_lock);
    struct snapshot_more *more = more_of(snapshots, slot);
    bool unknown = more && more->crash[0] == '\0';
    if (unknown)
        copy_text(more->crash, sizeof more->crash, crash);
    if (more && strcmp(more->crash, crash) == 0) {
        more->crash_us = time_us;
        if (unknown || verdicts_worth(verdict) > verdicts_worth(more->verdict))
            copy_text(more->verdict, sizeof more->verdict, verdict);
    }
    uv_mutex_unlock(&snapshots->more_lock);
}

void snapshots_restore_hold(struct snapshots *snapshots, uint32_t slot, const struct snapshot *stored)
{
    uv_mutex_lock(&snapshots->more_lock);
    struct snapshot_more *more = stored->has_boot ? more_of(snapshots, slot) : NULL;
    if (more) {
        more->held_since_us = stored->since_us;
        memcpy(more->held_boot, stored->boot, sizeof more->held_boot);
    }
    uv_mutex_unlock(&snapshots->more_lock);
}

void snapshots_note_release(struct snapshots *snapshots, uint32_t slot)
{
    uv_mutex_lock(&snapshots->more_lock);
    struct snapshot_more *more = more_of(snapshots, slot);
    if (more)
        more->held_since_us = 0;
    uv_mutex_unlock(&snapshots->more_lock);
}

void snapshots_note_hold(struct snapshots *snapshots, uint32_t slot, uint64_t until_us)
{
    uv_mutex_lock(&snapshots->more_lock);
    struct snapshot_more *more = more_of(snapshots, slot);
    if (more)
        more->held_until_us = until_us;
    uv_mutex_unlock(&snapshots->more_lock);
}

void snapshots_note_other_host(struct snapshots *snapshots, uint32_t slot, const struct address *host, uint64_t time_us)
{
    uv_mutex_lock(&snapshots->more_lock);
    struct snapshot_more *more = more_of(snapshots, slot);
    if (more) {
        more->other_host = *host;
        more->other_host_us = time_us;
    }
    uv_mutex_unlock(&snapshots->more_lock);
}

uint16_t snapshots_kernel(struct snapshots *snapshots, const char *json)
{
    size_t at = 0;
    uv_mutex_lock(&snapshots->more_lock);
    while (at < snapshots->kernel_count && strcmp(snapshots->kernels[at], json) != 0)
        ++at;
    if (at == snapshots->kernel_count && at < SNAPSHOTS_KERNELS_MAX - 1 && (snapshots->kernels[at] = strdup(json)))
        ++snapshots->kernel_count;
    bool known = at < snapshots->kernel_count;
    uv_mutex_unlock(&snapshots->more_lock);
    return known ? (uint16_t)(at + 1) : 0;
}

void snapshots_note_kernel(struct snapshots *snapshots, uint32_t slot, uint16_t kernel)
{
    struct snapshots_seat *to = snapshots_slot_at(snapshots, slot);
    uint32_t sequence;
    if (!snapshots_begin_write(to, &sequence))
        return;
    uint64_t word = atomic_load_explicit(&to->word[SNAPSHOTS_WORD_STATE], memory_order_relaxed);
    word = (word & ~(UINT64_C(0xffff) << 32)) | (uint64_t)kernel << 32;
    atomic_store_explicit(&to->word[SNAPSHOTS_WORD_STATE], word, memory_order_release);
    snapshots_end_write(to, sequence);
    mark_changed(snapshots, slot);
}

const char *snapshots_kernel_text(struct snapshots *snapshots, uint16_t kernel)
{
    uv_mutex_lock(&snapshots->more_lock);
    const char *text = kernel > 0 && kernel <= snapshots->kernel_count ? snapshots->kernels[kernel - 1] : NULL;
    uv_mutex_unlock(&snapshots->more_lock);
    return text;
}
