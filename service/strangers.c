/* SPDX-License-Identifier: Apache-2.0 */
#include "service/strangers.h"

#include <string.h>

void strangers_init(struct strangers *strangers, uint64_t seed)
{
    memset(strangers, 0, sizeof *strangers);
    strangers->seed = seed;
    bucket_init(&strangers->second, STRANGERS_PER_SECOND, STRANGERS_PER_SECOND);
    /* Two a second at most on average, and the burst of a minute. */
    bucket_init(&strangers->minute, (STRANGERS_PER_MINUTE + 59) / 60, STRANGERS_PER_MINUTE);
}

/* The row of a source, or the one that makes room for it. */
static struct stranger *row_for(struct strangers *strangers, const struct address *source, uint16_t listen_port)
{
    size_t set = (size_t)(address_hash_ip(source->ip, strangers->seed) + listen_port) % STRANGERS_SETS;
    struct stranger *rows = &strangers->rows[set * STRANGERS_WAYS], *oldest = rows;
    for (size_t i = 0; i < STRANGERS_WAYS; ++i) {
        if (rows[i].used && rows[i].listen_port == listen_port && address_same_ip(source, rows[i].source.ip))
            return &rows[i];
        if (!rows[i].used || (oldest->used && rows[i].last_us < oldest->last_us))
            oldest = &rows[i];
    }
    if (oldest->used && !oldest->told)
        strangers->untold += oldest->count;
    *oldest = (struct stranger){.used = false};
    return oldest;
}

void strangers_note(struct strangers *strangers, const struct address *source, uint16_t listen_port, uint8_t version,
                    uint64_t now_us)
{
    struct stranger *row = row_for(strangers, source, listen_port);
    if (!row->used) {
        row->used = true;
        row->first_us = now_us;
        row->listen_port = listen_port;
    }
    row->source = *source;
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

bool strangers_next(struct strangers *strangers, size_t *at, uint64_t now_us, struct stranger *out)
{
    for (; *at < STRANGERS_ROWS; ++*at) {
        struct stranger *row = &strangers->rows[*at];
        if (!is_due(row, now_us))
            continue;
        if (bucket_take(&strangers->second, 1, now_us) == 0 || bucket_take(&strangers->minute, 1, now_us) == 0)
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
