/* SPDX-License-Identifier: Apache-2.0 */
/*
 * No network and no clock leaves a machine halted: cuts at each datagram, the worst network, links that drop long
 * datagrams, clocks that jump or stand still.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "kdnet/kernel/layout_cache.h"
#include "kdnet/base/wire.h"
#include "service/kdnet-target/machine_internal.h"
#include "tests/session/net.h"
#include "tests/support/part.h"
#include "tests/session/rare_lives.h"

static const char *const cut_scenarios[] = {"boot",      "bugcheck", "e2",     "int3",
                                            "exception", "prompt",   "fileio", "nested"};

struct cut_kind {
    bool to_host, to_target, restart;
    uint64_t for_us;
    uint64_t longest_us; /* the machine stands still beyond the cut */
};

/* Runs one cut; false when the machine does not go on in time. */
static bool play_cut(const char *scenario, const struct cut_kind *kind, unsigned at)
{
    struct machine_config config = {.scenario = scenario, .status = 0xc000007f, .delay_ms = 100};
    struct cut lost = {.at = at, .to_host = kind->to_host, .to_target = kind->to_target, .for_us = kind->for_us};
    struct machine_result result;
    struct net_pair pair;
    begin(&pair, &config);
    pair.context = &lost;
    pair.watch = cut;
    pair.dies_at = kind->restart ? at : 0;
    run_to_end(&pair, kind->for_us + kind->longest_us + LIMIT_US);
    machine_result(pair.machine, pair.now_us, &result);
    bool good = result.state == MACHINE_ENDED && result.released_wrongly == 0 &&
                result.longest_halt_us <= kind->for_us + kind->longest_us;
    if (!good)
        print_error("%s, cut after datagram %u: state %d, longest halt %llu us, wrong %u\n", scenario, at,
                    (int)result.state, (unsigned long long)result.longest_halt_us, result.released_wrongly);
    net_pair_clear(&pair);
    return good;
}

/* How many datagrams a scenario takes when nothing is lost. */
static unsigned datagrams_of(const char *scenario)
{
    struct machine_config config = {.scenario = scenario, .delay_ms = 100};
    struct net_pair pair;
    begin(&pair, &config);
    run_to_end(&pair, LIMIT_US);
    unsigned count = pair.sent_by_host + pair.sent_by_target;
    net_pair_clear(&pair);
    return count;
}

/*
 * The network is cut at each datagram of each scenario, in one direction or in both, for seconds or for an hour; in the
 * worst case the host dies at the same moment. No machine waits for a packet of ours for longer than the cut and what
 * the slowest of our asks takes.
 */
static void no_cut_of_any_kind_leaves_a_machine_halted(void **state)
{
    static const struct cut_kind kinds[] = {
        {true, true, false, 20 * SECOND_US, 15 * SECOND_US},    {false, true, false, 20 * SECOND_US, 25 * SECOND_US},
        {true, false, false, 20 * SECOND_US, 15 * SECOND_US},   {false, true, true, 20 * SECOND_US, 25 * SECOND_US},
        {true, true, true, 20 * SECOND_US, 25 * SECOND_US},     {true, true, false, 900 * SECOND_US, 900 * SECOND_US},
        {false, true, false, 900 * SECOND_US, 900 * SECOND_US}, {false, true, true, 3600 * SECOND_US, 3600 * SECOND_US},
    };
    unsigned cuts = 0, wrong = 0;
    (void)state;
    for (size_t kind = 0; kind < COUNT(kinds); ++kind)
        for (size_t scenario = 0; scenario < COUNT(cut_scenarios); ++scenario) {
            unsigned count = datagrams_of(cut_scenarios[scenario]);
            unsigned step = kinds[kind].for_us > 60 * SECOND_US ? 4 : 1; /* long ones take long here, too */
            for (unsigned at = 1; at <= count; at += step * TEST_ONE_IN(3U), ++cuts)
                wrong += play_cut(cut_scenarios[scenario], &kinds[kind], at) ? 0 : 1;
        }
    print_message("%u cuts\n", cuts);
    assert_int_equal(wrong, 0);
}

/* Longer than any asking: then the machine's own pokes make us ask, once an hour. */
static void a_cut_of_four_hours_leaves_no_machine_halted(void **state)
{
    static const struct cut_kind kinds[] = {
        {false, true, false, 14400 * SECOND_US, 3700 * SECOND_US},
        {false, true, true, 14400 * SECOND_US, 3700 * SECOND_US},
    };
    unsigned wrong = 0;
    (void)state;
    for (size_t kind = 0; kind < COUNT(kinds); ++kind)
        for (unsigned at = 3; at < 60; at += 7)
            wrong += play_cut("int3", &kinds[kind], at) ? 0 : 1;
    assert_int_equal(wrong, 0);
}

#define SEEDS (60U / TEST_ONE_IN(3U))

/* So bad that hardly a break is read within its deadline: each machine goes on all the same. */
static void on_the_worst_network_every_life_goes_on(void **state)
{
    static const char *const lives[] = {"boot",   "bugcheck", "e2",           "int3",       "exception",
                                        "prompt", "fileio",   "loader-crash", "hypervisor", "processors",
                                        "nested", "reset",    "command"};
    (void)state;
    for (size_t life = 0; life < COUNT(lives); ++life) {
        uint64_t longest_us = 0;
        for (unsigned seed = 1; seed <= SEEDS; ++seed) {
            struct machine_config config = {.scenario = lives[life], .machine = machines[seed % COUNT(machines)]};
            struct machine_result result;
            struct net_pair pair;
            net_pair_init(&pair, &net_shared, &config, seed);
            pair.weather = (struct net_weather){.loss_percent = 30, .delay_us = 200000, .jitter_us = 20000};
            run_to_end(&pair, 7200 * SECOND_US);
            machine_result(pair.machine, pair.now_us, &result);
            if (result.state != MACHINE_ENDED)
                fail_msg("%s, seed %u: state %d, halted for %llu s", lives[life], seed, (int)result.state,
                         (unsigned long long)(result.longest_halt_us / SECOND_US));
            if (result.longest_halt_us > longest_us)
                longest_us = result.longest_halt_us;
            net_pair_clear(&pair);
        }
        print_message("%-13s longest halt %llu s\n", lives[life], (unsigned long long)(longest_us / SECOND_US));
    }
}

struct narrow {
    size_t to_host, to_target; /* longest payloads of datagrams that pass */
};

static bool narrow(struct net_pair *pair, bool to_host, const uint8_t *payload, size_t length)
{
    const struct narrow *narrow = pair->context;
    (void)payload;
    return length <= (to_host ? narrow->to_host : narrow->to_target);
}

/* A tunnel on the way carries 1,280 bytes, and nothing says so: a whole CONTEXT of x64 never comes through. */
static void a_network_that_drops_long_datagrams_does_not_keep_a_machine_on_its_breakpoint(void **state)
{
    static const struct narrow ways[] = {{1232, 1232}, {4000, 1232}, {1232, 4000}};
    static const char *const scenarios[] = {"bugcheck", "e2", "int3", "exception", "processors", "nested"};
    (void)state;
    for (size_t way = 0; way < COUNT(ways); ++way)
        for (size_t scenario = 0; scenario < COUNT(scenarios); ++scenario)
            for (size_t machine = 0; machine < COUNT(machines); ++machine) {
                struct machine_config config = {.scenario = scenarios[scenario], .machine = machines[machine]};
                struct narrow passes = ways[way];
                char usual[NET_STORY_SIZE], story[NET_STORY_SIZE];
                struct net_pair pair;
                begin(&pair, &config);
                net_pair_run(&pair, LIMIT_US);
                net_story(&pair, usual);
                net_pair_clear(&pair);
                begin(&pair, &config);
                pair.watch = narrow;
                pair.context = &passes;
                net_pair_run(&pair, LIMIT_US);
                net_story(&pair, story);
                if (strcmp(scenarios[scenario], "nested") != 0) /* other requests, so another break in it */
                    assert_string_equal(story, usual);
                net_expect_unharmed(&pair);
                net_pair_clear(&pair);
            }
}

struct narrow_for {
    struct narrow passes;
    uint64_t until_us;
};

static bool narrow_for(struct net_pair *pair, bool to_host, const uint8_t *payload, size_t length)
{
    const struct narrow_for *narrow_for = pair->context;
    (void)payload;
    return pair->now_us >= narrow_for->until_us ||
           length <= (to_host ? narrow_for->passes.to_host : narrow_for->passes.to_target);
}

/* It was only a bad moment, and this debugger does not know of pieces: the whole is tried again. */
static void who_knows_no_pieces_gets_the_whole_again(void **state)
{
    static const char *const scenarios[] = {"hypervisor", "loader-crash", "int3"};
    static const struct narrow ways[] = {{1232, 1232}, {4000, 1232}, {1232, 4000}};
    (void)state;
    for (size_t way = 0; way < COUNT(ways); ++way)
        for (size_t i = 0; i < COUNT(scenarios); ++i) {
            struct machine_config config = {.scenario = scenarios[i]};
            struct narrow_for moment = {.passes = ways[way], .until_us = 3 * SECOND_US};
            struct net_pair pair;
            begin(&pair, &config);
            pair.watch = narrow_for;
            pair.context = &moment;
            net_pair_run(&pair, LIMIT_US);
            struct machine_result result;
            machine_result(pair.machine, pair.now_us, &result);
            assert_int_equal(result.state, MACHINE_ENDED);
            assert_int_equal(machine_harm(&result), 0);
            assert_in_range(result.traps_again, 0, 5); /* released as it stands, a second after the deadline */
            net_pair_clear(&pair);
        }
}

struct jump {
    unsigned at, seen;
    uint64_t by_us;
};

static bool jump(struct net_pair *pair, bool to_host, const uint8_t *payload, size_t length)
{
    struct jump *jump = pair->context;
    (void)to_host;
    (void)payload;
    (void)length;
    if (++jump->seen == jump->at)
        pair->now_us += jump->by_us;
    return true;
}

/* A machine that slept, or a process that was stopped: the clock is suddenly far ahead. */
static void a_clock_that_jumps_ahead_releases_every_machine(void **state)
{
    (void)state;
    for (size_t scenario = 0; scenario < COUNT(cut_scenarios); ++scenario)
        for (unsigned at = 1; at < 100; ++at) {
            struct machine_config config = {.scenario = cut_scenarios[scenario], .delay_ms = 100};
            struct jump ahead = {.at = at, .by_us = 3600 * SECOND_US};
            struct machine_result result;
            struct net_pair pair;
            begin(&pair, &config);
            pair.context = &ahead;
            pair.watch = jump;
            run_to_end(&pair, ahead.by_us + LIMIT_US);
            machine_result(pair.machine, pair.now_us, &result);
            if (result.state != MACHINE_ENDED || result.released_wrongly > 0)
                fail_msg("%s, jump at datagram %u: state %d, wrong %u", cut_scenarios[scenario], at, (int)result.state,
                         result.released_wrongly);
            net_pair_clear(&pair);
        }
}

/* All that needs no timer goes on while the clock stands still, and each result is the right one. */
static void a_clock_that_stands_still_stops_nothing(void **state)
{
    struct machine_config config = {.scenario = "int3"};
    struct net_pair pair;
    char story[NET_STORY_SIZE];
    (void)state;
    begin(&pair, &config);
    pair.weather.delay_us = 0;
    net_pair_run(&pair, 0);
    net_story(&pair, story);
    assert_string_equal(story, "connected v5; break_in break 80000003; kernel nt x64 lab pdb; crash_status break "
                               "not_started ffffffff from rva; released continue");
    net_expect_unharmed(&pair);
    net_pair_clear(&pair);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(no_cut_of_any_kind_leaves_a_machine_halted, net_afresh),
        cmocka_unit_test_setup(a_cut_of_four_hours_leaves_no_machine_halted, net_afresh),
        cmocka_unit_test_setup(on_the_worst_network_every_life_goes_on, net_afresh),
        cmocka_unit_test_setup(a_network_that_drops_long_datagrams_does_not_keep_a_machine_on_its_breakpoint,
                               net_afresh),
        cmocka_unit_test_setup(who_knows_no_pieces_gets_the_whole_again, net_afresh),
        cmocka_unit_test_setup(a_clock_that_jumps_ahead_releases_every_machine, net_afresh),
        cmocka_unit_test_setup(a_clock_that_stands_still_stops_nothing, net_afresh),
    };
    return cmocka_run_group_tests(tests, setup, net_teardown);
}
