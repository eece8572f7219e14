/* SPDX-License-Identifier: Apache-2.0 */
/* What events belong to: the run of the machine, and its crash, from its first break until a new boot has shown itself.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "kdnet/session/identity.h"
#include "kdnet/session/state_internal.h"
#include "kdnet/base/wire.h"
#include "service/kdnet-target/machine_internal.h"
#include "tests/session/net.h"
#include "tests/session/puppet.h"

#define SECOND_US UINT64_C(1000000)
#define ADDRESS   0xfffff80012345678U

#define D1 0xd1U
#define A5 0xa5U

/* All but who it is is refused: its bug check is known from its print alone. */
static bool answers_all(struct puppet *p, struct kdnet_manipulate *reply, uint8_t *data)
{
    (void)p;
    (void)data;
    if (!puppet_version(reply))
        reply->return_status = KDNET_STATUS_UNSUCCESSFUL;
    return true;
}

static void print_crash(struct puppet *p, uint32_t code)
{
    char text[200];
    (void)snprintf(text, sizeof text,
                   "\n*** Fatal System Error: 0x%08x\n                       "
                   "(0x0000000000000001,0x0000000000000002,0x0000000000000003,0x0000000000000004)\n\n",
                   (unsigned)code);
    (void)puppet_print(p, text);
}

static void crash(struct puppet *p, uint32_t code)
{
    print_crash(p, code);
    (void)puppet_break(p, KDNET_EXCEPTION_BREAKPOINT, ADDRESS);
}

/* The machine is found in another run, having made a new key. */
static void new_run(struct puppet *p, uint8_t seed)
{
    puppet_new_boot(p, seed);
    puppet_connect(p);
}

static void load_kernel(struct puppet *p)
{
    static const char path[] = "\\SystemRoot\\system32\\ntoskrnl.exe";
    static const uint8_t report[48];
    uint8_t payload[KDNET_STATE_CHANGE_SIZE + sizeof path];
    size_t length;
    struct kdnet_state_change change = {.new_state = KDNET_STATE_LOAD_SYMBOLS, .report = report};
    change.report_length = sizeof report;
    change.load_symbols = (struct kdnet_load_symbols){.base = 0xfffff80012340000U, .path_length = sizeof path};
    assert_int_equal(kdnet_state_change_encode(&change, payload, sizeof payload, &length), KDNET_OK);
    memcpy(payload + length, path, sizeof path);
    (void)puppet_data(p, KDNET_PACKET_STATE_CHANGE64, payload, length + sizeof path);
}

static const struct kdnet_event_identity *last(const struct puppet *p)
{
    assert_in_range(p->event_count, 1, PUPPET_EVENTS);
    return &p->event[p->event_count - 1].of;
}

static const struct kdnet_event *last_of(const struct puppet *p, enum kdnet_event_type type)
{
    assert_true(puppet_events(p, type) > 0);
    return puppet_event(p, type, puppet_events(p, type) - 1);
}

static void expect_crash(const struct puppet *p, const uint8_t crash[static KDNET_IDENTITY_LENGTH])
{
    assert_true(last(p)->crash_known);
    assert_memory_equal(last(p)->crash, crash, KDNET_IDENTITY_LENGTH);
}

/* The machine as it stands behind its first break. */
static struct puppet *crashed(uint8_t crash_name[static KDNET_IDENTITY_LENGTH])
{
    struct puppet *p = puppet_new();
    p->answer = answers_all;
    puppet_connect(p);
    assert_false(last(p)->crash_known);
    crash(p, D1);
    assert_int_equal(puppet_events(p, KDNET_EVENT_RELEASED), 1);
    assert_true(last(p)->crash_known);
    memcpy(crash_name, last(p)->crash, KDNET_IDENTITY_LENGTH);
    return p;
}

static void a_crash_is_made_at_its_first_break_out_of_boot_and_bug_check(void **state)
{
    const struct kdnet_bugcheck bugcheck = {D1, {1, 2, 3, 4}};
    uint8_t boot[KDNET_IDENTITY_LENGTH], name[KDNET_IDENTITY_LENGTH], made[KDNET_IDENTITY_LENGTH];
    struct puppet *p = crashed(name);
    (void)state;
    kdnet_identity_boot(&p->key, p->random, boot);
    kdnet_identity_crash(boot, &bugcheck, made);
    assert_memory_equal(name, made, sizeof made);
    for (unsigned i = 0; i < p->event_count; ++i) {
        assert_true(p->event[i].of.boot_known);
        assert_memory_equal(p->event[i].of.boot, boot, sizeof boot);
        assert_int_equal(p->event[i].of.number, i + 1);
    }
    assert_false(puppet_event(p, KDNET_EVENT_BUGCHECK, 0)->of.crash_known); /* printed: no break yet */
    assert_true(puppet_event(p, KDNET_EVENT_CRASH_STATUS, 0)->of.crash_known);
    puppet_free(p);
}

static void a_crash_lasts_over_dump_shutdown_and_reboot_until_the_kernel_is_loaded(void **state)
{
    uint8_t name[KDNET_IDENTITY_LENGTH];
    struct puppet *p = crashed(name);
    (void)state;
    puppet_wait(p, 600 * SECOND_US, false); /* the dump */
    puppet_shutdown(p);
    assert_int_equal(last_of(p, KDNET_EVENT_CRASH_STATUS)->u.crash_status.phase, KDNET_PHASE_SHUTDOWN);
    expect_crash(p, name);
    puppet_wait(p, 60 * SECOND_US, false);
    assert_int_equal(puppet_events(p, KDNET_EVENT_LOST), 1);
    expect_crash(p, name);
    new_run(p, 99);
    assert_int_equal(p->event[p->event_count - 1].type, KDNET_EVENT_CONNECTED);
    expect_crash(p, name);
    assert_int_equal(last(p)->number, 1); /* another session */
    p->policy.action[KDNET_BREAK_KIND_LOAD_SYMBOLS] = KDNET_ACTION_HOLD;
    load_kernel(p);
    assert_int_equal(p->event[p->event_count - 1].type, KDNET_EVENT_HELD);
    assert_false(last(p)->crash_known);
    puppet_free(p);
}

static void another_run_that_does_not_crash_for_dump_for_is_a_new_boot(void **state)
{
    uint8_t name[KDNET_IDENTITY_LENGTH];
    struct puppet *p = crashed(name);
    (void)state;
    puppet_wait(p, 60 * SECOND_US, false);
    new_run(p, 99);
    puppet_wait(p, KDNET_DUMP_FOR_US - 10 * SECOND_US, true);
    print_crash(p, A5); /* told before any break: of the crash that is not over yet */
    expect_crash(p, name);
    puppet_wait(p, 20 * SECOND_US, true);
    (void)puppet_break(p, KDNET_EXCEPTION_BREAKPOINT, ADDRESS);
    assert_true(last(p)->crash_known);
    assert_memory_not_equal(last(p)->crash, name, sizeof name);
    assert_false(last(p)->nested_known);
    puppet_free(p);
}

static void a_network_that_is_set_up_again_inside_a_crash_is_no_boot(void **state)
{
    uint8_t name[KDNET_IDENTITY_LENGTH], boot[KDNET_IDENTITY_LENGTH];
    struct puppet *p = crashed(name);
    (void)state;
    memcpy(boot, last(p)->boot, sizeof boot);
    puppet_wait(p, 5 * SECOND_US, false);
    new_run(p, 99);
    crash(p, D1);
    expect_crash(p, name);
    assert_memory_not_equal(last(p)->boot, boot, sizeof boot);
    puppet_wait(p, KDNET_DUMP_FOR_US + 60 * SECOND_US, true); /* the run is the crash's by now */
    crash(p, D1);
    expect_crash(p, name);
    puppet_free(p);
}

static void another_bug_check_inside_a_crash_is_nested(void **state)
{
    uint8_t name[KDNET_IDENTITY_LENGTH];
    struct puppet *p = crashed(name);
    (void)state;
    assert_false(last(p)->nested_known);
    puppet_wait(p, 5 * SECOND_US, false);
    crash(p, A5);
    expect_crash(p, name);
    assert_true(last(p)->nested_known);
    assert_int_equal(last(p)->nested.code, A5);
    assert_int_equal(last(p)->nested.parameters[3], 4);
    puppet_wait(p, 5 * SECOND_US, false);
    crash(p, D1);
    expect_crash(p, name);
    assert_false(last(p)->nested_known);
    puppet_free(p);
}

/* What is kept for a crash is given back when it is over. */
static void nothing_is_kept_of_a_crash_that_is_over(void **state)
{
    uint8_t name[KDNET_IDENTITY_LENGTH];
    struct puppet *p = crashed(name);
    (void)state;
    puppet_wait(p, 60 * SECOND_US, false);
    assert_non_null(p->session->history);
    new_run(p, 99);
    load_kernel(p);
    puppet_wait(p, 3600 * SECOND_US, true);
    assert_false(p->session->history && p->session->history->identity.crash_known);
    puppet_free(p);
}

static void events_are_counted_from_one_in_each_session(void **state)
{
    struct puppet *p = puppet_new();
    uint8_t session[KDNET_SESSION_ID_LENGTH] = {0};
    uint32_t number = 0;
    (void)state;
    p->answer = answers_all;
    puppet_connect(p);
    for (unsigned i = 0; i < 5; ++i) {
        (void)puppet_break(p, KDNET_EXCEPTION_BREAKPOINT, ADDRESS + i);
        puppet_wait(p, 5 * SECOND_US, true);
        new_run(p, (uint8_t)(100 + i));
    }
    for (unsigned i = 0; i < p->event_count && i < PUPPET_EVENTS; ++i) {
        bool same = memcmp(session, p->event[i].session, sizeof session) == 0;
        assert_int_equal(p->event[i].of.number, same ? number + 1 : 1);
        memcpy(session, p->event[i].session, sizeof session);
        number = p->event[i].of.number;
    }
    assert_true(p->event_count > 15);
    puppet_free(p);
}

/* What another host knows may come late: when the crash has its name here, too. */
static void when_it_went_on_is_learnt_late(void **state)
{
    struct kdnet_crash_memory late = {.known = true, .released = true, .released_us = 77};
    struct puppet *p = crashed(late.crash);
    struct kdnet_crash *crash = &p->session->history->crash;
    (void)state;
    assert_int_equal(kdnet_session_recall_crash(p->session, &late), KDNET_OK);
    assert_true(crash->first_released && crash->first_released_us != 77); /* it was seen here */
    crash->first_released = false;                                        /* as of a host that has not seen it */
    late.crash[0] ^= 1;
    assert_int_equal(kdnet_session_recall_crash(p->session, &late), KDNET_OK);
    assert_false(crash->first_released);
    late.crash[0] ^= 1;
    assert_int_equal(kdnet_session_recall_crash(p->session, &late), KDNET_OK);
    assert_true(crash->first_released && crash->first_released_us == 77);
    puppet_free(p);
}

/* A machine of the simulator, with memory to read: two hosts that see one crash make one name of it. */
static void run_crash(uint64_t seed, const char *scenario, uint8_t name[static KDNET_IDENTITY_LENGTH])
{
    struct kdnet_session_shared shared;
    struct net_pair pair;
    struct machine_config config = {.scenario = scenario, .status = 0xc0000185, .delay_ms = 100, .seed = 7};
    net_shared_init(&shared);
    net_pair_init(&pair, &shared, &config, seed);
    pair.weather.delay_us = 250;
    net_pair_run(&pair, 30 * SECOND_US);
    unsigned results = net_count(&pair, KDNET_EVENT_CRASH_STATUS);
    assert_true(results > 0);
    for (unsigned i = 0; i < results; ++i) {
        const struct kdnet_event *event = net_event(&pair, KDNET_EVENT_CRASH_STATUS, i);
        assert_true(event->of.crash_known);
        if (i > 0)
            assert_memory_equal(event->of.crash, name, KDNET_IDENTITY_LENGTH);
        memcpy(name, event->of.crash, KDNET_IDENTITY_LENGTH);
    }
    net_pair_clear(&pair);
    net_shared_clear(&shared);
}

static void all_results_of_a_crash_have_its_name(void **state)
{
    static const char *const scenarios[] = {"bugcheck", "bugcheck-hold", "e2"};
    (void)state;
    for (size_t i = 0; i < sizeof scenarios / sizeof scenarios[0]; ++i) {
        uint8_t name[KDNET_IDENTITY_LENGTH];
        run_crash(11, scenarios[i], name);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_crash_is_made_at_its_first_break_out_of_boot_and_bug_check),
        cmocka_unit_test(a_crash_lasts_over_dump_shutdown_and_reboot_until_the_kernel_is_loaded),
        cmocka_unit_test(another_run_that_does_not_crash_for_dump_for_is_a_new_boot),
        cmocka_unit_test(a_network_that_is_set_up_again_inside_a_crash_is_no_boot),
        cmocka_unit_test(another_bug_check_inside_a_crash_is_nested),
        cmocka_unit_test(nothing_is_kept_of_a_crash_that_is_over),
        cmocka_unit_test(events_are_counted_from_one_in_each_session),
        cmocka_unit_test(when_it_went_on_is_learnt_late),
        cmocka_unit_test(all_results_of_a_crash_have_its_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
