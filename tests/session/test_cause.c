/* SPDX-License-Identifier: Apache-2.0 */
/* Where a crash came from, at the first break of a machine: what is told, what it costs, and that nothing else waits.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "kdnet/base/wire.h"
#include "kdnet/crash/trace.h"
#include "kdnet/error.h"
#include "kdnet/wire/manipulate.h"
#include "service/kdnet-target/driver_image.h"
#include "tests/session/net.h"

#define SECOND_US UINT64_C(1000000)
#define FAULT     0x1234U
#define BUCKET    "D1 faulty.sys+0x1234@5F3A1B2C"

static struct kdnet_session_shared shared;

static struct {
    unsigned count, traces;
    struct kdnet_event_crash_status status[4];
    struct kdnet_trace trace;
    uint32_t requests[4];
    uint64_t halted_us;
} told;

static void on_told(struct net_pair *pair, const struct kdnet_event *event)
{
    struct machine_result result;
    machine_result(pair->machine, pair->now_us, &result);
    told.halted_us = result.longest_halt_us;
    if (event->type != KDNET_EVENT_CRASH_STATUS || told.count == 4)
        return;
    told.requests[told.count] = result.requests;
    told.status[told.count] = event->u.crash_status;
    if (event->u.crash_status.trace) {
        told.trace = *event->u.crash_status.trace;
        ++told.traces;
    }
    ++told.count;
}

static int set_up(void **state)
{
    (void)state;
    net_shared_init(&shared);
    shared.trace_cache = kdnet_trace_cache_new();
    return shared.trace_cache ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    kdnet_trace_cache_free(shared.trace_cache);
    net_shared_clear(&shared);
    return 0;
}

static void run(const struct machine_config *config, uint64_t seed, net_tamper *tamper)
{
    struct net_pair pair;
    struct machine_config own = *config;
    own.seed = seed;
    memset(&told, 0, sizeof told);
    net_pair_init(&pair, &shared, &own, seed);
    pair.key.bytes[0] ^= (uint8_t)seed;
    pair.weather.delay_us = 250;
    pair.told = on_told;
    pair.tamper = tamper;
    net_pair_run(&pair, 30 * SECOND_US);
    struct machine_result result;
    machine_result(pair.machine, pair.now_us, &result);
    assert_int_equal(machine_harm(&result), 0);
    net_pair_clear(&pair);
}

static void each_machine_tells_its_cause(void **state)
{
    static const enum kdnet_machine kinds[] = {KDNET_MACHINE_X64, KDNET_MACHINE_X86, KDNET_MACHINE_ARM64};
    (void)state;
    for (size_t i = 0; i < 3; ++i) {
        struct machine_config config = {.scenario = "bugcheck", .machine = kinds[i], .cause = FAULT};
        run(&config, 3 + i, NULL);
        assert_int_equal(told.count, 2);
        assert_int_equal(told.traces, 1); /* at the first break only */
        assert_string_equal(told.status[0].bucket, BUCKET);
        assert_string_equal(told.status[1].bucket, BUCKET);
        const struct kdnet_image_place *image = &told.trace.image[told.trace.address_image];
        assert_string_equal(image->name, "faulty.sys");
        assert_int_equal(told.trace.address - image->base, FAULT);
    }
}

static void stack_leads_to_the_fault(void **state)
{
    static const char *const names[] = {"ntoskrnl.exe", "ntoskrnl.exe", "faulty.sys", "ntoskrnl.exe"};
    static const uint32_t offsets[] = {MACHINE_RVA_BREAKPOINT, 0x1700, FAULT, 0x1800};
    (void)state;
    struct machine_config config = {.scenario = "bugcheck", .cause = FAULT};
    run(&config, 7, NULL);
    assert_int_equal(told.trace.frame_count, 4);
    for (unsigned i = 0; i < 4; ++i) {
        const struct kdnet_image_place *image = &told.trace.image[told.trace.frame[i].image];
        assert_string_equal(image->name, names[i]);
        assert_int_equal(told.trace.frame[i].address - image->base, offsets[i]);
    }
    config.bugcheck = 0x133; /* no parameter says: the stack does */
    run(&config, 8, NULL);
    assert_int_equal(told.trace.address, 0);
    assert_string_equal(told.status[0].bucket, "133 faulty.sys+0x1234@5F3A1B2C");
}

/* Each function of the drivers that a linker made, and the chain of x86. */
static void each_function_of_each_driver_is_unwound(void **state)
{
    static const enum kdnet_machine kinds[] = {KDNET_MACHINE_X64, KDNET_MACHINE_ARM64, KDNET_MACHINE_X86};
    static const uint32_t causes[] = {0x1234, 0x1678, 0x19ab, 0x1dd4};
    (void)state;
    for (size_t i = 0; i < 12; ++i) {
        struct machine_config config = {
            .scenario = "bugcheck", .machine = kinds[i / 4], .cause = causes[i % 4], .images = 20};
        config.cause -= config.machine == KDNET_MACHINE_ARM64 ? config.cause % 4 : 0;
        run(&config, 60 + i, NULL);
        if (config.machine == KDNET_MACHINE_ARM64 && driver_images[0].bytes == NULL)
            continue;
        assert_int_equal(told.trace.frame_count, 4);
        const uint32_t offsets[] = {MACHINE_RVA_BREAKPOINT, 0x1700, config.cause, 0x1800};
        for (unsigned n = 0; n < 4; ++n) {
            const struct kdnet_image_place *image = &told.trace.image[told.trace.frame[n].image];
            assert_string_equal(image->name, n == 2 ? "faulty.sys" : "ntoskrnl.exe");
            assert_int_equal(told.trace.frame[n].address - image->base, offsets[n]);
        }
    }
}

/* 3B has a context record, 8E a trap frame: the stack begins at the fault. */
static void stack_begins_at_the_record_of_the_fault(void **state)
{
    static const struct {
        enum kdnet_machine machine;
        uint32_t bugcheck;
        unsigned frames;
    } rows[] = {{KDNET_MACHINE_X64, 0x3b, 2}, {KDNET_MACHINE_X64, 0x8e, 2},   {KDNET_MACHINE_X86, 0x7e, 2},
                {KDNET_MACHINE_X86, 0x8e, 2}, {KDNET_MACHINE_ARM64, 0x3b, 2}, {KDNET_MACHINE_ARM64, 0x8e, 4}};
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; ++i) {
        struct machine_config config = {
            .scenario = "bugcheck", .machine = rows[i].machine, .bugcheck = rows[i].bugcheck, .cause = FAULT};
        run(&config, 80 + i, NULL);
        if (config.machine == KDNET_MACHINE_ARM64 && driver_images[0].bytes == NULL)
            continue;
        assert_int_equal(told.trace.frame_count, rows[i].frames);
        const struct kdnet_trace_frame *frame = &told.trace.frame[rows[i].frames - 2];
        assert_string_equal(told.trace.image[frame->image].name, "faulty.sys");
        assert_int_equal(frame->address - told.trace.image[frame->image].base, FAULT);
        assert_int_equal(told.trace.frame[rows[i].frames - 1].address - told.trace.image[0].base, 0x1800);
    }
}

static void crash_without_a_first_break_is_traced_at_its_last(void **state)
{
    (void)state;
    struct machine_config config = {.scenario = "e2"};
    run(&config, 7, NULL);
    assert_int_equal(told.count, 1);
    assert_int_not_equal(told.status[0].bucket[0], '\0');
}

/* The figures of the table in service/README.md. */
static void costs_are_bounded_and_fall(void **state)
{
    (void)state;
    uint32_t further[5];
    for (unsigned i = 0; i < 5; ++i) {
        struct machine_config config = {.scenario = "bugcheck", .cause = FAULT};
        struct kdnet_trace_cache *cache = shared.trace_cache;
        shared.trace_cache = NULL;
        run(&config, 20 + i, NULL);
        uint32_t without = told.requests[0];
        shared.trace_cache = cache;
        run(&config, 20 + i, NULL);
        further[i] = told.requests[0] - without;
        assert_string_equal(told.status[0].bucket, BUCKET);
        assert_in_range(further[i], 1, i < 2 ? KDNET_TRACE_BLOCKS : KDNET_TRACE_FAMILIAR);
    }
    print_message("cause: %u, %u, then %u further round trips\n", further[0], further[1], further[4]);
}

static bool is_of_trace(const struct net_packet *packet)
{
    struct kdnet_manipulate request;
    return packet->type == KDNET_PACKET_MANIPULATE &&
           kdnet_manipulate_decode(packet->payload, packet->length, &request) == KDNET_OK &&
           request.api == KDNET_API_READ_VIRTUAL_MEMORY && request.u.memory.count == KDNET_BLOCK_SIZE;
}

/* Nothing that the trace asks for gets an answer. */
static bool lose_trace(struct net_pair *pair, bool to_host, struct net_packet *packet)
{
    (void)pair;
    return to_host || packet->control || !is_of_trace(packet);
}

static void status_and_release_are_as_without_it(void **state)
{
    (void)state;
    struct machine_config config = {.scenario = "bugcheck", .cause = FAULT};
    run(&config, 7, lose_trace);
    assert_int_equal(told.count, 2);
    assert_true(told.status[0].status_known);
    assert_true(told.status[1].status_known);
    assert_in_range(told.halted_us, 1, KDNET_READ_DEADLINE_US + SECOND_US / 2);
}

/* Replies to the trace at the first break are lost; those at the last one come. */
static bool lose_first_trace(struct net_pair *pair, bool to_host, struct net_packet *packet)
{
    return told.count > 0 || lose_trace(pair, to_host, packet);
}

static void last_break_tries_again_what_the_first_had_no_time_for(void **state)
{
    (void)state;
    struct machine_config config = {.scenario = "bugcheck", .cause = FAULT};
    run(&config, 7, lose_first_trace);
    assert_int_equal(told.count, 2);
    assert_string_equal(told.status[0].bucket, ""); /* no other group than the right one */
    assert_string_equal(told.status[1].bucket, BUCKET);
}

/* A far machine with a long list: what is left of a quarter of the deadline is all that it is held for longer. */
static void no_more_than_a_quarter_of_the_deadline_is_taken(void **state)
{
    (void)state;
    struct machine_config config = {.scenario = "bugcheck", .cause = FAULT, .images = 1000, .path_ms = 40};
    struct kdnet_trace_cache *cache = shared.trace_cache;
    shared.trace_cache = NULL;
    run(&config, 7, NULL);
    uint64_t without = told.halted_us;
    shared.trace_cache = cache;
    run(&config, 7, NULL);
    assert_int_equal(told.count, 2);
    assert_true(told.status[0].status_known && told.status[1].status_known);
    assert_in_range(told.halted_us, without, without + KDNET_READ_DEADLINE_US / 4 + SECOND_US / 10);
    assert_true(told.trace.cut || told.traces == 0 || told.trace.frame_count < 4);
}

static bool name_everything(void *user, const struct kdnet_pdb *pdb, uint32_t rva, char *name, size_t size,
                            uint32_t *offset)
{
    (void)user;
    *offset = rva % 0x100;
    (void)snprintf(name, size, "%s", pdb->name[0] == 'f' ? "FaultyRead" : "KiExample");
    return true;
}

/* Symbols name frames, and change no group; each processor, the first machine and the fifth. */
static void group_is_the_same_with_symbols_and_without(void **state)
{
    static const enum kdnet_machine kinds[] = {KDNET_MACHINE_X64, KDNET_MACHINE_X86, KDNET_MACHINE_ARM64};
    (void)state;
    for (unsigned i = 0; i < 30; ++i) {
        struct machine_config config = {
            .scenario = "bugcheck", .machine = kinds[i % 3], .cause = FAULT, .images = i % 2 ? 200 : 0};
        bool named = i / 3 % 2 == 1;
        shared.find_name = named ? name_everything : NULL;
        run(&config, 100 + i, NULL);
        assert_string_equal(told.status[0].bucket, BUCKET);
        const struct kdnet_trace_name *name = &told.trace.address_name;
        if (named && told.trace.pdb_image != KDNET_TRACE_NO_IMAGE) {
            assert_string_equal(name->text, "FaultyRead");
            assert_int_equal(name->offset, FAULT % 0x100);
        } else {
            assert_string_equal(name->text, "");
        }
    }
}

static void in_a_storm_a_machine_in_a_group_is_traced(void **state)
{
    (void)state;
    struct machine_config config = {.scenario = "bugcheck", .cause = FAULT};
    shared.crash_storm = true;
    for (unsigned i = 0; i < 6; ++i) {
        run(&config, 40 + i, NULL);
        assert_string_equal(told.status[0].bucket, BUCKET);
        if (i < 2) /* nobody can tell yet where such an address lies */
            assert_true(told.trace.frame_count > 0);
        else
            assert_int_equal(told.trace.frame_count, 0);
    }
}

/* Each names another address, and none lies in an image that two have told: so many are traced, and of the others the
 * next break is asked. */
static void in_a_storm_only_so_many_unknown_crashes_are_traced(void **state)
{
    (void)state;
    unsigned traced = 0, later = 0;
    shared.crash_storm = true;
    for (unsigned i = 0; i < 180; ++i) {
        struct machine_config config = {.scenario = "bugcheck"};
        run(&config, 300 + i, NULL);
        bool is_later = told.status[0].bucket[0] == '\0';
        traced += !is_later;
        later += is_later;
        assert_true(told.status[0].status_known && told.status[1].status_known);
        assert_int_not_equal(told.status[1].bucket[0], '\0');
    }
    print_message("storm: %u traced at once, %u later\n", traced, later);
    assert_in_range(traced, 128, 140);
}

/* The header of the image is paged out on this machine: its code tells. */
static void in_a_storm_code_tells_where_a_header_does_not(void **state)
{
    (void)state;
    struct machine_config config = {.scenario = "bugcheck", .cause = FAULT};
    for (unsigned i = 0; i < 3; ++i)
        run(&config, 600 + i, NULL);
    shared.crash_storm = true;
    config.paged_out = true;
    for (unsigned i = 0; i < 3; ++i) {
        run(&config, 610 + i, NULL);
        assert_string_equal(told.status[0].bucket, BUCKET);
    }
}

/* The very first machine of its kind: the list of x86 has no time stamps, but the image's debug info is resident. */
static void paged_out_header_hides_no_time_stamp(void **state)
{
    static const enum kdnet_machine kinds[] = {KDNET_MACHINE_X64, KDNET_MACHINE_X86, KDNET_MACHINE_ARM64};
    (void)state;
    for (size_t i = 0; i < 3; ++i) {
        struct machine_config config = {
            .scenario = "bugcheck", .machine = kinds[i], .cause = FAULT, .images = 20, .paged_out = true};
        run(&config, 640 + i, NULL);
        assert_string_equal(told.status[0].bucket, BUCKET);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(each_machine_tells_its_cause),
        TEST(paged_out_header_hides_no_time_stamp),
        TEST(stack_leads_to_the_fault),
        TEST(each_function_of_each_driver_is_unwound),
        TEST(stack_begins_at_the_record_of_the_fault),
        TEST(crash_without_a_first_break_is_traced_at_its_last),
        TEST(costs_are_bounded_and_fall),
        TEST(status_and_release_are_as_without_it),
        TEST(last_break_tries_again_what_the_first_had_no_time_for),
        TEST(no_more_than_a_quarter_of_the_deadline_is_taken),
        TEST(group_is_the_same_with_symbols_and_without),
        TEST(in_a_storm_a_machine_in_a_group_is_traced),
        TEST(in_a_storm_only_so_many_unknown_crashes_are_traced),
        TEST(in_a_storm_code_tells_where_a_header_does_not),
    };
#undef TEST
    return cmocka_run_group_tests(tests, NULL, NULL);
}
