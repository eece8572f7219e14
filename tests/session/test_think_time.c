/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Machines that take their time over what they are sent: from none to ten seconds, always the same or not, with an ACK
 * at once or with the reply. Each is let go within the read deadline and six such times, each break has one result, and
 * nothing harms the machine, whatever the network loses and whenever kdnetd is started again.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "tests/session/net.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define SLICE_US     20000U
#define LIMIT_US     UINT64_C(600000000)
#define SECOND_US    UINT64_C(1000000)
#define STATUS       0xc0000185U

static const uint32_t times_ms[] = {0, 50, 200, 250, 500, 1000, 1900, 5000, 10000};
static const char *const changes[] = {"constant", "at the crash only", "growing", "shrinking", "random"};
static const char *const acks[] = {"early", "late"};
static const char *const ears[] = {"busy", "alert"};

static const struct {
    const char *scenario;
    bool no_reboot;
} scenarios[] = {
    {"bugcheck", false}, {"bugcheck", true}, {"int3", false},   {"exception", false},
    {"boot", false},     {"prompt", false},  {"fileio", false},
};

struct trial {
    size_t scenario, ms, change, ack, ear;
    unsigned loss;
    bool restart;
};

static void begin(struct net_pair *pair, const struct trial *t)
{
    struct machine_config config = {.scenario = scenarios[t->scenario].scenario,
                                    .no_reboot = scenarios[t->scenario].no_reboot,
                                    .status = STATUS,
                                    .delay_ms = 100};
    config.think.ms = times_ms[t->ms];
    config.think.change = (enum machine_think_change)t->change;
    config.think.late_ack = t->ack == 1;
    config.think.alert = t->ear == 1;
    net_pair_init(pair, &net_shared, &config, 11 + t->scenario * 7 + t->ms * 31 + t->loss);
    pair->weather.delay_us = 250;
    pair->weather.loss_percent = t->loss;
}

/* Runs to the end; the host dies in the middle of the first halt. */
static void play(struct net_pair *pair, const struct trial *t)
{
    uint64_t restart_us = 0;
    bool restarts = t->restart;
    while (pair->now_us < LIMIT_US && !machine_is_ended(pair->machine, pair->now_us)) {
        net_pair_run(pair, pair->now_us + SLICE_US);
        if (restarts && restart_us == 0 && machine_is_halted(pair->machine))
            restart_us = pair->now_us + times_ms[t->ms] * UINT64_C(1500);
        if (!restarts || restart_us == 0 || pair->now_us < restart_us)
            continue;
        net_pair_restart(pair);
        restarts = false;
    }
}

static uint64_t bound_us(const struct trial *t)
{
    uint64_t think_us = times_ms[t->ms] * UINT64_C(1000);
    uint64_t bound = KDNET_READ_DEADLINE_US + 6 * think_us + SECOND_US / 2;
    if (t->restart) /* what it stood before; a poke interval */
        bound += think_us * 3 / 2 + 3 * SECOND_US + SECOND_US / 2;
    if (t->loss > 0) /* what is lost is waited for once more, here and there, and RESETs are */
        bound += 5 * SECOND_US + 3 * think_us;
    return bound;
}

static void describe(const struct net_pair *pair, const struct trial *t, const struct machine_result *r)
{
    char story[NET_STORY_SIZE];
    net_story(pair, story);
    print_error("%s%s, %u ms %s, ACK %s, %s, loss %u %%%s: state %d, halted %llu ms of %llu, wrong %u, traps %u: %s\n",
                scenarios[t->scenario].scenario, scenarios[t->scenario].no_reboot ? " (no reboot)" : "",
                (unsigned)times_ms[t->ms], changes[t->change], acks[t->ack], ears[t->ear], t->loss,
                t->restart ? ", restart" : "", (int)r->state, (unsigned long long)r->longest_halt_us / 1000,
                (unsigned long long)bound_us(t) / 1000, r->released_wrongly, r->traps_again, story);
}

/*
 * One result a break; each host that saw the break may say it. A last break that could not be read in time is not known
 * to be the last: it is continued, and comes again.
 */
static bool results_are_right(const struct net_pair *pair, const struct trial *t)
{
    struct machine_expectation expected;
    machine_expectation(pair->machine, &expected);
    unsigned results = net_count(pair, KDNET_EVENT_CRASH_STATUS);
    return results >= expected.breaks &&
           (scenarios[t->scenario].no_reboot || results <= expected.breaks + (t->restart ? 1 : 0));
}

/*
 * Found, and open: a machine that listens while it thinks about a Continue says its break again when it is asked, and
 * seems not to have taken it. With loss, and ten seconds, it may go on and break in again at the same place between our
 * look at its program counter and the next Continue: that trap comes once more, and is stepped over then.
 */
static unsigned traps_allowed(const struct trial *t)
{
    return t->ear == 1 && t->ack == 1 && times_ms[t->ms] >= 10000 && t->loss > 0 && scenarios[t->scenario].no_reboot;
}

/* Returns how long the machine stood still at most. */
static uint64_t try(const struct trial *t, unsigned *bad)
{
    struct machine_result result;
    struct net_pair pair;
    begin(&pair, t);
    play(&pair, t);
    if (scenarios[t->scenario].no_reboot) /* it ends when it is acknowledged */
        net_pair_run(&pair, pair.now_us + 120 * SECOND_US);
    machine_result(pair.machine, pair.now_us, &result);
    bool held = scenarios[t->scenario].no_reboot;
    if (!machine_is_ended(pair.machine, pair.now_us) || result.released_wrongly > 0 ||
        result.traps_again > traps_allowed(t) || !results_are_right(&pair, t) ||
        (!held && result.longest_halt_us > bound_us(t))) {
        describe(&pair, t, &result);
        ++*bad;
    }
    net_pair_clear(&pair);
    return held ? 0 : result.longest_halt_us;
}

/* All scenarios and all machines of a time and a change. */
static uint64_t row(struct trial t, unsigned *bad)
{
    uint64_t longest_us = 0;
    for (t.scenario = 0; t.scenario < COUNT(scenarios); ++t.scenario)
        for (t.ack = 0; t.ack < COUNT(acks); ++t.ack)
            for (t.ear = 0; t.ear < COUNT(ears); ++t.ear) {
                uint64_t us = try(&t, bad);
                longest_us = us > longest_us ? us : longest_us;
            }
    return longest_us;
}

static void whatever_time_a_machine_takes_it_goes_on(void **state)
{
    unsigned bad = 0;
    (void)state;
    print_message("longest halt, ms:  ms  loss 0, restart; loss 10 %%, restart\n");
    for (size_t change = 0; change < COUNT(changes); ++change)
        for (size_t ms = 0; ms < COUNT(times_ms); ++ms) {
            uint64_t us[4];
            for (unsigned i = 0; i < 4; ++i)
                us[i] = row((struct trial){.ms = ms, .change = change, .loss = i / 2 * 10, .restart = i % 2 == 1},
                            &bad);
            print_message("%-18s %5u %6llu %6llu %6llu %6llu\n", changes[change], (unsigned)times_ms[ms],
                          (unsigned long long)us[0] / 1000, (unsigned long long)us[1] / 1000,
                          (unsigned long long)us[2] / 1000, (unsigned long long)us[3] / 1000);
        }
    assert_int_equal(bad, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whatever_time_a_machine_takes_it_goes_on),
    };
    int failed = cmocka_run_group_tests_name("plain", tests, net_setup, net_teardown);
    return failed + cmocka_run_group_tests_name("with evidence", tests, net_setup_evidence, net_teardown);
}
