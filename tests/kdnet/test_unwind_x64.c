/* SPDX-License-Identifier: Apache-2.0 */
/* Frames of x64 whose truth is known: random prologs that are carried out, then undone by their unwind data. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "tests/kdnet/unwind_world.h"

#define FRAMES  10000U
#define OPS_MAX 24U

/* Registers that a function keeps for its caller. */
static const unsigned kept[] = {3, 5, 6, 7, 12, 13, 14, 15};

struct op {
    uint8_t kind, info;
    uint32_t value;
    uint8_t end; /* offset behind its instruction */
};

/* A function, and the machine's state after each operation of its prolog. */
struct made {
    struct op op[OPS_MAX];
    unsigned count;
    unsigned frame_register, frame_offset;
    uint32_t begin, length;
    uint8_t prolog;
    struct kdnet_frame caller, state[OPS_MAX + 1];
    bool by_machine_frame;
};

static struct world world;

static void add(struct made *m, uint8_t kind, uint8_t info, uint32_t value)
{
    m->prolog = (uint8_t)(m->prolog + 1 + world_any(&world, 7));
    m->op[m->count++] = (struct op){kind, info, value, m->prolog};
}

/* --- prologs ------------------------------------------------------------------------------------------------------ */

static void add_alloc(struct made *m)
{
    uint32_t size = 8 * (1 + (uint32_t)world_any(&world, world_any(&world, 2) ? 16 : 600));
    bool far = world_any(&world, 4) == 0;
    add(m, size <= 128 ? 2 : 1, (uint8_t)(size <= 128 ? size / 8 - 1 : far), size);
}

/* Which registers are pushed first, then space, then a frame register, then registers that are moved into the space. */
static void make_prolog(struct made *m)
{
    unsigned pushes = (unsigned)world_any(&world, 5), saves = (unsigned)world_any(&world, 4);
    if (world_any(&world, 8) == 0)
        add(m, 10, (uint8_t)world_any(&world, 2), 0);
    for (unsigned i = 0; i < pushes; ++i)
        add(m, 0, (uint8_t)kept[i], 0);
    add_alloc(m);
    if (m->op[m->count - 1].value < 64)
        saves = 0;
    if (pushes >= 2 && world_any(&world, 3) == 0) {
        m->frame_register = 5;
        uint32_t most = m->op[m->count - 1].value / 16 < 15 ? m->op[m->count - 1].value / 16 : 15;
        m->frame_offset = (unsigned)world_any(&world, most + 1);
        add(m, 3, 0, 0);
    }
    for (unsigned i = 0; i < saves; ++i)
        add(m, (uint8_t)(world_any(&world, 2) ? 4 : 5), (uint8_t)kept[4 + i], 8 * i);
    if (saves > 0)
        add(m, (uint8_t)(world_any(&world, 2) ? 8 : 9), 6, 32);
}

/* The processor carries it out, from the caller's state on. */
static void carry_out(struct made *m)
{
    struct kdnet_frame f = m->caller;
    m->by_machine_frame = m->count > 0 && m->op[0].kind == 10;
    if (m->by_machine_frame) {
        f.sp = WORLD_STACK + 0x8000 - 40;
        world_push(&world, f.sp, m->caller.pc);
        world_push(&world, f.sp + 24, m->caller.sp);
    } else {
        f.sp -= 8;
        world_push(&world, f.sp, m->caller.pc);
    }
    m->state[0] = f;
    for (unsigned i = 0; i < m->count; ++i) {
        const struct op *op = &m->op[i];
        if (op->kind == 0) {
            f.sp -= 8;
            world_push(&world, f.sp, f.x[op->info]);
            f.x[op->info] = test_random_next(&world.random);
        } else if (op->kind == 1 || op->kind == 2) {
            f.sp -= op->value;
        } else if (op->kind == 3) {
            f.x[m->frame_register] = f.sp + 16U * m->frame_offset;
        } else if (op->kind == 4 || op->kind == 5) {
            world_push(&world, f.sp + op->value, f.x[op->info]);
            f.x[op->info] = test_random_next(&world.random);
        } else if (op->kind == 10 && op->info) {
            f.sp -= 8; /* the error code */
        }
        m->state[i + 1] = f;
    }
}

/* --- unwind data -------------------------------------------------------------------------------------------------- */

/* Codes of operations from `from` to `to`-1, the last one first. Returns their slots. */
static unsigned put_codes(const struct made *m, unsigned from, unsigned to, uint8_t *at)
{
    unsigned slots = 0;
    for (unsigned i = to; i-- > from;) {
        const struct op *op = &m->op[i];
        uint8_t *code = at + (size_t)2 * slots++;
        code[0] = op->end;
        code[1] = (uint8_t)(op->kind | op->info << 4);
        bool far = op->kind == 5 || op->kind == 9 || (op->kind == 1 && op->info == 1);
        bool near = op->kind == 4 || op->kind == 8 || (op->kind == 1 && op->info == 0);
        if (far)
            kdnet_put_le32(code + 2, op->value);
        else if (near)
            kdnet_put_le16(code + 2, (uint16_t)(op->value / (op->kind == 8 ? 16 : 8)));
        slots += far ? 2 : near;
    }
    return slots;
}

/* Unwind info at an RVA; chained: the entry behind the codes, which is another function. */
static void put_info(const struct made *m, unsigned from, unsigned to, uint32_t rva, const uint32_t *chained)
{
    uint8_t *info = world.image + rva;
    bool has_frame = false;
    for (unsigned i = from; i < to; ++i)
        has_frame |= m->op[i].kind == 3;
    unsigned slots = put_codes(m, from, to, info + 4);
    info[0] = (uint8_t)(1 | (chained ? 4 << 3 : 0));
    info[1] = m->prolog;
    info[2] = (uint8_t)slots;
    info[3] = (uint8_t)(has_frame ? m->frame_register | m->frame_offset << 4 : 0);
    for (unsigned i = 0; chained && i < 3; ++i)
        kdnet_put_le32(info + 4 + (size_t)2 * ((slots + 1) & ~1U) + (size_t)4 * i, chained[i]);
}

/* A table with functions on both sides, of which nobody asks. */
static void put_table(const struct made *m, uint32_t info)
{
    unsigned before = (unsigned)world_any(&world, 200), after = (unsigned)world_any(&world, 200);
    uint8_t *entry = world.image + WORLD_TABLE;
    for (unsigned i = 0; i < before + after + 1; ++i, entry += 12) {
        uint32_t begin = i < before    ? WORLD_CODE - 16 * (before - i)
                         : i == before ? m->begin
                                       : m->begin + m->length + 16 * (i - before);
        kdnet_put_le32(entry, begin);
        kdnet_put_le32(entry + 4, i == before ? m->begin + m->length : begin + 8);
        kdnet_put_le32(entry + 8, i == before ? info : WORLD_INFO + 0x2000);
    }
    world.place.table_size = 12 * (before + after + 1);
}

static void make(struct made *m)
{
    world_clear(&world);
    memset(m, 0, sizeof *m);
    m->begin = WORLD_CODE + 4 * (uint32_t)world_any(&world, 64);
    m->length = 0x400;
    test_random_fill(&world.random, (uint8_t *)m->caller.x, sizeof m->caller.x);
    m->caller.pc = WORLD_IMAGE + world_any(&world, WORLD_SIZE);
    m->caller.sp = WORLD_STACK + 0xc000 + 16 * world_any(&world, 16);
    make_prolog(m);
    carry_out(m);
    put_table(m, WORLD_INFO);
    put_info(m, 0, m->count, WORLD_INFO, NULL);
}

static void expect_caller(const struct made *m, struct kdnet_frame frame)
{
    assert_int_equal(world_unwind(&world, KDNET_MACHINE_X64, &frame), KDNET_UNWIND_OK);
    assert_int_equal(frame.pc, m->caller.pc);
    assert_int_equal(frame.sp, m->caller.sp);
    for (size_t i = 0; i < sizeof kept / sizeof kept[0]; ++i)
        assert_int_equal(frame.x[kept[i]], m->caller.x[kept[i]]);
    assert_int_equal(frame.exact, m->by_machine_frame);
}

static struct kdnet_frame at(const struct made *m, unsigned ops, uint32_t offset, bool exact)
{
    struct kdnet_frame frame = m->state[ops];
    frame.pc = WORLD_IMAGE + m->begin + offset;
    frame.exact = exact;
    return frame;
}

/* --- tests -------------------------------------------------------------------------------------------------------- */

static void random_frames_are_undone_from_body_and_prolog(void **state)
{
    (void)state;
    struct made m;
    unsigned most = 0;
    for (unsigned i = 0; i < FRAMES; ++i) {
        make(&m);
        expect_caller(&m, at(&m, m.count, m.prolog + (uint32_t)world_any(&world, 64), world_any(&world, 2) != 0));
        most = world.asked > most ? world.asked : most;
        unsigned done = (unsigned)world_any(&world, m.count + 1);
        if (!m.by_machine_frame || done > 0)
            expect_caller(&m, at(&m, done, done > 0 ? m.op[done - 1].end : 0, true));
    }
    print_message("x64: at most %u blocks for a frame\n", most);
    assert_in_range(most, 1, 16);
}

/* The fragment did the last part of the prolog; the chain leads to the rest. */
static void chained_info_is_followed(void **state)
{
    (void)state;
    struct made m;
    for (unsigned i = 0; i < 1000; ++i) {
        make(&m);
        uint32_t parent[3] = {m.begin, m.begin + 8, WORLD_INFO + 0x800};
        unsigned split = m.count;
        while (split > 0 && (m.op[split - 1].kind == 4 || m.op[split - 1].kind == 5 || m.op[split - 1].kind >= 8))
            --split; /* only registers that were moved lie in the fragment */
        put_info(&m, split, m.count, WORLD_INFO, parent);
        put_info(&m, 0, split, WORLD_INFO + 0x800, NULL);
        if (m.frame_register != 0)
            world.image[WORLD_INFO + 3] = (uint8_t)(m.frame_register | m.frame_offset << 4);
        expect_caller(&m, at(&m, m.count, m.prolog + 5U, false));
    }
}

/* A part that lies elsewhere, whose entry points to the function's: the whole prolog was executed, however near the
 * part's begin the processor stands. */
static void separated_part_has_the_prolog_of_its_function(void **state)
{
    (void)state;
    struct made m;
    for (unsigned i = 0; i < 1000; ++i) {
        make(&m);
        put_info(&m, 0, m.count, WORLD_INFO, NULL);
        uint8_t *own = world.image + WORLD_INFO + 0x800, *table = world.image + WORLD_TABLE;
        uint32_t away = i % 2 == 0 ? 0x1000U : 0U - 0x800U; /* the function: after the part, or before */
        kdnet_put_le32(own, m.begin + away);
        kdnet_put_le32(own + 4, m.begin + away + 0x40);
        kdnet_put_le32(own + 8, WORLD_INFO);
        for (size_t n = 0; n < world.place.table_size / 12; ++n)
            if (kdnet_get_le32(table + 12 * n) == m.begin)
                kdnet_put_le32(table + 12 * n + 8, (WORLD_INFO + 0x800) | 1);
        expect_caller(&m, at(&m, m.count, 1 + (uint32_t)world_any(&world, 8), false));
    }
}

/* add rsp; pops; ret: from each instruction of it. */
static void epilogs_are_done_from_each_instruction(void **state)
{
    (void)state;
    static const uint8_t ends[][8] = {{0xc3}, {0xc2, 8, 0}, {0xf3, 0xc3}, {0xe9, 0, 0x10, 0, 0}, {0xff, 0x25}};
    for (unsigned i = 0; i < 2000; ++i) {
        struct made m = {.count = 0};
        world_clear(&world);
        m.begin = WORLD_CODE;
        m.length = 0x200;
        test_random_fill(&world.random, (uint8_t *)m.caller.x, sizeof m.caller.x);
        m.caller.pc = WORLD_IMAGE + 0x9999;
        m.caller.sp = WORLD_STACK + 0xc000;
        unsigned pushes = (unsigned)world_any(&world, 8);
        for (unsigned p = 0; p < pushes; ++p)
            add(&m, 0, (uint8_t)kept[p], 0);
        add(&m, 1, 0, 8 * (17 + (uint32_t)world_any(&world, 100)));
        carry_out(&m);
        put_table(&m, WORLD_INFO);
        put_info(&m, 0, m.count, WORLD_INFO, NULL);
        /* the epilog, and where each of its instructions begins */
        uint8_t *code = world.image + m.begin + 0x100;
        uint32_t place[OPS_MAX], length = 7;
        place[0] = 0;
        memcpy(code, (const uint8_t[]){0x48, 0x81, 0xc4}, 3);
        kdnet_put_le32(code + 3, m.op[pushes].value);
        for (unsigned p = 0; p < pushes; ++p) {
            unsigned reg = kept[pushes - 1 - p];
            place[p + 1] = length;
            if (reg >= 8)
                code[length++] = 0x41;
            code[length++] = (uint8_t)(0x58 | (reg & 7));
        }
        place[pushes + 1] = length;
        memcpy(code + length, ends[world_any(&world, 5)], 8);
        for (unsigned done = 0; done <= pushes + 1; ++done) {
            struct kdnet_frame frame = m.state[m.count - done];
            for (unsigned p = 0; p < pushes; ++p) /* what was popped is the caller's again */
                if (m.count - done <= p)
                    frame.x[kept[p]] = m.caller.x[kept[p]];
            frame.pc = WORLD_IMAGE + m.begin + 0x100 + place[done];
            frame.exact = true;
            expect_caller(&m, frame);
        }
    }
}

static void leaf_returns_at_once(void **state)
{
    (void)state;
    struct made m;
    make(&m);
    struct kdnet_frame frame = {.pc = WORLD_IMAGE + m.begin + m.length + 8, .sp = WORLD_STACK + 0x100, .exact = true};
    world_push(&world, frame.sp, WORLD_IMAGE + 0x7777);
    assert_int_equal(world_unwind(&world, KDNET_MACHINE_X64, &frame), KDNET_UNWIND_OK);
    assert_int_equal(frame.pc, WORLD_IMAGE + 0x7777);
    assert_int_equal(frame.sp, WORLD_STACK + 0x108);
}

static void endless_chain_ends(void **state)
{
    (void)state;
    struct made m;
    make(&m);
    uint32_t self[3] = {m.begin, m.begin + m.length, WORLD_INFO};
    put_info(&m, 0, 0, WORLD_INFO, self);
    struct kdnet_frame frame = at(&m, m.count, m.prolog, false);
    assert_int_equal(world_unwind(&world, KDNET_MACHINE_X64, &frame), KDNET_UNWIND_END);
}

static void any_unwind_data_ends(void **state)
{
    (void)state;
    struct made m;
    unsigned most = 0;
    for (unsigned i = 0; i < 5000; ++i) {
        make(&m);
        test_random_fill(&world.random, world.image + WORLD_INFO, 0x600);
        world.image[WORLD_INFO] = (uint8_t)(1 + world_any(&world, 2) + (world_any(&world, 2) ? 4 << 3 : 0));
        if (world_any(&world, 4) == 0)
            world.place.table_size = (uint32_t)test_random_next(&world.random);
        if (world_any(&world, 4) == 0)
            test_random_fill(&world.random, world.image + WORLD_TABLE, 0x1000);
        struct kdnet_frame frame = at(&m, m.count, (uint32_t)world_any(&world, 64), world_any(&world, 2) != 0);
        (void)world_unwind(&world, KDNET_MACHINE_X64, &frame);
        most = world.asked > most ? world.asked : most;
    }
    print_message("x64, hostile: at most %u blocks for a frame\n", most);
    assert_in_range(most, 1, 64);
}

static void header_says_where_the_table_is(void **state)
{
    (void)state;
    struct kdnet_image_header header;
    world_clear(&world);
    memset(world.image, 0, 0x400);
    memcpy(world.image, "MZ", 2);
    world.image[0x3c] = 0x80;
    uint8_t *nt = world.image + 0x80;
    memcpy(nt, "PE", 2);
    kdnet_put_le16(nt + 4, 0x8664);
    kdnet_put_le32(nt + 8, 0x5f3a1b2c);
    kdnet_put_le16(nt + 24, 0x20b);
    kdnet_put_le32(nt + 80, WORLD_SIZE);
    kdnet_put_le32(nt + 132, 16);
    kdnet_put_le32(nt + 136 + 24, WORLD_TABLE);
    kdnet_put_le32(nt + 136 + 28, 0x240);
    assert_int_equal(kdnet_image_header(KDNET_MACHINE_X64, &world.blocks, WORLD_IMAGE, &header), KDNET_UNWIND_NEEDS);
    world_give(&world);
    assert_int_equal(kdnet_image_header(KDNET_MACHINE_X64, &world.blocks, WORLD_IMAGE, &header), KDNET_UNWIND_OK);
    assert_int_equal(header.size, WORLD_SIZE);
    assert_int_equal(header.stamp, 0x5f3a1b2c);
    assert_int_equal(header.table_rva, WORLD_TABLE);
    assert_int_equal(header.table_size, 0x240);
    assert_int_equal(kdnet_image_header(KDNET_MACHINE_ARM64, &world.blocks, WORLD_IMAGE, &header), KDNET_UNWIND_END);
}

static void x86_follows_the_chain_of_ebp(void **state)
{
    (void)state;
    struct world *w = &world;
    world_clear(w);
    uint8_t *stack = w->stack;
    struct kdnet_frame frame = {.pc = 0xffffffff80801234U, .sp = 0xffffffff8a000010U};
    frame.x[KDNET_X64_RBP] = 0xffffffff8a000020U;
    kdnet_put_le32(stack + 0x20, 0x8a000080U);
    kdnet_put_le32(stack + 0x24, 0x80805678U);
    kdnet_blocks_give(&w->blocks, 0xffffffff8a000000U, stack, KDNET_BLOCK_SIZE);
    assert_int_equal(kdnet_unwind(KDNET_MACHINE_X86, &w->blocks, &w->place, &frame), KDNET_UNWIND_OK);
    assert_int_equal(frame.pc, 0xffffffff80805678U);
    assert_int_equal(frame.sp, 0xffffffff8a000028U);
    assert_int_equal(frame.x[KDNET_X64_RBP], 0xffffffff8a000080U);
    frame.x[KDNET_X64_RBP] = 0xffffffff8a000004U; /* it goes down */
    assert_int_equal(kdnet_unwind(KDNET_MACHINE_X86, &w->blocks, &w->place, &frame), KDNET_UNWIND_END);
}

static int seed(void **state)
{
    (void)state;
    test_random_init(&world.random);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_frames_are_undone_from_body_and_prolog),
        cmocka_unit_test(separated_part_has_the_prolog_of_its_function),
        cmocka_unit_test(chained_info_is_followed),
        cmocka_unit_test(epilogs_are_done_from_each_instruction),
        cmocka_unit_test(leaf_returns_at_once),
        cmocka_unit_test(endless_chain_ends),
        cmocka_unit_test(any_unwind_data_ends),
        cmocka_unit_test(header_says_where_the_table_is),
        cmocka_unit_test(x86_follows_the_chain_of_ebp),
    };
    return cmocka_run_group_tests(tests, seed, NULL);
}
