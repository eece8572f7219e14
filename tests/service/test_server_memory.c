/* SPDX-License-Identifier: Apache-2.0 */
/* Memory that runs out at any one allocation of the server: a configuration is read again whole, or counts for nothing
 * or says what is not served; who asked for an action is answered; and machines are served on. */
#include "tests/service/acting_server.h"
#include "tests/support/scarce.h"

#define MOST  2000U
#define AFTER "listen: [\"127.0.0.1:50001\"]\nstore: none\nhttp: none\nhttp_socket: none\n"
#define KEYS                                                                                                           \
    "targets:\n"                                                                                                       \
    "  - {name: db-1, key: 1.2.3.4, address: 192.0.2.7, labels: {rack: b4}}\n"                                         \
    "  - {name: web-18, key: 1.2.3.5, key_old: 1.2.3.6, policy: {break: hold}}\n"

/* Reads the configuration again, with the allocation of this number failing. Returns whether one did. */
static bool reload_without(size_t number)
{
    captured_begin();
    scarce_begin(number, 0);
    reload_again(fake.server);
    if (fake.readings > 0)
        fake_read();
    fake_turn();
    bool failed = scarce_end();
    (void)captured_end();
    return failed;
}

static bool is_listening(void)
{
    const struct port *port = fake.server->ports;
    while (port && !port->open)
        port = port->next;
    return port != NULL;
}

static void machines_are_served(void)
{
    struct worker *worker = NULL;
    assert_null(fake.server->reload);
    assert_true(is_listening());
    assert_true(fake_find("web-17", &worker) || fake_find("db-1", &worker));
}

static void a_configuration_counts_whole_or_it_is_said(void **state)
{
    struct worker *worker = NULL;
    size_t n = 0;
    (void)state;
    for (bool failed = true; failed; ++n) {
        (void)begin(LISTEN WEB_17);
        fake_write(AFTER KEYS);
        failed = reload_without(n);
        machines_are_served();
        assert_false(reload_without(SIZE_MAX - 1)); /* there is memory again */
        machines_are_served();
        assert_string_equal(fake.server->mistake, "");
        assert_non_null(fake_find("db-1", &worker));
        assert_non_null(fake_find("web-18", &worker));
        assert_null(fake_find("web-17", &worker));
        (void)fake_machine_teardown(NULL);
    }
    assert_in_range(n, 50, MOST);
}

/* --- who acts ----------------------------------------------------------------------------------------------------- */

/* Acts with the allocation of this number failing. Returns whether one did. */
static bool act_without(size_t number, const struct http_act *act)
{
    scarce_begin(number, 0);
    start_act(act);
    while (fake.readings > 0) {
        captured_begin();
        fake_read();
        fake_turn();
        (void)captured_end();
    }
    bool failed = scarce_end();
    assert_int_equal(told.count, 1); /* who asked is answered once */
    return failed;
}

static void a_held_machine_is_let_go_when_it_is_said_so(void **state)
{
    const struct http_act act = {.action = HTTP_ACTION_RELEASE, .target = "web-17", .by = "anna"};
    size_t n = 0;
    (void)state;
    for (bool failed = true; failed; ++n) {
        (void)begin(LISTEN WEB_17);
        const struct target *row = hold();
        failed = act_without(n, &act);
        assert_int_equal(row->held, told.acted.outcome != HTTP_ACTED);
        assert_true(failed || told.acted.outcome == HTTP_ACTED);
        (void)fake_machine_teardown(NULL);
    }
    assert_in_range(n, 2, MOST);
}

static void who_acts_on_the_service_is_answered(void **state)
{
    static const enum http_action actions[] = {HTTP_ACTION_RELOAD, HTTP_ACTION_DRAIN, HTTP_ACTION_UNDRAIN};
    (void)state;
    for (size_t i = 0; i < sizeof actions / sizeof actions[0]; ++i) {
        const struct http_act act = {.action = actions[i], .by = "anna"};
        size_t n = 0;
        (void)begin(LISTEN WEB_17);
        while (act_without(n, &act))
            ++n;
        assert_int_equal(told.acted.outcome, HTTP_ACTED);
        assert_in_range(n, 1, MOST);
        (void)fake_machine_teardown(NULL);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_configuration_counts_whole_or_it_is_said),
        cmocka_unit_test(a_held_machine_is_let_go_when_it_is_said_so),
        cmocka_unit_test(who_acts_on_the_service_is_answered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
