/* SPDX-License-Identifier: Apache-2.0 */
/* What is answered when the server, or the store, says no: each outcome has its status and its words, and what a
 * machine or the service can be is told whole. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "tests/http/asking.h"
#include "tests/http/fake_world.h"
#include "tests/support/system.h"

static struct http_options options;
static struct http_ops ops;
static struct http *http;
static _Atomic enum http_outcome outcome;
static _Atomic enum store_result stored;

static void act(void *user, const struct http_act *what, void (*done)(void *done_user, const struct http_acted *acted),
                void *done_user)
{
    (void)user;
    (void)what;
    done(done_user, &(struct http_acted){.outcome = outcome});
}

static size_t tell_target(void *user, const struct http_target_query *query, http_target_fn *each, void *each_user)
{
    const struct http_target target = {.name = "web-17",
                                       .state = HTTP_STATE_CONNECTED,
                                       .worker = -1,
                                       .other_host_us = 1795692645000000,
                                       .other_host = "192.0.2.9:50000",
                                       .labels = "{}"};
    (void)user;
    if (query->name && strcmp(query->name, target.name) != 0)
        return 0;
    if (each)
        (void)each(each_user, &target);
    return 1;
}

static void tell_degraded(void *user, struct http_status *out)
{
    fake_ops.status(user, out);
    out->degraded_count = 2;
    out->degraded[0] = (struct http_degraded){.what = "sink", .name = "soc", .why = "503 Service Unavailable"};
    out->degraded[1] = (struct http_degraded){.what = "never heard of", .name = "", .why = "it is new"};
}

enum store_result __wrap_store_crashes(struct store_reader *reader, const struct store_crash_query *query,
                                       store_crash_fn *each, void *user, uint64_t *total);
enum store_result __real_store_crashes(struct store_reader *reader, const struct store_crash_query *query,
                                       store_crash_fn *each, void *user, uint64_t *total);
enum store_result __wrap_store_buckets(struct store_reader *reader, uint64_t since_us, uint64_t limit,
                                       store_bucket_fn *each, void *user);
enum store_result __real_store_buckets(struct store_reader *reader, uint64_t since_us, uint64_t limit,
                                       store_bucket_fn *each, void *user);
enum store_result __wrap_store_events(struct store_reader *reader, const struct store_event_query *query,
                                      store_event_fn *each, void *user);
enum store_result __real_store_events(struct store_reader *reader, const struct store_event_query *query,
                                      store_event_fn *each, void *user);

static atomic_bool hangs; /* the store */

enum store_result __wrap_store_crashes(struct store_reader *reader, const struct store_crash_query *query,
                                       store_crash_fn *each, void *user, uint64_t *total)
{
    while (atomic_load(&hangs))
        (void)usleep(1000);
    return stored != STORE_DONE ? stored : __real_store_crashes(reader, query, each, user, total);
}

enum store_result __wrap_store_buckets(struct store_reader *reader, uint64_t since_us, uint64_t limit,
                                       store_bucket_fn *each, void *user)
{
    return stored != STORE_DONE ? stored : __real_store_buckets(reader, since_us, limit, each, user);
}

enum store_result __wrap_store_events(struct store_reader *reader, const struct store_event_query *query,
                                      store_event_fn *each, void *user)
{
    return stored != STORE_DONE ? stored : __real_store_events(reader, query, each, user);
}

static int begin(bool by_tcp)
{
    options = (struct http_options){.socket = "none"};
    fake_world.ready = true;
    fake_world.targets = 3;
    fake_world.crashes = 2;
    fake_make();
    ops = fake_ops;
    ops.act = act;
    ops.targets = tell_target;
    ops.status = tell_degraded;
    http = asking_begin(&options, by_tcp) ? http_open(&options, &ops, fake_store) : NULL;
    return http ? 0 : -1;
}

static int begin_by_socket(void **state)
{
    (void)state;
    return begin(false);
}

static int begin_by_tcp(void **state)
{
    (void)state;
    return begin(true);
}

static int tear_down(void **state)
{
    (void)state;
    bool closed = http_close(http);
    fake_clear();
    return asking_end() && closed ? 0 : -1;
}

#define POST(path, length, body)                                                                                       \
    "POST " path                                                                                                       \
    " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: " length   \
    "\r\n\r\n" body

/* The answer has this status, and says this. */
static void assert_answer(const char *request, unsigned status, const char *says)
{
    unsigned got = ask(request);
    if (got != status || !strstr(asked.answer, says))
        fail_msg("not %u with \"%s\" to: %s\n%s", status, says, request, asked.answer);
}

/* --- actions ------------------------------------------------------------------------------------------------------ */

static void each_outcome_of_an_action_has_its_status(void **state)
{
    static const struct {
        enum http_outcome outcome;
        unsigned status;
        const char *says;
    } rows[] = {{HTTP_ACTED, 202, "{\"id\":null}"},
                {HTTP_NO_SUCH_TARGET, 404, "no target has this name"},
                {HTTP_FORBIDDEN, 403, "the configuration does not allow it"},
                {HTTP_TOO_OFTEN, 429, "Retry-After: 1\r\n"},
                {HTTP_CONFIGURATION, 422, "\"errors\":[]"},
                {HTTP_STORE, 503, "the store cannot be written"},
                {HTTP_BUSY, 503, "another one is under way"},
                {HTTP_NOT_READY, 503, "Retry-After: 1\r\n"}};
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; ++i) {
        outcome = rows[i].outcome;
        assert_answer(POST("/api/v1/targets/web-17/reboot", "0", ""), rows[i].status, rows[i].says);
    }
}

static void who_acts_on_what_is_not_there_is_told_what_it_is(void **state)
{
    (void)state;
    outcome = HTTP_NO_SUCH_TARGET;
    assert_answer(POST("/api/v1/crashes/0123456789abcdef/ack", "0", ""), 404, "problem:not-found");
    assert_answer(POST("/api/v1/sinks/soc/republish", "14", "{\"since\":\"2d\"}"), 404, "problem:not-found");
    assert_answer(POST("/api/v1/crashes/0123/ack", "0", ""), 404, "there is no such crash");
    assert_answer(POST("/api/v1/sinks/s%20c/republish", "14", "{\"since\":\"2d\"}"), 404, "there is no such sink");
    assert_answer(POST("/api/v1/targets/a%20b/reboot", "0", ""), 404, "no target has this name");
    assert_answer(POST("/api/v1/targets/a%20b/release", "0", ""), 404, "no target has this name");
    assert_answer(POST("/api/v1/targets/a%20b/read", "0", ""), 404, "no target has this name");
    outcome = HTTP_ACTED;
    assert_answer(POST("/api/v1/sinks/soc/republish", "14", "{\"since\":\"2d\"}"), 200, "{\"id\":null}");
    assert_answer(POST("/api/v1/sinks/soc/republish", "2", "{}"), 400, "since is missing or no time");
    assert_answer(POST("/api/v1/sinks/soc/republish", "9", "{\"a\":\"b\"}"), 400,
                  "unknown member a; it may have since");
}

/* --- the store ---------------------------------------------------------------------------------------------------- */

static void a_store_that_cannot_be_read_now_is_told_as_such(void **state)
{
    static const char *const requests[] = {
        GET("/api/v1/crashes"), GET("/api/v1/crashes/0000000000000001"), GET("/api/v1/buckets"),
        GET("/api/v1/events"),  GET("/api/v1/targets/web-17/events"),
    };
    (void)state;
    stored = STORE_UNAVAILABLE;
    for (size_t i = 0; i < sizeof requests / sizeof requests[0]; ++i)
        assert_answer(requests[i], 503, "the store cannot be read now");
    stored = STORE_DONE;
    for (size_t i = 0; i < sizeof requests / sizeof requests[0]; ++i)
        assert_int_equal(ask(requests[i]), 200);
    assert_answer(GET("/api/v1/crashes/12"), 404, "there is no such crash");
    stored = STORE_GONE;
    assert_answer(GET("/api/v1/events?after=a-1"), 410, "the event a-1 is no longer there");
    stored = STORE_DONE;
}

/* --- what is asked for -------------------------------------------------------------------------------------------- */

static void too_long_questions_are_refused_by_name(void **state)
{
    static char request[8000];
    (void)state;
    size_t length = (size_t)snprintf(request, sizeof request, "GET /api/v1/targets?state=connected");
    for (unsigned i = 0; i < 17; ++i)
        length += (size_t)snprintf(request + length, sizeof request - length, "&label=a%u=b", i);
    (void)snprintf(request + length, sizeof request - length,
                   " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    assert_answer(request, 400, "there are more than 16 labels");
    length = (size_t)snprintf(request, sizeof request, "GET /api/v1/crashes?target=web-17");
    for (unsigned i = 0; i < 60; ++i)
        length += (size_t)snprintf(request + length, sizeof request - length, "&target=%064u", i);
    (void)snprintf(request + length, sizeof request - length,
                   " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    assert_answer(request, 400, "target is there more than");
}

/* --- what there is ------------------------------------------------------------------------------------------------ */

static void another_host_of_a_machine_is_told(void **state)
{
    (void)state;
    assert_answer(GET("/api/v1/targets/web-17"), 200, "\"other_host\":{\"address\":\"192.0.2.9:50000\",\"at\":\"20");
    assert_answer(GET("/api/v1/targets/web-18"), 404, "no target is called web-18");
    assert_answer(GET("/api/v1/targets/a%20b"), 404, "no target has this name");
}

static void each_trouble_is_counted_by_its_kind(void **state)
{
    (void)state;
    assert_answer(GET("/metrics"), 200, "kdnetd_degraded{what=\"sink\"} 1\n");
    assert_non_null(strstr(asked.answer, "kdnetd_degraded{what=\"other\"} 1\n"));
    assert_non_null(strstr(asked.answer, "kdnetd_degraded{what=\"store\"} 0\n"));
}

static void a_store_that_hangs_is_told_of(void **state)
{
    (void)state;
    assert_true(http_close(http));
    options.limits.call_ms = 100;
    http = http_open(&options, &ops, fake_store);
    assert_non_null(http);
    atomic_store(&hangs, true);
    unsigned status = ask(GET("/api/v1/crashes"));
    atomic_store(&hangs, false);
    assert_int_equal(status, 503);
    assert_true(http_close(http));
    options.limits.call_ms = 0;
    http = http_open(&options, &ops, fake_store);
    assert_non_null(http);
    assert_non_null(strstr(asked.answer, "the store does not answer; look at its disk"));
    assert_answer(GET("/api/v1/crashes"), 200, "\"crashes\":[");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_outcome_of_an_action_has_its_status),
        cmocka_unit_test(who_acts_on_what_is_not_there_is_told_what_it_is),
        cmocka_unit_test(a_store_that_cannot_be_read_now_is_told_as_such),
        cmocka_unit_test(too_long_questions_are_refused_by_name),
        cmocka_unit_test(another_host_of_a_machine_is_told),
        cmocka_unit_test(each_trouble_is_counted_by_its_kind),
        cmocka_unit_test(a_store_that_hangs_is_told_of),
    };
    int failed = cmocka_run_group_tests_name("by TCP", tests, begin_by_tcp, tear_down);
    if (system_is_posix())
        failed += cmocka_run_group_tests_name("by the Unix socket", tests, begin_by_socket, tear_down);
    return failed;
}
