/* SPDX-License-Identifier: Apache-2.0 */
#include "kdnet/crash/trace_cache.h"

#include <stdlib.h>
#include <string.h>

#define PAGE          0x1000U
#define FIND_AT_ONCE  128U             /* machines without a known place that are traced in a storm */
#define FIND_EVERY_US UINT64_C(100000) /* afterwards one in this time */

struct kdnet_trace_cache *kdnet_trace_cache_new(void)
{
    return calloc(1, sizeof(struct kdnet_trace_cache));
}

void kdnet_trace_cache_free(struct kdnet_trace_cache *cache)
{
    free(cache);
}

/* --- claims ------------------------------------------------------------------------------------------------------- */

#define IN_FULL 2U /* machines that are asked in full about the same */

static enum kdnet_trace_claimed claim(struct kdnet_trace_cache *cache, uint64_t what, uint64_t teller, unsigned seats,
                                      uint64_t now_us, uint64_t until_us)
{
    return kdnet_trace_claims_take(&cache->claims, what, teller, seats, now_us, until_us) ? KDNET_TRACE_IN_FULL
                                                                                          : KDNET_TRACE_BUSY;
}

/* What a machine claims that is asked in full about its kernel. */
static uint64_t claim_of_kernel(const struct kdnet_image_place *kernel, uint64_t id)
{
    uint64_t hash = ((uint64_t)kernel->stamp << 32 | kernel->size) * 0x9e3779b97f4a7c15U;
    return (hash ^ hash >> 29 ^ id ^ kernel->machine) * 0xff51afd7ed558ccdU;
}

/* --- tables ------------------------------------------------------------------------------------------------------- */

/* The first of the places that an entry with these properties may have in a table of `count`. */
static size_t places(size_t count, uint64_t a, uint64_t b)
{
    uint64_t hash = (a ^ b * 0x9e3779b97f4a7c15U) * 0xff51afd7ed558ccdU;
    return (size_t)(hash >> 40) % (count / KDNET_TRACE_WAYS) * KDNET_TRACE_WAYS;
}

/* Chooses the place of a new entry: a free one, else that of an entry that a single machine reported. trust: of the
 * first place; stride: bytes from one place to the next. */
static size_t place_for(struct kdnet_trace_cache *cache, const uint8_t *trust, size_t stride)
{
    unsigned turn = cache->turn++ % KDNET_TRACE_WAYS;
    for (unsigned wanted = KDNET_TRACE_FREE; wanted < KDNET_TRACE_CONFIRMED; ++wanted)
        for (unsigned i = 0; i < KDNET_TRACE_WAYS; ++i) {
            unsigned way = (turn + i) % KDNET_TRACE_WAYS;
            if (trust[way * stride] == wanted)
                return way;
        }
    return turn;
}

/* --- pieces ------------------------------------------------------------------------------------------------------- */

static struct kdnet_trace_piece *piece_places(const struct kdnet_trace_cache *cache,
                                              const struct kdnet_image_place *image, uint32_t rva)
{
    size_t first = places(KDNET_TRACE_PIECES, (uint64_t)image->stamp << 32 | rva, image->size);
    return (struct kdnet_trace_piece *)&cache->piece[first];
}

static struct kdnet_trace_piece *find_piece(const struct kdnet_trace_cache *cache,
                                            const struct kdnet_image_place *image, uint32_t rva)
{
    struct kdnet_trace_piece *piece = piece_places(cache, image, rva);
    for (size_t i = 0; i < KDNET_TRACE_WAYS; ++i)
        if (piece[i].trust != KDNET_TRACE_FREE && piece[i].rva == rva && piece[i].stamp == image->stamp &&
            piece[i].size == image->size && piece[i].machine == image->machine)
            return &piece[i];
    return NULL;
}

const uint8_t *kdnet_trace_cache_piece(const struct kdnet_trace_cache *cache, const struct kdnet_image_place *image,
                                       uint32_t rva)
{
    const struct kdnet_trace_piece *piece = cache ? find_piece(cache, image, rva) : NULL;
    return piece && piece->trust == KDNET_TRACE_CONFIRMED ? piece->bytes : NULL;
}

void kdnet_trace_cache_learn_piece(struct kdnet_trace_cache *cache, uint64_t teller,
                                   const struct kdnet_image_place *image, uint32_t rva, const uint8_t *bytes)
{
    struct kdnet_trace_piece *piece = find_piece(cache, image, rva);
    if (piece && (piece->trust == KDNET_TRACE_CONFIRMED || piece->teller == teller))
        return;
    if (piece && memcmp(piece->bytes, bytes, sizeof piece->bytes) == 0) {
        piece->trust = KDNET_TRACE_CONFIRMED;
        return;
    }
    if (!piece) {
        piece = piece_places(cache, image, rva);
        piece += place_for(cache, &piece->trust, sizeof *piece);
    }
    piece->trust = KDNET_TRACE_TOLD;
    piece->stamp = image->stamp;
    piece->size = image->size;
    piece->machine = image->machine;
    piece->rva = rva;
    piece->teller = teller;
    memcpy(piece->bytes, bytes, sizeof piece->bytes);
}

/* --- headers ------------------------------------------------------------------------------------------------------ */

static struct kdnet_trace_header *find_header(const struct kdnet_trace_cache *cache, uint32_t stamp, uint32_t size,
                                              uint16_t machine)
{
    const struct kdnet_trace_header *known = &cache->header[places(KDNET_TRACE_HEADERS, stamp, size)];
    for (size_t i = 0; i < KDNET_TRACE_WAYS; ++i)
        if (known[i].trust != KDNET_TRACE_FREE && known[i].header.stamp == stamp && known[i].header.size == size &&
            known[i].machine == machine)
            return (struct kdnet_trace_header *)&known[i];
    return NULL;
}

const struct kdnet_image_header *kdnet_trace_cache_header(const struct kdnet_trace_cache *cache,
                                                          const struct kdnet_image_place *image)
{
    const struct kdnet_trace_header *known = cache ? find_header(cache, image->stamp, image->size, image->machine)
                                                   : NULL;
    return known && known->trust == KDNET_TRACE_CONFIRMED ? &known->header : NULL;
}

void kdnet_trace_cache_learn_header(struct kdnet_trace_cache *cache, uint64_t teller, enum kdnet_machine machine,
                                    const struct kdnet_image_header *header)
{
    struct kdnet_trace_header *known = find_header(cache, header->stamp, header->size, (uint16_t)machine);
    if (known && (known->trust == KDNET_TRACE_CONFIRMED || known->teller == teller))
        return;
    if (known && memcmp(&known->header, header, sizeof *header) == 0) {
        known->trust = KDNET_TRACE_CONFIRMED;
        return;
    }
    if (!known) {
        known = &cache->header[places(KDNET_TRACE_HEADERS, header->stamp, header->size)];
        known += place_for(cache, &known->trust, sizeof *known);
    }
    *known = (struct kdnet_trace_header){
        .trust = KDNET_TRACE_TOLD, .machine = (uint16_t)machine, .teller = teller, .header = *header};
}

/* --- hints -------------------------------------------------------------------------------------------------------- */

bool kdnet_trace_cache_guess(const struct kdnet_trace_cache *cache, enum kdnet_machine machine, uint64_t address,
                             unsigned n, struct kdnet_image_place *out)
{
    const struct kdnet_trace_hint *hint = cache ? &cache->hint[places(KDNET_TRACE_HINTS, address % PAGE, machine)]
                                                : NULL;
    for (size_t i = 0; hint && i < KDNET_TRACE_WAYS; ++i) {
        if (hint[i].trust != KDNET_TRACE_CONFIRMED || hint[i].image.machine != (uint16_t)machine ||
            (address - hint[i].offset) % PAGE != 0 || n-- > 0)
            continue;
        *out = hint[i].image;
        out->base = address - hint[i].offset;
        return true;
    }
    return false;
}

static bool is_hint(const struct kdnet_trace_hint *hint, const struct kdnet_image_place *image, uint64_t offset)
{
    return hint->trust != KDNET_TRACE_FREE && hint->offset == offset && hint->image.stamp == image->stamp &&
           hint->image.size == image->size && hint->image.machine == image->machine &&
           strcmp(hint->image.name, image->name) == 0;
}

/* What a machine claims that walks its image list for an address. */
static uint64_t claim_of_walk(const struct kdnet_image_place *kernel, uint64_t address)
{
    uint64_t hash = claim_of_kernel(kernel, 0) ^ 1;
    return (hash ^ address % PAGE * 0x9e3779b97f4a7c15U) * 0xff51afd7ed558ccdU;
}

void kdnet_trace_cache_learn_hint(struct kdnet_trace_cache *cache, uint64_t teller,
                                  const struct kdnet_image_place *kernel, const struct kdnet_image_place *image,
                                  uint64_t address)
{
    uint64_t offset = address - image->base;
    kdnet_trace_claims_drop(&cache->claims, claim_of_walk(kernel, address), teller);
    struct kdnet_trace_hint *hint = &cache->hint[places(KDNET_TRACE_HINTS, address % PAGE, image->machine)];
    for (size_t i = 0; i < KDNET_TRACE_WAYS; ++i)
        if (is_hint(&hint[i], image, offset)) {
            hint[i].trust = hint[i].teller != teller ? KDNET_TRACE_CONFIRMED : hint[i].trust;
            return;
        }
    hint += place_for(cache, &hint->trust, sizeof *hint);
    *hint = (struct kdnet_trace_hint){.trust = KDNET_TRACE_TOLD, .offset = offset, .image = *image, .teller = teller};
}

/* --- kernels ------------------------------------------------------------------------------------------------------ */

static bool is_kernel(const struct kdnet_trace_kernel *known, const struct kdnet_image_place *kernel, uint64_t id)
{
    return known->tellers > 0 && known->stamp == kernel->stamp && known->size == kernel->size &&
           known->machine == kernel->machine && known->id == id;
}

static bool has_told(const struct kdnet_trace_kernel *kernel, uint64_t teller)
{
    for (unsigned i = 0; i < kernel->tellers; ++i)
        if (kernel->teller[i] == teller)
            return true;
    return false;
}

enum kdnet_trace_claimed kdnet_trace_cache_claim_kernel(struct kdnet_trace_cache *cache,
                                                        const struct kdnet_image_place *kernel, uint64_t id,
                                                        uint64_t teller, uint64_t now_us, uint64_t until_us)
{
    unsigned told = 0;
    for (size_t i = 0; i < KDNET_TRACE_KERNELS; ++i)
        if (is_kernel(&cache->kernel[i], kernel, id))
            told = cache->kernel[i].tellers - has_told(&cache->kernel[i], teller);
    if (told == IN_FULL)
        return KDNET_TRACE_LITTLE;
    return claim(cache, claim_of_kernel(kernel, id), teller, IN_FULL - told, now_us, until_us);
}

void kdnet_trace_cache_learn_kernel(struct kdnet_trace_cache *cache, const struct kdnet_image_place *kernel,
                                    uint64_t id, uint64_t teller)
{
    struct kdnet_trace_kernel *known = NULL;
    for (size_t i = 0; i < KDNET_TRACE_KERNELS && !known; ++i)
        if (is_kernel(&cache->kernel[i], kernel, id))
            known = &cache->kernel[i];
    if (!known) {
        known = &cache->kernel[cache->next_kernel++ % KDNET_TRACE_KERNELS];
        *known = (struct kdnet_trace_kernel){
            .stamp = kernel->stamp, .size = kernel->size, .machine = kernel->machine, .id = id};
    }
    if (known->tellers < 2 && !has_told(known, teller))
        known->teller[known->tellers++] = teller;
    kdnet_trace_claims_drop(&cache->claims, claim_of_kernel(kernel, id), teller);
}

bool kdnet_trace_cache_recall_kernel(const struct kdnet_trace_cache *cache, uint64_t id, uint64_t teller,
                                     struct kdnet_image_place *kernel)
{
    for (size_t i = 0; cache && id != 0 && i < KDNET_TRACE_KERNELS; ++i) {
        const struct kdnet_trace_kernel *known = &cache->kernel[i];
        if (known->id != id || known->machine != kernel->machine || known->tellers < 2 || known->size == 0 ||
            has_told(known, teller))
            continue;
        kernel->stamp = known->stamp;
        kernel->size = known->size;
        return true;
    }
    return false;
}

/* --- build strings ------------------------------------------------------------------------------------------------ */

static struct kdnet_trace_lab *find_lab(const struct kdnet_trace_cache *cache, uint64_t id)
{
    const struct kdnet_trace_lab *lab = &cache->lab[places(KDNET_TRACE_LABS, id, 0)];
    for (size_t i = 0; i < KDNET_TRACE_WAYS; ++i)
        if (lab[i].trust != KDNET_TRACE_FREE && lab[i].id == id)
            return (struct kdnet_trace_lab *)&lab[i];
    return NULL;
}

const char *kdnet_trace_cache_lab(const struct kdnet_trace_cache *cache, uint64_t id)
{
    const struct kdnet_trace_lab *lab = cache ? find_lab(cache, id) : NULL;
    return lab && lab->trust == KDNET_TRACE_CONFIRMED ? lab->text : NULL;
}

void kdnet_trace_cache_learn_lab(struct kdnet_trace_cache *cache, uint64_t id, uint64_t teller,
                                 const char text[static KDNET_BUILD_LAB_SIZE])
{
    struct kdnet_trace_lab *lab = find_lab(cache, id);
    if (lab && (lab->trust == KDNET_TRACE_CONFIRMED || lab->teller == teller))
        return;
    if (lab && strcmp(lab->text, text) == 0) {
        lab->trust = KDNET_TRACE_CONFIRMED;
        return;
    }
    if (!lab) {
        lab = &cache->lab[places(KDNET_TRACE_LABS, id, 0)];
        lab += place_for(cache, &lab->trust, sizeof *lab);
    }
    *lab = (struct kdnet_trace_lab){.trust = KDNET_TRACE_TOLD, .id = id, .teller = teller};
    memcpy(lab->text, text, sizeof lab->text - 1);
}

/* --- walks -------------------------------------------------------------------------------------------------------- */

static struct kdnet_trace_walk *walk_places(const struct kdnet_trace_cache *cache,
                                            const struct kdnet_image_place *kernel, uint64_t address)
{
    return (struct kdnet_trace_walk *)&cache->walk[places(KDNET_TRACE_WALKS, address % PAGE, kernel->stamp)];
}

static struct kdnet_trace_walk *find_walk(const struct kdnet_trace_cache *cache, const struct kdnet_image_place *kernel,
                                          uint64_t address)
{
    struct kdnet_trace_walk *walk = walk_places(cache, kernel, address);
    for (size_t i = 0; i < KDNET_TRACE_WAYS; ++i)
        if (walk[i].trust != KDNET_TRACE_FREE && walk[i].place == address % PAGE && walk[i].stamp == kernel->stamp &&
            walk[i].size == kernel->size && walk[i].machine == kernel->machine)
            return &walk[i];
    return NULL;
}

bool kdnet_trace_cache_is_walked(const struct kdnet_trace_cache *cache, const struct kdnet_image_place *kernel,
                                 uint64_t address, uint64_t teller)
{
    const struct kdnet_trace_walk *walk = cache ? find_walk(cache, kernel, address) : NULL;
    return walk && walk->trust == KDNET_TRACE_CONFIRMED && walk->teller != teller && walk->second != teller;
}

/* Whether another machine has told what became of its walk for such an address. It may have been another image's
 * address, so more than one count no more than one. */
static bool has_other_walked(const struct kdnet_trace_cache *cache, const struct kdnet_image_place *kernel,
                             uint64_t address, uint64_t teller)
{
    const struct kdnet_trace_walk *walk = find_walk(cache, kernel, address);
    const struct kdnet_trace_hint *hint = &cache->hint[places(KDNET_TRACE_HINTS, address % PAGE, kernel->machine)];
    for (size_t i = 0; i < KDNET_TRACE_WAYS; ++i)
        if (hint[i].trust == KDNET_TRACE_TOLD && hint[i].teller != teller && (address - hint[i].offset) % PAGE == 0 &&
            hint[i].image.machine == kernel->machine)
            return true;
    return walk && walk->teller != teller;
}

enum kdnet_trace_claimed kdnet_trace_cache_claim_walk(struct kdnet_trace_cache *cache,
                                                      const struct kdnet_image_place *kernel, uint64_t address,
                                                      uint64_t teller, uint64_t now_us, uint64_t until_us)
{
    if (kdnet_trace_cache_is_walked(cache, kernel, address, teller))
        return KDNET_TRACE_LITTLE;
    unsigned told = has_other_walked(cache, kernel, address, teller);
    return claim(cache, claim_of_walk(kernel, address), teller, IN_FULL - told, now_us, until_us);
}

void kdnet_trace_cache_learn_walk(struct kdnet_trace_cache *cache, const struct kdnet_image_place *kernel,
                                  uint64_t address, uint64_t teller)
{
    struct kdnet_trace_walk *walk = find_walk(cache, kernel, address);
    kdnet_trace_claims_drop(&cache->claims, claim_of_walk(kernel, address), teller);
    if (walk && walk->trust == KDNET_TRACE_TOLD && walk->teller != teller) {
        walk->trust = KDNET_TRACE_CONFIRMED;
        walk->second = teller;
    }
    if (walk)
        return;
    walk = walk_places(cache, kernel, address);
    walk += place_for(cache, &walk->trust, sizeof *walk);
    *walk = (struct kdnet_trace_walk){.trust = KDNET_TRACE_TOLD,
                                      .machine = kernel->machine,
                                      .place = (uint16_t)(address % PAGE),
                                      .stamp = kernel->stamp,
                                      .size = kernel->size,
                                      .teller = teller};
}

/* --- groups ------------------------------------------------------------------------------------------------------- */

static uint16_t place_of(const struct kdnet_bugcheck *bugcheck)
{
    const struct kdnet_cause_rule *rule = kdnet_cause_rule(bugcheck->code);
    return rule ? (uint16_t)(bugcheck->parameters[rule->parameter - 1] % PAGE) : 0;
}

static struct kdnet_trace_group *group_places(const struct kdnet_trace_cache *cache,
                                              const struct kdnet_bugcheck *bugcheck, uint64_t kernel)
{
    size_t first = places(KDNET_TRACE_GROUPS, (uint64_t)bugcheck->code << 16 | place_of(bugcheck), kernel);
    return (struct kdnet_trace_group *)&cache->group[first];
}

static struct kdnet_trace_group *find_group(const struct kdnet_trace_cache *cache,
                                            const struct kdnet_bugcheck *bugcheck, uint64_t kernel)
{
    struct kdnet_trace_group *group = group_places(cache, bugcheck, kernel);
    for (size_t i = 0; i < KDNET_TRACE_WAYS; ++i)
        if (group[i].trust != KDNET_TRACE_FREE && group[i].code == bugcheck->code && group[i].kernel == kernel &&
            group[i].place == place_of(bugcheck))
            return &group[i];
    return NULL;
}

static struct kdnet_trace_group *make_group(struct kdnet_trace_cache *cache, const struct kdnet_bugcheck *bugcheck,
                                            uint64_t kernel)
{
    struct kdnet_trace_group *group = find_group(cache, bugcheck, kernel);
    if (group)
        return group;
    group = group_places(cache, bugcheck, kernel);
    group += place_for(cache, &group->trust, sizeof *group);
    *group = (struct kdnet_trace_group){
        .trust = KDNET_TRACE_TOLD, .code = bugcheck->code, .kernel = kernel, .place = place_of(bugcheck)};
    return group;
}

bool kdnet_trace_cache_may_ask(struct kdnet_trace_cache *cache, const struct kdnet_bugcheck *bugcheck, uint64_t kernel,
                               uint64_t now_us)
{
    struct kdnet_trace_group *group = make_group(cache, bugcheck, kernel);
    if (group->traced_us != 0 && now_us < group->traced_us + KDNET_TRACE_EVERY_US)
        return false;
    group->traced_us = now_us;
    return true;
}

enum kdnet_trace_group_fact kdnet_trace_cache_group(const struct kdnet_trace_cache *cache,
                                                    const struct kdnet_bugcheck *bugcheck, uint64_t kernel)
{
    const struct kdnet_trace_group *group = find_group(cache, bugcheck, kernel);
    return !group                                  ? KDNET_TRACE_GROUP_UNKNOWN
           : group->fruitful                       ? KDNET_TRACE_GROUP_FRUITFUL
           : group->trust == KDNET_TRACE_CONFIRMED ? KDNET_TRACE_GROUP_PLAIN
                                                   : KDNET_TRACE_GROUP_UNKNOWN;
}

void kdnet_trace_cache_learn_group(struct kdnet_trace_cache *cache, const struct kdnet_bugcheck *bugcheck,
                                   uint64_t kernel, uint64_t teller, bool fruitful)
{
    struct kdnet_trace_group *group = make_group(cache, bugcheck, kernel);
    group->fruitful |= fruitful;
    if (!fruitful && group->teller != 0 && group->teller != teller)
        group->trust = KDNET_TRACE_CONFIRMED;
    if (!fruitful && group->teller == 0)
        group->teller = teller;
}

bool kdnet_trace_cache_may_find(struct kdnet_trace_cache *cache, uint64_t now_us)
{
    if (cache->found_us < now_us)
        cache->found_us = now_us;
    if (cache->found_us - now_us >= FIND_AT_ONCE * FIND_EVERY_US)
        return false;
    cache->found_us += FIND_EVERY_US;
    return true;
}
