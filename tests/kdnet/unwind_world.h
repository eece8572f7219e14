/* SPDX-License-Identifier: Apache-2.0 */
/*
 * unwind_world: a piece of memory with one image and one stack, for tests of the unwinder.
 */
#ifndef TESTS_KDNET_UNWIND_WORLD_H
#define TESTS_KDNET_UNWIND_WORLD_H

#include "kdnet/base/wire.h"
#include "kdnet/unwind/unwind.h"
#include "tests/support/random.h"

#include <string.h>

#define WORLD_IMAGE  0xfffff80012340000U
#define WORLD_SIZE   0x20000U
#define WORLD_TABLE  0x1000U
#define WORLD_INFO   0x4000U
#define WORLD_CODE   0x8000U
#define WORLD_STACK  0xffffb10000000000U
#define WORLD_LENGTH 0x10000U

struct world {
    struct test_random random;
    uint8_t image[WORLD_SIZE], stack[WORLD_LENGTH];
    struct kdnet_blocks blocks;
    struct kdnet_unwind_image place;
    unsigned asked; /* blocks that the last frame needed */
};

static inline void world_clear(struct world *w)
{
    memset(w->image, 0xcc, sizeof w->image);
    test_random_fill(&w->random, w->stack, sizeof w->stack);
    kdnet_blocks_clear(&w->blocks);
    w->place = (struct kdnet_unwind_image){.base = WORLD_IMAGE, .size = WORLD_SIZE, .table_rva = WORLD_TABLE};
}

/* Gives the unwinder the block that it wants. */
static inline void world_give(struct world *w)
{
    uint64_t address = w->blocks.want;
    const uint8_t *data = NULL;
    if (address - WORLD_IMAGE < WORLD_SIZE)
        data = w->image + (address - WORLD_IMAGE);
    else if (address - WORLD_STACK < WORLD_LENGTH)
        data = w->stack + (address - WORLD_STACK);
    kdnet_blocks_give(&w->blocks, address, data, data ? KDNET_BLOCK_SIZE : 0);
}

static inline enum kdnet_unwind_result world_unwind(struct world *w, enum kdnet_machine machine,
                                                    struct kdnet_frame *frame)
{
    enum kdnet_unwind_result result;
    w->asked = 0;
    while ((result = kdnet_unwind(machine, &w->blocks, &w->place, frame)) == KDNET_UNWIND_NEEDS && w->asked++ < 100)
        world_give(w);
    return result;
}

static inline void world_push(struct world *w, uint64_t address, uint64_t value)
{
    kdnet_put_le64(w->stack + (address - WORLD_STACK), value);
}

static inline uint64_t world_any(struct world *w, uint64_t bound)
{
    return test_random_below(&w->random, (size_t)bound);
}

#endif
