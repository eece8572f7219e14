/* SPDX-License-Identifier: Apache-2.0 */
/*
 * blocks: pieces of a halted machine's memory, asked for when something needs them.
 *
 * Uses no other room. Sans-I/O: a reader that finds a piece missing says so, its caller fetches `want` and calls the
 * same reader again. Blocks are 1 KiB and aligned, so that none lies in two pages.
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
    KDNET_BLOCKS_UNREADABLE, /* the machine does not have it */
};

struct kdnet_block {
    bool known;
    uint16_t length; /* bytes from its start that could be read */
    uint32_t used;   /* when it was used last, by `clock` */
    uint64_t address;
    uint8_t bytes[KDNET_BLOCK_SIZE];
};

struct kdnet_blocks {
    uint64_t want;   /* address of the block that is missing */
    unsigned needed; /* blocks that were missing since the reader began; the reader counts */
    uint32_t clock;
    struct kdnet_block block[KDNET_BLOCKS_MAX];
};

void kdnet_blocks_clear(struct kdnet_blocks *blocks);

/* Reads memory; length is at most KDNET_BLOCK_SIZE. `out` is written only when all of it is there. */
enum kdnet_blocks_result kdnet_blocks_read(struct kdnet_blocks *blocks, uint64_t address, uint8_t *out, size_t length);

/* Numbers; *out is written only with KDNET_BLOCKS_OK. */
enum kdnet_blocks_result kdnet_blocks_u32(struct kdnet_blocks *blocks, uint64_t address, uint32_t *out);
enum kdnet_blocks_result kdnet_blocks_u64(struct kdnet_blocks *blocks, uint64_t address, uint64_t *out);

/* Keeps the block that starts at `address`, a multiple of KDNET_BLOCK_SIZE; the one that was not used for the longest
 * time gives way. length 0: unreadable. */
void kdnet_blocks_give(struct kdnet_blocks *blocks, uint64_t address, const uint8_t *data, size_t length);

#endif
