/* SPDX-License-Identifier: Apache-2.0 */
/*
 * unwind_image FILE: unwinds frames in an image, as check_unwind.py asks on stdin, in hexadecimal, a line each:
 *
 *     w ADDRESS VALUE                     the stack of the next frame has this word
 *     q PC SP EXACT X0 ... X30            prints the caller's PC SP EXACT X0 ... X30, or "end"
 *
 * The image lies at IMAGE; any other word of memory has the value mix(its address).
 */
#include "kdnet/base/wire.h"
#include "tests/unwind/image.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define IMAGE     0xfffff80012340000U
#define WORDS_MAX 256U
#define LINE      2048U
#define REGISTERS 31U

static struct image image;
static struct kdnet_blocks blocks;
static struct {
    uint64_t address, value;
} words[WORDS_MAX];
static unsigned word_count;

/* splitmix64 */
static uint64_t mix(uint64_t x)
{
    x += 0x9e3779b97f4a7c15U;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9U;
    x = (x ^ x >> 27) * 0x94d049bb133111ebU;
    return x ^ x >> 31;
}

static void give(uint64_t at)
{
    uint8_t bytes[KDNET_BLOCK_SIZE];
    for (size_t i = 0; i < sizeof bytes; i += 8)
        kdnet_put_le64(bytes + i, mix(at + i));
    for (unsigned i = 0; i < word_count; ++i)
        if (words[i].address - at < sizeof bytes)
            kdnet_put_le64(bytes + (words[i].address - at), words[i].value);
    if (at - IMAGE < image.size)
        memcpy(bytes, image.bytes + (at - IMAGE), sizeof bytes);
    kdnet_blocks_give(&blocks, at, bytes, sizeof bytes);
}

static uint64_t take(char **text)
{
    return strtoull(*text, text, 16);
}

static void unwind(char *text)
{
    struct kdnet_frame frame = {.pc = take(&text)};
    frame.sp = take(&text);
    frame.exact = take(&text) != 0;
    for (size_t i = 0; i < REGISTERS; ++i)
        frame.x[i] = take(&text);
    enum kdnet_unwind_result result;
    kdnet_blocks_clear(&blocks);
    while ((result = kdnet_unwind(image.machine, &blocks, &image.place, &frame)) == KDNET_UNWIND_NEEDS)
        give(blocks.want);
    word_count = 0;
    if (result != KDNET_UNWIND_OK) {
        (void)printf("end\n");
        return;
    }
    (void)printf("%" PRIx64 " %" PRIx64 " %x", frame.pc, frame.sp, frame.exact);
    for (size_t i = 0; i < REGISTERS; ++i)
        (void)printf(" %" PRIx64, frame.x[i]);
    (void)printf("\n");
}

int main(int count, char **arguments)
{
    char line[LINE];
    if (count != 2)
        return 2;
    image_load(&image, arguments[1], IMAGE);
    while (fgets(line, sizeof line, stdin)) {
        char *text = line + 1;
        if (line[0] == 'q') {
            unwind(text);
        } else if (word_count < WORDS_MAX) {
            words[word_count].address = take(&text);
            words[word_count++].value = take(&text);
        }
    }
    return 0;
}
