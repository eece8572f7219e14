/* SPDX-License-Identifier: Apache-2.0 */
#include "service/net/locals.h"

#include <string.h>

int locals_init(struct locals *locals)
{
    atomic_store(&locals->count, 0);
    return uv_mutex_init(&locals->lock);
}

void locals_clear(struct locals *locals)
{
    uv_mutex_destroy(&locals->lock);
}

static uint16_t find(const struct locals *locals, unsigned from, unsigned to, const uint8_t *ip)
{
    for (unsigned i = from; i < to; ++i)
        if (memcmp(locals->ips[i], ip, sizeof locals->ips[i]) == 0)
            return (uint16_t)(i + 1);
    return 0;
}

uint16_t locals_number(struct locals *locals, const uint8_t ip[static 16])
{
    unsigned count = atomic_load_explicit(&locals->count, memory_order_acquire);
    uint16_t number = find(locals, 0, count, ip);
    if (number != 0 || count == LOCALS_MAX)
        return number;
    uv_mutex_lock(&locals->lock);
    unsigned now = atomic_load(&locals->count);
    number = find(locals, count, now, ip);
    if (number == 0 && now < LOCALS_MAX) {
        memcpy(locals->ips[now], ip, sizeof locals->ips[now]);
        atomic_store_explicit(&locals->count, now + 1, memory_order_release);
        number = (uint16_t)(now + 1);
    }
    uv_mutex_unlock(&locals->lock);
    return number;
}

const uint8_t *locals_ip(struct locals *locals, uint16_t number)
{
    if (number == 0 || number > atomic_load_explicit(&locals->count, memory_order_acquire))
        return NULL;
    return locals->ips[number - 1];
}
