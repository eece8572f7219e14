/* SPDX-License-Identifier: Apache-2.0 */
/* Where crashes came from: a kernel, a driver among many images, stacks; what it costs, and what a liar can do. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "kdnet/base/wire.h"
#include "kdnet/crash/trace.h"
#include "tests/support/random.h"

#define NT_SIZE     0x20000U
#define DRIVER_SIZE 0x8000U
#define POOL_SIZE   0x20000U
#define TABLE       0x1000U
#define INFO        0x4000U
#define FAULT       0x5678U /* in the driver */
#define DRIVER_AT   150U    /* in the list */
#define IMAGES      200U
#define FRAME_SIZE  0x28U

/* One machine: its kernel and driver somewhere, its list of images, and a stack. */
struct box {
    uint64_t nt, driver, pool, stack;
    uint8_t nt_bytes[NT_SIZE], driver_bytes[DRIVER_SIZE], pool_bytes[POOL_SIZE], stack_bytes[0x1000];
    bool no_list, no_driver, no_tables; /* paged out */
    unsigned asked;
};

static struct box box;
static struct kdnet_trace_search search;
static struct kdnet_trace_cache *cache;

/* --- the machine -------------------------------------------------------------------------------------------------- */

/* An image whose functions, 0x100 bytes each from 0x5000 on, have a frame of FRAME_SIZE bytes. */
static void make_image(uint8_t *bytes, uint32_t size, uint32_t stamp, uint64_t base)
{
    uint8_t *nt = bytes + 0x80;
    memset(bytes, 0, size);
    memcpy(bytes, "MZ", 2);
    bytes[0x3c] = 0x80;
    memcpy(nt, "PE", 2);
    kdnet_put_le16(nt + 4, 0x8664);
    kdnet_put_le32(nt + 8, stamp);
    kdnet_put_le16(nt + 24, 0x20b);
    kdnet_put_le64(nt + 48, base); /* as the loader writes it: different on each machine */
    kdnet_put_le32(nt + 80, size);
    kdnet_put_le32(nt + 132, 16);
    kdnet_put_le32(nt + 136 + 24, TABLE);
    unsigned count = (size - 0x5000) / 0x100;
    kdnet_put_le32(nt + 136 + 28, count * 12);
    for (unsigned i = 0; i < count; ++i) {
        kdnet_put_le32(bytes + TABLE + (size_t)12 * i, 0x5000 + 0x100 * i);
        kdnet_put_le32(bytes + TABLE + (size_t)12 * i + 4, 0x5100 + 0x100 * i);
        kdnet_put_le32(bytes + TABLE + (size_t)12 * i + 8, INFO);
    }
    memcpy(bytes + INFO, (const uint8_t[]){1, 4, 1, 0, 4, 0x42}, 6); /* sub rsp, 28 */
}

static void put_name(uint32_t at, const char *name)
{
    for (size_t i = 0; name[i] != '\0'; ++i)
        kdnet_put_le16(box.pool_bytes + at + 2 * i, (uint8_t)name[i]);
}

/* The list's head is at 0 of the pool; entries of 0x180 bytes behind it, with their names. */
static void make_list(void)
{
    kdnet_put_le64(box.pool_bytes, box.pool + 0x100);
    for (unsigned i = 0; i < IMAGES; ++i) {
        char name[32];
        uint32_t at = 0x100 + 0x180 * i;
        uint8_t *entry = box.pool_bytes + at;
        bool driver = i == DRIVER_AT;
        (void)snprintf(name, sizeof name, driver ? "ExampleNic.sys" : "other%u.sys", i);
        kdnet_put_le64(entry, i + 1 < IMAGES ? box.pool + at + 0x180 : box.pool);
        kdnet_put_le64(entry + 0x30, driver ? box.driver : 0xfffff90000000000U + 0x10000U * i);
        kdnet_put_le32(entry + 0x40, driver ? DRIVER_SIZE : 0x8000);
        kdnet_put_le16(entry + 0x58, (uint16_t)(2 * strlen(name)));
        kdnet_put_le64(entry + 0x60, box.pool + at + 0x100);
        kdnet_put_le32(entry + 0x9c, driver ? 0x5f3a1b2c : 0x1000 + i);
        put_name(at + 0x100, name);
    }
}

/* nt, nt, nt, the driver, nt, then nobody. */
static void make_stack(struct kdnet_frame *frame)
{
    uint64_t pcs[] = {box.nt + 0x5110, box.nt + 0x5220, box.nt + 0x9330, box.driver + FAULT, box.nt + 0xa440, 0};
    memset(box.stack_bytes, 0, sizeof box.stack_bytes);
    for (size_t i = 1; i < sizeof pcs / sizeof pcs[0]; ++i)
        kdnet_put_le64(box.stack_bytes + 0x100 + (FRAME_SIZE + 8) * i - 8, pcs[i]);
    memset(frame, 0, sizeof *frame);
    frame->pc = pcs[0];
    frame->sp = box.stack + 0x100;
    frame->exact = true;
}

static void make_box(uint64_t seed, struct kdnet_trace_start *start)
{
    memset(&box, 0, sizeof box);
    box.nt = 0xfffff80000000000U + seed * 0x200000U;
    box.driver = 0xfffff88000000000U + seed * 0x11000U;
    box.pool = 0xffffa00000000000U + seed * 0x100000U;
    box.stack = 0xffffb00000000000U + seed * 0x10000U;
    make_image(box.nt_bytes, NT_SIZE, 0xaabbccdd, box.nt);
    make_image(box.driver_bytes, DRIVER_SIZE, 0x5f3a1b2c, box.driver);
    make_list();
    *start = (struct kdnet_trace_start){.machine = KDNET_MACHINE_X64,
                                        .bugcheck = {.code = 0xd1},
                                        .kernel_base = box.nt,
                                        .module_list = box.pool,
                                        .frame_known = true,
                                        .cache = cache,
                                        .teller = seed};
    start->bugcheck.parameters[3] = box.driver + FAULT;
    make_stack(&start->frame);
}

static const uint8_t *find_bytes(uint64_t at)
{
    if (at - box.nt < NT_SIZE)
        return box.no_tables && at - box.nt >= TABLE ? NULL : box.nt_bytes + (at - box.nt);
    if (at - box.driver < DRIVER_SIZE && !box.no_driver)
        return box.driver_bytes + (at - box.driver);
    if (at - box.pool < POOL_SIZE && !box.no_list)
        return box.pool_bytes + (at - box.pool);
    if (at - box.stack < sizeof box.stack_bytes)
        return box.stack_bytes + (at - box.stack);
    return NULL;
}

static const struct kdnet_trace *run(const struct kdnet_trace_start *start)
{
    uint64_t want;
    kdnet_trace_begin(&search, start);
    for (box.asked = 0; kdnet_trace_next(&search, &want); ++box.asked) {
        const uint8_t *bytes = find_bytes(want);
        assert_int_equal(want % KDNET_BLOCK_SIZE, 0);
        kdnet_trace_give(&search, bytes, bytes ? KDNET_BLOCK_SIZE : 0);
    }
    assert_false(kdnet_trace_next(&search, &want));
    return &search.trace;
}

static void expect_bucket(const struct kdnet_trace *trace, uint32_t code, const char *expected)
{
    char bucket[KDNET_BUCKET_SIZE];
    kdnet_trace_bucket(trace, code, 20348, bucket);
    assert_string_equal(bucket, expected);
}

#define BUCKET "D1 examplenic.sys+0x5678@5F3A1B2C"

static void expect_whole(const struct kdnet_trace *trace)
{
    static const uint64_t offsets[] = {0x5110, 0x5220, 0x9330, FAULT, 0xa440};
    expect_bucket(trace, 0xd1, BUCKET);
    assert_false(trace->cut);
    assert_int_equal(trace->frame_count, 5);
    for (unsigned i = 0; i < 5; ++i) {
        const struct kdnet_image_place *image = &trace->image[trace->frame[i].image];
        assert_string_equal(image->name, i == 3 ? "examplenic.sys" : "ntoskrnl.exe");
        assert_int_equal(trace->frame[i].address - image->base, offsets[i]);
    }
}

/* --- tests -------------------------------------------------------------------------------------------------------- */

static int set_up(void **state)
{
    (void)state;
    cache = kdnet_trace_cache_new();
    return cache ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    kdnet_trace_cache_free(cache);
    return 0;
}

static void third_machine_with_the_same_fault_is_asked_little(void **state)
{
    (void)state;
    unsigned asked[6] = {0};
    for (unsigned i = 0; i < 6; ++i) {
        struct kdnet_trace_start start;
        make_box(i + 1, &start);
        const struct kdnet_trace *trace = run(&start);
        asked[i] = box.asked;
        expect_bucket(trace, 0xd1, BUCKET);
        if (i >= 2)
            expect_whole(trace);
    }
    print_message("round trips: %u, %u, then %u, %u\n", asked[0], asked[1], asked[2], asked[5]);
    for (unsigned i = 0; i < 6; ++i)
        assert_in_range(asked[i], 1, i < 2 ? KDNET_TRACE_BLOCKS : KDNET_TRACE_FAMILIAR);
}

static void short_list_gives_the_whole_stack_at_once(void **state)
{
    (void)state;
    struct kdnet_trace_start start;
    make_box(1, &start);
    kdnet_put_le64(box.pool_bytes, box.pool + 0x100 + 0x180 * DRIVER_AT); /* the driver is the first */
    expect_whole(run(&start));
}

static void fault_in_the_kernel_is_blamed_on_who_called_it(void **state)
{
    (void)state;
    struct kdnet_trace_start start;
    make_box(1, &start);
    kdnet_put_le64(box.pool_bytes, box.pool + 0x100 + 0x180 * DRIVER_AT);
    start.bugcheck = (struct kdnet_bugcheck){.code = 0x0a, .parameters = {0, 2, 0, box.nt + 0x9330}};
    expect_bucket(run(&start), 0x0a, "A examplenic.sys+0x5678@5F3A1B2C");
    start.frame_known = false;
    expect_bucket(run(&start), 0x0a, "A ntoskrnl.exe+0x9330@AABBCCDD");
    start.bugcheck.code = 0xe2;
    expect_bucket(run(&start), 0xe2, "E2 build 20348");
}

static void exception_record_leads_to_the_instruction(void **state)
{
    (void)state;
    struct kdnet_trace_start start;
    make_box(1, &start);
    kdnet_put_le64(box.pool_bytes, box.pool + 0x100 + 0x180 * DRIVER_AT);
    kdnet_put_le64(box.stack_bytes + 0x800 + 16, box.driver + FAULT);
    start.bugcheck = (struct kdnet_bugcheck){.code = 0x139, .parameters = {3, 0, box.stack + 0x800, 0}};
    expect_bucket(run(&start), 0x139, "139 examplenic.sys+0x5678@5F3A1B2C");
}

static void what_is_paged_out_leaves_the_rest(void **state)
{
    (void)state;
    struct kdnet_trace_start start;
    make_box(1, &start);
    kdnet_put_le64(box.pool_bytes, box.pool + 0x100 + 0x180 * DRIVER_AT);
    box.no_driver = true; /* even its header: the list says it */
    expect_bucket(run(&start), 0xd1, BUCKET);
    box.no_driver = false;
    box.no_tables = true; /* then its stack ends at once */
    assert_int_equal(run(&start)->frame_count, 1);
    expect_bucket(&search.trace, 0xd1, BUCKET);
    box.no_list = true;
    expect_bucket(run(&start), 0xd1, "D1 build 20348");
}

static void in_a_storm_the_header_is_enough(void **state)
{
    (void)state;
    struct kdnet_trace_start start;
    for (unsigned i = 1; i <= 2; ++i) {
        make_box(i, &start);
        kdnet_put_le64(box.pool_bytes, box.pool + 0x100 + 0x180 * DRIVER_AT);
        (void)run(&start);
    }
    make_box(9, &start);
    start.storm = true;
    expect_bucket(run(&start), 0xd1, BUCKET);
    assert_in_range(box.asked, 1, KDNET_TRACE_IN_STORM);
}

/* One machine that lies about an image is not believed by others. */
static void what_one_machine_tells_is_not_used(void **state)
{
    (void)state;
    struct kdnet_trace_start start;
    make_box(1, &start);
    kdnet_put_le64(box.pool_bytes, box.pool + 0x100 + 0x180 * DRIVER_AT);
    put_name(0x100 + 0x180 * DRIVER_AT + 0x100, "innocent");
    for (unsigned i = 0; i < 5; ++i) /* however often */
        (void)run(&start);
    make_box(2, &start);
    kdnet_put_le64(box.pool_bytes, box.pool + 0x100 + 0x180 * DRIVER_AT);
    expect_bucket(run(&start), 0xd1, BUCKET);
    start.storm = true;
    start.teller = 3;
    expect_bucket(run(&start), 0xd1, BUCKET); /* no two have told the same: it is asked as any other */
    assert_true(box.asked > KDNET_TRACE_IN_STORM);
}

static void hostile_memory_never_costs_more_than_the_budget(void **state)
{
    (void)state;
    struct test_random random;
    test_random_init(&random);
    for (unsigned i = 0; i < 300; ++i) {
        struct kdnet_trace_start start;
        make_box(1 + i % 7, &start);
        uint8_t *where[] = {box.nt_bytes, box.driver_bytes, box.pool_bytes, box.stack_bytes};
        size_t sizes[] = {NT_SIZE, DRIVER_SIZE, POOL_SIZE, sizeof box.stack_bytes};
        for (unsigned n = 0; n < 200; ++n) {
            size_t which = test_random_below(&random, 4);
            where[which][test_random_below(&random, sizes[which])] = (uint8_t)test_random_next(&random);
        }
        if (i % 3 == 0) /* a list that comes back to itself */
            kdnet_put_le64(box.pool_bytes + 0x100 + 0x180 * (i % 100), box.pool + 0x100);
        (void)run(&start);
        assert_in_range(box.asked, 0, KDNET_TRACE_BLOCKS);
        char bucket[KDNET_BUCKET_SIZE];
        kdnet_trace_bucket(&search.trace, 0xd1, 1, bucket);
        for (const char *c = bucket; *c != '\0'; ++c)
            assert_in_range(*c, ' ', '~');
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(third_machine_with_the_same_fault_is_asked_little),
        TEST(short_list_gives_the_whole_stack_at_once),
        TEST(fault_in_the_kernel_is_blamed_on_who_called_it),
        TEST(exception_record_leads_to_the_instruction),
        TEST(what_is_paged_out_leaves_the_rest),
        TEST(in_a_storm_the_header_is_enough),
        TEST(what_one_machine_tells_is_not_used),
        TEST(hostile_memory_never_costs_more_than_the_budget),
    };
#undef TEST
    return cmocka_run_group_tests(tests, NULL, NULL);
}
