/* SPDX-License-Identifier: Apache-2.0 */
#include "service/server/unknown_sources.h"

#include <string.h>

void unknown_sources_init(struct unknown_sources *unknown_sources, uint64_t seed)
{
    memset(unknown_sources, 0, sizeof *unknown_sources);
    unknown_sources->seed = seed;
    bucket_init(&unknown_sources->second, UNKNOWN_SOURCES_PER_SECOND, UNKNOWN_SOURCES_PER_SECOND);
}

static bool may_make_room(const struct unknown_source *row, uint64_t now_us)
{
    return !row->used || row->reported || now_us - row->last_us >= UNKNOWN_SOURCES_STALE_US;
}

/* Returns the row of a source, or one that makes room for it, or NULL. */
static struct unknown_source *row_for(struct unknown_sources *unknown_sources, const struct address *source,
                                      uint16_t listen_port, uint64_t now_us)
{
    size_t set = (size_t)(address_hash_ip(source->ip, unknown_sources->seed) + listen_port) % UNKNOWN_SOURCES_SETS;
    struct unknown_source *rows = &unknown_sources->rows[set * UNKNOWN_SOURCES_WAYS], *room = NULL;
    for (size_t i = 0; i < UNKNOWN_SOURCES_WAYS; ++i) {
        if (rows[i].used && rows[i].listen_port == listen_port && address_same_ip(source, rows[i].source.ip))
            return &rows[i];
        if (may_make_room(&rows[i], now_us) && (!room || (room->used && rows[i].last_us < room->last_us)))
            room = &rows[i];
    }
    if (!room)
        return NULL;
    if (room->used)
        unknown_sources->unreported += room->count;
    *room = (struct unknown_source){.used = false};
    return room;
}

void unknown_sources_note(struct unknown_sources *unknown_sources, const struct search_poke *poke, uint8_t version,
                          uint64_t now_us)
{
    struct unknown_source *row = row_for(unknown_sources, &poke->source, poke->local_port, now_us);
    if (!row) {
        ++unknown_sources->unreported;
        return;
    }
    if (!row->used) {
        row->used = true;
        row->first_us = now_us;
        row->listen_port = poke->local_port;
    }
    if (row->count == 0) {
        memcpy(row->payload, poke->payload, poke->length);
        row->length = poke->length;
    }
    row->source = poke->source;
    row->version = version;
    row->last_us = now_us;
    ++row->count;
}

static bool is_due(const struct unknown_source *row, uint64_t now_us)
{
    if (!row->used || row->count == 0)
        return false;
    return row->reported ? now_us - row->reported_us >= UNKNOWN_SOURCES_AGAIN_US
                         : now_us - row->first_us >= UNKNOWN_SOURCES_FIRST_US;
}

static bool may_report(struct unknown_sources *unknown_sources, uint64_t now_us)
{
    if (unknown_sources->minute_us == 0 || now_us - unknown_sources->minute_us >= UNKNOWN_SOURCES_AGAIN_US) {
        unknown_sources->minute_us = now_us;
        unknown_sources->minute_count = 0;
    }
    if (unknown_sources->minute_count >= UNKNOWN_SOURCES_PER_MINUTE ||
        bucket_take(&unknown_sources->second, 1, now_us) == 0)
        return false;
    ++unknown_sources->minute_count;
    return true;
}

bool unknown_sources_next(struct unknown_sources *unknown_sources, size_t *at, uint64_t now_us,
                          struct unknown_source *out)
{
    for (; *at < UNKNOWN_SOURCES_ROWS; ++*at) {
        struct unknown_source *row = &unknown_sources->rows[*at];
        if (!is_due(row, now_us))
            continue;
        if (!may_report(unknown_sources, now_us))
            return false;
        *out = *row;
        row->reported = true;
        row->reported_us = now_us;
        row->count = 0;
        ++*at;
        return true;
    }
    return false;
}

uint64_t unknown_sources_unreported(struct unknown_sources *unknown_sources)
{
    uint64_t unreported = unknown_sources->unreported;
    unknown_sources->unreported = 0;
    return unreported;
}
