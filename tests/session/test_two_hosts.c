/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two hosts with one key answer one machine: each datagram comes to both, or the way changes again and again. The
 * machine goes on soon after each break, both give a crash the same name, and results are right.
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

#define STATUS    0xc000007fU
#define SLICE_US  1000U
#define LIMIT_US  UINT64_C(60000000)
#define DELAY_US  250U
#define HALT_US   500000U
#define SEEDS     40U
#define WAITS_MAX 64U

enum way { BOTH, FLAPPING };

struct two {
    struct net_pair pair; /* with the host that has the way now */
    struct kdnet_session *other;
    enum way way;
    uint64_t flip_us, flips_at_us;
    unsigned waiting;
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
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    net_shared_clear(&shared);
    return 0;
}

/* A copy for the other host. */
static bool watch(struct net_pair *pair, bool to_host, const uint8_t *payload, size_t length)
{
    struct two *two = pair->context;
    if (!to_host || two->way == FLAPPING)
        return true;
    if (two->waiting < WAITS_MAX) {
        memcpy(two->payload[two->waiting], payload, length);
        two->length[two->waiting++] = length;
    }
    return true;
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

static uint64_t longest(struct two *two, struct machine_result *result)
{
    machine_result(two->pair.machine, two->pair.now_us, result);
    return result->longest_halt_us;
}

static uint64_t play(enum way way, uint64_t flip_us, const char *scenario, uint64_t seed)
{
    struct two *two = calloc(1, sizeof *two);
    struct machine_result result;
    struct machine_config config = {
        .scenario = scenario, .status = STATUS, .delay_ms = 4000 + (uint32_t)(seed * 97 % 3000), .dump_ms = 900};
    assert_non_null(two);
    two->way = way;
    two->flip_us = flip_us;
    net_pair_init(&two->pair, &shared, &config, seed);
    two->pair.weather.delay_us = DELAY_US;
    two->pair.watch = watch;
    two->pair.told = told;
    two->pair.context = two;
    two->other = kdnet_session_new(&shared, &two->pair.policy, &two->pair.key);
    two->flips_at_us = two->pair.now_us + flip_us;
    while (two->pair.now_us < LIMIT_US && !machine_is_ended(two->pair.machine, two->pair.now_us)) {
        net_pair_run(&two->pair, two->pair.now_us + SLICE_US);
        run_other(two);
        if (flip_us > 0 && two->pair.now_us >= two->flips_at_us) {
            swap(two);
            two->flips_at_us += flip_us;
        }
    }
    uint64_t halt_us = longest(two, &result);
    if (halt_us > HALT_US || two->names > 1)
        printf("seed %u: longest halt %u ms, state %d, names %u\n", (unsigned)seed, (unsigned)(halt_us / 1000),
               (int)result.state, two->names);
    assert_int_equal(machine_harm(&result), 0);
    kdnet_session_free(two->other);
    net_pair_clear(&two->pair);
    free(two);
    return halt_us;
}

static void play_all(const char *what, enum way way, uint64_t flip_us)
{
    static const char *const scenarios[] = {"bugcheck", "int3", "boot"};
    for (size_t i = 0; i < sizeof scenarios / sizeof scenarios[0]; ++i) {
        uint64_t worst = 0;
        for (uint64_t seed = 1; seed <= SEEDS; ++seed) {
            uint64_t halt_us = play(way, flip_us, scenarios[i], seed);
            worst = halt_us > worst ? halt_us : worst;
        }
        printf("%-18s %-9s longest halt %u ms\n", what, scenarios[i], (unsigned)(worst / 1000));
        assert_true(worst <= HALT_US);
    }
}

static void each_datagram_comes_to_both(void **state)
{
    (void)state;
    play_all("to both", BOTH, 0);
}

static void the_way_changes_again_and_again(void **state)
{
    (void)state;
    play_all("flapping, 0.7 s", FLAPPING, 700000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(each_datagram_comes_to_both, setup, teardown),
        cmocka_unit_test_setup_teardown(the_way_changes_again_and_again, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
