/* SPDX-License-Identifier: Apache-2.0 */
#include "kdnet/unwind/blocks.h"
#include "kdnet/base/wire.h"

#include <string.h>

void kdnet_blocks_clear(struct kdnet_blocks *blocks)
{
    blocks->want = 0;
    blocks->needed = 0;
    blocks->clock = 0;
    for (size_t i = 0; i < KDNET_BLOCKS_MAX; ++i) {
        blocks->block[i].known = false;
        blocks->block[i].used = 0;
    }
}

static struct kdnet_block *find(struct kdnet_blocks *blocks, uint64_t address)
{
    for (size_t i = 0; i < KDNET_BLOCKS_MAX; ++i)
        if (blocks->block[i].known && blocks->block[i].address == address)
            return &blocks->block[i];
    return NULL;
}

/* Reads the part that lies in one block. */
static enum kdnet_blocks_result read_part(struct kdnet_blocks *blocks, uint64_t address, uint8_t *out, size_t length)
{
    size_t at = (size_t)(address % KDNET_BLOCK_SIZE);
    struct kdnet_block *block = find(blocks, address - at);
    if (!block) {
        blocks->want = address - at;
        return KDNET_BLOCKS_MISSING;
    }
    block->used = ++blocks->clock;
    if (at + length > block->length)
        return KDNET_BLOCKS_UNREADABLE;
    memcpy(out, block->bytes + at, length);
    return KDNET_BLOCKS_OK;
}

enum kdnet_blocks_result kdnet_blocks_read(struct kdnet_blocks *blocks, uint64_t address, uint8_t *out, size_t length)
{
    uint8_t whole[KDNET_BLOCK_SIZE];
    size_t room = (size_t)(KDNET_BLOCK_SIZE - address % KDNET_BLOCK_SIZE), first = length < room ? length : room;
    if (length > sizeof whole || address + length < address)
        return KDNET_BLOCKS_UNREADABLE;
    enum kdnet_blocks_result result = read_part(blocks, address, whole, first);
    if (result == KDNET_BLOCKS_OK && first < length)
        result = read_part(blocks, address + first, whole + first, length - first);
    if (result == KDNET_BLOCKS_OK)
        memcpy(out, whole, length);
    return result;
}

enum kdnet_blocks_result kdnet_blocks_u32(struct kdnet_blocks *blocks, uint64_t address, uint32_t *out)
{
    uint8_t bytes[4];
    enum kdnet_blocks_result result = kdnet_blocks_read(blocks, address, bytes, sizeof bytes);
    if (result == KDNET_BLOCKS_OK)
        *out = kdnet_get_le32(bytes);
    return result;
}

enum kdnet_blocks_result kdnet_blocks_u64(struct kdnet_blocks *blocks, uint64_t address, uint64_t *out)
{
    uint8_t bytes[8];
    enum kdnet_blocks_result result = kdnet_blocks_read(blocks, address, bytes, sizeof bytes);
    if (result == KDNET_BLOCKS_OK)
        *out = kdnet_get_le64(bytes);
    return result;
}

void kdnet_blocks_give(struct kdnet_blocks *blocks, uint64_t address, const uint8_t *data, size_t length)
{
    struct kdnet_block *block = find(blocks, address);
    for (size_t i = 0; !block && i < KDNET_BLOCKS_MAX; ++i)
        if (!blocks->block[i].known)
            block = &blocks->block[i];
    if (!block) {
        block = &blocks->block[0];
        for (size_t i = 1; i < KDNET_BLOCKS_MAX; ++i)
            if (blocks->block[i].used < block->used)
                block = &blocks->block[i];
    }
    block->known = true;
    block->address = address;
    block->used = ++blocks->clock;
    block->length = (uint16_t)(length < KDNET_BLOCK_SIZE ? length : KDNET_BLOCK_SIZE);
    if (block->length > 0)
        memcpy(block->bytes, data, block->length);
}
