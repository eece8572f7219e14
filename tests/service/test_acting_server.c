/* SPDX-License-Identifier: Apache-2.0 */
/* What operators do to the service, from the API's call to its answer: drain, reload, and a service that stops. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "service/server/reload_state_internal.h"
#include "tests/service/fake_machine.h"
#include "tests/service/acting_server.h"

#include <cmocka.h>

static void who_waits_for_a_read_is_told_that_the_service_ends(void **state)
{
    (void)state;
    (void)hold();
    start_act(&(struct http_act){.action = HTTP_ACTION_READ, .target = "web-17", .by = "token-1"});
    assert_int_equal(told.count, 0);
    fake.server->joined = true;
    look();
    assert_int_equal(told.count, 0);
    api_refuse_waiting(fake.server);
    assert_int_equal(told.count, 1);
    assert_int_equal(told.acted.outcome, HTTP_NOT_READY);
    assert_int_equal(fake.server->reads, 0);
}

/* Its events are closed by then: the answer comes nevertheless. */
static void who_waits_for_a_read_at_the_very_end_is_answered_without_an_event(void **state)
{
    (void)state;
    (void)hold();
    start_act(&(struct http_act){.action = HTTP_ACTION_READ, .target = "web-17", .by = "token-1"});
    assert_int_equal(told.count, 0);
    fake.server->joined = fake.server->finished = true;
    api_refuse_waiting(fake.server);
    assert_int_equal(told.count, 1);
    assert_int_equal(told.acted.outcome, HTTP_NOT_READY);
    assert_string_equal(told.event, "");
    assert_int_equal(fake.server->reads, 0);
    fake.server->finished = false;
}

static void a_service_that_stops_acts_no_more(void **state)
{
    (void)state;
    fake.server->stopping = true;
    start_act(&(struct http_act){.action = HTTP_ACTION_RELOAD, .by = "token-1"});
    assert_int_equal(told.acted.outcome, HTTP_NOT_READY);
    assert_string_equal(told.detail, "kdnetd is stopping");
}

static void a_drain_says_who_is_there_and_that_it_is_not_ready(void **state)
{
    struct http_ops ops;
    static struct http_status status;
    (void)state;
    (void)hold();
    api_ops(&fake.server->api, &ops);
    summary_ask(fake.server);
    fake_turn();
    start_act(&(struct http_act){.action = HTTP_ACTION_DRAIN, .by = "token-1"});
    assert_int_equal(told.acted.outcome, HTTP_ACTED);
    assert_true(told.acted.draining);
    assert_int_equal(told.acted.held, 1);
    assert_int_equal(told.acted.heard_last_10s, 1);
    assert_non_null(strstr(told.event, "\"action\":\"drain\""));
    ops.status(ops.user, &status);
    assert_true(status.draining);
    assert_false(status.ready);
    assert_string_equal(status.not_ready, "kdnetd is draining");
    assert_int_equal(status.targets[HTTP_STATE_HELD], 1);
    start_act(&(struct http_act){.action = HTTP_ACTION_UNDRAIN, .by = "token-1"});
    assert_false(told.acted.draining);
    ops.status(ops.user, &status);
    assert_true(status.ready);
}

static void without_a_store_crashes_and_sinks_are_not_to_be_had(void **state)
{
    (void)state;
    start_act(&(struct http_act){.action = HTTP_ACTION_ACKNOWLEDGE, .crash = "0123456789abcdef", .by = "token-1"});
    assert_int_equal(told.acted.outcome, HTTP_STORE);
    assert_string_equal(told.detail, "there is no store: set `store:`");
    start_act(&(struct http_act){.action = HTTP_ACTION_REPUBLISH, .sink = "noc", .by = "token-1"});
    assert_int_equal(told.acted.outcome, HTTP_STORE);
    assert_non_null(strstr(told.detail, "set `store:`"));
    assert_string_equal(told.event, "");
}

static void start_reload(const char *configuration)
{
    fake_write(configuration);
    start_act(&(struct http_act){.action = HTTP_ACTION_RELOAD, .by = "token-1"});
    captured_begin();
    if (fake.readings > 0)
        fake_read();
    fake_turn();
    (void)captured_end();
}

static void who_asks_for_a_reload_hears_when_it_counts(void **state)
{
    (void)state;
    start_reload(LISTEN WEB_17 "  - {name: db-1, key: 1.2.3.5}\n");
    assert_int_equal(told.count, 1);
    assert_int_equal(told.acted.outcome, HTTP_ACTED);
    assert_string_equal(told.errors, "[]");
    assert_string_equal(state_of("db-1"), "never_seen");
}

static void who_asks_for_a_reload_hears_each_mistake_and_where_it_is(void **state)
{
    char text[200];
    (void)state;
    start_reload(LISTEN "targets:\n  - {name: web-17, key: 1.2.3}\n");
    assert_int_equal(told.acted.outcome, HTTP_CONFIGURATION);
    assert_non_null(strstr(told.detail, "the one until now stays in force"));
    (void)snprintf(text, sizeof text, "\"file\":\"%s\",\"line\":6,", fake.path);
    assert_non_null(strstr(told.errors, text));
    assert_non_null(strstr(told.errors, "\"detail\":\""));
    assert_non_null(strstr(told.event, "\"action\":\"reload\""));
    assert_non_null(strstr(told.event, "\"ok\":false"));
}

static void one_reload_at_a_time_is_done(void **state)
{
    (void)state;
    start_act(&(struct http_act){.action = HTTP_ACTION_RELOAD, .by = "token-1"});
    assert_int_equal(told.count, 0);
    start_act(&(struct http_act){.action = HTTP_ACTION_RELOAD, .by = "token-2"});
    assert_int_equal(told.count, 1);
    assert_int_equal(told.acted.outcome, HTTP_BUSY);
    captured_begin();
    fake_read();
    fake_turn();
    (void)captured_end();
    assert_int_equal(told.count, 2);
    assert_int_equal(told.acted.outcome, HTTP_ACTED);
}

static void a_reload_that_cannot_begin_says_why(void **state)
{
    (void)state;
    fake.no_threads = true;
    start_reload(LISTEN WEB_17);
    assert_int_equal(told.count, 1);
    assert_int_equal(told.acted.outcome, HTTP_BUSY);
    assert_non_null(strstr(told.errors, "out of memory or threads"));
    assert_non_null(strstr(told.errors, "\"file\":null,\"line\":null,\"field\":null"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(who_waits_for_a_read_is_told_that_the_service_ends),
        TEST(who_waits_for_a_read_at_the_very_end_is_answered_without_an_event),
        TEST(a_service_that_stops_acts_no_more),
        TEST(a_drain_says_who_is_there_and_that_it_is_not_ready),
        TEST(without_a_store_crashes_and_sinks_are_not_to_be_had),
        TEST(who_asks_for_a_reload_hears_when_it_counts),
        TEST(who_asks_for_a_reload_hears_each_mistake_and_where_it_is),
        TEST(one_reload_at_a_time_is_done),
        TEST(a_reload_that_cannot_begin_says_why),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
