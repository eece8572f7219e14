/* SPDX-License-Identifier: Apache-2.0 */
#include "service/symbols/remembered.h"

#include <stdlib.h>
#include <string.h>

#define NAME_HEADS 1024U

void remembered_init(struct remembered *remembered, uint32_t capacity, uint64_t seed)
{
    *remembered = (struct remembered){.capacity = capacity, .seed = seed, .free = REMEMBERED_NONE};
    memset(remembered->name_heads, 0xff, sizeof remembered->name_heads);
}

void remembered_clear(struct remembered *remembered)
{
    for (uint32_t i = 0; i < remembered->name_count; ++i)
        free(remembered->names[i]);
    free(remembered->names);
    free(remembered->name_next);
    free(remembered->entries);
    free(remembered->heads);
    remembered_init(remembered, remembered->capacity, remembered->seed);
}

static uint64_t mix(uint64_t hash, uint64_t value)
{
    hash = (hash ^ value) * 0x9e3779b97f4a7c15U;
    return hash ^ hash >> 29;
}

static uint64_t hash_bytes(uint64_t seed, const void *bytes, size_t length)
{
    const uint8_t *next = bytes;
    uint64_t hash = mix(seed, length);
    for (size_t i = 0; i < length; ++i)
        hash = mix(hash, next[i]);
    return hash;
}

/* ---------------------------------------------------------------------------------------------------- names */

static bool reserve_name(struct remembered *remembered)
{
    if (remembered->name_count < remembered->name_reserved)
        return true;
    uint32_t count = remembered->name_reserved == 0 ? 16 : remembered->name_reserved * 2;
    char **names = realloc(remembered->names, count * sizeof *names);
    if (!names)
        return false;
    remembered->names = names;
    uint32_t *next = realloc(remembered->name_next, count * sizeof *next);
    if (!next)
        return false;
    remembered->name_next = next;
    remembered->name_reserved = count;
    return true;
}

/* A blank or a line end would break the cache file. */
static bool is_plain(const char *symbol, size_t length)
{
    for (size_t i = 0; i < length; ++i)
        if ((unsigned char)symbol[i] <= 0x20 || (unsigned char)symbol[i] == 0x7f)
            return false;
    return length > 0 && length < REMEMBERED_NAME_SIZE;
}

uint32_t remembered_name(struct remembered *remembered, const char *symbol)
{
    size_t length = strnlen(symbol, REMEMBERED_NAME_SIZE);
    if (!is_plain(symbol, length))
        return REMEMBERED_NONE;
    uint32_t *head = &remembered->name_heads[hash_bytes(remembered->seed, symbol, length) % NAME_HEADS];
    for (uint32_t i = *head; i != REMEMBERED_NONE; i = remembered->name_next[i])
        if (strcmp(remembered->names[i], symbol) == 0)
            return i;
    if (remembered->name_count == REMEMBERED_NAMES_MAX || !reserve_name(remembered))
        return REMEMBERED_NONE;
    char *copy = strdup(symbol);
    if (!copy)
        return REMEMBERED_NONE;
    remembered->names[remembered->name_count] = copy;
    remembered->name_next[remembered->name_count] = *head;
    *head = remembered->name_count;
    return remembered->name_count++;
}

/* -------------------------------------------------------------------------------------------------- entries */

struct remembered_key remembered_key(const struct remembered *remembered, const struct kdnet_pdb *pdb, uint32_t symbol,
                                     bool proved)
{
    struct remembered_key key = {.age = pdb->age, .symbol = symbol};
    memcpy(key.guid, pdb->guid, sizeof key.guid);
    if (!proved)
        key.file = (uint32_t)hash_bytes(remembered->seed, pdb->name, strnlen(pdb->name, sizeof pdb->name)) | 1;
    return key;
}

static uint32_t *head_of(const struct remembered *remembered, const struct remembered_key *key)
{
    uint64_t hash = hash_bytes(remembered->seed, key->guid, sizeof key->guid);
    hash = mix(mix(hash, (uint64_t)key->age << 32 | key->symbol), key->file);
    return &remembered->heads[hash >> 8 & (remembered->reserved - 1)];
}

static bool same_key(const struct remembered_key *a, const struct remembered_key *b)
{
    return a->symbol == b->symbol && a->file == b->file && a->age == b->age &&
           memcmp(a->guid, b->guid, sizeof a->guid) == 0;
}

uint32_t remembered_find(struct remembered *remembered, const struct remembered_key *key)
{
    if (remembered->reserved == 0)
        return REMEMBERED_NONE;
    for (uint32_t i = *head_of(remembered, key); i != REMEMBERED_NONE; i = remembered->entries[i].next) {
        if (!same_key(&remembered->entries[i].key, key))
            continue;
        remembered->entries[i].used = true;
        return i;
    }
    return REMEMBERED_NONE;
}

static void link_entry(struct remembered *remembered, uint32_t entry)
{
    uint32_t *head = head_of(remembered, &remembered->entries[entry].key);
    remembered->entries[entry].next = *head;
    *head = entry;
}

/* Doubles the entries, up to the limit. */
static bool grow(struct remembered *remembered)
{
    uint32_t count = remembered->reserved == 0 ? 64 : remembered->reserved * 2;
    struct remembered_entry *entries = realloc(remembered->entries, count * sizeof *entries);
    if (!entries)
        return false;
    remembered->entries = entries;
    uint32_t *heads = malloc(count * sizeof *heads);
    if (!heads)
        return false;
    free(remembered->heads);
    remembered->heads = heads;
    remembered->reserved = count;
    memset(heads, 0xff, count * sizeof *heads);
    for (uint32_t i = 0; i < remembered->count; ++i)
        if (entries[i].state != REMEMBERED_FREE)
            link_entry(remembered, i);
    return true;
}

static void unlink_entry(struct remembered *remembered, uint32_t entry)
{
    uint32_t *at = head_of(remembered, &remembered->entries[entry].key);
    while (*at != entry)
        at = &remembered->entries[*at].next;
    *at = remembered->entries[entry].next;
}

void remembered_none(struct remembered *remembered, uint32_t entry, uint32_t expires_s)
{
    remembered->entries[entry].state = REMEMBERED_NO_SYMBOLS;
    remembered->entries[entry].expires_s = expires_s;
    ++remembered->none_count;
}

/* Before an entry gets another meaning. */
static void forget_state(struct remembered *remembered, uint32_t entry)
{
    remembered->none_count -= remembered->entries[entry].state == REMEMBERED_NO_SYMBOLS;
}

void remembered_pending(struct remembered *remembered, uint32_t entry, uint32_t owner)
{
    forget_state(remembered, entry);
    remembered->entries[entry].state = REMEMBERED_PENDING;
    remembered->entries[entry].rva = owner;
}

void remembered_remove(struct remembered *remembered, uint32_t entry)
{
    forget_state(remembered, entry);
    unlink_entry(remembered, entry);
    remembered->entries[entry].state = REMEMBERED_FREE;
    remembered->entries[entry].next = remembered->free;
    remembered->free = entry;
}

/* Clock algorithm: two rounds of the hand find an entry that was not used since the last round; entries without
 * symbols go first. */
static uint32_t make_room(struct remembered *remembered)
{
    for (uint64_t steps = 2 * (uint64_t)remembered->count; steps > 0; --steps) {
        uint32_t at = remembered->hand;
        struct remembered_entry *entry = &remembered->entries[at];
        remembered->hand = at + 1 < remembered->count ? at + 1 : 0;
        if (entry->state == REMEMBERED_PENDING)
            continue;
        if (remembered->none_count > 0 && entry->state != REMEMBERED_NO_SYMBOLS)
            continue;
        if (!entry->used || remembered->none_count > 0) {
            forget_state(remembered, at);
            unlink_entry(remembered, at);
            return at;
        }
        entry->used = false;
    }
    return REMEMBERED_NONE;
}

static uint32_t new_entry(struct remembered *remembered)
{
    if (remembered->free != REMEMBERED_NONE) {
        uint32_t entry = remembered->free;
        remembered->free = remembered->entries[entry].next;
        return entry;
    }
    if (remembered->count == remembered->capacity)
        return make_room(remembered);
    if (remembered->count == remembered->reserved && !grow(remembered))
        return remembered->count > 0 ? make_room(remembered) : REMEMBERED_NONE;
    return remembered->count++;
}

uint32_t remembered_insert(struct remembered *remembered, const struct remembered_key *key)
{
    uint32_t entry = remembered_find(remembered, key);
    if (entry != REMEMBERED_NONE)
        return entry;
    entry = new_entry(remembered);
    if (entry == REMEMBERED_NONE)
        return REMEMBERED_NONE;
    remembered->entries[entry] = (struct remembered_entry){.key = *key, .state = REMEMBERED_PENDING, .used = true};
    link_entry(remembered, entry);
    return entry;
}
