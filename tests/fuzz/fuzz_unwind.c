/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Frames of a machine whose memory says anything: byte 0 the machine and whether the frame is exact, 1 to 4 the RVA of
 * the pc, 5 to 8 of the table, 9 and 10 its entries; the rest is memory, again and again. Each frame costs a bounded
 * number of blocks.
 */
#include "kdnet/base/wire.h"
#include "kdnet/unwind/unwind.h"
#include "tests/fuzz/fuzz.h"

#include <string.h>

#define HEAD       11U
#define FRAMES     16U
#define IMAGE      0xfffff80000000000U
#define STACK      0xffffa00000000000U
#define IMAGE_SIZE 0x1000000U

static struct kdnet_blocks blocks;

static void give(const uint8_t *memory, size_t size)
{
    uint8_t bytes[KDNET_BLOCK_SIZE];
    uint64_t at = blocks.want;
    bool there = size > 0 && (at - IMAGE < IMAGE_SIZE || at - STACK < IMAGE_SIZE);
    for (size_t i = 0; there && i < sizeof bytes; ++i)
        bytes[i] = memory[(at + i) % size];
    kdnet_blocks_give(&blocks, at, bytes, there ? sizeof bytes : 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const enum kdnet_machine machines[] = {KDNET_MACHINE_X64, KDNET_MACHINE_ARM64, KDNET_MACHINE_X86};
    if (size < HEAD)
        return 0;
    enum kdnet_machine machine = machines[data[0] % 3];
    struct kdnet_unwind_image image = {.base = IMAGE,
                                       .size = IMAGE_SIZE,
                                       .table_rva = kdnet_get_le32(data + 5) % IMAGE_SIZE,
                                       .table_size = 8U * kdnet_get_le16(data + 9)};
    struct kdnet_frame frame = {
        .pc = IMAGE + kdnet_get_le32(data + 1) % IMAGE_SIZE, .sp = STACK, .exact = data[0] >= 128};
    struct kdnet_image_header header;
    for (size_t i = 0; i < sizeof frame.x / sizeof frame.x[0]; ++i)
        frame.x[i] = STACK + 0x100 * i;
    kdnet_blocks_clear(&blocks);
    enum kdnet_unwind_result result = KDNET_UNWIND_OK;
    for (unsigned n = 0; n < FRAMES && result == KDNET_UNWIND_OK; ++n) {
        unsigned asked = 0;
        while ((result = kdnet_unwind(machine, &blocks, &image, &frame)) == KDNET_UNWIND_NEEDS) {
            FUZZ_CHECK(asked++ < KDNET_UNWIND_NEEDS_MAX);
            give(data + HEAD, size - HEAD);
        }
        frame.pc = IMAGE + (frame.pc - IMAGE) % IMAGE_SIZE;
    }
    while (kdnet_image_header(machine, &blocks, IMAGE, &header) == KDNET_UNWIND_NEEDS)
        give(data + HEAD, size - HEAD);
    return 0;
}
