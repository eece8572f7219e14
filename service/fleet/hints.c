/* SPDX-License-Identifier: Apache-2.0 */
#include "service/fleet/ending.h"
#include "service/fleet/hints_internal.h"
#include "kdnet/base/hash.h"

#include <stdlib.h>
#include <string.h>

#define GONE_MAX       1048576U                  /* names, that are told when they can be */
#define NEWER_THAN_ALL (UINT64_C(300) * 1000000) /* a clock may be ahead by so much */

struct hints *hints_new(uint64_t seed)
{
    struct hints *hints = calloc(1, sizeof *hints);
    if (!hints || !ending_init(&hints->lock, &hints->changed)) {
        free(hints);
        return NULL;
    }
    hints->seed = seed;
    hints->free = HINTS_NO_ENTRY;
    return hints;
}

void hints_free(struct hints *hints)
{
    if (!hints)
        return;
    for (uint32_t i = 0; i < hints->count; ++i)
        free(hints->entries[i].name);
    for (size_t i = 0; i < HINTS_DUES; ++i) {
        free(hints->lines[i].changed.entries);
        free(hints->lines[i].waiting.entries);
    }
    for (size_t i = 0; i < hints->gone_count; ++i)
        free(hints->gone[i]);
    free(hints->gone);
    free(hints->entries);
    free(hints->names);
    free(hints->machines);
    uv_cond_destroy(&hints->changed);
    uv_mutex_destroy(&hints->lock);
    free(hints);
}

/* The indexes. */

static size_t name_bucket(const struct hints *hints, const char *name)
{
    uint64_t hash = kdnet_hash_text(hints->seed ^ KDNET_HASH_START, name);
    hash ^= hash >> 29;
    return (size_t)(hash * UINT64_C(0x9e3779b97f4a7c15) >> 20) & (hints->buckets - 1);
}

static size_t machine_bucket(const struct hints *hints, const struct address *machine)
{
    return (size_t)address_hash(machine, hints->seed) & (hints->buckets - 1);
}

static void link_name(struct hints *hints, uint32_t i)
{
    size_t bucket = name_bucket(hints, hints->entries[i].name);
    hints->entries[i].next_name = hints->names[bucket];
    hints->names[bucket] = i;
}

static void link_machine(struct hints *hints, uint32_t i)
{
    size_t bucket = machine_bucket(hints, &hints->entries[i].hint.machine);
    hints->entries[i].next_machine = hints->machines[bucket];
    hints->machines[bucket] = i;
}

static void unlink_machine(struct hints *hints, uint32_t i)
{
    uint32_t *at = &hints->machines[machine_bucket(hints, &hints->entries[i].hint.machine)];
    while (*at != HINTS_NO_ENTRY && *at != i)
        at = &hints->entries[*at].next_machine;
    if (*at == i)
        *at = hints->entries[i].next_machine;
}

static uint32_t find(const struct hints *hints, const char *name)
{
    if (hints->buckets == 0)
        return HINTS_NO_ENTRY;
    uint32_t i = hints->names[name_bucket(hints, name)];
    while (i != HINTS_NO_ENTRY && strcmp(hints->entries[i].name, name) != 0)
        i = hints->entries[i].next_name;
    return i;
}

static bool grow(struct hints *hints)
{
    uint32_t room = hints->room == 0 ? HINTS_FIRST_ROOM : hints->room * 2;
    struct hints_entry *entries = realloc(hints->entries, room * sizeof *entries);
    if (!entries)
        return false;
    hints->entries = entries;
    uint32_t *names = malloc(room * sizeof *names), *machines = malloc(room * sizeof *machines);
    if (!names || !machines) {
        free(names);
        free(machines);
        return false;
    }
    free(hints->names);
    free(hints->machines);
    hints->names = names;
    hints->machines = machines;
    hints->room = room;
    hints->buckets = room;
    memset(names, 0xff, room * sizeof *names);
    memset(machines, 0xff, room * sizeof *machines);
    for (uint32_t i = 0; i < hints->count; ++i) {
        if (!entries[i].name)
            continue;
        link_name(hints, i);
        if (entries[i].known)
            link_machine(hints, i);
    }
    return true;
}

/* The entry of a name, made when there is none; HINTS_NO_ENTRY: out of memory. */
static uint32_t take(struct hints *hints, const char *name)
{
    uint32_t i = find(hints, name);
    if (i != HINTS_NO_ENTRY)
        return i;
    if (hints->free == HINTS_NO_ENTRY && hints->count == hints->room &&
        (hints->room >= HINTS_TARGETS_MAX || !grow(hints)))
        return HINTS_NO_ENTRY;
    char *copy = strdup(name);
    if (!copy)
        return HINTS_NO_ENTRY;
    i = hints->free != HINTS_NO_ENTRY ? hints->free : hints->count++;
    if (i == hints->free)
        hints->free = hints->entries[i].next_name;
    hints->entries[i] = (struct hints_entry){.name = copy, .place = {.row = HINTS_NO_ROW}};
    link_name(hints, i);
    hints->has_new = true;
    return i;
}

/* --- known hints -------------------------------------------------------------------------------------------------- */

void hints_place(struct hints *hints, const char *name, struct hint_place place)
{
    uv_mutex_lock(&hints->lock);
    uint32_t i = take(hints, name);
    if (i != HINTS_NO_ENTRY)
        hints->entries[i].place = place;
    uv_mutex_unlock(&hints->lock);
}

/* Keeps the name of a removed target, until it was published. */
static void note_gone(struct hints *hints, char *name)
{
    ++hints->removed;
    if (hints->lines[HINTS_TO_PUBLISH].wanted && hints->gone_count == hints->gone_room && hints->gone_room < GONE_MAX) {
        size_t room = hints->gone_room == 0 ? HINTS_FIRST_ROOM : hints->gone_room * 2;
        char **gone = realloc(hints->gone, room * sizeof *gone);
        hints->gone_room = gone ? room : hints->gone_room;
        hints->gone = gone ? gone : hints->gone;
    }
    if (hints->gone_count < hints->gone_room)
        hints->gone[hints->gone_count++] = name;
    else
        free(name);
}

static void remove_entry(struct hints *hints, uint32_t i)
{
    struct hints_entry *entry = &hints->entries[i];
    uint32_t *at = &hints->names[name_bucket(hints, entry->name)];
    while (*at != i)
        at = &hints->entries[*at].next_name;
    *at = entry->next_name;
    if (entry->known) {
        unlink_machine(hints, i);
        --hints->known;
        note_gone(hints, entry->name);
    } else {
        free(entry->name);
    }
    *entry = (struct hints_entry){.next_name = hints->free};
    hints->free = i;
}

void hints_remove(struct hints *hints, const char *name)
{
    uv_mutex_lock(&hints->lock);
    uint32_t i = find(hints, name);
    if (i != HINTS_NO_ENTRY)
        remove_entry(hints, i);
    uv_mutex_unlock(&hints->lock);
}

void hints_leave(struct hints *hints, const char *name)
{
    uv_mutex_lock(&hints->lock);
    uint32_t i = find(hints, name);
    if (i != HINTS_NO_ENTRY)
        hints->entries[i].place.row = HINTS_NO_ROW;
    uv_mutex_unlock(&hints->lock);
}

void hints_remove_left(struct hints *hints)
{
    uv_mutex_lock(&hints->lock);
    for (uint32_t i = 0; i < hints->count; ++i)
        if (hints->entries[i].name && hints->entries[i].place.row == HINTS_NO_ROW)
            remove_entry(hints, i);
    uv_mutex_unlock(&hints->lock);
}

bool hints_next_removed(struct hints *hints, char name[static CONFIG_NAME_SIZE])
{
    uv_mutex_lock(&hints->lock);
    bool found = hints->gone_count > 0;
    if (found) {
        (void)strcpy(name, hints->gone[--hints->gone_count]);
        free(hints->gone[hints->gone_count]);
    }
    uv_mutex_unlock(&hints->lock);
    return found;
}

size_t hints_removed(struct hints *hints)
{
    uv_mutex_lock(&hints->lock);
    size_t removed = hints->removed;
    uv_mutex_unlock(&hints->lock);
    return removed;
}

bool hints_has_new(struct hints *hints)
{
    uv_mutex_lock(&hints->lock);
    bool has_new = hints->has_new;
    hints->has_new = false;
    uv_mutex_unlock(&hints->lock);
    return has_new;
}

static bool is_same_crash(const struct hint *a, const struct hint *b)
{
    return a->crash_known == b->crash_known && memcmp(a->crash, b->crash, HINTS_ID_LENGTH) == 0 &&
           (a->released_us == 0) == (b->released_us == 0);
}

static bool is_same(const struct hint *a, const struct hint *b)
{
    return address_equal(&a->machine, &b->machine) && address_equal(&a->local, &b->local) && a->version == b->version &&
           a->boot_known == b->boot_known && memcmp(a->boot, b->boot, HINTS_ID_LENGTH) == 0 && is_same_crash(a, b);
}

static void put(struct hints *hints, uint32_t i, const struct hint *hint)
{
    struct hints_entry *entry = &hints->entries[i];
    if (entry->known)
        unlink_machine(hints, i);
    else
        ++hints->known;
    entry->known = true;
    entry->hint = *hint;
    entry->hint.machine.via = entry->hint.local.via = 0;
    link_machine(hints, i);
}

void hints_rename(struct hints *hints, const char *name, const char *to)
{
    uv_mutex_lock(&hints->lock);
    uint32_t from = find(hints, name);
    bool known = from != HINTS_NO_ENTRY && hints->entries[from].known;
    uint32_t i = known ? take(hints, to) : HINTS_NO_ENTRY;
    bool free_to_take = i != HINTS_NO_ENTRY &&
                        (!hints->entries[i].known || hints->entries[i].place.row == HINTS_NO_ROW);
    if (free_to_take) {
        put(hints, i, &hints->entries[from].hint);
        hints->entries[i].others = hints->entries[from].others;
        hints->entries[i].collector = hints->entries[from].collector;
        hints_add_due(hints, i, HINTS_TO_KEEP);
        hints_add_due(hints, i, HINTS_TO_PUBLISH);
    }
    uv_mutex_unlock(&hints->lock);
}

bool hints_take_others(struct hints *hints, const char *name, struct hint *out)
{
    uv_mutex_lock(&hints->lock);
    uint32_t i = find(hints, name);
    bool others = i != HINTS_NO_ENTRY && hints->entries[i].known && hints->entries[i].others;
    if (others) {
        hints->entries[i].others = false;
        *out = hints->entries[i].hint;
    }
    uv_mutex_unlock(&hints->lock);
    return others;
}

bool hints_note(struct hints *hints, const char *name, const struct hint *hint, uint64_t wall_us)
{
    if (!hint_is_sane(hint))
        return false;
    uv_mutex_lock(&hints->lock);
    uint32_t i = take(hints, name);
    struct hints_entry *entry = i != HINTS_NO_ENTRY ? &hints->entries[i] : NULL;
    bool news = entry && !entry->others && !(entry->known && is_same(&entry->hint, hint));
    if (news) {
        struct hint noted = *hint;
        if (!(entry->known && is_same_crash(&entry->hint, hint)))
            entry->urgent = UINT8_MAX;
        noted.time_us = entry->known && entry->hint.time_us >= wall_us ? entry->hint.time_us + 1 : wall_us;
        put(hints, i, &noted);
        entry->collector = 0;
        hints_add_due(hints, i, HINTS_TO_KEEP);
        hints_add_due(hints, i, HINTS_TO_PUBLISH);
    }
    uv_mutex_unlock(&hints->lock);
    return news;
}

static void copy_crash(const struct hint *from, struct hint *to)
{
    to->crash_known = from->crash_known;
    memcpy(to->crash, from->crash, sizeof to->crash);
    memcpy(to->crash_boot, from->crash_boot, sizeof to->crash_boot);
    to->released_us = from->released_us;
}

/* Whether a hint's crash may belong to the boot of another hint. */
static bool may_be_of(const struct hint *crash, const struct hint *hint)
{
    return crash->crash_known && (!hint->boot_known || memcmp(crash->crash_boot, hint->boot, sizeof hint->boot) == 0);
}

/* Whether an older hint knows a crash that the newer one lacks: the newer hint's collector may have met the machine
 * before the older hint came. */
static bool knows_more(const struct hint *older, const struct hint *newer)
{
    if (!newer->crash_known)
        return may_be_of(older, newer);
    return older->crash_known && older->released_us != 0 && newer->released_us == 0 &&
           memcmp(older->crash, newer->crash, sizeof newer->crash) == 0;
}

/* Merges a hint into an entry: all of it, or only its crash. False: nothing. */
static bool merge(const struct hints_entry *entry, const struct hint *hint, struct hint *out)
{
    bool newer = !entry->known || hint->time_us > entry->hint.time_us;
    *out = newer ? *hint : entry->hint;
    if (!entry->known)
        return true;
    const struct hint *older = newer ? &entry->hint : hint;
    bool more = hint->time_us != entry->hint.time_us && knows_more(older, out);
    if (more)
        copy_crash(older, out);
    return newer || more;
}

static bool offer(struct hints *hints, const char *name, const struct hint *hint, bool keep, uint8_t collector)
{
    uv_timeval64_t wall = {0};
    struct hint merged;
    (void)uv_gettimeofday(&wall);
    if (!hint_is_sane(hint) || hint->time_us > (uint64_t)wall.tv_sec * 1000000 + NEWER_THAN_ALL)
        return false;
    uv_mutex_lock(&hints->lock);
    uint32_t i = find(hints, name);
    struct hints_entry *entry = i != HINTS_NO_ENTRY ? &hints->entries[i] : NULL;
    bool counts = entry && merge(entry, hint, &merged);
    if (counts) {
        entry->asked_s = entry->known && entry->hint.time_us == merged.time_us ? entry->asked_s : 0;
        put(hints, i, &merged);
        entry->others = true;
        entry->collector = collector;
        if (keep)
            hints_add_due(hints, i, HINTS_TO_KEEP);
    }
    uv_mutex_unlock(&hints->lock);
    return counts;
}

bool hints_offer(struct hints *hints, const char *name, const struct hint *hint, bool keep)
{
    return offer(hints, name, hint, keep, 0);
}

bool hints_offer_of(struct hints *hints, const char *name, const struct hint *hint, uint8_t collector)
{
    return offer(hints, name, hint, true, collector);
}

bool hints_find(struct hints *hints, const char *name, struct hint *out)
{
    uv_mutex_lock(&hints->lock);
    uint32_t i = find(hints, name);
    bool found = i != HINTS_NO_ENTRY && hints->entries[i].known;
    if (found)
        *out = hints->entries[i].hint;
    uv_mutex_unlock(&hints->lock);
    return found;
}

static void fill_question(const struct hints_entry *entry, struct hint_question *out)
{
    (void)strcpy(out->name, entry->name);
    out->place = entry->place;
    out->hint = entry->hint;
}

bool hints_at(struct hints *hints, const struct address *machine, uint16_t local_port, struct hint_question *out)
{
    const struct hints_entry *best = NULL;
    size_t looks = 0;
    uv_mutex_lock(&hints->lock);
    uint32_t i = hints->buckets > 0 ? hints->machines[machine_bucket(hints, machine)] : HINTS_NO_ENTRY;
    for (; i != HINTS_NO_ENTRY && looks < HINTS_LOOK_MAX; i = hints->entries[i].next_machine, ++looks) {
        const struct hints_entry *entry = &hints->entries[i];
        if (address_equal(&entry->hint.machine, machine) && entry->hint.local.port == local_port &&
            entry->place.row != HINTS_NO_ROW && (!best || entry->hint.time_us > best->hint.time_us))
            best = entry;
    }
    if (best)
        fill_question(best, out);
    uv_mutex_unlock(&hints->lock);
    return best != NULL;
}

/* Whether the minute of a hint, and the interval of its address, are over; both then restart. */
static bool may_ask(struct hints *hints, struct hints_entry *entry, uint32_t now_s)
{
    uint32_t *address = &hints->address_asked_s[address_hash(&entry->hint.machine, hints->seed) % HINTS_ADDRESS_SLOTS];
    if ((entry->asked_s != 0 && now_s - entry->asked_s < HINTS_EVERY_S) ||
        (*address != 0 && now_s - *address < HINTS_ADDRESS_S))
        return false;
    entry->asked_s = *address = now_s;
    return true;
}

bool hints_next_question(struct hints *hints, struct hints_round *round, struct hint_question *out)
{
    bool found = false;
    uv_mutex_lock(&hints->lock);
    for (size_t looks = 0; !found && round->at < hints->count && looks < HINTS_LOOK_MAX; ++round->at, ++looks) {
        struct hints_entry *entry = &hints->entries[round->at];
        found = entry->known && entry->hint.crash_known == round->crashed &&
                (round->collector == 0 || round->collector == entry->collector) && entry->place.row != HINTS_NO_ROW &&
                round->may_ask(round->user, &entry->hint) && may_ask(hints, entry, (uint32_t)round->now_s);
        if (found)
            fill_question(entry, out);
    }
    if (!found && round->at >= hints->count)
        round->at = HINTS_NO_ROW;
    uv_mutex_unlock(&hints->lock);
    return found;
}

bool hints_each(struct hints *hints, uint32_t *at, char name[static CONFIG_NAME_SIZE], struct hint *out)
{
    bool found = false;
    uv_mutex_lock(&hints->lock);
    for (; !found && *at < hints->count; ++*at) {
        const struct hints_entry *entry = &hints->entries[*at];
        found = entry->known;
        if (found) {
            (void)strcpy(name, entry->name);
            *out = entry->hint;
        }
    }
    uv_mutex_unlock(&hints->lock);
    return found;
}

size_t hints_count(struct hints *hints)
{
    uv_mutex_lock(&hints->lock);
    size_t count = hints->known;
    uv_mutex_unlock(&hints->lock);
    return count;
}

size_t hints_targets(struct hints *hints)
{
    uv_mutex_lock(&hints->lock);
    size_t count = hints->count;
    uv_mutex_unlock(&hints->lock);
    return count;
}
