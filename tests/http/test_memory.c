/* SPDX-License-Identifier: Apache-2.0 */
/* Memory that runs out at any one allocation of HTTP: it is opened whole or not at all, a request gets an answer or the
 * end of its connection, and the next request is served. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "tests/http/asking.h"
#include "tests/http/fake_world.h"
#include "tests/service/captured_log.h"
#include "tests/support/scarce.h"
#include "tests/support/system.h"

#include <cmocka.h>
#include <event2/event.h>
#include <stdlib.h>
#include <unistd.h>
#include <uv.h>

#define BUFFER_LEAST 512U /* bytes of a piece of libevent's buffers */
#define MOST         400U /* allocations of one round, at the most */

static struct http_options options;

/* Libevent's allocations of so many bytes fail, too; to smaller ones scarce_spared() gives what they want. While a
 * connection is opened, libevent 2.1 does not bear that the memory for a callback fails, which is small. */
static size_t counts_libevent;

static void *allocate(size_t size)
{
    return size >= counts_libevent ? malloc(size) : scarce_spared(NULL, size);
}

static void *allocate_again(void *old, size_t size)
{
    return size >= counts_libevent ? realloc(old, size) : scarce_spared(old, size);
}

static int begin(bool by_tcp)
{
    options = (struct http_options){.limits = {.retry_ms = 10}}; /* no request waits for an end of time */
    event_set_mem_functions(allocate, allocate_again, free);
    fake_world.ready = true;
    fake_world.crashes = 3;
    fake_world.targets = 3;
    fake_make();
    return asking_begin(&options, by_tcp) ? 0 : -1;
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
    fake_clear();
    return asking_end() ? 0 : -1;
}

static struct http *open_http(void)
{
    return http_open(&options, &fake_ops, fake_store);
}

/* Returns whether memory failed: at that allocation of opening. */
static bool open_and_close(size_t number)
{
    captured_begin();
    scarce_begin(number, 0);
    struct http *http = open_http();
    (void)captured_end();
    bool failed = scarce_end();
    if (!http)
        assert_true(failed);
    if (http && !failed)
        assert_int_equal(ask(GET("/healthz")), 200);
    assert_true(http_close(http));
    assert_int_equal(access(asked.path, F_OK), asked.by_tcp ? 0 : -1); /* the socket goes, the tokens stay */
    return failed;
}

static void http_opens_whole_or_not_at_all(void **state)
{
    size_t n = 0;
    (void)state;
    counts_libevent = 0;
    while (n < MOST && open_and_close(n))
        ++n;
    assert_in_range(n, 1, MOST - 1);
}

/* Each allocation of these requests, and of the events that are published meanwhile, fails once. */
static void a_request_has_an_answer_or_its_connection_ends(void **state)
{
    static const char *const requests[] = {
        GET("/api/v1/status"),
        GET("/api/v1/targets?limit=2"),
        GET("/metrics"),
        GET("/api/v1/nothing"),
        GET("/api/v1/map"),
        GET("/api/v1/unknown"),
        GET("/api/v1/targets/web-01"),
        GET("/api/v1/targets/db-01/events"),
        GET("/api/v1/crashes?limit=2"),
        GET("/api/v1/crashes/0000000000000001"),
        GET("/api/v1/buckets"),
        GET("/api/v1/events?tail=2"),
        GET("/readyz"),
        GET("/"),
        "POST /api/v1/targets/db-01/release HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\nConnection: "
        "close\r\n\r\n{}",
        "GET /api/v1/stream HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nLast-Event-ID: "
        "fake-0000000000000000-1\r\n\r\n",
        "GET /api/v1/stream HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nLast-Event-ID: nobody-knows\r\n\r\n",
        "GET / HTTP/2.0\r\nHost: localhost\r\nConnection: close\r\n\r\n",
        "POST /api/v1/reload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}",
    };
    const struct store_event event = {
        .seq = 1, .id = "a", .time_us = 1, .type = "lost", .target = "web-1", .line = "{}", .length = 2};
    (void)state;
    counts_libevent = SIZE_MAX;
    captured_begin();
    struct http *http = open_http();
    for (size_t i = 0; http && i < sizeof requests / sizeof requests[0]; ++i)
        for (size_t n = 0; n < MOST; ++n) {
            counts_libevent = strstr(requests[i], "/stream") ? SIZE_MAX : BUFFER_LEAST; /* a stream has no end */
            scarce_begin(n, 0);
            http_publish(http, &event, 1);
            unsigned status = ask_until(requests[i], strstr(requests[i], "/stream") ? "data:" : NULL);
            bool failed = scarce_end();
            if ((status < 200 || status > 599) && (status != 0 || !failed)) {
                (void)fputs(captured_end(), stderr);
                fail_msg("answer %u to %s", status, requests[i]);
            }
            if (!failed)
                break;
            if (ask(GET("/healthz")) != 200) {
                (void)fputs(captured_end(), stderr);
                fail_msg("not served after allocation %zu of: %s", n, requests[i]);
            }
        }
    bool closed = http_close(http);
    (void)captured_end();
    assert_non_null(http);
    assert_true(closed);
}

static void configure(void *user)
{
    static const char *const names[] = {"kdnetd.example", "kdnetd.test"};
    struct http_options other = options;
    other.names = names;
    other.name_count = 2;
    other.group = "no-such-group-here";
    assert_true(http_configure(user, &other) || scarce_failed());
}

/* What a reload finds no memory for is as it was; half of a certificate is told, and ends no service of the rest. */
static void other_options_are_taken_whole_or_not_at_all(void **state)
{
    struct http_options other = options;
    struct http_degraded degraded;
    (void)state;
    counts_libevent = SIZE_MAX;
    captured_begin();
    struct http *http = open_http();
    size_t failures = http ? scarce_each(configure, http) : 0;
    bool served = ask(GET("/healthz")) == 200;
    other.tls_cert = "/nowhere.pem";
    bool good = http && http_configure(http, &other);
    while (good && http_degraded(http, &degraded, 1) == 0)
        uv_sleep(1);
    unsigned status = ask(GET("/healthz"));
    good = good && http_configure(http, &options);
    while (good && http_degraded(http, &degraded, 1) > 0)
        uv_sleep(1);
    bool served_again = ask(GET("/healthz")) == 200;
    bool closed = http_close(http);
    const char *said = captured_end();
    assert_in_range(failures, 4, MOST);
    assert_true(served && good && served_again && closed);
    if (!asked.by_tcp)
        assert_int_equal(status, 200); /* the Unix socket needs none */
    assert_non_null(strstr(said, "http_tls_cert and http_tls_key belong together; set both"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(http_opens_whole_or_not_at_all),
        cmocka_unit_test(other_options_are_taken_whole_or_not_at_all),
        cmocka_unit_test(a_request_has_an_answer_or_its_connection_ends),
    };
    int failed = cmocka_run_group_tests_name("by TCP", tests, begin_by_tcp, tear_down);
    if (system_is_posix())
        failed += cmocka_run_group_tests_name("by the Unix socket", tests, begin_by_socket, tear_down);
    return failed;
}
