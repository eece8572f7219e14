/* SPDX-License-Identifier: Apache-2.0 */
/* Where crashes came from: a kernel, a driver among many images, stacks; what it costs, and what a liar can do. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "tests/kdnet/trace_box.h"
#include "tests/support/random.h"

static struct kdnet_trace_cache *cache;

static void make_box(uint64_t seed, struct kdnet_trace_start *start)
{
    static const struct box_driver nic = {"ExampleNic.sys", STAMP, FAULT, DRIVER_AT};
    make_box_of(seed, 0, &nic, start);
    start->cache = cache;
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
    expect_bucket(trace, 0xd1, BUCKET);
    assert_false(trace->cut);
    assert_int_equal(trace->frame_count, FRAME_COUNT);
    for (unsigned i = 0; i < FRAME_COUNT; ++i) {
        const struct kdnet_image_place *image = &trace->image[trace->frame[i].image];
        assert_string_equal(image->name, i == 3 ? "examplenic.sys" : "ntoskrnl.exe");
        assert_int_equal(trace->frame[i].address - image->base, frame_offset(i));
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
    kdnet_put_le64(box.pool_bytes, box.pool + 0x100 + ENTRY_SIZE * DRIVER_AT); /* the driver is the first */
    expect_whole(run(&start));
}

static void fault_in_the_kernel_is_blamed_on_who_called_it(void **state)
{
    (void)state;
    struct kdnet_trace_start start;
    make_box(1, &start);
    kdnet_put_le64(box.pool_bytes, box.pool + 0x100 + ENTRY_SIZE * DRIVER_AT);
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
    kdnet_put_le64(box.pool_bytes, box.pool + 0x100 + ENTRY_SIZE * DRIVER_AT);
    kdnet_put_le64(box.stack_bytes + 0x800 + 16, box.driver + FAULT);
    start.bugcheck = (struct kdnet_bugcheck){.code = 0x139, .parameters = {3, 0, box.stack + 0x800, 0}};
    expect_bucket(run(&start), 0x139, "139 examplenic.sys+0x5678@5F3A1B2C");
}

#define RECORD_AT   0xbf0U /* in the stack's page, across two blocks */
#define FAULT_SP_AT 0x190U /* the stack pointer of the driver's frame */

/* A bug check whose parameter points to a record of the fault: the processor itself stands far behind it. */
static void make_record(struct kdnet_trace_start *start, bool trap)
{
    uint8_t *record = box.stack_bytes + RECORD_AT;
    start->bugcheck = (struct kdnet_bugcheck){.code = trap ? 0x8e : 0x3b};
    start->bugcheck.parameters[1] = box.driver + box.with.fault;
    start->bugcheck.parameters[2] = box.stack + RECORD_AT;
    kdnet_put_le32(record + 0x30, 0x10001f);
    kdnet_put_le64(record + (trap ? 0x168 : 0xf8), box.driver + box.with.fault);
    kdnet_put_le64(record + (trap ? 0x180 : 0x98), box.stack + FAULT_SP_AT);
    kdnet_put_le64(record + 0x170, 0x10);
}

static void expect_stack_of_the_fault(const struct kdnet_trace *trace)
{
    assert_int_equal(trace->frame_count, 2);
    assert_int_equal(trace->frame[0].address, box.driver + FAULT);
    assert_int_equal(trace->frame[1].address, box.nt + frame_offset(4));
}

static void record_of_the_fault_begins_the_stack(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 6; ++i) {
        struct kdnet_trace_start start;
        bool trap = i % 2 == 1;
        make_box(i + 1, &start);
        kdnet_put_le64(box.pool_bytes, box.pool + 0x100 + ENTRY_SIZE * DRIVER_AT);
        make_record(&start, trap);
        expect_stack_of_the_fault(run(&start));
        expect_bucket(&search.trace, start.bugcheck.code,
                      trap ? "8E examplenic.sys+0x5678@5F3A1B2C" : "3B examplenic.sys+0x5678@5F3A1B2C");
        assert_in_range(box.asked, 1, i < 2 ? KDNET_TRACE_BLOCKS : KDNET_TRACE_FAMILIAR);
        start.frame_known = false; /* the record is enough */
        expect_stack_of_the_fault(run(&start));
    }
}

static void record_that_is_none_leaves_the_stack_of_the_break(void **state)
{
    (void)state;
    struct kdnet_trace_start start;
    make_box(1, &start);
    kdnet_put_le64(box.pool_bytes, box.pool + 0x100 + ENTRY_SIZE * DRIVER_AT);
    make_record(&start, false);
    kdnet_put_le32(box.stack_bytes + RECORD_AT + 0x30, 0x30007); /* of another machine */
    assert_int_equal(run(&start)->frame_count, FRAME_COUNT);
    make_record(&start, false);
    kdnet_put_le64(box.stack_bytes + RECORD_AT + 0xf8, 0x7ff612341000U); /* of a program */
    assert_int_equal(run(&start)->frame_count, FRAME_COUNT);
    make_record(&start, true);
    kdnet_put_le64(box.stack_bytes + RECORD_AT + 0x170, 0x33);
    assert_int_equal(run(&start)->frame_count, FRAME_COUNT);
    make_record(&start, false);
    start.bugcheck.parameters[2] = 0xffffd00000000000U; /* paged out */
    assert_int_equal(run(&start)->frame_count, FRAME_COUNT);
    start.bugcheck.parameters[2] = UINT64_MAX - 8;
    assert_int_equal(run(&start)->frame_count, FRAME_COUNT);
}

static void what_is_paged_out_leaves_the_rest(void **state)
{
    (void)state;
    struct kdnet_trace_start start;
    make_box(1, &start);
    kdnet_put_le64(box.pool_bytes, box.pool + 0x100 + ENTRY_SIZE * DRIVER_AT);
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
        kdnet_put_le64(box.pool_bytes, box.pool + 0x100 + ENTRY_SIZE * DRIVER_AT);
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
    kdnet_put_le64(box.pool_bytes, box.pool + 0x100 + ENTRY_SIZE * DRIVER_AT);
    put_name(0x100 + ENTRY_SIZE * DRIVER_AT + 0x100, "innocent");
    for (unsigned i = 0; i < 5; ++i) /* however often */
        (void)run(&start);
    make_box(2, &start);
    kdnet_put_le64(box.pool_bytes, box.pool + 0x100 + ENTRY_SIZE * DRIVER_AT);
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
        if (i % 2 == 0)
            make_record(&start, i % 4 == 0);
        uint8_t *where[] = {box.nt_bytes, box.driver_bytes, box.pool_bytes, box.stack_bytes};
        size_t sizes[] = {NT_SIZE, DRIVER_SIZE, POOL_SIZE, sizeof box.stack_bytes};
        for (unsigned n = 0; n < 200; ++n) {
            size_t which = test_random_below(&random, 4);
            where[which][test_random_below(&random, sizes[which])] = (uint8_t)test_random_next(&random);
        }
        if (i % 3 == 0) /* a list that comes back to itself */
            kdnet_put_le64(box.pool_bytes + 0x100 + ENTRY_SIZE * (i % 100), box.pool + 0x100);
        (void)run(&start);
        assert_in_range(box.asked, 0, KDNET_TRACE_BLOCKS);
        char bucket[KDNET_BUCKET_SIZE];
        kdnet_trace_bucket(&search.trace, 0xd1, 1, bucket);
        for (const char *c = bucket; *c != '\0'; ++c)
            assert_in_range(*c, ' ', '~');
    }
}

/* Windows 7's list has no time stamps, and x86's none at all: the debug info tells, if it names this very image. */
static void debug_info_has_the_time_stamp_of_a_header_that_is_paged_out(void **state)
{
    (void)state;
    for (unsigned wrong = 0; wrong <= 5; ++wrong) {
        struct kdnet_trace_start start;
        make_box(1 + wrong, &start);
        box.no_header = true;
        start.cache = NULL;
        start.build = 7601;
        uint32_t entry = 0x100 + ENTRY_SIZE * DRIVER_AT, at = entry + 0x140;
        uint8_t *info = box.pool_bytes + at;
        kdnet_put_le64(box.pool_bytes + entry + 0x28, wrong == 5 ? 0x1000 : box.pool + at);
        kdnet_put_le32(box.pool_bytes + entry + 0x9c, 0x99999999U); /* beyond the entry of this build */
        kdnet_put_le16(info, wrong == 1 ? 0x494f : 0x494e);
        kdnet_put_le16(info + 8, wrong == 2 ? 0x14c : 0x8664);
        kdnet_put_le32(info + 12, STAMP);
        kdnet_put_le32(info + 20, DRIVER_SIZE + (wrong == 3));
        kdnet_put_le64(info + 24, box.driver + (wrong == 4));
        expect_bucket(run(&start), 0xd1, wrong == 0 ? BUCKET : "D1 examplenic.sys+0x5678@00000000");
    }
}

/* Two others may have agreed on a wrong header: a machine that shows its own is unwound by its own. */
static void own_header_comes_before_what_others_told(void **state)
{
    (void)state;
    struct kdnet_trace_start start;
    for (unsigned i = 1; i <= 3; ++i) {
        make_box(i, &start);
        start.cache = cache;
        if (i <= 2)
            kdnet_put_le32(box.driver_bytes + 0x80 + 136 + 24, INFO); /* the table is elsewhere */
        (void)run(&start);
        assert_int_equal(search.trace.frame_count == FRAME_COUNT, i == 3);
    }
}

/* Nothing of user space is asked for, wherever the machine's lists and stacks lead; nor beyond an image's own data. */
static void reads_stay_in_the_kernels_half(void **state)
{
    (void)state;
    struct test_random random;
    test_random_init(&random);
    for (unsigned i = 0; i < 300; ++i) {
        struct kdnet_trace_start start;
        uint64_t want;
        make_box(1 + i % 7, &start);
        start.cache = i % 2 == 0 ? cache : NULL;
        uint8_t *where[] = {box.nt_bytes + 0x80, box.driver_bytes + 0x80, box.pool_bytes, box.stack_bytes + 0x100};
        size_t sizes[] = {0x100, 0x100, POOL_SIZE, 0x200};
        for (unsigned n = 0; n < 40; ++n) {
            size_t which = test_random_below(&random, 4);
            uint64_t value = test_random_next(&random) >> (n % 2 == 0 ? 17 : 0);
            kdnet_put_le64(where[which] + test_random_below(&random, sizes[which]) / 8 * 8, value);
        }
        kdnet_trace_begin(&search, &start);
        for (unsigned asked = 0; kdnet_trace_next(&search, &want); ++asked) {
            const uint8_t *bytes = find_bytes(want);
            assert_false(kdnet_machine_is_user_address(KDNET_MACHINE_X64, want));
            assert_in_range(asked, 0, KDNET_TRACE_BLOCKS);
            kdnet_trace_give(&search, bytes, bytes ? KDNET_BLOCK_SIZE : 0);
        }
    }
}

static const struct box_driver caller = {"ExampleNic.sys", STAMP, FAULT, 20};

/* A context at a null pointer, which the driver called: [stack] has the return address behind a call, or not. */
static void make_null_call(struct kdnet_trace_start *start, const uint8_t *code, size_t length)
{
    uint8_t *context = box.stack_bytes + 0x800;
    uint32_t fault = box.with.fault;
    memset(context, 0, 0x400);
    kdnet_put_le32(context + 0x30, 0x10000b);
    kdnet_put_le64(context + 0x98, box.stack + 0x100);
    kdnet_put_le64(box.stack_bytes + 0x100, box.driver + fault);
    kdnet_put_le64(box.stack_bytes + 0x108 + FRAME_SIZE, box.nt + 0xa440);
    memset(box.driver_bytes + fault - 8, 0x90, 8);
    memcpy(box.driver_bytes + fault - length, code, length);
    start->bugcheck = (struct kdnet_bugcheck){0x3b, {0xc0000005U, 0, box.stack + 0x800, 0}};
}

static void call_of_a_null_pointer_is_blamed_on_the_caller(void **state)
{
    static const struct {
        uint8_t code[7], length;
        bool call;
    } rows[] = {
        {{0xff, 0xd0}, 2, true},                   /* call rax */
        {{0x41, 0xff, 0xd3}, 3, true},             /* call r11 */
        {{0xff, 0x13}, 2, true},                   /* call [rbx] */
        {{0xff, 0x50, 0x28}, 3, true},             /* call [rax+28] */
        {{0xff, 0x54, 0x24, 0x30}, 4, true},       /* call [rsp+30] */
        {{0xff, 0x15, 1, 2, 3, 4}, 6, true},       /* call [rip+4030201] */
        {{0xff, 0x90, 1, 2, 3, 4}, 6, true},       /* call [rax+4030201] */
        {{0xff, 0x94, 0x24, 1, 2, 3, 4}, 7, true}, /* call [rsp+4030201] */
        {{0xff, 0x14, 0x25, 1, 2, 3, 4}, 7, true}, /* call [4030201] */
        {{0xff, 0x14, 0xc8}, 3, true},             /* call [rax+rcx*8] */
        {{0xe8, 1, 2, 3, 4}, 5, true},             /* call a dispatcher, which jumped */
        {{0xff, 0xe0}, 2, false},                  /* jmp rax */
        {{0xff, 0x50, 0x28, 0x90}, 4, false},      /* a call, and something behind it */
        {{0x90}, 1, false},
    };
    (void)state;
    for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; ++i) {
        struct kdnet_trace_start start;
        make_box_of(1 + i, 0, &caller, &start);
        make_null_call(&start, rows[i].code, rows[i].length);
        const struct kdnet_trace *trace = run(&start);
        assert_int_equal(trace->frame[0].address, 0);
        assert_int_equal(trace->frame[0].image, KDNET_TRACE_NO_IMAGE);
        assert_int_equal(trace->frame_count, rows[i].call ? 3 : 1);
        if (rows[i].call)
            expect_bucket(trace, 0x3b, "3B examplenic.sys+0x5678@5F3A1B2C");
    }
}

/* On ARM64 the return address is in a register. */
static void so_it_is_on_arm64(void **state)
{
    static const struct {
        uint32_t word;
        bool call;
    } rows[] = {
        {0x94000010, true},  /* bl +40 */
        {0x97ffffff, true},  /* bl -4 */
        {0xd63f0100, true},  /* blr x8 */
        {0xd63f093f, true},  /* blraaz x9 */
        {0xd73f0a11, true},  /* blraa x16, x17 */
        {0x14000010, false}, /* b +40 */
        {0xd61f0100, false}, /* br x8 */
        {0xd65f03c0, false}, /* ret */
        {0, false},
    };
    (void)state;
    for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; ++i) {
        struct kdnet_trace_start start;
        make_box_of(1 + i, 0, &caller, &start);
        kdnet_put_le16(box.nt_bytes + 0x84, KDNET_MACHINE_ARM64);
        kdnet_put_le16(box.driver_bytes + 0x84, KDNET_MACHINE_ARM64);
        kdnet_put_le32(box.driver_bytes + box.with.fault - 4, rows[i].word);
        start.machine = KDNET_MACHINE_ARM64;
        start.bugcheck = (struct kdnet_bugcheck){.code = 0x133}; /* no parameter says */
        start.frame.pc = 0;
        start.frame.x[KDNET_ARM64_LR] = box.driver + box.with.fault;
        const struct kdnet_trace *trace = run(&start);
        assert_int_equal(trace->frame[0].address, 0);
        assert_int_equal(trace->frame_count > 1, rows[i].call);
        if (rows[i].call)
            expect_bucket(trace, 0x133, "133 examplenic.sys+0x5678@5F3A1B2C");
    }
}

/* A page of zeros is no call, nor is a stack in user space, nor code that is paged out. */
static void null_that_nobody_called_ends_the_stack(void **state)
{
    static const uint8_t call[] = {0xff, 0xd0};
    (void)state;
    for (unsigned i = 0; i < 3; ++i) {
        struct kdnet_trace_start start;
        make_box_of(1 + i, 0, &caller, &start);
        make_null_call(&start, call, sizeof call);
        box.no_driver = i == 0;
        if (i == 1)
            kdnet_put_le64(box.stack_bytes + 0x800 + 0x98, 0x7ff000100);
        if (i == 2)
            kdnet_put_le64(box.stack_bytes + 0x100, 0x7ff612345678);
        const struct kdnet_trace *trace = run(&start);
        for (unsigned n = 1; n < trace->frame_count; ++n)
            assert_int_not_equal(trace->frame[n - 1].address, 0);
    }
}

/* Two whole traces by two machines, and none that found more. */
static void group_is_plain_when_two_found_nothing_more(void **state)
{
    (void)state;
    const struct kdnet_bugcheck bugcheck = {.code = 0x133}, other = {.code = 0xd1, .parameters = {0, 0, 0, 0x1234}};
    assert_int_equal(kdnet_trace_cache_group(cache, &bugcheck, 1), KDNET_TRACE_GROUP_UNKNOWN);
    kdnet_trace_cache_learn_group(cache, &bugcheck, 1, 7, false);
    kdnet_trace_cache_learn_group(cache, &bugcheck, 1, 7, false); /* the same machine */
    assert_int_equal(kdnet_trace_cache_group(cache, &bugcheck, 1), KDNET_TRACE_GROUP_UNKNOWN);
    kdnet_trace_cache_learn_group(cache, &bugcheck, 1, 8, false);
    assert_int_equal(kdnet_trace_cache_group(cache, &bugcheck, 1), KDNET_TRACE_GROUP_PLAIN);
    assert_int_equal(kdnet_trace_cache_group(cache, &bugcheck, 2), KDNET_TRACE_GROUP_UNKNOWN); /* another kernel */
    assert_int_equal(kdnet_trace_cache_group(cache, &other, 1), KDNET_TRACE_GROUP_UNKNOWN);
    kdnet_trace_cache_learn_group(cache, &bugcheck, 1, 9, true);
    assert_int_equal(kdnet_trace_cache_group(cache, &bugcheck, 1), KDNET_TRACE_GROUP_FRUITFUL);
}

static void so_many_unknown_crashes_are_traced_in_a_time(void **state)
{
    (void)state;
    uint64_t now_us = 5000000;
    unsigned count = 0;
    while (kdnet_trace_cache_may_find(cache, now_us))
        ++count;
    assert_int_equal(count, 128);
    assert_false(kdnet_trace_cache_may_find(cache, now_us));
    assert_true(kdnet_trace_cache_may_find(cache, now_us + 100000));
    assert_false(kdnet_trace_cache_may_find(cache, now_us + 100000));
}

/* The kernel's header is paged out: its list says how large it is, and it is never taken for another image. */
static void kernel_without_a_header_is_found_in_the_list(void **state)
{
    (void)state;
    struct kdnet_trace_start start;
    make_box(1, &start);
    box.no_tables = true;
    memset(box.nt_bytes, 0, 0x1000);
    start.bugcheck.parameters[3] = box.driver + FAULT;
    kdnet_put_le64(box.pool_bytes, box.pool + 0x100 + ENTRY_SIZE * DRIVER_AT);
    const struct kdnet_trace *trace = run(&start);
    expect_bucket(trace, 0xd1, BUCKET);
    assert_string_equal(trace->image[0].name, "ntoskrnl.exe");
    assert_int_equal(trace->image[0].base, box.nt);
    assert_int_not_equal(trace->address_image, 0);
}

/* An address in it is found in the list, too, and makes no second image of it. */
static void kernel_without_a_header_has_its_size_from_the_list(void **state)
{
    (void)state;
    struct kdnet_trace_start start;
    make_box(1, &start);
    uint8_t *entry = box.pool_bytes + 0x100;
    memset(box.nt_bytes, 0, 0x1000);
    kdnet_put_le64(entry + 0x30, box.nt);
    kdnet_put_le32(entry + 0x40, NT_SIZE);
    kdnet_put_le32(entry + 0x9c, NT_STAMP);
    start.bugcheck.parameters[3] = box.nt + 0x9330;
    const struct kdnet_trace *trace = run(&start);
    assert_true(trace->address == box.nt + 0x9330);
    assert_int_equal(trace->address_image, 0);
    assert_int_equal(trace->image[0].size, NT_SIZE);
    assert_int_equal(trace->image[0].stamp, NT_STAMP);
    for (unsigned i = 1; i < trace->image_count; ++i)
        assert_true(trace->image[i].base != box.nt);
}

/* From the third on a kernel is known by its symbol file; another one is not. */
static void kernel_is_known_by_its_symbol_file(void **state)
{
    (void)state;
    unsigned asked[4];
    for (unsigned i = 0; i < 4; ++i) {
        struct kdnet_trace_start start;
        make_box(i + 1, &start);
        start.kernel_id = i < 3 ? 5 : 6;
        expect_bucket(run(&start), 0xd1, BUCKET);
        asked[i] = box.asked;
    }
    assert_true(asked[2] < asked[1]);
    assert_true(asked[3] > asked[2]);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(debug_info_has_the_time_stamp_of_a_header_that_is_paged_out),
        TEST(own_header_comes_before_what_others_told),
        TEST(reads_stay_in_the_kernels_half),
        TEST(call_of_a_null_pointer_is_blamed_on_the_caller),
        TEST(so_it_is_on_arm64),
        TEST(null_that_nobody_called_ends_the_stack),
        TEST(third_machine_with_the_same_fault_is_asked_little),
        TEST(short_list_gives_the_whole_stack_at_once),
        TEST(fault_in_the_kernel_is_blamed_on_who_called_it),
        TEST(exception_record_leads_to_the_instruction),
        TEST(record_of_the_fault_begins_the_stack),
        TEST(record_that_is_none_leaves_the_stack_of_the_break),
        TEST(what_is_paged_out_leaves_the_rest),
        TEST(in_a_storm_the_header_is_enough),
        TEST(what_one_machine_tells_is_not_used),
        TEST(hostile_memory_never_costs_more_than_the_budget),
        TEST(group_is_plain_when_two_found_nothing_more),
        TEST(so_many_unknown_crashes_are_traced_in_a_time),
        TEST(kernel_without_a_header_is_found_in_the_list),
        TEST(kernel_without_a_header_has_its_size_from_the_list),
        TEST(kernel_is_known_by_its_symbol_file),
    };
#undef TEST
    return cmocka_run_group_tests(tests, NULL, NULL);
}
