/* SPDX-License-Identifier: Apache-2.0 */
/*
 * remembered: answers of look-ups, bounded in memory.
 *
 * One entry for an image (GUID and age) and a name; 44 bytes an entry and 4 to 8 for the hash table. When full, an
 * entry that says "no symbols" makes room, because any machine can cause many of those; else an entry not used since
 * the last round; pending entries stay. GUIDs come from anywhere: the hash has a seed, so that nobody can cause
 * collisions.
 */
#ifndef SERVICE_SYMBOLS_REMEMBERED_H
#define SERVICE_SYMBOLS_REMEMBERED_H

#include "kdnet/kernel/crash.h"
#include "kdnet/kernel.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define REMEMBERED_NONE      UINT32_MAX /* no entry, no name */
#define REMEMBERED_NAMES_MAX 65535U     /* different symbol names */
#define REMEMBERED_NAME_SIZE 256U

enum remembered_state {
    REMEMBERED_FREE,
    REMEMBERED_PENDING, /* a look-up is under way; never makes room */
    REMEMBERED_FOUND,
    REMEMBERED_ABSENT,
    REMEMBERED_NO_SYMBOLS, /* until `expires_s` */
};

struct remembered_key {
    uint8_t guid[16];
    uint32_t age;
    uint32_t symbol; /* remembered_name */
    uint32_t
        file; /* hash of the PDB's name; 0 for a fact that a symbol file proved, which holds for any name of the PDB */
};

struct remembered_entry {
    struct remembered_key key;
    uint32_t next; /* next with the same hash */
    uint32_t rva;  /* FOUND: the RVA; PENDING: the asker's number */
    uint32_t expires_s;
    uint8_t state;  /* enum remembered_state */
    uint8_t source; /* enum kdnet_source */
    bool used;      /* asked for since the hand came by */
    bool unchecked; /* from an earlier process: a contradicting file on this computer overrides the entry */
};

struct remembered {
    struct remembered_entry *entries;
    uint32_t *heads; /* of the chains */
    char **names;
    uint32_t *name_next;
    uint32_t name_heads[1024];
    uint64_t seed;
    uint32_t capacity; /* the bound */
    uint32_t reserved; /* entries that memory is allocated for; as many hash heads, a power of two */
    uint32_t count;    /* entries that are or were in use: 0 to count-1 */
    uint32_t hand, free;
    uint32_t none_count; /* entries that say "no symbols" */
    uint32_t name_count, name_reserved;
};

/* Nothing is allocated yet. `capacity` is 1 to 2^24 entries. */
void remembered_init(struct remembered *remembered, uint32_t capacity, uint64_t seed);
void remembered_clear(struct remembered *remembered);

/* Returns the number of a symbol's name, adding it if needed; REMEMBERED_NONE: empty, too long, with blanks or
 * control characters, too many names, or out of memory. */
uint32_t remembered_name(struct remembered *remembered, const char *symbol);

/* The key of an image and a symbol; `proved`: whatever the PDB is called. */
struct remembered_key remembered_key(const struct remembered *remembered, const struct kdnet_pdb *pdb, uint32_t symbol,
                                     bool proved);

/* Returns the entry of a key, or REMEMBERED_NONE. Marks the entry as used. */
uint32_t remembered_find(struct remembered *remembered, const struct remembered_key *key);

/* The entry of a key, new (PENDING) when there is none. REMEMBERED_NONE: no memory, or all are under way. */
uint32_t remembered_insert(struct remembered *remembered, const struct remembered_key *key);

/* Marks an entry as being looked up; `owner` is the asker's number. */
void remembered_pending(struct remembered *remembered, uint32_t entry, uint32_t owner);

/* Marks an entry as "no symbols", for a while. */
void remembered_none(struct remembered *remembered, uint32_t entry, uint32_t expires_s);

void remembered_remove(struct remembered *remembered, uint32_t entry);

#endif
