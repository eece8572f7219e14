/* SPDX-License-Identifier: Apache-2.0 */
/* Memory that runs out at any one allocation of the server: a configuration is read again whole, or counts for nothing
 * or says what is not served; who asked for an action is answered; and machines are served on. */
#include "service/runtime/json_memory.h"
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

/* --- the start ---------------------------------------------------------------------------------------------------- */

static size_t count_rows(void)
{
    size_t count = 0;
    for (unsigned i = 0; i < WORKERS; ++i)
        count += fake.server->workers[i].targets.count;
    return count;
}

static void the_start_serves_all_targets_or_says_what_is_not_served(void **state)
{
    size_t n = 0;
    (void)state;
    for (bool failed = true; failed; ++n) {
        fake_begin(WORKERS, AFTER KEYS);
        captured_begin();
        scarce_begin(n, 0);
        bool good = reload_first(fake.server);
        failed = scarce_end();
        fake_turn();
        const char *said = captured_end();
        assert_true(good || strstr(said, "no listener can be opened"));
        assert_int_equal(good, is_listening());
        assert_true(count_rows() == 3 || strstr(said, "some targets are not served"));
        assert_true(failed || (good && count_rows() == 3));
        captured_begin();
        fake_end();
        (void)captured_end();
    }
    assert_in_range(n, 20, MOST);
}

/* --- each second -------------------------------------------------------------------------------------------------- */

/* Somebody pokes with a key that no target has. */
static void poke_with_an_unknown_key(uint32_t from)
{
    struct search_poke poke = {.local_port = 50000, .length = KEY_SEARCH_PAYLOAD, .source.port = 1};
    memcpy(poke.source.ip, &(const uint8_t[16]){[10] = 0xff, [11] = 0xff, 192, 0, 2}, sizeof poke.source.ip);
    memcpy(poke.source.ip + 12, &from, sizeof from);
    unknown_report_poke(fake.server, &poke);
}

static bool count_one(void *user, const struct http_unknown *unknown)
{
    assert_non_null(unknown->address);
    *(size_t *)user += 1;
    return true;
}

/* What the server does once a second. */
static void look_at_all(void)
{
    struct server *server = fake.server;
    fake_turn();
    summary_ask(server);
    ports_look(server, worker_now_us());
    unknown_report_look(server, worker_now_us());
    summary_status(server);
    fake_turn();
    api_look(&server->api);
}

static void what_is_known_each_second_stays_known(void **state)
{
    struct http_ops ops;
    struct http_status status;
    size_t n = 0, listed = 0;
    (void)state;
    (void)begin(LISTEN WEB_17);
    api_ops(&fake.server->api, &ops);
    for (bool failed = true; failed; ++n) {
        captured_begin();
        fake_pass_ms(61000);
        scarce_begin(n, 0);
        poke_with_an_unknown_key((uint32_t)n % 3);
        look_at_all();
        failed = scarce_end();
        (void)captured_end();
        machines_are_served();
    }
    assert_in_range(n, 3, MOST);
    look_at_all();
    ops.status(ops.user, &status);
    assert_true(status.ready);
    assert_int_equal(status.unknown_sources, 3);
    assert_int_equal(ops.unknown(ops.user, count_one, &listed), 3);
    assert_int_equal(listed, 3);
    assert_int_equal(fake.server->summary.totals.targets, 1);
    (void)fake_machine_teardown(NULL);
}

/* --- machines ----------------------------------------------------------------------------------------------------- */

/* Connects, and stops at a breakpoint. */
static void stop_once(void)
{
    (void)puppet_poke(machine.puppet);
    fake_wait_ms(20);
    (void)puppet_break(machine.puppet, KDNET_EXCEPTION_BREAKPOINT, 0xfffff80012345678U);
    fake_wait_ms(1000);
}

static void a_machine_that_stops_goes_on(void **state)
{
    size_t n = 0;
    (void)state;
    for (bool failed = true; failed; ++n) {
        (void)begin(LISTEN "targets:\n  - {name: web-17, key: 1.2.3.4}\n");
        captured_begin();
        scarce_begin(n, 0);
        stop_once();
        failed = scarce_end();
        if (machine.puppet->continue_count == 0)
            stop_once(); /* as a machine does that nobody answers */
        (void)captured_end();
        assert_int_equal(machine.puppet->continue_count, 1);
        (void)fake_machine_teardown(NULL);
    }
    assert_in_range(n, 3, MOST);
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
        cmocka_unit_test(the_start_serves_all_targets_or_says_what_is_not_served),
        cmocka_unit_test(what_is_known_each_second_stays_known),
        cmocka_unit_test(a_machine_that_stops_goes_on),
        cmocka_unit_test(a_held_machine_is_let_go_when_it_is_said_so),
        cmocka_unit_test(who_acts_on_the_service_is_answered),
    };
    json_memory_watch(); /* its failures count, too */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
