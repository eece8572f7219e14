/* SPDX-License-Identifier: Apache-2.0 */
#include "kdnet/kernel/layout_cache.h"
#include "kdnet/wire/machine.h"

#include <stdlib.h>
#include <string.h>

struct kdnet_layout_cache *kdnet_layout_cache_new(void)
{
    return calloc(1, sizeof(struct kdnet_layout_cache));
}

void kdnet_layout_cache_free(struct kdnet_layout_cache *cache)
{
    free(cache);
}

/* False: the address is outside the image that begins at the version's base. */
static bool rva_of(const struct kdnet_version *version, uint64_t address, uint32_t *out)
{
    enum kdnet_machine machine = (enum kdnet_machine)version->machine;
    uint64_t rva = kdnet_machine_address(machine, address) - kdnet_machine_address(machine, version->kernel_base);
    *out = (uint32_t)rva;
    return rva > 0 && rva <= UINT32_MAX;
}

static bool fingerprint_of(const struct kdnet_version *version, struct kdnet_kernel_fingerprint *out)
{
    out->machine = version->machine;
    out->build = version->minor;
    return rva_of(version, version->debugger_data_list, &out->list_rva) &&
           rva_of(version, version->loaded_module_list, &out->modules_rva);
}

/* Returns KDNET_LAYOUT_CACHE_MAX when absent. */
static size_t place_of(const struct kdnet_layout_cache *cache, const struct kdnet_kernel_fingerprint *fingerprint)
{
    for (size_t i = 0; i < cache->count; ++i)
        if (memcmp(&cache->kernel[i].fingerprint, fingerprint, sizeof *fingerprint) == 0)
            return i;
    return KDNET_LAYOUT_CACHE_MAX;
}

bool kdnet_layout_cache_find(const struct kdnet_layout_cache *cache, const struct kdnet_version *version,
                             uint32_t *block_rva)
{
    struct kdnet_kernel_fingerprint fingerprint;
    size_t at = cache && fingerprint_of(version, &fingerprint) ? place_of(cache, &fingerprint) : KDNET_LAYOUT_CACHE_MAX;
    if (at == KDNET_LAYOUT_CACHE_MAX || cache->kernel[at].block_rva == 0)
        return false;
    *block_rva = cache->kernel[at].block_rva;
    return true;
}

void kdnet_layout_cache_learn(struct kdnet_layout_cache *cache, const struct kdnet_version *version, uint64_t block)
{
    struct kdnet_kernel_fingerprint fingerprint;
    uint32_t block_rva;
    if (!fingerprint_of(version, &fingerprint) || !rva_of(version, block, &block_rva) ||
        place_of(cache, &fingerprint) != KDNET_LAYOUT_CACHE_MAX)
        return;
    size_t at = cache->next;
    cache->next = (at + 1) % KDNET_LAYOUT_CACHE_MAX;
    if (cache->count < KDNET_LAYOUT_CACHE_MAX)
        ++cache->count;
    cache->kernel[at].fingerprint = fingerprint;
    cache->kernel[at].block_rva = block_rva;
}

void kdnet_layout_cache_refute(struct kdnet_layout_cache *cache, const struct kdnet_version *version)
{
    struct kdnet_kernel_fingerprint fingerprint;
    size_t at = cache && fingerprint_of(version, &fingerprint) ? place_of(cache, &fingerprint) : KDNET_LAYOUT_CACHE_MAX;
    if (at != KDNET_LAYOUT_CACHE_MAX)
        cache->kernel[at].block_rva = 0;
}
