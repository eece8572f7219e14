/* SPDX-License-Identifier: Apache-2.0 */
/* Which keys to try on a poke from an unknown address, and which of them first: a part of the room targets. */
#include "service/targets/targets_internal.h"

#include <stdlib.h>
#include <string.h>

#define WORD 64U

const struct key_group *key_groups_find(const struct targets *targets, uint16_t port, bool old_keys)
{
    for (size_t i = 0; i < targets->group_count; ++i)
        if (targets->key_groups[i].port == port && targets->key_groups[i].old_keys == old_keys)
            return &targets->key_groups[i];
    return NULL;
}

static bool find_key_group(struct targets *targets, uint16_t port, bool old_keys, uint16_t *group)
{
    for (size_t i = 0; i < targets->group_count; ++i)
        if (targets->key_groups[i].port == port && targets->key_groups[i].old_keys == old_keys) {
            *group = (uint16_t)i;
            return true;
        }
    struct key_group *key_groups = realloc(targets->key_groups, (targets->group_count + 1) * sizeof *key_groups);
    if (!key_groups)
        return false;
    targets->key_groups = key_groups;
    memset(&key_groups[targets->group_count], 0, sizeof *key_groups);
    key_groups[targets->group_count].port = port;
    key_groups[targets->group_count].old_keys = old_keys;
    *group = (uint16_t)targets->group_count++; /* at most two groups for each listening port */
    return true;
}

static bool reserve(struct key_group *group)
{
    if (group->count < group->capacity)
        return true;
    size_t capacity = group->capacity > 0 ? group->capacity * 2 : WORD;
    uint32_t *ids = realloc(group->ids, capacity * sizeof *ids);
    if (!ids)
        return false;
    group->ids = ids;
    uint64_t *seen = realloc(group->seen, capacity / WORD * sizeof *seen);
    if (!seen)
        return false;
    group->seen = seen;
    group->capacity = capacity;
    return true;
}

static void set_bit(uint64_t *bits, size_t at, bool value)
{
    uint64_t bit = UINT64_C(1) << at % WORD;
    bits[at / WORD] = value ? bits[at / WORD] | bit : bits[at / WORD] & ~bit;
}

/* Whether a row is tried after those that may be anywhere and were never heard. */
static bool is_late(const struct target *target)
{
    return target->seen || target->has_address || target->old_key;
}

bool targets_enlist(struct targets *targets, struct target *target)
{
    if (target->strict && !target->old_key)
        return true;
    if (!find_key_group(targets, target->port, target->old_key, &target->group) ||
        !reserve(&targets->key_groups[target->group]))
        return false;
    struct key_group *group = &targets->key_groups[target->group];
    target->list_at = (uint32_t)group->count;
    target->listed = true;
    set_bit(group->seen, group->count, is_late(target));
    group->unseen += !is_late(target);
    group->ids[group->count++] = target->id;
    return true;
}

static void close_gaps(struct targets *targets, struct key_group *group)
{
    size_t kept = 0;
    for (size_t i = 0; i < group->count; ++i) {
        if (group->ids[i] == TARGETS_NONE)
            continue;
        struct target *row = targets_known(targets, group->ids[i]);
        row->list_at = (uint32_t)kept;
        group->ids[kept] = row->id;
        set_bit(group->seen, kept++, is_late(row));
    }
    group->count = kept;
    group->gaps = 0;
    ++targets->order;
}

/* Leaves a gap, so that a key search need not restart for each removed row. */
void targets_delist(struct targets *targets, struct target *target)
{
    if (!target->listed)
        return;
    struct key_group *group = &targets->key_groups[target->group];
    group->ids[target->list_at] = TARGETS_NONE;
    set_bit(group->seen, target->list_at, true);
    group->unseen -= !is_late(target);
    target->listed = false;
    if (++group->gaps > group->count / 2)
        close_gaps(targets, group);
}

void targets_mark_seen(struct targets *targets, struct target *target)
{
    if (target->listed && !is_late(target)) {
        struct key_group *group = &targets->key_groups[target->group];
        set_bit(group->seen, target->list_at, true);
        --group->unseen;
    }
    target->seen = true;
}

void key_groups_clear(struct targets *targets)
{
    for (size_t i = 0; i < targets->group_count; ++i) {
        free(targets->key_groups[i].ids);
        free(targets->key_groups[i].seen);
    }
    free(targets->key_groups);
}

size_t key_group_next(const struct key_group *group, bool seen, size_t at)
{
    while (at < group->count) {
        uint64_t bits = (seen ? group->seen[at / WORD] : ~group->seen[at / WORD]) >> at % WORD;
        if (bits == 0) {
            at += WORD - at % WORD;
            continue;
        }
        for (; (bits & 1) == 0; bits >>= 1)
            ++at;
        return at < group->count ? at : group->count;
    }
    return group->count;
}
