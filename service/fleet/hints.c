/* SPDX-License-Identifier: Apache-2.0 */
#include "service/fleet/hints.h"

#include <stdlib.h>
#include <string.h>

#define NONE           UINT32_MAX
#define FIRST_ROOM     64U
#define ADDRESS_SLOTS  16384U
#define LOOK_MAX       4096U                     /* entries looked at under one lock */
#define NEWER_THAN_ALL (UINT64_C(300) * 1000000) /* a clock may be ahead by so much */

struct entry {
    char *name; /* NULL: it is free */
    struct hint hint;
    struct hint_place place;
    uint32_t next_name, next_machine; /* of its chains; of free ones: next_name */
    uint32_t asked_s;                 /* 0: never */
    uint32_t done_s[HINTS_DUES];      /* when it was kept, published */
    uint8_t due, urgent;              /* a bit for each; urgent: its crash is another than before */
    uint8_t more[HINTS_DUES];         /* times that a crash was kept, published, since done_s */
    bool known;                       /* it says where */
    bool others;                      /* it was said by another */
};

/* Entries that are due, in the order in which they changed. */
struct line {
    bool wanted;
    uint32_t *entries;
    size_t count, room, at; /* at: where the look goes on */
};

struct hints {
    uv_mutex_t lock;
    uint64_t seed;
    struct entry *entries;
    uint32_t count, room, known;
    uint32_t free; /* the first free one */
    uint32_t *names, *machines;
    size_t buckets;
    struct line lines[HINTS_DUES];
    uint32_t address_asked_s[ADDRESS_SLOTS];
};

struct hints *hints_new(uint64_t seed)
{
    struct hints *hints = calloc(1, sizeof *hints);
    if (!hints || uv_mutex_init(&hints->lock) != 0) {
        free(hints);
        return NULL;
    }
    hints->seed = seed;
    hints->free = NONE;
    return hints;
}

void hints_free(struct hints *hints)
{
    if (!hints)
        return;
    for (uint32_t i = 0; i < hints->count; ++i)
        free(hints->entries[i].name);
    for (size_t i = 0; i < HINTS_DUES; ++i)
        free(hints->lines[i].entries);
    free(hints->entries);
    free(hints->names);
    free(hints->machines);
    uv_mutex_destroy(&hints->lock);
    free(hints);
}

/* The indexes. */

static size_t name_bucket(const struct hints *hints, const char *name)
{
    uint64_t hash = hints->seed ^ UINT64_C(0xcbf29ce484222325);
    for (const char *at = name; *at != '\0'; ++at)
        hash = (hash ^ (unsigned char)*at) * UINT64_C(0x100000001b3);
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
    while (*at != NONE && *at != i)
        at = &hints->entries[*at].next_machine;
    if (*at == i)
        *at = hints->entries[i].next_machine;
}

static uint32_t find(const struct hints *hints, const char *name)
{
    if (hints->buckets == 0)
        return NONE;
    uint32_t i = hints->names[name_bucket(hints, name)];
    while (i != NONE && strcmp(hints->entries[i].name, name) != 0)
        i = hints->entries[i].next_name;
    return i;
}

static bool grow(struct hints *hints)
{
    uint32_t room = hints->room == 0 ? FIRST_ROOM : hints->room * 2;
    struct entry *entries = realloc(hints->entries, room * sizeof *entries);
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

/* The entry of a name, made when there is none; NONE: out of memory. */
static uint32_t take(struct hints *hints, const char *name)
{
    uint32_t i = find(hints, name);
    if (i != NONE)
        return i;
    if (hints->free == NONE && hints->count == hints->room && (hints->room >= HINTS_TARGETS_MAX || !grow(hints)))
        return NONE;
    char *copy = strdup(name);
    if (!copy)
        return NONE;
    i = hints->free != NONE ? hints->free : hints->count++;
    if (i == hints->free)
        hints->free = hints->entries[i].next_name;
    hints->entries[i] = (struct entry){.name = copy, .place = {.row = HINTS_NO_ROW}};
    link_name(hints, i);
    return i;
}

/* What is due. */

static void add_due(struct hints *hints, uint32_t i, enum hints_due due)
{
    struct line *line = &hints->lines[due];
    if (!line->wanted || (hints->entries[i].due & 1U << due) != 0)
        return;
    if (line->count == line->room) {
        size_t room = line->room == 0 ? FIRST_ROOM : line->room * 2;
        uint32_t *entries = realloc(line->entries, room * sizeof *entries);
        if (!entries)
            return; /* its next change is due */
        line->entries = entries;
        line->room = room;
    }
    line->entries[line->count++] = i;
    hints->entries[i].due = (uint8_t)(hints->entries[i].due | 1U << due);
}

/* Whether its minute is over, or it has to say of a crash; then it is done. */
static bool take_turn(struct entry *entry, enum hints_due due, uint64_t now_s)
{
    bool over = entry->done_s[due] == 0 || now_s - entry->done_s[due] >= HINTS_EVERY_S;
    if (!over && ((entry->urgent & 1U << due) == 0 || entry->more[due] == HINTS_CRASH_MORE))
        return false;
    entry->more[due] = over ? 0 : (uint8_t)(entry->more[due] + 1);
    entry->done_s[due] = over ? (uint32_t)now_s : entry->done_s[due];
    entry->due = (uint8_t)(entry->due & ~(1U << due));
    entry->urgent = (uint8_t)(entry->urgent & ~(1U << due));
    return true;
}

static void drop_due(struct line *line, size_t at)
{
    line->entries[at] = line->entries[--line->count];
}

void hints_want(struct hints *hints, enum hints_due due)
{
    uv_mutex_lock(&hints->lock);
    hints->lines[due].wanted = true;
    uv_mutex_unlock(&hints->lock);
}

bool hints_next_due(struct hints *hints, enum hints_due due, uint64_t now_s, char name[static CONFIG_NAME_SIZE],
                    struct hint *out)
{
    bool found = false;
    uv_mutex_lock(&hints->lock);
    struct line *line = &hints->lines[due];
    for (size_t looks = 0; !found && line->at < line->count && looks < LOOK_MAX; ++looks) {
        struct entry *entry = &hints->entries[line->entries[line->at]];
        bool gone = !entry->name || (entry->due & 1U << due) == 0;
        if (!gone && !take_turn(entry, due, now_s)) {
            ++line->at;
            continue;
        }
        drop_due(line, line->at);
        if (gone)
            continue;
        (void)strcpy(name, entry->name);
        *out = entry->hint;
        found = true;
    }
    if (!found && line->at >= line->count)
        line->at = 0;
    uv_mutex_unlock(&hints->lock);
    return found;
}

/* What is known. */

void hints_place(struct hints *hints, const char *name, struct hint_place place)
{
    uv_mutex_lock(&hints->lock);
    uint32_t i = take(hints, name);
    if (i != NONE)
        hints->entries[i].place = place;
    uv_mutex_unlock(&hints->lock);
}

void hints_remove(struct hints *hints, const char *name)
{
    uv_mutex_lock(&hints->lock);
    uint32_t i = find(hints, name);
    if (i != NONE) {
        struct entry *entry = &hints->entries[i];
        uint32_t *at = &hints->names[name_bucket(hints, name)];
        while (*at != i)
            at = &hints->entries[*at].next_name;
        *at = entry->next_name;
        if (entry->known) {
            unlink_machine(hints, i);
            --hints->known;
        }
        free(entry->name);
        *entry = (struct entry){.next_name = hints->free};
        hints->free = i;
    }
    uv_mutex_unlock(&hints->lock);
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
    struct entry *entry = &hints->entries[i];
    if (entry->known)
        unlink_machine(hints, i);
    else
        ++hints->known;
    entry->known = true;
    entry->hint = *hint;
    entry->hint.machine.via = entry->hint.local.via = 0;
    link_machine(hints, i);
}

bool hints_take_others(struct hints *hints, const char *name, struct hint *out)
{
    uv_mutex_lock(&hints->lock);
    uint32_t i = find(hints, name);
    bool others = i != NONE && hints->entries[i].known && hints->entries[i].others;
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
    struct entry *entry = i != NONE ? &hints->entries[i] : NULL;
    bool news = entry && !(entry->known && is_same(&entry->hint, hint));
    if (news) {
        struct hint noted = *hint;
        if (!(entry->known && is_same_crash(&entry->hint, hint)))
            entry->urgent = UINT8_MAX;
        noted.time_us = entry->known && entry->hint.time_us >= wall_us ? entry->hint.time_us + 1 : wall_us;
        put(hints, i, &noted);
        hints->entries[i].others = false;
        add_due(hints, i, HINTS_TO_KEEP);
        add_due(hints, i, HINTS_TO_PUBLISH);
    }
    uv_mutex_unlock(&hints->lock);
    return news;
}

bool hints_offer(struct hints *hints, const char *name, const struct hint *hint, bool keep)
{
    uv_timeval64_t wall = {0};
    (void)uv_gettimeofday(&wall);
    if (!hint_is_sane(hint) || hint->time_us > (uint64_t)wall.tv_sec * 1000000 + NEWER_THAN_ALL)
        return false;
    uv_mutex_lock(&hints->lock);
    uint32_t i = find(hints, name);
    struct entry *entry = i != NONE ? &hints->entries[i] : NULL;
    bool counts = entry && !(entry->known && entry->hint.time_us >= hint->time_us);
    if (counts) {
        put(hints, i, hint);
        entry->others = true;
        entry->asked_s = 0;
        if (keep)
            add_due(hints, i, HINTS_TO_KEEP);
    }
    uv_mutex_unlock(&hints->lock);
    return counts;
}

bool hints_find(struct hints *hints, const char *name, struct hint *out)
{
    uv_mutex_lock(&hints->lock);
    uint32_t i = find(hints, name);
    bool found = i != NONE && hints->entries[i].known;
    if (found)
        *out = hints->entries[i].hint;
    uv_mutex_unlock(&hints->lock);
    return found;
}

static void fill_question(const struct entry *entry, struct hint_question *out)
{
    (void)strcpy(out->name, entry->name);
    out->place = entry->place;
    out->hint = entry->hint;
}

bool hints_at(struct hints *hints, const struct address *machine, uint16_t local_port, struct hint_question *out)
{
    const struct entry *best = NULL;
    size_t looks = 0;
    uv_mutex_lock(&hints->lock);
    uint32_t i = hints->buckets > 0 ? hints->machines[machine_bucket(hints, machine)] : NONE;
    for (; i != NONE && looks < LOOK_MAX; i = hints->entries[i].next_machine, ++looks) {
        const struct entry *entry = &hints->entries[i];
        if (address_equal(&entry->hint.machine, machine) && entry->hint.local.port == local_port &&
            entry->place.row != HINTS_NO_ROW && (!best || entry->hint.time_us > best->hint.time_us))
            best = entry;
    }
    if (best)
        fill_question(best, out);
    uv_mutex_unlock(&hints->lock);
    return best != NULL;
}

/* Whether the minute of a hint, and the moment of its address, are over; then they begin anew. */
static bool may_ask(struct hints *hints, struct entry *entry, uint32_t now_s)
{
    uint32_t *address = &hints->address_asked_s[address_hash(&entry->hint.machine, hints->seed) % ADDRESS_SLOTS];
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
    for (size_t looks = 0; !found && round->at < hints->count && looks < LOOK_MAX; ++round->at, ++looks) {
        struct entry *entry = &hints->entries[round->at];
        found = entry->known && entry->hint.crash_known == round->crashed && entry->place.row != HINTS_NO_ROW &&
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
        const struct entry *entry = &hints->entries[*at];
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
