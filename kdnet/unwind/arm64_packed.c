/* SPDX-License-Identifier: Apache-2.0 */
/* Packed unwind data of ARM64: the canonical prolog that they describe, as codes. */
#include "kdnet/unwind/arm64_codes.h"

struct writer {
    uint8_t *code;
    size_t count;
};

static void put(struct writer *w, unsigned byte)
{
    if (w->count < KDNET_ARM64_EXPANDED_MAX)
        w->code[w->count++] = (uint8_t)byte;
}

static void put2(struct writer *w, unsigned code)
{
    put(w, code >> 8);
    put(w, code & 0xff);
}

struct packed {
    unsigned float_count, int_count, home, chain, frame_size; /* chain: CR; sizes in bytes */
    unsigned int_size, saved_size, local_size;
};

static struct packed decode_packed(uint32_t data)
{
    struct packed p = {.float_count = data >> 13 & 7,
                       .int_count = data >> 16 & 15,
                       .home = data >> 20 & 1,
                       .chain = data >> 21 & 3,
                       .frame_size = (data >> 23) * 16};
    p.float_count += p.float_count > 0;
    p.int_size = p.int_count * 8 + (p.chain == 1 ? 8 : 0);
    p.saved_size = (p.int_size + p.float_count * 8 + 64 * p.home + 15) & ~15U;
    p.local_size = p.frame_size - p.saved_size;
    return p;
}

/* Codes of "sub sp, sp, size": one instruction, or two. */
static void put_alloc(struct writer *w, unsigned size)
{
    if (size > 4080) {
        put2(w, 0xc000 | (size - 4080) / 16);
        size = 4080;
    }
    if (size >= 512)
        put2(w, 0xc000 | size / 16);
    else if (size > 0)
        put(w, size / 16);
}

/* Step 5 of the canonical prolog: locals, and the frame chain. */
static void put_locals(struct writer *w, const struct packed *p)
{
    if (p->chain < 2) {
        put_alloc(w, p->local_size);
        return;
    }
    put(w, CODE_SET_FP);
    if (p->local_size <= 512) {
        put(w, 0x80 | (p->local_size / 8 - 1)); /* stp x29, lr, [sp, #-size]! */
    } else {
        put(w, 0x40); /* stp x29, lr, [sp] */
        put_alloc(w, p->local_size);
    }
}

/* Codes of floating-point pairs behind the integers; the first pair allocates when there are no integers. */
static void put_floats(struct writer *w, const struct packed *p)
{
    bool first_allocates = p->int_size == 0;
    for (unsigned pair = p->float_count / 2; p->float_count % 2 == 1 || pair > 0;) {
        unsigned reg = p->float_count - p->float_count % 2;
        if (p->float_count % 2 == 1) { /* an odd register comes last */
            put2(w, 0xdc00 | reg << 6 | (p->int_size + 8 * reg) / 8);
            struct packed even = *p;
            even.float_count = reg;
            put_floats(w, &even);
            return;
        }
        --pair;
        if (pair == 0 && first_allocates)
            put2(w, 0xda00 | (p->saved_size / 8 - 1));
        else
            put2(w, 0xd800 | 2 * pair << 6 | (p->int_size + 16 * pair) / 8);
    }
}

/* The first save of the integers allocates the area of all saved registers. */
static void put_first_ints(struct writer *w, const struct packed *p)
{
    unsigned words = p->saved_size / 8;
    if (p->int_count >= 2) {
        put2(w, 0xcc00 | (words - 1)); /* stp x19, x20, [sp, #-size]! */
    } else if (p->int_count == 1 && p->chain == 1) {
        put2(w, 0xd600); /* stp x19, lr, [sp] */
        put_alloc(w, p->saved_size);
    } else if (p->int_count == 1) {
        put2(w, 0xd400 | (words - 1)); /* str x19, [sp, #-size]! */
    } else if (p->chain == 1) {
        put2(w, 0xd400 | 11U << 5 | (words - 1)); /* str lr, [sp, #-size]! */
    }
}

static void put_ints(struct writer *w, const struct packed *p)
{
    unsigned odd = p->int_count % 2, top = p->int_count - odd;
    if (p->int_count > 1 && p->chain == 1 && odd)
        put2(w, 0xd600 | top / 2 << 6 | top); /* stp xN, lr, [sp, #] */
    else if (p->int_count > 1 && p->chain == 1)
        put2(w, 0xd000 | 11U << 6 | top); /* str lr, [sp, #] */
    else if (p->int_count > 1 && odd)
        put2(w, 0xd000 | top << 6 | top); /* str xN, [sp, #] */
    for (unsigned pair = top / 2; pair > 1; --pair)
        put2(w, 0xc800 | 2 * (pair - 1) << 6 | 2 * (pair - 1)); /* stp xN, xM, [sp, #] */
    put_first_ints(w, p);
}

bool kdnet_arm64_expand(uint32_t data, uint8_t code[static KDNET_ARM64_EXPANDED_MAX], size_t *count)
{
    struct writer w = {.code = code};
    struct packed p = decode_packed(data);
    if (p.saved_size > p.frame_size || p.int_count > 10 || (p.chain >= 2 && p.local_size < 16))
        return false;
    put_locals(&w, &p);
    bool home_allocates = p.home && p.int_size == 0 && p.float_count == 0;
    for (unsigned i = home_allocates; i < 4 * p.home; ++i)
        put(&w, CODE_NOP); /* stp x0, x1 … x6, x7 */
    put_floats(&w, &p);
    if (home_allocates)
        put_alloc(&w, p.saved_size);
    put_ints(&w, &p);
    if (p.chain == 2)
        put(&w, CODE_PAC);
    put(&w, CODE_END);
    *count = w.count;
    return true;
}
