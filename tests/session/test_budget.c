/* SPDX-License-Identifier: Apache-2.0 */
/* A machine that makes us tell too much: each kind of event has its budget, the rest is counted, none is missing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "kdnet/kernel/crash.h"
#include "kdnet/session/state_internal.h"
#include "tests/session/puppet.h"

#define SECOND_US UINT64_C(1000000)
#define FLOOD     1000U
#define ADDRESS   0xfffff80011112222U

static unsigned told[KDNET_EVENT_TYPES], suppressed[KDNET_EVENT_TYPES];

static void count(const struct kdnet_event *event)
{
    ++told[event->type];
    if (event->type == KDNET_EVENT_SUPPRESSED)
        suppressed[event->u.suppressed.kind] += event->u.suppressed.count;
}

static struct puppet *begin(void)
{
    struct puppet *p = puppet_new();
    memset(told, 0, sizeof told);
    memset(suppressed, 0, sizeof suppressed);
    p->told = count;
    p->shared.prints = true;
    puppet_connect(p);
    return p;
}

static void print_fatal(struct puppet *p, unsigned parameter)
{
    char text[160];
    (void)snprintf(text, sizeof text,
                   "\n*** Fatal System Error: 0x000000d1\n                       "
                   "(0x%016X,0x0000000000000002,0x0000000000000000,0xFFFFF800EE42C90B)\n\n",
                   parameter);
    (void)puppet_print(p, text);
}

static void changing_bug_checks_are_told_within_the_budget_and_counted(void **state)
{
    struct puppet *p = begin();
    (void)state;
    for (unsigned i = 0; i < FLOOD; ++i) {
        print_fatal(p, i);
        puppet_wait(p, 1000, false);
    }
    assert_in_range(told[KDNET_EVENT_BUGCHECK], KDNET_EVENTS_AT_ONCE, KDNET_EVENTS_AT_ONCE + 2);
    assert_in_range(told[KDNET_EVENT_PRINT], KDNET_EVENTS_AT_ONCE, KDNET_EVENTS_AT_ONCE + 2);
    assert_int_equal(told[KDNET_EVENT_SUPPRESSED], 0);
    puppet_wait(p, 11 * SECOND_US, true);
    assert_int_equal(told[KDNET_EVENT_SUPPRESSED], 2);
    assert_int_equal(told[KDNET_EVENT_BUGCHECK] + suppressed[KDNET_EVENT_BUGCHECK], FLOOD);
    assert_int_equal(told[KDNET_EVENT_PRINT] + suppressed[KDNET_EVENT_PRINT], FLOOD);
    puppet_wait(p, 60 * SECOND_US, true);
    assert_int_equal(told[KDNET_EVENT_SUPPRESSED], 2);
    unsigned before = told[KDNET_EVENT_BUGCHECK];
    print_fatal(p, FLOOD); /* a minute later the budget is whole again */
    assert_int_equal(told[KDNET_EVENT_BUGCHECK], before + 1);
    puppet_free(p);
}

static void handshakes_are_told_within_the_budget(void **state)
{
    struct puppet *p = begin();
    (void)state;
    for (unsigned i = 0; i < FLOOD; ++i) {
        puppet_new_boot(p, (uint8_t)(i + 2));
        puppet_connect(p);
        puppet_wait(p, 1000, false);
    }
    assert_in_range(told[KDNET_EVENT_CONNECTED], KDNET_EVENTS_AT_ONCE, KDNET_EVENTS_AT_ONCE + 3);
    puppet_wait(p, 11 * SECOND_US, true);
    assert_int_equal(told[KDNET_EVENT_CONNECTED] + suppressed[KDNET_EVENT_CONNECTED], FLOOD + 1);
    puppet_free(p);
}

/* An x64 Windows: debugger data, KiBugCheckData, registers of a break with status 3. */
static bool crashed_nt(struct puppet *p, struct kdnet_manipulate *reply, uint8_t *data)
{
    (void)p;
    if (puppet_version(reply)) {
        reply->u.version.debugger_data_list = 0xfffff80012350000U;
        return true;
    }
    memset(data, 0, KDNET_PACKET_PAYLOAD_MAX);
    if (reply->api == KDNET_API_GET_CONTEXT) {
        const struct kdnet_machine_layout *layout = kdnet_machine_layout(KDNET_MACHINE_X64);
        reply->data_length = layout->context_size;
        kdnet_machine_set_pc(layout, data, ADDRESS);
        kdnet_put_le64(data + 0x80, KDNET_BREAK_BUGCHECK_FIRST); /* rcx */
        return true;
    }
    if (reply->api != KDNET_API_READ_VIRTUAL_MEMORY) {
        reply->return_status = reply->api == KDNET_API_SET_CONTEXT ? 0 : KDNET_STATUS_UNSUCCESSFUL;
        return true;
    }
    kdnet_put_le32(data + 0x10, 0x4742444b);
    kdnet_put_le32(data + 0x14, 0x340);
    kdnet_put_le64(data + 0x20, ADDRESS);
    kdnet_put_le64(data + 0x88, 0xfffff80012360000U);
    if (reply->u.memory.address == 0xfffff80012350000U)
        kdnet_put_le64(data, 0xfffff80012350100U);
    if (reply->u.memory.address == 0xfffff80012360000U)
        kdnet_put_le32(data, 0xd1);
    reply->u.memory.actual = reply->u.memory.count;
    reply->data_length = reply->u.memory.count;
    return true;
}

/* It has printed and broken in far beyond its budget: then it crashes. */
static void the_result_of_a_crash_comes_through_any_flood(void **state)
{
    struct puppet *p = begin();
    (void)state;
    p->answer = crashed_nt;
    for (unsigned i = 0; i < 200; ++i) {
        (void)puppet_print(p, "noise");
        (void)puppet_break(p, 0xc0000005, ADDRESS + 64 * i);
        puppet_wait(p, 20000, false);
    }
    unsigned results = told[KDNET_EVENT_CRASH_STATUS];
    assert_true(results <= KDNET_EVENTS_AT_ONCE + 5);
    print_fatal(p, 1);
    (void)puppet_break(p, KDNET_EXCEPTION_BREAKPOINT, ADDRESS);
    puppet_wait(p, SECOND_US, false);
    assert_int_equal(told[KDNET_EVENT_CRASH_STATUS], results + 1);
    puppet_free(p);
}

static void a_budget_costs_an_idle_machine_no_memory(void **state)
{
    struct puppet *p = begin();
    (void)state;
    assert_null(p->session->history); /* a whole fleet connects, and nothing is kept of it */
    for (unsigned i = 0; i < 3; ++i)
        (void)puppet_print(p, "noise");
    assert_non_null(p->session->history);
    puppet_wait(p, 9 * SECOND_US, true);
    assert_null(p->session->history);
    assert_null(p->session->active);
    puppet_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(changing_bug_checks_are_told_within_the_budget_and_counted),
        cmocka_unit_test(handshakes_are_told_within_the_budget),
        cmocka_unit_test(the_result_of_a_crash_comes_through_any_flood),
        cmocka_unit_test(a_budget_costs_an_idle_machine_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
