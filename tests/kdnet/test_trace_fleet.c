/* SPDX-License-Identifier: Apache-2.0 */
/* Many machines, few causes: each has the group, the stack and the assessment that its own truth says, and the third
 * with a fault costs little, whatever is paged out there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "kdnet/assessment.h"
#include "tests/kdnet/trace_box.h"
#include "tests/support/random.h"

#define MACHINES    1000U
#define KERNELS     4U
#define DRIVERS     3U
#define STORM       10000U
#define OTHERS      50U
#define BUILD       20348U
#define MACHINE_US  1000U /* between two crashes of a storm */
#define BUCKETS_MAX 64U

static const struct box_driver drivers[DRIVERS] = {
    {"ExampleNic.sys", STAMP, FAULT, 150},
    {"exampledisk.sys", STAMP + 1, 0x6789, 20},
    {"ExampleFs.SYS", STAMP + 2, 0x5abc, 90},
};
static const char *const names[DRIVERS] = {"examplenic.sys", "exampledisk.sys", "examplefs.sys"};
static struct kdnet_trace_cache *cache;

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

/* --- one machine -------------------------------------------------------------------------------------------------- */

static void expect_bucket(const struct kdnet_trace *trace, const char *name)
{
    char bucket[KDNET_BUCKET_SIZE], expected[KDNET_BUCKET_SIZE];
    kdnet_trace_bucket(trace, 0xd1, BUILD, bucket);
    (void)snprintf(expected, sizeof expected, "D1 %s+0x%x@%08X", name, (unsigned)box.with.fault,
                   (unsigned)box.with.stamp);
    assert_string_equal(bucket, expected);
}

/* Frames are those of the truth, from the first on; all of them, when nothing is missing. */
static void expect_stack(const struct kdnet_trace *trace, const char *name, bool whole)
{
    assert_in_range(trace->frame_count, whole ? FRAME_COUNT : 1, FRAME_COUNT);
    assert_true(!whole || !trace->cut);
    for (unsigned i = 0; i < trace->frame_count; ++i) {
        assert_int_equal(trace->frame[i].address, frame_base(i) + frame_offset(i));
        if (trace->frame[i].image == KDNET_TRACE_NO_IMAGE)
            continue;
        const struct kdnet_image_place *image = &trace->image[trace->frame[i].image];
        assert_string_equal(image->name, i == 3 ? name : "ntoskrnl.exe");
        assert_int_equal(image->base, frame_base(i));
    }
}

/* What became of its dump, as the two breaks show it, and what is said of that. */
static void expect_assessment(uint64_t fate)
{
    static const enum kdnet_likely likely[] = {KDNET_LIKELY_WRITTEN, KDNET_LIKELY_FAILED, KDNET_LIKELY_NONE,
                                               KDNET_LIKELY_NONE};
    static const uint32_t progress[] = {100, 37, 0, 0};
    const enum kdnet_pointer_fact block = fate == 2 ? KDNET_POINTER_NULL : KDNET_POINTER_SET;
    struct kdnet_dump_facts facts = {.verdict = KDNET_VERDICT_UNKNOWN,
                                     .phase = KDNET_PHASE_BUGCHECK_SECOND,
                                     .first_seen = true,
                                     .first = {.block = block, .driver = block, .progress_known = true},
                                     .since_first_known = true,
                                     .since_first_us = 9000000};
    struct kdnet_assessment assessment;
    facts.now = facts.first;
    facts.now.progress = progress[fate];
    assert_int_equal(kdnet_dump_never_set_up(&facts), fate == 2);
    if (fate == 2)
        facts.verdict = KDNET_VERDICT_NOT_STARTED;
    kdnet_assess(&facts, &assessment);
    assert_int_equal(assessment.likely, likely[fate]);
    assert_int_equal(assessment.strong, fate == 0);
}

/* --- the fleet ---------------------------------------------------------------------------------------------------- */

static void each_machine_of_a_fleet_tells_its_own_truth(void **state)
{
    struct test_random random;
    unsigned seen[KERNELS][DRIVERS] = {{0}}, most = 0, whole_stacks = 0;
    (void)state;
    test_random_init(&random);
    for (unsigned i = 0; i < MACHINES; ++i) {
        struct kdnet_trace_start start;
        unsigned kernel = (unsigned)test_random_below(&random, KERNELS);
        unsigned driver = (unsigned)test_random_below(&random, DRIVERS);
        bool paged_out = test_random_below(&random, 2) == 0;
        make_box_of(i + 1, kernel, &drivers[driver], &start);
        start.cache = cache;
        box.no_header = paged_out && test_random_below(&random, 2) == 0;
        box.no_tables = paged_out && !box.no_header;
        bool first_two = seen[kernel][driver]++ < 2;
        const struct kdnet_trace *trace = run(&start);
        expect_bucket(trace, names[driver]);
        expect_stack(trace, names[driver], !paged_out && !first_two);
        expect_assessment(test_random_below(&random, 4));
        assert_in_range(box.asked, 1, first_two ? KDNET_TRACE_BLOCKS : KDNET_TRACE_FAMILIAR);
        whole_stacks += trace->frame_count == FRAME_COUNT;
        most = !first_two && box.asked > most ? box.asked : most;
    }
    print_message("fleet: %u machines, %u whole stacks, at most %u round trips from the third with a fault on\n",
                  MACHINES, whole_stacks, most);
}

/* --- a storm ------------------------------------------------------------------------------------------------------ */

static struct {
    unsigned count;
    char name[BUCKETS_MAX][KDNET_BUCKET_SIZE];
    unsigned machines[BUCKETS_MAX];
} buckets;

static void count_bucket(const char *name)
{
    unsigned i = 0;
    while (i < buckets.count && strcmp(buckets.name[i], name) != 0)
        ++i;
    assert_in_range(i, 0, BUCKETS_MAX - 1);
    if (i == buckets.count)
        memcpy(buckets.name[buckets.count++], name, KDNET_BUCKET_SIZE);
    ++buckets.machines[i];
}

static void crash_in_storm(unsigned machine, const struct box_driver *with)
{
    struct kdnet_trace_start start;
    char name[KDNET_BUCKET_SIZE] = {0};
    make_box_of(machine, 0, with, &start);
    start.cache = cache;
    start.storm = !kdnet_trace_cache_may_ask(cache, &start.bugcheck, 0, (uint64_t)machine * MACHINE_US + 1);
    const struct kdnet_trace *trace = run(&start);
    kdnet_trace_bucket(trace, start.bugcheck.code, BUILD, name);
    count_bucket(name);
}

static void storm_with_one_cause_and_fifty_others_has_51_buckets(void **state)
{
    unsigned other = 0, asked = 0;
    (void)state;
    memset(&buckets, 0, sizeof buckets);
    for (unsigned i = 1; i <= STORM + OTHERS; ++i) {
        char name[32];
        struct box_driver with = {name, STAMP + 100 + other, 0x5000 + 0x21 * other, 5 + 3 * (other % OTHERS)};
        (void)snprintf(name, sizeof name, "other%u.sys", 1000 + other);
        bool is_other = i % (STORM / OTHERS) == 7 && other < OTHERS;
        crash_in_storm(i, is_other ? &with : &drivers[0]);
        other += is_other;
        asked += box.asked;
    }
    print_message("storm: %u buckets, %.1f round trips a machine\n", buckets.count, (double)asked / (STORM + OTHERS));
    assert_int_equal(other, OTHERS);
    assert_int_equal(buckets.count, OTHERS + 1);
    assert_string_equal(buckets.name[0], "D1 examplenic.sys+0x5678@5F3A1B2C");
    assert_int_equal(buckets.machines[0], STORM);
    for (unsigned i = 1; i <= OTHERS; ++i)
        assert_int_equal(buckets.machines[i], 1);
    assert_true(asked < 4 * (STORM + OTHERS)); /* nearly all of them two or three */
}

/* --- what the third machine is asked ------------------------------------------------------------------------------ */

/* The crashing address lies in no image at all: two machines look for it, the third need not. */
static void third_machine_does_not_look_for_what_two_have_not_found(void **state)
{
    (void)state;
    for (unsigned i = 1; i <= 5; ++i) {
        struct kdnet_trace_start start;
        make_box_of(i, 0, &drivers[1], &start);
        start.cache = cache;
        start.bugcheck.parameters[3] = 0xffffc00000000123U + 0x100000U * i;
        start.frame_known = false;
        (void)run(&start);
        assert_in_range(box.asked, 1, i <= 2 ? KDNET_TRACE_BLOCKS : KDNET_TRACE_FAMILIAR);
    }
}

/* Faults of two drivers may lie at the same place of a page: what two found of one says nothing of the other. */
static void fault_at_the_same_place_of_a_page_is_looked_for(void **state)
{
    static const struct box_driver one = {"ExampleOne.sys", STAMP + 8, 0x5abc, 90},
                                   other = {"ExampleOther.sys", STAMP + 9, 0x6abc, 120};
    (void)state;
    for (unsigned i = 1; i <= 8; ++i) {
        struct kdnet_trace_start start;
        make_box_of(i, 0, i <= 4 ? &one : &other, &start);
        start.cache = cache;
        expect_bucket(run(&start), i <= 4 ? "exampleone.sys" : "exampleother.sys");
        assert_in_range(box.asked, 1, i % 4 == 1 || i % 4 == 2 ? KDNET_TRACE_BLOCKS : KDNET_TRACE_FAMILIAR);
    }
}

/* An image is known by its code when its header is paged out; one with other code there is looked for in the list. */
static void code_of_another_image_is_not_believed(void **state)
{
    (void)state;
    struct kdnet_trace_start start;
    static const struct box_driver twin = {"ExampleTwin.sys", STAMP + 7, 0x6789, 20};
    for (unsigned i = 1; i <= 3; ++i) {
        make_box_of(i, 0, &drivers[1], &start);
        start.cache = cache;
        expect_bucket(run(&start), names[1]);
    }
    make_box_of(9, 0, &twin, &start);
    start.cache = cache;
    box.no_header = true;
    expect_bucket(run(&start), "exampletwin.sys");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(each_machine_of_a_fleet_tells_its_own_truth),
        TEST(storm_with_one_cause_and_fifty_others_has_51_buckets),
        TEST(third_machine_does_not_look_for_what_two_have_not_found),
        TEST(fault_at_the_same_place_of_a_page_is_looked_for),
        TEST(code_of_another_image_is_not_believed),
    };
#undef TEST
    return cmocka_run_group_tests(tests, NULL, NULL);
}
