/* SPDX-License-Identifier: Apache-2.0 */
/* What a caller may leave out, and what he gets when he gives what cannot be. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "kdnet/error.h"
#include "kdnet/kdnet.h"
#include "tests/session/net.h"

#define NO_ACTION ((enum kdnet_action)77)

static struct kdnet_session_shared shared;

static int begin(void **state)
{
    (void)state;
    kdnet_session_shared_init(&shared, kdnet_crypto_new());
    return 0;
}

static int end(void **state)
{
    (void)state;
    kdnet_crypto_free(shared.crypto);
    return 0;
}

static void run(struct net_pair *pair, const char *scenario, enum kdnet_action action)
{
    struct machine_config config = {.scenario = scenario, .status = 0, .delay_ms = 100};
    net_pair_init(pair, &shared, &config, 5);
    for (size_t i = 0; i < KDNET_BREAK_KINDS; ++i)
        pair->policy.action[i] = action;
    pair->weather.delay_us = 100;
    net_pair_run(pair, 10000000);
}

static void a_crash_is_told_without_any_callback(void **state)
{
    struct net_pair pair;
    (void)state;
    run(&pair, "bugcheck", KDNET_ACTION_CONTINUE);
    const struct kdnet_event *last = net_event(&pair, KDNET_EVENT_CRASH_STATUS, 1);
    assert_non_null(last);
    assert_int_equal(last->u.crash_status.conclusion.verdict, KDNET_VERDICT_UNKNOWN);
    assert_int_equal(last->u.crash_status.conclusion.reason, KDNET_REASON_NO_SYMBOLS);
    assert_true(last->u.crash_status.bugcheck.known);
    assert_true(machine_is_ended(pair.machine, pair.now_us));
    net_pair_clear(&pair);
}

static void a_policy_that_names_no_action_lets_the_machine_go_on(void **state)
{
    static const char *const scenarios[] = {"bugcheck", "int3", "exception", "prompt", "boot"};
    (void)state;
    for (size_t i = 0; i < sizeof scenarios / sizeof scenarios[0]; ++i) {
        struct net_pair pair;
        run(&pair, scenarios[i], NO_ACTION);
        assert_true(machine_is_ended(pair.machine, pair.now_us));
        assert_int_equal(net_count(&pair, KDNET_EVENT_HELD), 0);
        net_pair_clear(&pair);
    }
}

static void a_held_machine_is_resumed_by_an_action_that_there_is(void **state)
{
    struct net_pair pair;
    (void)state;
    run(&pair, "int3", KDNET_ACTION_HOLD);
    assert_true(kdnet_session_is_halted(pair.session));
    assert_int_equal(kdnet_session_resume(pair.session, NO_ACTION, pair.now_us), KDNET_ERR_STATE);
    assert_int_equal(kdnet_session_resume(pair.session, KDNET_ACTION_HOLD, pair.now_us), KDNET_ERR_STATE);
    assert_true(kdnet_session_is_halted(pair.session));
    assert_int_equal(kdnet_session_resume(pair.session, KDNET_ACTION_CONTINUE, pair.now_us), KDNET_OK);
    net_pair_poll(&pair);
    net_pair_run(&pair, pair.now_us + 5000000);
    assert_true(machine_is_ended(pair.machine, pair.now_us));
    net_pair_clear(&pair);
}

static void there_is_no_session_without_what_it_needs(void **state)
{
    struct kdnet_policy policy;
    struct kdnet_key key = {{1}};
    struct kdnet_session_shared without_crypto = shared;
    (void)state;
    kdnet_policy_init(&policy);
    without_crypto.crypto = NULL;
    assert_null(kdnet_session_new(NULL, &policy, &key));
    assert_null(kdnet_session_new(&without_crypto, &policy, &key));
    assert_null(kdnet_session_new(&shared, &policy, NULL));
    kdnet_session_free(NULL);
    kdnet_crypto_free(NULL);
    kdnet_layout_cache_free(NULL);
    kdnet_trace_cache_free(NULL);
}

static void what_is_no_datagram_is_refused_at_any_length(void **state)
{
    struct kdnet_policy policy;
    struct kdnet_key key = {{1}};
    struct kdnet_received received;
    uint8_t payload[KDNET_DATAGRAM_MAX + 2] = {'M', 'D', 'B', 'G', 5, 1};
    (void)state;
    kdnet_policy_init(&policy);
    struct kdnet_session *session = kdnet_session_new(&shared, &policy, &key);
    assert_int_equal(kdnet_session_receive(session, NULL, 100, 1, &received), KDNET_ERR_SHORT);
    assert_false(kdnet_session_may_open(session, NULL, 100));
    for (size_t length = 0; length <= sizeof payload; ++length) {
        uint8_t *exact = malloc(length + 1); /* of its own, so that ASan finds a read behind it */
        assert_non_null(exact);
        memcpy(exact + 1, payload, length);
        assert_int_equal(kdnet_error_family(kdnet_session_receive(session, exact + 1, length, length, &received)),
                         KDNET_FAMILY_DROP);
        assert_false(received.authentic);
        assert_false(kdnet_session_may_open(session, exact + 1, length));
        free(exact);
    }
    kdnet_session_free(session);
}

static void texts_are_there_for_any_value(void **state)
{
    (void)state;
    for (int value = -100; value < 300; ++value) {
        assert_non_null(kdnet_error_text(value));
        assert_non_null(kdnet_action_name((enum kdnet_action)value));
        assert_non_null(kdnet_break_kind_name((enum kdnet_break_kind)value));
        assert_non_null(kdnet_phase_name((enum kdnet_phase)value));
        assert_non_null(kdnet_verdict_name((enum kdnet_verdict)value));
        assert_non_null(kdnet_reason_name((enum kdnet_reason)value));
        assert_non_null(kdnet_source_name((enum kdnet_source)value));
        assert_non_null(kdnet_likely_name((enum kdnet_likely)value));
        assert_non_null(kdnet_read_kind_name((enum kdnet_read_kind)value));
        assert_non_null(kdnet_value_state_name((enum kdnet_value_state)value));
        assert_non_null(kdnet_key_fault_text((enum kdnet_key_fault)value));
        assert_non_null(kdnet_machine_name((enum kdnet_machine)value));
        assert_non_null(kdnet_fingerprint_symbol((size_t)value));
    }
}

static void a_key_that_is_no_text_is_refused(void **state)
{
    struct kdnet_key key;
    enum kdnet_key_fault fault;
    int part;
    (void)state;
    assert_int_equal(kdnet_key_parse(NULL, 0, &key, &fault, &part), KDNET_ERR_KEY);
    assert_int_equal(kdnet_key_parse(NULL, 7, &key, &fault, &part), KDNET_ERR_KEY);
    assert_int_equal(fault, KDNET_KEY_FAULT_PARTS);
    assert_int_equal(part, 1);
}

static void the_version_is_that_of_the_headers(void **state)
{
    (void)state;
    assert_string_equal(kdnet_version(), KDNET_VERSION_TEXT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_crash_is_told_without_any_callback),
        cmocka_unit_test(a_policy_that_names_no_action_lets_the_machine_go_on),
        cmocka_unit_test(a_held_machine_is_resumed_by_an_action_that_there_is),
        cmocka_unit_test(there_is_no_session_without_what_it_needs),
        cmocka_unit_test(what_is_no_datagram_is_refused_at_any_length),
        cmocka_unit_test(texts_are_there_for_any_value),
        cmocka_unit_test(a_key_that_is_no_text_is_refused),
        cmocka_unit_test(the_version_is_that_of_the_headers),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
