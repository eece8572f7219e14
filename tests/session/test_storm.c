/* SPDX-License-Identifier: Apache-2.0 */
/* A machine that breaks in again and again: a driver's int 3 in a loop. It must go on, and cost little. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "kdnet/wire/manipulate.h"
#include "kdnet/error.h"
#include "kdnet/base/wire.h"
#include "tests/session/net.h"
#include "tests/session/puppet.h"

#define SECOND_US UINT64_C(1000000)
#define ADDRESS   0xfffff80012345678U

struct breaker {
    struct kdnet_session_shared shared;
    struct net_pair pair;
};

static void begin(struct breaker *breaker, const char *scenario)
{
    struct machine_config config = {.scenario = scenario, .status = 0, .delay_ms = 100};
    net_shared_init(&breaker->shared);
    net_pair_init(&breaker->pair, &breaker->shared, &config, 5);
    breaker->pair.weather.delay_us = 100;
}

static void end(struct breaker *breaker)
{
    net_pair_clear(&breaker->pair);
    net_shared_clear(&breaker->shared);
}

/* SetContext is answered, but its new program counter is lost on the way: the machine traps again as soon as it is
 * continued. */
static bool lose_the_step(struct net_pair *pair, bool to_host, struct net_packet *packet)
{
    (void)pair;
    if (!to_host && !packet->control && packet->type == KDNET_PACKET_MANIPULATE && packet->length > 56 &&
        kdnet_get_le32(packet->payload) == KDNET_API_SET_CONTEXT) {
        const struct kdnet_machine_layout *layout = kdnet_machine_layout(KDNET_MACHINE_X64);
        uint8_t *context = packet->payload + KDNET_MANIPULATE_SIZE;
        kdnet_machine_set_pc(layout, context, kdnet_machine_pc(layout, context) - 1);
    }
    return true;
}

static void driver_that_breaks_in_for_ever_is_read_within_its_budget(void **state)
{
    struct breaker breaker;
    (void)state;
    begin(&breaker, "int3");
    breaker.pair.tamper = lose_the_step;
    net_pair_run(&breaker.pair, 2 * SECOND_US);
    struct machine_result result;
    machine_result(breaker.pair.machine, breaker.pair.now_us, &result);
    assert_true(result.breaks > 1000); /* it never stands still */
    assert_int_equal(net_count(&breaker.pair, KDNET_EVENT_BREAK_STORM), 1);
    unsigned told = net_count(&breaker.pair, KDNET_EVENT_CRASH_STATUS);
    assert_true(breaker.pair.event_count < NET_EVENTS + 40);
    assert_true(told >= 15 && told <= KDNET_BREAKS_AT_ONCE + 2);
    end(&breaker);
}

static unsigned results;

static void count_result(const struct kdnet_event *event)
{
    results += event->type == KDNET_EVENT_CRASH_STATUS;
}

/* No limit holds back what an operator wants to know: not that of breaks, nor that of events. */
static void an_operator_has_the_result_of_a_machine_in_a_storm(void **state)
{
    struct puppet *p = puppet_new();
    unsigned read = 0;
    (void)state;
    p->shared.break_in_allowed = true;
    p->answer = puppet_refuse;
    puppet_connect(p);
    for (unsigned i = 0; i < 2 * KDNET_BREAKS_AT_ONCE; ++i) {
        puppet_break(p, KDNET_EXCEPTION_BREAKPOINT, ADDRESS);
        assert_false(kdnet_session_is_halted(p->session));
    }
    assert_int_equal(puppet_events(p, KDNET_EVENT_BREAK_STORM), 1);
    p->told = count_result;
    for (results = 0; read < 5; ++read) { /* faster than either limit lets through */
        assert_int_equal(kdnet_session_break_in(p->session, p->now_us), KDNET_OK);
        puppet_drain(p);
        puppet_break(p, KDNET_EXCEPTION_BREAKPOINT, ADDRESS);
        assert_int_equal(kdnet_session_demand(p->session), KDNET_DEMAND_DONE);
        assert_int_equal(results, read + 1);
        puppet_break(p, KDNET_EXCEPTION_BREAKPOINT, ADDRESS); /* the storm goes on */
        assert_int_equal(results, read + 1);
    }
    puppet_free(p);
}

static void one_break_is_no_storm(void **state)
{
    struct breaker breaker;
    (void)state;
    begin(&breaker, "int3");
    net_pair_run(&breaker.pair, 2 * SECOND_US);
    assert_int_equal(net_count(&breaker.pair, KDNET_EVENT_BREAK_STORM), 0);
    assert_int_equal(net_count(&breaker.pair, KDNET_EVENT_CRASH_STATUS), 1);
    end(&breaker);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(driver_that_breaks_in_for_ever_is_read_within_its_budget),
        cmocka_unit_test(an_operator_has_the_result_of_a_machine_in_a_storm),
        cmocka_unit_test(one_break_is_no_storm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
