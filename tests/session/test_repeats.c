/* SPDX-License-Identifier: Apache-2.0 */
/* One break is one result, however often the machine says it: its Continue is lost, or it can only break in again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "kdnet/wire/state_change.h"
#include "kdnet/error.h"
#include "kdnet/wire/machine.h"
#include "kdnet/wire/manipulate.h"
#include "kdnet/base/wire.h"
#include "tests/session/net.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define SECOND_US    UINT64_C(1000000)

static void begin(struct net_pair *pair, const char *scenario, enum kdnet_machine machine)
{
    struct machine_config config = {.scenario = scenario, .machine = machine, .status = 0xc0000185, .delay_ms = 100};
    net_pair_init(pair, &net_shared, &config, 11);
    pair->weather.delay_us = 250;
}

static void print_story(const struct net_pair *pair)
{
    char story[NET_STORY_SIZE];
    net_story(pair, story);
    print_message("%u: %s\n", pair->event_count, story);
}

struct lost_continue {
    uint64_t until_us;
    unsigned told[KDNET_EVENT_TYPES];
    struct kdnet_event_released released;
    bool lost_one, ran; /* lose_continues_and_run */
};

/* The network loses what lets the machine go on, and nothing else, until then. */
static bool lose_continues(struct net_pair *pair, bool to_host, struct net_packet *packet)
{
    const struct lost_continue *lost = pair->context;
    bool go_on = !to_host && !packet->control && packet->type == KDNET_PACKET_MANIPULATE && packet->length >= 4 &&
                 (kdnet_get_le32(packet->payload) == KDNET_API_CONTINUE ||
                  kdnet_get_le32(packet->payload) == KDNET_API_CONTINUE2);
    return !go_on || pair->now_us >= lost->until_us;
}

static void count_told(struct net_pair *pair, const struct kdnet_event *event)
{
    struct lost_continue *lost = pair->context;
    ++lost->told[event->type];
    if (event->type == KDNET_EVENT_RELEASED)
        lost->released = event->u.released;
}

static void a_break_whose_continue_is_lost_is_one_result_and_one_release(void **state)
{
    static const char *const scenarios[] = {"int3", "exception", "command"};
    static const unsigned seconds[] = {1, 10, 45};
    (void)state;
    for (size_t i = 0; i < COUNT(scenarios) * COUNT(seconds); ++i) {
        struct lost_continue lost = {.until_us = seconds[i % COUNT(seconds)] * SECOND_US};
        struct machine_result result;
        struct net_pair pair;
        begin(&pair, scenarios[i / COUNT(seconds)], KDNET_MACHINE_X64);
        pair.tamper = lose_continues;
        pair.told = count_told;
        pair.context = &lost;
        net_pair_run(&pair, 120 * SECOND_US);
        machine_result(pair.machine, pair.now_us, &result);
        print_message("%s, %u s: repeated %u, connected %u\n", scenarios[i / COUNT(seconds)],
                      seconds[i % COUNT(seconds)], (unsigned)lost.released.repeated, lost.told[KDNET_EVENT_CONNECTED]);
        assert_int_equal(result.state, MACHINE_ENDED);
        assert_int_equal(lost.told[KDNET_EVENT_BREAK_IN], 1);
        assert_int_equal(lost.told[KDNET_EVENT_CRASH_STATUS], 1);
        assert_int_equal(lost.told[KDNET_EVENT_RELEASED], 1);
        assert_true(lost.released.repeated > 0);
        assert_in_range(lost.released.halted_us, lost.until_us - SECOND_US / 2, lost.until_us + 10 * SECOND_US);
        net_pair_clear(&pair);
    }
}

/* The network loses the first Continues; the machine's next context is not the one that it was left with. */
static bool lose_continues_and_run(struct net_pair *pair, bool to_host, struct net_packet *packet)
{
    struct lost_continue *lost = pair->context;
    const struct kdnet_machine_layout *layout = kdnet_machine_layout(KDNET_MACHINE_X64);
    struct kdnet_manipulate reply;
    if (!to_host) {
        bool passes = lose_continues(pair, to_host, packet);
        lost->lost_one = lost->lost_one || !passes;
        return passes;
    }
    if (!lost->lost_one || lost->ran || packet->control || packet->type != KDNET_PACKET_MANIPULATE ||
        kdnet_manipulate_decode(packet->payload, packet->length, &reply) != KDNET_OK ||
        reply.api != KDNET_API_GET_CONTEXT || reply.data_length < layout->context_size)
        return true;
    uint8_t *context = packet->payload + (reply.data - packet->payload);
    kdnet_machine_set_pc(layout, context, kdnet_machine_pc(layout, context) + 16);
    lost->ran = true;
    return true;
}

static void a_machine_that_ran_and_broke_in_at_the_same_place_has_two_breaks(void **state)
{
    struct lost_continue lost = {.until_us = 3 * SECOND_US};
    struct machine_result result;
    struct net_pair pair;
    (void)state;
    begin(&pair, "int3", KDNET_MACHINE_X64);
    pair.tamper = lose_continues_and_run;
    pair.told = count_told;
    pair.context = &lost;
    net_pair_run(&pair, 60 * SECOND_US);
    machine_result(pair.machine, pair.now_us, &result);
    print_story(&pair);
    assert_true(lost.ran);
    assert_int_equal(result.state, MACHINE_ENDED);
    assert_int_equal(lost.told[KDNET_EVENT_BREAK_IN], 2);
    assert_int_equal(lost.told[KDNET_EVENT_CRASH_STATUS], 2);
    assert_int_equal(lost.told[KDNET_EVENT_RELEASED], 2);
    net_pair_clear(&pair);
}

static void expect_rare_last_breaks(struct net_pair *pair, enum kdnet_phase phase, unsigned breaks_max)
{
    struct machine_result result;
    unsigned of_last = 0;
    net_pair_run(pair, 110 * SECOND_US);
    machine_result(pair->machine, pair->now_us, &result);
    print_story(pair);
    print_message("%u breaks\n", (unsigned)result.breaks);
    assert_in_range(result.breaks, 4, breaks_max); /* it does go on, now and then */
    for (unsigned i = 0; i < net_count(pair, KDNET_EVENT_CRASH_STATUS); ++i)
        of_last += net_event(pair, KDNET_EVENT_CRASH_STATUS, i)->u.crash_status.phase == phase;
    assert_int_equal(of_last, 1);
    assert_int_equal(net_count(pair, KDNET_EVENT_BREAK_STORM), 0);
    assert_true(pair->event_count < 40);
    const struct kdnet_event *released = net_event(pair, KDNET_EVENT_RELEASED,
                                                   net_count(pair, KDNET_EVENT_RELEASED) - 1);
    assert_true(released->u.released.repeated > 0);
    assert_true(net_count(pair, KDNET_EVENT_HELD) > 0);
}

static void a_second_break_that_is_continued_is_one_result_and_comes_once_a_minute(void **state)
{
    static const char *const scenarios[] = {"bugcheck-hold", "double-crash"};
    (void)state;
    for (size_t i = 0; i < COUNT(scenarios); ++i) {
        struct net_pair pair;
        begin(&pair, scenarios[i], KDNET_MACHINE_X64);
        pair.policy.action[KDNET_BREAK_KIND_BUGCHECK_SECOND] = KDNET_ACTION_CONTINUE;
        expect_rare_last_breaks(&pair, KDNET_PHASE_BUGCHECK_SECOND, 8);
        assert_int_equal(net_event(&pair, KDNET_EVENT_HELD, 0)->u.held.why, KDNET_BREAK_KIND_BUGCHECK_SECOND);
        net_pair_clear(&pair);
    }
}

/* The breakpoint of the last break is not where the kernel says that BreakpointWithStatus is. */
static bool break_elsewhere(struct net_pair *pair, bool to_host, struct net_packet *packet)
{
    struct kdnet_state_change change;
    bool dumped = net_count(pair, KDNET_EVENT_RELEASED) > 0;
    if (!to_host || packet->control || packet->type != KDNET_PACKET_STATE_CHANGE64 || !dumped ||
        kdnet_state_change_decode(packet->payload, packet->length, &change) != KDNET_OK)
        return true;
    uint8_t report[64];
    memcpy(report, change.report, change.report_length);
    change.report = report;
    change.exception.address += 16;
    return kdnet_state_change_encode(&change, packet->payload, sizeof packet->payload, &packet->length) == KDNET_OK;
}

static void a_last_break_elsewhere_is_one_result_and_comes_less_and_less_often(void **state)
{
    struct net_pair pair;
    (void)state;
    begin(&pair, "bugcheck-hold", KDNET_MACHINE_X64);
    pair.tamper = break_elsewhere;
    expect_rare_last_breaks(&pair, KDNET_PHASE_BREAK, 14);
    net_pair_clear(&pair);
}

/* What could not be read at the break before is told when the same break says it. */
static void a_repeated_break_that_says_more_is_told(void **state)
{
    struct net_pair pair;
    (void)state;
    net_knows_rva = false;
    begin(&pair, "bugcheck-hold", KDNET_MACHINE_X64);
    pair.policy.hold_for_us = 5 * SECOND_US;
    net_pair_run(&pair, 6 * SECOND_US);
    net_knows_rva = true;
    net_pair_run(&pair, 40 * SECOND_US);
    print_story(&pair);
    assert_int_equal(net_count(&pair, KDNET_EVENT_CRASH_STATUS), 3);
    const struct kdnet_event *last = net_event(&pair, KDNET_EVENT_CRASH_STATUS, 2);
    assert_int_equal(last->u.crash_status.conclusion.verdict, KDNET_VERDICT_FAILED);
    net_pair_clear(&pair);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_break_whose_continue_is_lost_is_one_result_and_one_release, net_setup,
                                        net_teardown),
        cmocka_unit_test_setup_teardown(a_machine_that_ran_and_broke_in_at_the_same_place_has_two_breaks, net_setup,
                                        net_teardown),
        cmocka_unit_test_setup_teardown(a_second_break_that_is_continued_is_one_result_and_comes_once_a_minute,
                                        net_setup, net_teardown),
        cmocka_unit_test_setup_teardown(a_last_break_elsewhere_is_one_result_and_comes_less_and_less_often, net_setup,
                                        net_teardown),
        cmocka_unit_test_setup_teardown(a_repeated_break_that_says_more_is_told, net_setup, net_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
