/* SPDX-License-Identifier: Apache-2.0 */
#include "service/targets/keyring.h"

#include <stdatomic.h>
#include <stdlib.h>

struct keyring {
    atomic_uint owners;
    _Atomic uint32_t shown;
};

struct keyring *keyring_new(void)
{
    struct keyring *ring = malloc(sizeof *ring);
    if (!ring)
        return NULL;
    atomic_init(&ring->owners, 1);
    atomic_init(&ring->shown, KEYRING_NONE);
    return ring;
}

struct keyring *keyring_take(struct keyring *ring)
{
    atomic_fetch_add(&ring->owners, 1);
    return ring;
}

void keyring_drop(struct keyring *ring)
{
    if (ring && atomic_fetch_sub(&ring->owners, 1) == 1)
        free(ring);
}

uint32_t keyring_show(struct keyring *ring, uint32_t slot)
{
    return atomic_exchange(&ring->shown, slot);
}

uint32_t keyring_shown(const struct keyring *ring)
{
    return atomic_load(&ring->shown);
}
