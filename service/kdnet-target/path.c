/* SPDX-License-Identifier: Apache-2.0 */
#include "service/kdnet-target/machine_internal.h"

#include <stdlib.h>
#include <string.h>

#define PATH_MAX_COUNT 256U /* as the buffers of a network: more is lost */
#define US_PER_MS      1000U

struct path_item {
    struct path_item *next;
    uint64_t due_us;
    size_t length;
    uint8_t payload[];
};

bool path_loses(struct machine *m)
{
    if (m->config.loss_percent == 0)
        return false;
    m->loss_state = m->loss_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407); /* Knuth's */
    return (m->loss_state >> 33) % 100 < m->config.loss_percent;
}

uint64_t path_delay_us(const struct machine *m, uint64_t now_us)
{
    const struct machine_config *config = &m->config;
    uint64_t change_us = config->start_us + (uint64_t)config->path_at_ms * US_PER_MS;
    bool changed = config->path_at_ms > 0 && now_us >= change_us;
    return (uint64_t)(changed ? config->path_then_ms : config->path_ms) * US_PER_MS / 2;
}

void path_put(struct path *path, const uint8_t *payload, size_t length, uint64_t due_us)
{
    if (path->count == PATH_MAX_COUNT || length > KDNET_DATAGRAM_MAX)
        return;
    struct path_item *item = malloc(sizeof *item + length);
    if (!item)
        return;
    bool overtakes = path->last && path->last->due_us > due_us; /* a path keeps the order */
    *item = (struct path_item){.due_us = overtakes ? path->last->due_us : due_us, .length = length};
    memcpy(item->payload, payload, length);
    if (path->last)
        path->last->next = item;
    else
        path->first = item;
    path->last = item;
    ++path->count;
}

uint64_t path_due(const struct path *path)
{
    return path->first ? path->first->due_us : MACHINE_NEVER;
}

bool path_take(struct path *path, uint64_t now_us, uint8_t *out, size_t *length)
{
    struct path_item *item = path->first;
    if (!item || now_us < item->due_us)
        return false;
    *length = item->length;
    memcpy(out, item->payload, item->length);
    path->first = item->next;
    if (!path->first)
        path->last = NULL;
    --path->count;
    free(item);
    return true;
}

void path_clear(struct path *path)
{
    while (path->first) {
        struct path_item *next = path->first->next;
        free(path->first);
        path->first = next;
    }
    *path = (struct path){0};
}
