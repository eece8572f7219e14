/* SPDX-License-Identifier: Apache-2.0 */
/* Frames of ARM64 whose truth is known: random prologs, packed and in .xdata, that are carried out, then undone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "tests/kdnet/unwind_world.h"

#define FRAMES    10000U
#define STEPS_MAX 40U
#define FP        KDNET_ARM64_FP
#define LR        KDNET_ARM64_LR

/* A function, and the machine's state after each instruction of its prolog. */
struct made {
    uint32_t begin, length;
    struct kdnet_frame caller, work, state[STEPS_MAX + 1];
    unsigned steps;
    bool in_epilog[STEPS_MAX]; /* the epilog has an instruction that undoes this one */
    uint8_t code[STEPS_MAX][4];
    uint8_t code_length[STEPS_MAX];
};

static struct world world;

/* --- instructions ------------------------------------------------------------------------------------------------- */

static struct kdnet_frame *now(struct made *m)
{
    return &m->work;
}

static void done(struct made *m, uint32_t code, unsigned length, bool in_epilog)
{
    for (unsigned i = 0; i < length; ++i)
        m->code[m->steps][i] = (uint8_t)(code >> 8 * (length - 1 - i));
    m->code_length[m->steps] = (uint8_t)length;
    m->in_epilog[m->steps] = in_epilog;
    m->state[++m->steps] = m->work;
}

/* str at an offset of the stack pointer: the register may be used for something else then. */
static void store(struct made *m, unsigned reg, uint32_t offset)
{
    struct kdnet_frame *f = now(m);
    world_push(&world, f->sp + offset, f->x[reg]);
    if (reg != FP)
        f->x[reg] = test_random_next(&world.random);
}

static void store_pair(struct made *m, unsigned first, unsigned second, uint32_t offset)
{
    store(m, first, offset);
    store(m, second, offset + 8);
}

static void begin(struct made *m)
{
    world_clear(&world);
    memset(m, 0, sizeof *m);
    m->begin = WORLD_CODE + 4 * (uint32_t)world_any(&world, 64);
    m->length = 0x400;
    test_random_fill(&world.random, (uint8_t *)m->caller.x, sizeof m->caller.x);
    m->caller.pc = WORLD_IMAGE + 4 + 4 * world_any(&world, WORLD_CODE / 4);
    m->caller.sp = WORLD_STACK + 0xe000;
    m->state[0] = m->caller;
    m->state[0].x[LR] = m->caller.pc;
    m->work = m->state[0];
}

/* --- packed: the table of the canonical prolog, instruction by instruction ---------------------------------------- */

struct fields {
    unsigned reg_f, reg_i, h, cr, frame_size;
    unsigned intsz, fpsz, savsz, locsz;
};

static struct fields any_fields(void)
{
    struct fields p = {.reg_f = (unsigned)world_any(&world, 8),
                       .reg_i = (unsigned)world_any(&world, 11),
                       .h = (unsigned)world_any(&world, 2),
                       .cr = (unsigned)world_any(&world, 4)};
    if (p.reg_i == 1 && p.cr == 1) /* no compiler makes it */
        p.reg_i = 2;
    p.intsz = p.reg_i * 8 + (p.cr == 1 ? 8 : 0);
    p.fpsz = p.reg_f * 8 + (p.reg_f > 0 ? 8 : 0);
    p.savsz = (p.intsz + p.fpsz + 8 * 8 * p.h + 15) & ~15U;
    p.locsz = 16 * (unsigned)world_any(&world, world_any(&world, 2) ? 40 : 480);
    if (p.cr >= 2 && p.locsz == 0)
        p.locsz = 16;
    if (p.savsz + p.locsz > 511 * 16)
        p.locsz = 511 * 16 - p.savsz;
    p.frame_size = p.savsz + p.locsz;
    return p;
}

static void save_ints(struct made *m, const struct fields *p)
{
    for (unsigned i = 0; i < p->reg_i; i += 2) {
        bool odd = i + 1 == p->reg_i;
        if (i == 0)
            now(m)->sp -= p->savsz;
        store(m, 19 + i, 8 * i);
        if (!odd)
            store(m, 20 + i, 8 * i + 8);
        else if (p->cr == 1)
            store(m, LR, 8 * i + 8);
        done(m, 0, 0, true);
    }
    if (p->cr == 1 && p->reg_i % 2 == 0) {
        if (p->reg_i == 0)
            now(m)->sp -= p->savsz;
        store(m, LR, p->intsz - 8);
        done(m, 0, 0, true);
    }
}

static void save_floats(struct made *m, const struct fields *p)
{
    unsigned count = p->reg_f > 0 ? p->reg_f + 1 : 0;
    for (unsigned i = 0; i < count; i += 2) {
        if (i == 0 && p->intsz == 0)
            now(m)->sp -= p->savsz;
        done(m, 0, 0, true);
    }
}

static void make_locals(struct made *m, const struct fields *p)
{
    bool chained = p->cr >= 2;
    if (chained && p->locsz <= 512) {
        now(m)->sp -= p->locsz;
    } else if (p->locsz > 4080) {
        now(m)->sp -= 4080;
        done(m, 0, 0, true);
        now(m)->sp -= p->locsz - 4080;
        done(m, 0, 0, true);
    } else if (p->locsz > 0) {
        now(m)->sp -= p->locsz;
        done(m, 0, 0, true);
    }
    if (!chained)
        return;
    store_pair(m, FP, LR, 0);
    done(m, 0, 0, true);
    now(m)->x[FP] = now(m)->sp;
    done(m, 0, 0, false);
}

static uint32_t make_packed(struct made *m)
{
    begin(m);
    struct fields p = any_fields();
    if (p.cr == 2) {
        now(m)->x[LR] ^= 0x5a00000000000000U & ~(1ULL << 55); /* signed */
        done(m, 0, 0, true);
    }
    save_ints(m, &p);
    save_floats(m, &p);
    for (unsigned i = 0; i < 4 * p.h; ++i) {
        if (i == 0 && p.intsz == 0 && p.fpsz == 0)
            now(m)->sp -= p.savsz;
        bool allocates = i == 0 && p.intsz == 0 && p.fpsz == 0;
        done(m, 0, 0, allocates);
    }
    make_locals(m, &p);
    return 1 | m->length / 4 << 2 | p.reg_f << 13 | p.reg_i << 16 | p.h << 20 | p.cr << 21 | p.frame_size / 16 << 23;
}

/* --- .xdata ------------------------------------------------------------------------------------------------------- */

static void save_some_pairs(struct made *m)
{
    unsigned pairs = 1 + (unsigned)world_any(&world, 4), size = 16 * pairs + 16 * (unsigned)world_any(&world, 4);
    now(m)->sp -= size;
    store_pair(m, 19, 20, 0);
    if (world_any(&world, 2))
        done(m, 0x20 | size / 8, 1, true); /* save_r19r20_x */
    else
        done(m, 0xcc00 | (size / 8 - 1), 2, true); /* save_regp_x */
    for (unsigned i = 1; i < pairs; ++i) {
        store_pair(m, 19 + 2 * i, 20 + 2 * i, 16 * i);
        if (world_any(&world, 2))
            done(m, 0xe6, 1, true); /* save_next */
        else
            done(m, 0xc800 | 2 * i << 6 | 2 * i, 2, true); /* save_regp */
    }
}

static void save_link(struct made *m)
{
    switch (world_any(&world, 4)) {
    case 0: /* save_fplr_x */
        now(m)->sp -= 32;
        store_pair(m, FP, LR, 0);
        done(m, 0x80 | 3, 1, true);
        break;
    case 1: /* alloc_s, save_lrpair */
        now(m)->sp -= 64;
        done(m, 4, 1, true);
        store_pair(m, 27, LR, 16);
        done(m, 0xd600 | 4 << 6 | 2, 2, true);
        return;
    case 2: /* save_reg_x of lr */
        now(m)->sp -= 16;
        store(m, LR, 0);
        done(m, 0xd400 | 11 << 5 | 1, 2, true);
        return;
    default: /* alloc_m, save_fplr */
        now(m)->sp -= 640;
        done(m, 0xc000 | 40, 2, true);
        store_pair(m, FP, LR, 8);
        done(m, 0x40 | 1, 1, true);
        break;
    }
    if (world_any(&world, 2)) {
        now(m)->x[FP] = now(m)->sp + 8;
        done(m, 0xe201, 2, true); /* add_fp */
    } else {
        now(m)->x[FP] = now(m)->sp;
        done(m, 0xe1, 1, true);
    }
}

static void make_steps(struct made *m)
{
    if (world_any(&world, 3) == 0) {
        now(m)->x[LR] ^= 0x7f00000000000000U & ~(1ULL << 55);
        done(m, 0xfc, 1, true);
    }
    if (world_any(&world, 4) > 0)
        save_some_pairs(m);
    if (world_any(&world, 3) == 0) {
        now(m)->sp -= 32;
        done(m, 0xda00 | 3, 2, true); /* save_fregp_x */
        done(m, 0xdc00 | 2 << 6 | 2, 2, true);
    }
    save_link(m);
    if (world_any(&world, 3) == 0) {
        unsigned size = 16 * (1 + (unsigned)world_any(&world, 700));
        now(m)->sp -= size;
        done(m, 0xe0000000U | size / 16, 4, true); /* alloc_l */
    }
}

/* The codes, the last instruction first; scopes: epilogs at 0x200 and 0x300 with codes of their own. */
static void put_xdata(const struct made *m, bool one_at_end, bool extended)
{
    uint8_t codes[256];
    unsigned count = 0, first;
    for (unsigned i = m->steps; i-- > 0; count += m->code_length[i])
        memcpy(codes + count, m->code[i], m->code_length[i]);
    codes[count++] = 0xe4;
    first = count; /* the epilog's codes are the same ones again */
    memcpy(codes + first, codes, first);
    count += first;
    while (count % 4 != 0)
        codes[count++] = 0xe3;
    uint8_t *at = world.image + WORLD_INFO;
    unsigned scopes = one_at_end ? 0 : 2, epilogs = one_at_end ? first : scopes, words = count / 4;
    extended |= epilogs > 31 || words > 31;
    kdnet_put_le32(at, m->length / 4 | (uint32_t)one_at_end << 21 | (extended ? 0 : epilogs << 22 | words << 27));
    at += 4;
    if (extended) {
        kdnet_put_le32(at, epilogs | words << 16);
        at += 4;
    }
    for (unsigned i = 0; i < scopes; ++i, at += 4)
        kdnet_put_le32(at, (0x200 + 0x100 * i) / 4 | first << 22);
    memcpy(at, codes, count);
}

/* --- checks ------------------------------------------------------------------------------------------------------- */

static void put_table(const struct made *m, uint32_t data)
{
    unsigned before = (unsigned)world_any(&world, 200), after = (unsigned)world_any(&world, 200);
    uint8_t *entry = world.image + WORLD_TABLE;
    for (unsigned i = 0; i < before + after + 1; ++i, entry += 8) {
        uint32_t begin = i < before    ? WORLD_CODE - 16 * (before - i)
                         : i == before ? m->begin
                                       : m->begin + m->length + 16 * (i - before);
        kdnet_put_le32(entry, begin);
        kdnet_put_le32(entry + 4, i == before ? data : 1 | 2 << 2);
    }
    world.place.table_size = 8 * (before + after + 1);
}

static void expect_caller(const struct made *m, struct kdnet_frame frame, uint32_t offset, bool exact)
{
    frame.pc = WORLD_IMAGE + m->begin + offset;
    frame.exact = exact;
    assert_int_equal(world_unwind(&world, KDNET_MACHINE_ARM64, &frame), KDNET_UNWIND_OK);
    assert_int_equal(frame.pc, m->caller.pc);
    assert_int_equal(frame.sp, m->caller.sp);
    for (unsigned reg = 19; reg < 30; ++reg)
        assert_int_equal(frame.x[reg], m->caller.x[reg]);
}

/* From each instruction of the prolog, from the body, and from each instruction of an epilog that ends at `end`. */
static void check_everywhere(const struct made *m, uint32_t end)
{
    unsigned undone = 0;
    struct kdnet_frame frame = m->state[m->steps];
    for (unsigned i = 0; i <= m->steps; ++i)
        expect_caller(m, m->state[i], 4 * i, true);
    expect_caller(m, frame, 4 * m->steps + 4 * (uint32_t)world_any(&world, 4), false);
    for (unsigned i = 0; i < m->steps; ++i)
        undone += m->in_epilog[i];
    uint32_t offset = end - 4 * (undone + 1);
    for (unsigned i = m->steps; i-- > 0;) {
        expect_caller(m, frame, offset, true);
        for (unsigned reg = 19; reg <= LR; ++reg) /* what this instruction restores */
            if (frame.x[reg] != m->state[i].x[reg] && m->state[i].x[reg] != m->state[i + 1].x[reg])
                frame.x[reg] = m->state[i].x[reg];
        if (m->in_epilog[i])
            offset += 4;
        frame.sp = m->state[i].sp;
    }
    expect_caller(m, frame, offset, true);
}

static void packed_frames_are_undone_everywhere(void **state)
{
    (void)state;
    struct made m;
    for (unsigned i = 0; i < FRAMES; ++i) {
        put_table(&m, make_packed(&m));
        check_everywhere(&m, m.length);
    }
}

static void frames_of_xdata_are_undone_everywhere(void **state)
{
    (void)state;
    struct made m;
    for (unsigned i = 0; i < FRAMES; ++i) {
        bool one_at_end = world_any(&world, 2) != 0;
        begin(&m);
        make_steps(&m);
        put_table(&m, WORLD_INFO);
        put_xdata(&m, one_at_end, world_any(&world, 4) == 0);
        unsigned epilog = 4 * (m.steps + 1);
        check_everywhere(&m, one_at_end ? m.length : (world_any(&world, 2) ? 0x200 : 0x300) + epilog);
    }
}

static void machine_frame_leads_to_the_very_instruction(void **state)
{
    (void)state;
    struct made m;
    begin(&m);
    now(&m)->sp = WORLD_STACK + 0x400;
    world_push(&world, WORLD_STACK + 0x400, m.caller.sp);
    world_push(&world, WORLD_STACK + 0x408, m.caller.pc);
    m.state[0] = m.work;
    done(&m, 0xe9, 1, true);
    put_table(&m, WORLD_INFO);
    put_xdata(&m, true, false);
    struct kdnet_frame frame = m.state[0];
    frame.pc = WORLD_IMAGE + m.begin + 0x80;
    assert_int_equal(world_unwind(&world, KDNET_MACHINE_ARM64, &frame), KDNET_UNWIND_OK);
    assert_int_equal(frame.pc, m.caller.pc);
    assert_int_equal(frame.sp, m.caller.sp);
    assert_true(frame.exact);
}

static void leaf_returns_by_its_link_register(void **state)
{
    (void)state;
    struct made m;
    begin(&m);
    put_table(&m, 1 | m.length / 4 << 2);
    struct kdnet_frame frame = m.state[0];
    frame.pc = WORLD_IMAGE + m.begin - 0x4000;
    frame.exact = true;
    assert_int_equal(world_unwind(&world, KDNET_MACHINE_ARM64, &frame), KDNET_UNWIND_OK);
    assert_int_equal(frame.pc, m.caller.pc);
    frame = m.state[0];
    frame.pc = WORLD_IMAGE + m.begin - 0x4000; /* a caller is none */
    assert_int_equal(world_unwind(&world, KDNET_MACHINE_ARM64, &frame), KDNET_UNWIND_END);
}

static void any_unwind_data_ends(void **state)
{
    (void)state;
    struct made m;
    unsigned most = 0;
    for (unsigned i = 0; i < 5000; ++i) {
        begin(&m);
        put_table(&m, world_any(&world, 2) ? WORLD_INFO : (uint32_t)test_random_next(&world.random));
        test_random_fill(&world.random, world.image + WORLD_INFO, 0x1000);
        world.image[WORLD_INFO + 2] &= 0xf3; /* the version */
        struct kdnet_frame frame = m.state[0];
        frame.pc = WORLD_IMAGE + m.begin + 4 * world_any(&world, 64);
        frame.exact = world_any(&world, 2) != 0;
        (void)world_unwind(&world, KDNET_MACHINE_ARM64, &frame);
        most = world.asked > most ? world.asked : most;
    }
    print_message("ARM64, hostile: at most %u blocks for a frame\n", most);
    assert_in_range(most, 1, 64);
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
        cmocka_unit_test(packed_frames_are_undone_everywhere),
        cmocka_unit_test(frames_of_xdata_are_undone_everywhere),
        cmocka_unit_test(machine_frame_leads_to_the_very_instruction),
        cmocka_unit_test(leaf_returns_by_its_link_register),
        cmocka_unit_test(any_unwind_data_ends),
    };
    return cmocka_run_group_tests(tests, seed, NULL);
}
