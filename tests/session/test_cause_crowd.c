/* SPDX-License-Identifier: Apache-2.0 */
/* Machines of one kernel that crash at the same moment: two are asked in full, the others little, and all know their
 * group at their last break. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "kdnet/crash/trace_search.h"
#include "kdnet/error.h"
#include "kdnet/wire/manipulate.h"
#include "tests/session/net.h"

#define SECOND_US     UINT64_C(1000000)
#define SLICE_US      50U /* how far one machine's clock runs ahead of another's */
#define CROWD         50U
#define VANISH_AT     5U /* questions of the trace */
#define FAULT         0x1234U
#define CROWD_HALT_US 150000U /* of fifty machines on a near network */
#define BUCKET        "D1 faulty.sys+0x1234@5F3A1B2C"

static struct kdnet_session_shared shared;

struct member {
    struct net_pair pair;
    unsigned asked[2]; /* questions of the trace, at the first break and at the last */
    unsigned breaks;   /* results that came */
    const char *expected;
    char bucket[2][KDNET_BUCKET_SIZE];
    bool vanished; /* it says nothing more */
};

static unsigned to_vanish; /* so many of those that are asked most */
static struct member *crowd;

static int set_up(void **state)
{
    (void)state;
    net_shared_init(&shared);
    shared.trace_cache = kdnet_trace_cache_new();
    to_vanish = 0;
    crowd = calloc(CROWD, sizeof *crowd);
    return shared.trace_cache && crowd ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    for (unsigned i = 0; i < CROWD; ++i)
        if (crowd[i].pair.session)
            net_pair_clear(&crowd[i].pair);
    free(crowd);
    kdnet_trace_cache_free(shared.trace_cache);
    net_shared_clear(&shared);
    return 0;
}

static void on_told(struct net_pair *pair, const struct kdnet_event *event)
{
    struct member *member = pair->context;
    if (event->type != KDNET_EVENT_CRASH_STATUS || member->breaks == 2)
        return;
    memcpy(member->bucket[member->breaks++], event->u.crash_status.bucket, KDNET_BUCKET_SIZE);
}

static bool count_questions(struct net_pair *pair, bool to_host, struct net_packet *packet)
{
    struct member *member = pair->context;
    struct kdnet_manipulate request;
    if (!to_host && !packet->control && packet->type == KDNET_PACKET_MANIPULATE &&
        kdnet_manipulate_decode(packet->payload, packet->length, &request) == KDNET_OK &&
        request.api == KDNET_API_READ_VIRTUAL_MEMORY && request.u.memory.count == KDNET_BLOCK_SIZE)
        ++member->asked[member->breaks > 0];
    if (to_vanish > 0 && !member->vanished && member->asked[0] == VANISH_AT) {
        member->vanished = true;
        --to_vanish;
    }
    return !to_host || !member->vanished;
}

/* A machine that crashes at that time, with a path of that length to it. */
static void join(unsigned i, const struct machine_config *config, uint64_t seed, uint64_t start_us, uint32_t delay_us)
{
    struct member *member = &crowd[i];
    struct machine_config own = *config;
    own.seed = seed;
    own.start_us = start_us;
    own.delay_ms = 100; /* the dump */
    net_pair_init(&member->pair, &shared, &own, seed);
    member->pair.key.bytes[0] ^= (uint8_t)seed;
    member->pair.weather.delay_us = delay_us;
    member->pair.told = on_told;
    member->pair.tamper = count_questions;
    member->pair.context = member;
    member->expected = BUCKET;
}

/* All of them, side by side. */
static void run_crowd(uint64_t from_us, uint64_t until_us)
{
    for (uint64_t now_us = from_us; now_us < until_us; now_us += SLICE_US)
        for (unsigned i = 0; i < CROWD; ++i)
            if (crowd[i].pair.session)
                net_pair_run(&crowd[i].pair, now_us + SLICE_US);
}

/* Returns whether the machine knew its group at its first break. */
static bool expect_well(const struct member *member)
{
    assert_int_equal(member->breaks, 2);
    assert_string_equal(member->bucket[1], member->expected);
    if (member->bucket[0][0] != '\0') /* honest: the right group, or none yet */
        assert_string_equal(member->bucket[0], member->expected);
    net_expect_unharmed(&member->pair);
    return member->bucket[0][0] != '\0';
}

static unsigned count_in_full(unsigned at)
{
    unsigned in_full = 0;
    for (unsigned i = 0; i < CROWD; ++i) {
        assert_in_range(crowd[i].asked[at], 0, KDNET_TRACE_BLOCKS);
        in_full += crowd[i].asked[at] > KDNET_TRACE_FAMILIAR;
    }
    return in_full;
}

static unsigned count_at_once(void)
{
    unsigned at_once = 0;
    for (unsigned i = 0; i < CROWD; ++i)
        at_once += !crowd[i].vanished && expect_well(&crowd[i]);
    return at_once;
}

/* Each somewhere within a millisecond, nearer or farther. */
static void join_all(const struct machine_config *config, struct test_random *random)
{
    for (unsigned i = 0; i < CROWD; ++i)
        join(i, config, 1 + i, test_random_below(random, 1000), 100 + (uint32_t)test_random_below(random, 300));
}

static void of_fifty_machines_two_are_asked_in_full(void **state)
{
    static const enum kdnet_machine kinds[] = {KDNET_MACHINE_X64, KDNET_MACHINE_X86, KDNET_MACHINE_ARM64};
    struct test_random random;
    test_random_init(&random);
    for (size_t i = 0; i < 3; ++i) {
        struct machine_config config = {.scenario = "bugcheck", .machine = kinds[i], .cause = FAULT, .images = 200};
        join_all(&config, &random);
        run_crowd(0, 3 * SECOND_US / 2);
        assert_int_equal(count_at_once(), CROWD);
        assert_in_range(count_in_full(0), 1, 2);
        assert_int_equal(count_in_full(1), 0);
        (void)tear_down(state);
        assert_int_equal(set_up(state), 0);
    }
}

/* No parameter names the driver: its frame does, behind two of the kernel. */
static void of_fifty_stacks_two_are_asked_in_full(void **state)
{
    struct test_random random;
    struct machine_config config = {.scenario = "bugcheck", .bugcheck = 0x133, .cause = FAULT, .images = 200};
    (void)state;
    test_random_init(&random);
    join_all(&config, &random);
    for (unsigned i = 0; i < CROWD; ++i)
        crowd[i].expected = "133 faulty.sys+0x1234@5F3A1B2C";
    run_crowd(0, 3 * SECOND_US / 2);
    assert_int_equal(count_at_once(), CROWD);
    assert_in_range(count_in_full(0), 1, 2);
}

/* Two faults: two machines show the kernel, and two more may be needed for the other fault. */
static void of_two_faults_two_machines_each_are_asked_in_full(void **state)
{
    struct test_random random;
    (void)state;
    test_random_init(&random);
    for (unsigned i = 0; i < CROWD; ++i) {
        struct machine_config config = {.scenario = "bugcheck", .cause = i % 2 ? FAULT : 0x1678, .images = 200};
        join(i, &config, 1 + i, test_random_below(&random, 1000), 250);
        crowd[i].expected = i % 2 ? BUCKET : "D1 faulty.sys+0x1678@5F3A1B2C";
    }
    run_crowd(0, 3 * SECOND_US / 2);
    assert_int_equal(count_at_once(), CROWD);
    assert_in_range(count_in_full(0), 2, 4);
}

/* Those who are asked in full stop answering: others take their places while the rest waits. */
static void place_of_a_machine_that_vanishes_is_taken(void **state)
{
    struct test_random random;
    struct machine_config config = {.scenario = "bugcheck", .cause = FAULT, .images = 200};
    (void)state;
    test_random_init(&random);
    join_all(&config, &random);
    to_vanish = 2;
    run_crowd(0, 3 * SECOND_US / 2);
    assert_int_equal(to_vanish, 0);
    assert_int_equal(count_at_once(), CROWD - 2);
    assert_in_range(count_in_full(0), 1, 2); /* and the two that vanished, as far as they came */
}

/* More vanish, one after the other, than the others wait for: these ask a little, and their last break tells. */
static void nobody_waits_longer_than_its_time(void **state)
{
    struct test_random random;
    struct machine_config config = {.scenario = "bugcheck", .cause = FAULT, .images = 200};
    (void)state;
    test_random_init(&random);
    join_all(&config, &random);
    to_vanish = 8;
    run_crowd(0, 3 * SECOND_US / 2);
    assert_int_equal(to_vanish, 0);
    print_message("crowd: of 42 machines %u know their group at the first break\n", count_at_once());
    for (unsigned i = 0; i < CROWD; ++i) {
        struct machine_result result;
        machine_result(crowd[i].pair.machine, crowd[i].pair.now_us, &result);
        if (!crowd[i].vanished)
            assert_in_range(result.longest_halt_us, 1, KDNET_READ_DEADLINE_US / 4 + SECOND_US / 10);
    }
    assert_in_range(count_in_full(1), 0, 2);
}

/* Where machines are slow the deadline is long. Those that wait for others go on soon after these have told all the
 * same. */
static void with_a_long_deadline_nobody_waits_longer(void **state)
{
    struct test_random random;
    struct machine_config config = {.scenario = "bugcheck", .cause = FAULT, .images = 200};
    (void)state;
    test_random_init(&random);
    shared.read_deadline_us = 30 * SECOND_US;
    join_all(&config, &random);
    run_crowd(0, 3 * SECOND_US / 2);
    assert_int_equal(count_at_once(), CROWD);
    for (unsigned i = 0; i < CROWD; ++i) {
        struct machine_result result;
        machine_result(crowd[i].pair.machine, crowd[i].pair.now_us, &result);
        assert_in_range(result.longest_halt_us, 1, CROWD_HALT_US);
    }
}

/* While very many crash, these few are no exception. */
static void in_a_storm_two_are_asked_in_full(void **state)
{
    struct test_random random;
    struct machine_config config = {.scenario = "bugcheck", .cause = FAULT, .images = 200};
    (void)state;
    test_random_init(&random);
    shared.crash_storm = true;
    join_all(&config, &random);
    run_crowd(0, 3 * SECOND_US / 2);
    assert_int_equal(count_at_once(), CROWD);
    assert_in_range(count_in_full(0), 1, 2);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(of_fifty_machines_two_are_asked_in_full),
        TEST(of_fifty_stacks_two_are_asked_in_full),
        TEST(of_two_faults_two_machines_each_are_asked_in_full),
        TEST(place_of_a_machine_that_vanishes_is_taken),
        TEST(nobody_waits_longer_than_its_time),
        TEST(with_a_long_deadline_nobody_waits_longer),
        TEST(in_a_storm_two_are_asked_in_full),
    };
#undef TEST
    return cmocka_run_group_tests(tests, NULL, NULL);
}
