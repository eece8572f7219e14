/* SPDX-License-Identifier: Apache-2.0 */
#include "kdnet/crash/trace_cache.h"

#include <stdlib.h>
#include <string.h>

#define PAGE 0x1000U

struct kdnet_trace_cache *kdnet_trace_cache_new(void)
{
    return calloc(1, sizeof(struct kdnet_trace_cache));
}

void kdnet_trace_cache_free(struct kdnet_trace_cache *cache)
{
    free(cache);
}

/* --- pieces ------------------------------------------------------------------------------------------------------- */

static bool is_piece(const struct kdnet_trace_piece *piece, const struct kdnet_image_place *image, uint32_t rva)
{
    return piece->used && piece->rva == rva && piece->stamp == image->stamp && piece->size == image->size &&
           piece->machine == image->machine;
}

const uint8_t *kdnet_trace_cache_piece(const struct kdnet_trace_cache *cache, const struct kdnet_image_place *image,
                                       uint32_t rva)
{
    for (size_t i = 0; cache && i < KDNET_TRACE_PIECES; ++i)
        if (is_piece(&cache->piece[i], image, rva))
            return cache->piece[i].confirmed ? cache->piece[i].bytes : NULL;
    return NULL;
}

void kdnet_trace_cache_learn_piece(struct kdnet_trace_cache *cache, uint64_t teller,
                                   const struct kdnet_image_place *image, uint32_t rva, const uint8_t *bytes)
{
    struct kdnet_trace_piece *piece = NULL;
    for (size_t i = 0; i < KDNET_TRACE_PIECES && !piece; ++i)
        if (is_piece(&cache->piece[i], image, rva))
            piece = &cache->piece[i];
    if (piece && (piece->confirmed || piece->teller == teller))
        return;
    bool same = piece && memcmp(piece->bytes, bytes, sizeof piece->bytes) == 0;
    if (!piece)
        piece = &cache->piece[cache->next_piece++ % KDNET_TRACE_PIECES];
    if (same) {
        piece->confirmed = true;
        return;
    }
    *piece = (struct kdnet_trace_piece){.stamp = image->stamp,
                                        .size = image->size,
                                        .machine = image->machine,
                                        .rva = rva,
                                        .used = true,
                                        .teller = teller};
    memcpy(piece->bytes, bytes, sizeof piece->bytes);
}

/* --- hints -------------------------------------------------------------------------------------------------------- */

bool kdnet_trace_cache_guess(const struct kdnet_trace_cache *cache, enum kdnet_machine machine, uint64_t address,
                             unsigned n, struct kdnet_image_place *out)
{
    for (size_t i = 0; cache && i < KDNET_TRACE_HINTS; ++i) {
        const struct kdnet_trace_hint *hint = &cache->hint[i];
        if (!hint->used || !hint->confirmed || hint->image.machine != (uint16_t)machine ||
            (address - hint->offset) % PAGE != 0 || n-- > 0)
            continue;
        *out = hint->image;
        out->base = address - hint->offset;
        return true;
    }
    return false;
}

static bool is_hint(const struct kdnet_trace_hint *hint, const struct kdnet_image_place *image, uint64_t offset)
{
    return hint->used && hint->offset == offset && hint->image.stamp == image->stamp &&
           hint->image.size == image->size && hint->image.machine == image->machine &&
           strcmp(hint->image.name, image->name) == 0;
}

void kdnet_trace_cache_learn_hint(struct kdnet_trace_cache *cache, uint64_t teller,
                                  const struct kdnet_image_place *image, uint64_t address)
{
    uint64_t offset = address - image->base;
    for (size_t i = 0; i < KDNET_TRACE_HINTS; ++i)
        if (is_hint(&cache->hint[i], image, offset)) {
            cache->hint[i].confirmed |= cache->hint[i].teller != teller;
            return;
        }
    cache->hint[cache->next_hint++ % KDNET_TRACE_HINTS] =
        (struct kdnet_trace_hint){.offset = offset, .image = *image, .used = true, .teller = teller};
}

/* --- kernels ------------------------------------------------------------------------------------------------------ */

static bool is_kernel(const struct kdnet_trace_kernel *known, const struct kdnet_image_place *kernel)
{
    return known->stamp == kernel->stamp && known->size == kernel->size && known->machine == kernel->machine;
}

static bool has_told(const struct kdnet_trace_kernel *kernel, uint64_t teller)
{
    for (unsigned i = 0; i < kernel->tellers; ++i)
        if (kernel->teller[i] == teller)
            return true;
    return false;
}

bool kdnet_trace_cache_is_familiar(const struct kdnet_trace_cache *cache, const struct kdnet_image_place *kernel,
                                   uint64_t teller)
{
    for (size_t i = 0; cache && i < KDNET_TRACE_KERNELS; ++i) {
        const struct kdnet_trace_kernel *known = &cache->kernel[i];
        if (known->tellers == 2 && is_kernel(known, kernel))
            return !has_told(known, teller);
    }
    return false;
}

void kdnet_trace_cache_learn_kernel(struct kdnet_trace_cache *cache, const struct kdnet_image_place *kernel,
                                    uint64_t teller)
{
    struct kdnet_trace_kernel *known = NULL;
    for (size_t i = 0; i < KDNET_TRACE_KERNELS && !known; ++i)
        if (cache->kernel[i].tellers > 0 && is_kernel(&cache->kernel[i], kernel))
            known = &cache->kernel[i];
    if (!known) {
        known = &cache->kernel[cache->next_kernel++ % KDNET_TRACE_KERNELS];
        *known = (struct kdnet_trace_kernel){.stamp = kernel->stamp, .size = kernel->size, .machine = kernel->machine};
    }
    if (known->tellers < 2 && !has_told(known, teller))
        known->teller[known->tellers++] = teller;
}

/* --- walks -------------------------------------------------------------------------------------------------------- */

static struct kdnet_trace_walk *find_walk(struct kdnet_trace_cache *cache, const struct kdnet_image_place *kernel,
                                          uint64_t address)
{
    for (size_t i = 0; i < KDNET_TRACE_WALKS; ++i) {
        struct kdnet_trace_walk *walk = &cache->walk[i];
        if (walk->tellers > 0 && walk->place == address % PAGE && walk->stamp == kernel->stamp &&
            walk->size == kernel->size && walk->machine == kernel->machine)
            return walk;
    }
    return NULL;
}

bool kdnet_trace_cache_is_walked(struct kdnet_trace_cache *cache, const struct kdnet_image_place *kernel,
                                 uint64_t address, uint64_t teller)
{
    const struct kdnet_trace_walk *walk = cache ? find_walk(cache, kernel, address) : NULL;
    return walk && walk->tellers == 2 && walk->teller[0] != teller && walk->teller[1] != teller;
}

void kdnet_trace_cache_learn_walk(struct kdnet_trace_cache *cache, const struct kdnet_image_place *kernel,
                                  uint64_t address, uint64_t teller)
{
    struct kdnet_trace_walk *walk = find_walk(cache, kernel, address);
    if (!walk) {
        walk = &cache->walk[cache->next_walk++ % KDNET_TRACE_WALKS];
        *walk = (struct kdnet_trace_walk){.stamp = kernel->stamp,
                                          .size = kernel->size,
                                          .machine = kernel->machine,
                                          .place = (uint16_t)(address % PAGE)};
    }
    if (walk->tellers == 0 || (walk->tellers == 1 && walk->teller[0] != teller))
        walk->teller[walk->tellers++] = teller;
}

/* --- groups ------------------------------------------------------------------------------------------------------- */

bool kdnet_trace_cache_may_ask(struct kdnet_trace_cache *cache, const struct kdnet_bugcheck *bugcheck, uint64_t now_us)
{
    const struct kdnet_cause_rule *rule = kdnet_cause_rule(bugcheck->code);
    uint16_t place = rule ? (uint16_t)(bugcheck->parameters[rule->parameter - 1] % PAGE) : 0;
    struct kdnet_trace_group *group = NULL;
    for (size_t i = 0; i < KDNET_TRACE_GROUPS && !group; ++i)
        if (cache->group[i].traced_us != 0 && cache->group[i].code == bugcheck->code && cache->group[i].place == place)
            group = &cache->group[i];
    if (group && now_us - group->traced_us < KDNET_TRACE_EVERY_US)
        return false;
    if (!group)
        group = &cache->group[cache->next_group++ % KDNET_TRACE_GROUPS];
    *group = (struct kdnet_trace_group){.code = bugcheck->code, .place = place, .traced_us = now_us};
    return true;
}
