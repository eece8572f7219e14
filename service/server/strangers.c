/* SPDX-License-Identifier: Apache-2.0 */
#include "service/server/strangers.h"

#include <string.h>

void strangers_init(struct strangers *strangers, uint64_t seed)
{
    memset(strangers, 0, sizeof *strangers);
    strangers->seed = seed;
    bucket_init(&strangers->second, STRANGERS_PER_SECOND, STRANGERS_PER_SECOND);
}

static bool may_make_room(const struct stranger *row, uint64_t now_us)
{
    return !row->used || row->told || now_us - row->last_us >= STRANGERS_STALE_US;
}

/* The row of a source, or one that makes room for it, or NULL. */
static struct stranger *row_for(struct strangers *strangers, const struct address *source, uint16_t listen_port,
                                uint64_t now_us)
{
    size_t set = (size_t)(address_hash_ip(source->ip, strangers->seed) + listen_port) % STRANGERS_SETS;
    struct stranger *rows = &strangers->rows[set * STRANGERS_WAYS], *room = NULL;
    for (size_t i = 0; i < STRANGERS_WAYS; ++i) {
        if (rows[i].used && rows[i].listen_port == listen_port && address_same_ip(source, rows[i].source.ip))
            return &rows[i];
        if (may_make_room(&rows[i], now_us) && (!room || (room->used && rows[i].last_us < room->last_us)))
            room = &rows[i];
    }
    if (!room)
        return NULL;
    if (room->used)
        strangers->untold += room->count;
    *room = (struct stranger){.used = false};
    return room;
}

void strangers_note(struct strangers *strangers, const struct trial *poke, uint8_t version, uint64_t now_us)
{
    struct stranger *row = row_for(strangers, &poke->source, poke->local_port, now_us);
    if (!row) {
        ++strangers->untold;
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

static bool is_due(const struct stranger *row, uint64_t now_us)
{
    if (!row->used || row->count == 0)
        return false;
    return row->told ? now_us - row->told_us >= STRANGERS_AGAIN_US : now_us - row->first_us >= STRANGERS_FIRST_US;
}

static bool may_tell(struct strangers *strangers, uint64_t now_us)
{
    if (strangers->minute_us == 0 || now_us - strangers->minute_us >= STRANGERS_AGAIN_US) {
        strangers->minute_us = now_us;
        strangers->minute_count = 0;
    }
    if (strangers->minute_count >= STRANGERS_PER_MINUTE || bucket_take(&strangers->second, 1, now_us) == 0)
        return false;
    ++strangers->minute_count;
    return true;
}

bool strangers_next(struct strangers *strangers, size_t *at, uint64_t now_us, struct stranger *out)
{
    for (; *at < STRANGERS_ROWS; ++*at) {
        struct stranger *row = &strangers->rows[*at];
        if (!is_due(row, now_us))
            continue;
        if (!may_tell(strangers, now_us))
            return false;
        *out = *row;
        row->told = true;
        row->told_us = now_us;
        row->count = 0;
        ++*at;
        return true;
    }
    return false;
}

uint64_t strangers_untold(struct strangers *strangers)
{
    uint64_t untold = strangers->untold;
    strangers->untold = 0;
    return untold;
}
