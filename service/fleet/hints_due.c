/* SPDX-License-Identifier: Apache-2.0 */
/* Which hints are due to be kept, and to be published. */
#include "service/fleet/hints_internal.h"

#include <stdlib.h>
#include <string.h>

/* `member`: the entry's bits of these lists; `bit`: this list's. */
static bool add_to(struct hints_list *list, uint32_t i, uint8_t *member, uint8_t bit)
{
    if ((*member & bit) != 0)
        return true;
    if (list->count == list->room) {
        size_t room = list->room == 0 ? HINTS_FIRST_ROOM : list->room * 2;
        uint32_t *entries = realloc(list->entries, room * sizeof *entries);
        if (!entries)
            return false;
        list->entries = entries;
        list->room = room;
    }
    list->entries[list->count++] = i;
    *member = (uint8_t)(*member | bit);
    return true;
}

void hints_add_due(struct hints *hints, uint32_t i, enum hints_due due)
{
    struct hints_line *line = &hints->lines[due];
    struct hints_entry *entry = &hints->entries[i];
    uint8_t bit = (uint8_t)(1U << due);
    if (!line->wanted || !add_to(&line->changed, i, &entry->changed, bit))
        return; /* without memory it is due at its next change */
    entry->due = (uint8_t)(entry->due | bit);
    if (!line->news)
        uv_cond_broadcast(&hints->changed);
    line->news = true;
}

/* Whether an entry's minute is over, or its crash has to be told; true counts as done. */
static bool take_turn(struct hints_entry *entry, enum hints_due due, uint64_t now_s)
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

static bool is_due(const struct hints_entry *entry, enum hints_due due)
{
    return entry->name && (entry->due & 1U << due) != 0;
}

/* Returns the next changed entry; HINTS_NO_ENTRY: none. */
static uint32_t next_changed(struct hints *hints, enum hints_due due, uint64_t now_s)
{
    struct hints_line *line = &hints->lines[due];
    uint8_t bit = (uint8_t)(1U << due);
    for (size_t looks = 0; line->changed.count > 0 && looks < HINTS_LOOK_MAX; ++looks) {
        uint32_t i = line->changed.entries[--line->changed.count];
        struct hints_entry *entry = &hints->entries[i];
        entry->changed = (uint8_t)(entry->changed & ~bit);
        if (!is_due(entry, due))
            continue;
        if (take_turn(entry, due, now_s))
            return i;
        if (!add_to(&line->waiting, i, &entry->waiting, bit))
            entry->due = (uint8_t)(entry->due & ~bit);
    }
    return HINTS_NO_ENTRY;
}

/* Returns the next waiting entry; waiting entries are visited once a second. */
static uint32_t next_waiting(struct hints *hints, enum hints_due due, uint64_t now_s)
{
    struct hints_line *line = &hints->lines[due];
    struct hints_list *waiting = &line->waiting;
    if (line->at == 0 && line->looked_s == now_s)
        return HINTS_NO_ENTRY;
    for (size_t looks = 0; line->at < waiting->count && looks < HINTS_LOOK_MAX; ++looks) {
        uint32_t i = waiting->entries[line->at];
        struct hints_entry *entry = &hints->entries[i];
        bool due_now = is_due(entry, due), turn = due_now && take_turn(entry, due, now_s);
        if (due_now && !turn) {
            ++line->at;
            continue;
        }
        waiting->entries[line->at] = waiting->entries[--waiting->count];
        entry->waiting = (uint8_t)(entry->waiting & ~(1U << due));
        if (turn)
            return i;
    }
    if (line->at >= waiting->count) {
        line->at = 0;
        line->looked_s = now_s;
    }
    return HINTS_NO_ENTRY;
}

void hints_want(struct hints *hints, enum hints_due due)
{
    uv_mutex_lock(&hints->lock);
    hints->lines[due].wanted = true;
    uv_mutex_unlock(&hints->lock);
}

bool hints_wait(struct hints *hints, enum hints_due due, uint64_t for_ns)
{
    uv_mutex_lock(&hints->lock);
    struct hints_line *line = &hints->lines[due];
    if (!line->news && line->changed.count == 0)
        (void)uv_cond_timedwait(&hints->changed, &hints->lock, for_ns);
    bool news = line->news;
    line->news = false;
    uv_mutex_unlock(&hints->lock);
    return news;
}

void hints_wake(struct hints *hints, enum hints_due due)
{
    uv_mutex_lock(&hints->lock);
    hints->lines[due].news = true;
    uv_cond_broadcast(&hints->changed);
    uv_mutex_unlock(&hints->lock);
}

bool hints_next_due(struct hints *hints, enum hints_due due, uint64_t now_s, char name[static CONFIG_NAME_SIZE],
                    struct hint *out)
{
    uv_mutex_lock(&hints->lock);
    uint32_t i = next_changed(hints, due, now_s);
    if (i == HINTS_NO_ENTRY)
        i = next_waiting(hints, due, now_s);
    if (i != HINTS_NO_ENTRY) {
        (void)strcpy(name, hints->entries[i].name);
        *out = hints->entries[i].hint;
    }
    uv_mutex_unlock(&hints->lock);
    return i != HINTS_NO_ENTRY;
}
