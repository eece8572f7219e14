/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two hosts with one key answer one machine: each datagram comes to both, or to one after the other, or the way changes
 * again and again. The machine goes on soon after each break, both give a crash the same name, and results are right.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "tests/session/net.h"

#define STATUS      0xc000007fU
#define SLICE_US    1000U
#define LIMIT_US    UINT64_C(60000000)
#define HALT_US     500000U
#define ANY_HALT_US 10000000U
#define SEEDS       40U
#define WAITS_MAX   64U

/* In turn: so many datagrams to one, then so many to the other; by chance: so many of a hundred to one. */
enum way { BOTH, IN_TURN, BY_CHANCE, FLAPPING };

struct path {
    const char *label;
    enum way way;
    unsigned to_one, to_other;
    uint64_t flip_us;
    uint32_t delay_us, jitter_us;
    unsigned loss_percent;
    uint32_t think_ms;
};

struct two {
    struct net_pair pair; /* with the host that has the way now */
    struct kdnet_session *other;
    const struct path *path;
    uint64_t flips_at_us;
    unsigned turn, waiting;
    size_t length[WAITS_MAX];
    uint8_t payload[WAITS_MAX][KDNET_DATAGRAM_MAX];
    unsigned names;
    uint8_t crash[KDNET_SESSION_ID_LENGTH];
};

static struct kdnet_session_shared shared;

static int setup(void **state)
{
    (void)state;
    net_shared_init(&shared);
    shared.rivals = true;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    net_shared_clear(&shared);
    return 0;
}

static bool is_for_other(struct two *two)
{
    const struct path *path = two->path;
    switch (path->way) {
    case BOTH:
        return true;
    case IN_TURN:
        return two->turn++ % (path->to_one + path->to_other) >= path->to_one;
    case BY_CHANCE:
        return test_random_below(&two->pair.random, 100) >= path->to_one;
    case FLAPPING:
        break;
    }
    return false;
}

/* A copy for the other host, or the datagram itself. */
static bool watch(struct net_pair *pair, bool to_host, const uint8_t *payload, size_t length)
{
    struct two *two = pair->context;
    if (!to_host || !is_for_other(two))
        return true;
    if (two->waiting < WAITS_MAX) {
        memcpy(two->payload[two->waiting], payload, length);
        two->length[two->waiting++] = length;
    }
    return two->path->way == BOTH;
}

static void told(struct net_pair *pair, const struct kdnet_event *event)
{
    struct two *two = pair->context;
    if (event->type != KDNET_EVENT_CRASH_STATUS || !event->of.crash_known)
        return;
    if (two->names == 0 || memcmp(two->crash, event->of.crash, sizeof two->crash) != 0)
        ++two->names;
    memcpy(two->crash, event->of.crash, sizeof two->crash);
}

static void swap(struct two *two)
{
    struct kdnet_session *session = two->pair.session;
    two->pair.session = two->other;
    two->other = session;
}

/* What the other host has: its deadlines, and what waits for it. */
static void run_other(struct two *two)
{
    swap(two);
    if (kdnet_session_deadline(two->pair.session) <= two->pair.now_us) {
        kdnet_session_expire(two->pair.session, two->pair.now_us);
        net_pair_poll(&two->pair);
    }
    unsigned waiting = two->waiting;
    two->waiting = 0;
    for (unsigned i = 0; i < waiting; ++i)
        (void)net_pair_inject(&two->pair, two->payload[i], two->length[i]);
    swap(two);
}

static void run(struct two *two)
{
    uint64_t flip_us = two->path->flip_us;
    two->flips_at_us = two->pair.now_us + flip_us;
    while (two->pair.now_us < LIMIT_US && !machine_is_ended(two->pair.machine, two->pair.now_us)) {
        net_pair_run(&two->pair, two->pair.now_us + SLICE_US);
        run_other(two);
        if (flip_us > 0 && two->pair.now_us >= two->flips_at_us) {
            swap(two);
            two->flips_at_us += flip_us;
        }
    }
}

/* Returns the machine's longest halt. */
static uint64_t play(const struct path *path, const char *scenario, uint64_t seed)
{
    struct two *two = calloc(1, sizeof *two);
    struct machine_result result;
    struct machine_config config = {.scenario = scenario,
                                    .status = STATUS,
                                    .version = seed % 2 == 0 ? 4 : 5,
                                    .delay_ms = 4000 + (uint32_t)(seed * 97 % 3000),
                                    .dump_ms = 900,
                                    .think = {.ms = path->think_ms}};
    assert_non_null(two);
    two->path = path;
    two->turn = (unsigned)seed;
    net_pair_init(&two->pair, &shared, &config, seed);
    two->pair.weather = (struct net_weather){
        .loss_percent = path->loss_percent, .delay_us = path->delay_us, .jitter_us = path->jitter_us};
    two->pair.watch = watch;
    two->pair.told = told;
    two->pair.context = two;
    two->other = kdnet_session_new(&shared, &two->pair.policy, &two->pair.key);
    run(two);
    machine_result(two->pair.machine, two->pair.now_us, &result);
    /* Refused: what one host asks at a break that the other one has ended. */
    assert_int_equal(machine_harm(&result) - result.wrong_processors, 0);
    assert_int_equal(result.state, MACHINE_ENDED);
    assert_true(two->names <= 1);
    kdnet_session_free(two->other);
    net_pair_clear(&two->pair);
    free(two);
    return result.longest_halt_us;
}

/* Returns the longest halt of all; `over`: how many of them were longer than HALT_US. */
static uint64_t play_all(const struct path *path, unsigned *over)
{
    static const char *const scenarios[] = {"bugcheck", "int3", "boot"};
    uint64_t all_us = 0;
    print_message("%-26s longest halt, ms:", path->label);
    for (size_t i = 0; i < sizeof scenarios / sizeof scenarios[0]; ++i) {
        uint64_t worst_us = 0;
        for (uint64_t seed = 1; seed <= SEEDS; ++seed) {
            uint64_t halt_us = play(path, scenarios[i], seed);
            *over += halt_us > HALT_US;
            worst_us = halt_us > worst_us ? halt_us : worst_us;
        }
        print_message(" %s %u", scenarios[i], (unsigned)(worst_us / 1000));
        all_us = worst_us > all_us ? worst_us : all_us;
    }
    print_message("; over 500 ms: %u of %u\n", *over, SEEDS * (unsigned)(sizeof scenarios / sizeof scenarios[0]));
    return all_us;
}

static void play_paths(const struct path *paths, size_t count, uint64_t limit_us)
{
    for (size_t i = 0; i < count; ++i) {
        unsigned over = 0;
        assert_true(play_all(&paths[i], &over) <= limit_us);
    }
}

static void each_datagram_comes_to_both(void **state)
{
    static const struct path paths[] = {
        {.label = "to both", .way = BOTH, .delay_us = 250},
        {.label = "to both, 5 ms", .way = BOTH, .delay_us = 2500, .jitter_us = 500},
    };
    (void)state;
    play_paths(paths, sizeof paths / sizeof paths[0], HALT_US);
}

static void the_way_changes_again_and_again(void **state)
{
    static const struct path paths[] = {
        {.label = "flapping, 0.1 s", .way = FLAPPING, .flip_us = 100000, .delay_us = 250},
        {.label = "flapping, 0.7 s", .way = FLAPPING, .flip_us = 700000, .delay_us = 250},
        {.label = "flapping, 3 s", .way = FLAPPING, .flip_us = 3000000, .delay_us = 250},
    };
    (void)state;
    play_paths(paths, sizeof paths / sizeof paths[0], HALT_US);
}

static void datagrams_come_to_one_after_the_other(void **state)
{
    static const struct path paths[] = {
        {.label = "in turn, 1:1", .way = IN_TURN, .to_one = 1, .to_other = 1, .delay_us = 250},
        {.label = "1:1, thinking 5 ms", .way = IN_TURN, .to_one = 1, .to_other = 1, .delay_us = 250, .think_ms = 5},
    };
    (void)state;
    play_paths(paths, sizeof paths / sizeof paths[0], HALT_US);
}

/* What is lost besides, or comes in no order, costs the machine's own 500 ms until it says its break again. */
static void whatever_comes_to_whom_the_machine_goes_on(void **state)
{
    static const struct path paths[] = {
        {.label = "1:1, jitter", .way = IN_TURN, .to_one = 1, .to_other = 1, .delay_us = 250, .jitter_us = 200},
        {.label = "1:1, loss 5 %", .way = IN_TURN, .to_one = 1, .to_other = 1, .delay_us = 250, .loss_percent = 5},
        {.label = "2:1", .way = IN_TURN, .to_one = 2, .to_other = 1, .delay_us = 250},
        {.label = "2:2", .way = IN_TURN, .to_one = 2, .to_other = 2, .delay_us = 250},
        {.label = "by chance, 50 %", .way = BY_CHANCE, .to_one = 50, .delay_us = 250},
        {.label = "by chance, 90 %, loss 5 %", .way = BY_CHANCE, .to_one = 90, .delay_us = 250, .loss_percent = 5},
    };
    (void)state;
    play_paths(paths, sizeof paths / sizeof paths[0], ANY_HALT_US);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(each_datagram_comes_to_both, setup, teardown),
        cmocka_unit_test_setup_teardown(the_way_changes_again_and_again, setup, teardown),
        cmocka_unit_test_setup_teardown(datagrams_come_to_one_after_the_other, setup, teardown),
        cmocka_unit_test_setup_teardown(whatever_comes_to_whom_the_machine_goes_on, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
