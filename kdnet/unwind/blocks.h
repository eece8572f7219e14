/* SPDX-License-Identifier: Apache-2.0 */
/*
 * blocks: a halted machine's memory in blocks, fetched on demand.
 *
 * Sans-I/O: a reader that lacks a block reports `want`; its caller fetches the block and calls the same reader again.
 * Blocks are 1 KiB and aligned, so that no block spans two pages.
 */
#ifndef KDNET_BLOCKS_H
#define KDNET_BLOCKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KDNET_BLOCK_SIZE 1024U
#define KDNET_BLOCKS_MAX 24U

enum kdnet_blocks_result {
    KDNET_BLOCKS_OK,
    KDNET_BLOCKS_MISSING,    /* the block at `want` is needed */
    KDNET_BLOCKS_UNREADABLE, /* the machine cannot read the memory */
};

struct kdnet_block {
    bool known;
    uint16_t length; /* readable bytes from the block's start */
    uint32_t used;   /* last use, by `clock` */
    uint64_t address;
    uint8_t bytes[KDNET_BLOCK_SIZE];
};

struct kdnet_blocks {
    uint64_t want;   /* address of the missing block */
    unsigned needed; /* blocks that were missing since the reader began; the reader resets the count */
    uint32_t clock;
    struct kdnet_block block[KDNET_BLOCKS_MAX];
};

void kdnet_blocks_clear(struct kdnet_blocks *blocks);

/* Reads memory; length is at most KDNET_BLOCK_SIZE. `out` is written only when all bytes are present. */
enum kdnet_blocks_result kdnet_blocks_read(struct kdnet_blocks *blocks, uint64_t address, uint8_t *out, size_t length);

/* Numbers; *out is written only with KDNET_BLOCKS_OK. */
enum kdnet_blocks_result kdnet_blocks_u32(struct kdnet_blocks *blocks, uint64_t address, uint32_t *out);
enum kdnet_blocks_result kdnet_blocks_u64(struct kdnet_blocks *blocks, uint64_t address, uint64_t *out);

/* Keeps the block at `address`, a multiple of KDNET_BLOCK_SIZE, in place of the least recently used one. length 0:
 * unreadable. */
void kdnet_blocks_give(struct kdnet_blocks *blocks, uint64_t address, const uint8_t *data, size_t length);

#endif
