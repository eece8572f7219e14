/* SPDX-License-Identifier: Apache-2.0 */
/* hints_internal: the table of hints, shared by hints.c and hints_due.c. Its lock protects everything here. */
#ifndef SERVICE_HINTS_INTERNAL_H
#define SERVICE_HINTS_INTERNAL_H

#include "service/fleet/hints.h"

#include <uv.h>

#define HINTS_ADDRESS_SLOTS 16384U
#define HINTS_NO_ENTRY      UINT32_MAX
#define HINTS_FIRST_ROOM    64U
#define HINTS_LOOK_MAX      4096U /* entries visited under one lock */

struct hints_entry {
    char *name; /* NULL: a free entry */
    struct hint hint;
    struct hint_place place;
    uint32_t next_name, next_machine; /* next entries of its chains; of free entries: next_name */
    uint32_t asked_s;                 /* 0: never */
    uint32_t done_s[HINTS_DUES];      /* when the hint was last kept, and published */
    uint8_t due, urgent;              /* a bit for each of keep and publish; urgent: the crash has changed */
    uint8_t changed, waiting;         /* a bit for each list that the entry is in */
    uint8_t more[HINTS_DUES];         /* times that a crash was kept, published, since done_s */
    bool known;                       /* the hint names a place */
    bool others;                      /* the hint is from another collector or process */
    uint8_t collector;                /* number of that collector; 0: unknown, or this one */
};

struct hints_list {
    uint32_t *entries;
    size_t count, room;
};

/* Due entries. An entry may be in both lists; one that is no longer due is skipped. */
struct hints_line {
    bool wanted, news;         /* news: some have changed since the last wait */
    struct hints_list changed; /* since the last look */
    struct hints_list waiting; /* for the end of their minute */
    size_t at;                 /* of `waiting`: where the look goes on */
    uint64_t looked_s;         /* when `waiting` was last visited to its end */
};

struct hints {
    uv_mutex_t lock;
    uv_cond_t changed;
    uint64_t seed;
    struct hints_entry *entries;
    uint32_t count, room, known;
    uint32_t free; /* first free entry */
    uint32_t *names, *machines;
    size_t buckets;
    struct hints_line lines[HINTS_DUES];
    char **gone; /* names that were removed, to be told */
    size_t gone_count, gone_room, removed;
    bool has_new;
    uint32_t address_asked_s[HINTS_ADDRESS_SLOTS];
};

/* The entry has changed: due to be kept, or published. */
void hints_add_due(struct hints *hints, uint32_t entry, enum hints_due due);

#endif
