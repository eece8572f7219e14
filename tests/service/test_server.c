/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kdnetd starts and ends: the whole server in this process, with its workers' threads and sockets at any free port of
 * loopback. What the system asks of it comes from a list of the test; what cannot be had is refused as the test says.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <openssl/rand.h>

#include "config/remedies.h"
#include "service/fleet/strays.h"
#include "service/platform/platform.h"
#include "service/server/server.h"
#include "service/server/server_internal.h"
#include "service/worker/stray.h"
#include "service/worker/worker_loop.h"
#include "tests/service/captured_log.h"
#include "tests/support/refused.h"
#include "tests/support/remove_tree.h"
#include "tests/support/scarce.h"
#include "tests/support/system.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define EVERY_MS   1
#define CLOSING_MS 50
#define STORE_MS   60000 /* for a disk that is slow */
#define NONE       (SIZE_MAX - 1)

static struct {
    char folder[64], path[96], events[96];
    struct options options;
    enum request asked[4]; /* of it, one after the other */
    size_t count, at;
    uv_timer_t timer;
    void (*call)(void *user, enum request request);
    void *user;
    int socket_error;         /* 0: sockets can be had */
    unsigned workers_refused; /* how many of them cannot start; counted from the second on */
    bool no_worker, no_random;
    bool closed, served_meanwhile; /* what people use; whether workers still ran then */
    bool store_hangs;
    jmp_buf end;                      /* where the end of the process goes on */
    bool shown;                       /* by another collector, when the workers had ended */
    size_t waits;                     /* in their mailboxes, after that */
    size_t refused, failed;           /* the call, or the allocation, that is refused while it runs; NONE: none is */
    struct store_callbacks callbacks; /* of the store */
    uint64_t overrun;                 /* events that a sink has not taken in time, as the store says it; 0: none */
} fake;

void __wrap_requests_watch(struct requests *requests, uv_loop_t *loop, void (*call)(void *user, enum request request),
                           void *user);
void __wrap_requests_close(struct requests *requests);
int __wrap_platform_udp_socket(const struct sockaddr *local, unsigned how, uv_os_sock_t *out);
int __real_platform_udp_socket(const struct sockaddr *local, unsigned how, uv_os_sock_t *out);
int __wrap_worker_start(struct worker *worker);
int __real_worker_start(struct worker *worker);
bool __wrap_api_close(struct http *http);
bool __real_api_close(struct http *http);
bool __wrap_store_close(struct store *store, unsigned wait_ms);
bool __real_store_close(struct store *store, unsigned wait_ms);
void __wrap_platform_end(int status);
bool __wrap_strays_close(struct strays *strays, unsigned wait_ms);
bool __real_strays_close(struct strays *strays, unsigned wait_ms);
int __wrap_RAND_bytes(unsigned char *out, int length);
int __real_RAND_bytes(unsigned char *out, int length);

static void on_timer(uv_timer_t *timer)
{
    const struct server *server = fake.user;
    bool busy = server->reload || (server->summary.log_due && !server->stopping);
    if (busy && !server->joined)
        return; /* one after the other */
    if (fake.overrun > 0 && fake.callbacks.on_overrun)
        fake.callbacks.on_overrun(fake.callbacks.user, "soc", fake.overrun);
    fake.overrun = 0;
    if (fake.at < fake.count)
        fake.call(fake.user, fake.asked[fake.at++]);
    if (fake.at == fake.count && !uv_is_closing((uv_handle_t *)timer))
        uv_close((uv_handle_t *)timer, NULL);
}

void __wrap_requests_watch(struct requests *requests, uv_loop_t *loop, void (*call)(void *user, enum request request),
                           void *user)
{
    (void)requests;
    fake.call = call;
    fake.user = user;
    assert_int_equal(uv_timer_init(loop, &fake.timer), 0);
    assert_int_equal(uv_timer_start(&fake.timer, on_timer, EVERY_MS, EVERY_MS), 0);
}

void __wrap_requests_close(struct requests *requests)
{
    (void)requests;
}

int __wrap_platform_udp_socket(const struct sockaddr *local, unsigned how, uv_os_sock_t *out)
{
    struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    (void)local;
    if (fake.socket_error != 0)
        return fake.socket_error;
    return __real_platform_udp_socket((const struct sockaddr *)(const void *)&any, how, out);
}

int __wrap_worker_start(struct worker *worker)
{
    return fake.no_worker || (worker->number > 0 && fake.workers_refused > 0) ? UV_EAGAIN : __real_worker_start(worker);
}

/* On a thread of its own: workers had all the time to end. */
bool __wrap_api_close(struct http *http)
{
    const struct server *server = fake.user;
    uv_sleep(fake.refused == NONE && fake.failed == NONE ? CLOSING_MS : 0);
    fake.served_meanwhile = server && !server->joined;
    fake.closed = true;
    return __real_api_close(http);
}

struct store *__wrap_store_open(const struct store_options *options, const struct store_callbacks *callbacks);
struct store *__real_store_open(const struct store_options *options, const struct store_callbacks *callbacks);

struct store *__wrap_store_open(const struct store_options *options, const struct store_callbacks *callbacks)
{
    fake.callbacks = *callbacks;
    return __real_store_open(options, callbacks);
}

/* A slow disk is no hanging one. */
bool __wrap_store_close(struct store *store, unsigned wait_ms)
{
    (void)wait_ms;
    return __real_store_close(store, STORE_MS) && !fake.store_hangs;
}

static const void *volatile left; /* the server that such a process leaves behind */

/* Else the tests would be over, and this program had passed. */
void __wrap_platform_end(int status)
{
    left = fake.user;
    assert_non_null(left);
    longjmp(fake.end, status == EXIT_SUCCESS ? 1 : 2);
}

/* The last datagram of all. */
bool __wrap_strays_close(struct strays *strays, unsigned wait_ms)
{
    static const uint8_t payload[] = {1};
    struct server *server = fake.user;
    for (uint8_t i = 1; server && server->joined && i < 9; ++i) {
        struct address machine = {.ip = {[15] = i}, .port = 50000};
        stray_post(&server->env, &machine, &machine, payload, sizeof payload);
        fake.shown = true;
    }
    for (unsigned i = 0; server && server->joined && i < server->inited; ++i)
        fake.waits += server->workers[i].mailbox.count;
    return __real_strays_close(strays, wait_ms);
}

int __wrap_RAND_bytes(unsigned char *out, int length)
{
    return fake.no_random ? 0 : __real_RAND_bytes(out, length);
}

static void write_configuration(void)
{
    static const char format[] =
        "listen: [\"127.0.0.1:50000\"]\nworkers: 2\nevents: %s\nhttp: none\nhttp_socket: %s/http\n"
        "targets:\n  - {name: web-17, key: 1.2.3.4}\n";
    FILE *file = fopen(fake.path, "w");
    assert_non_null(file);
    assert_true(fprintf(file, format, fake.events, fake.folder) > 0);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(fake.path, 0600), 0);
}

static int setup(void **state)
{
    (void)state;
    memset(&fake, 0, sizeof fake);
    (void)snprintf(fake.folder, sizeof fake.folder, "/tmp/kdnetd-test-XXXXXX");
    assert_non_null(mkdtemp(fake.folder));
    (void)snprintf(fake.path, sizeof fake.path, "%s/kdnetd.yaml", fake.folder);
    (void)snprintf(fake.events, sizeof fake.events, "%s/events.jsonl", fake.folder);
    assert_int_equal(setenv("STATE_DIRECTORY", fake.folder, 1), 0);
    write_configuration();
    fake.options.config_path = fake.path;
    fake.refused = fake.failed = NONE;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    return remove_tree(fake.folder) ? 0 : -1;
}

/* Runs it until it has ended, as it is to: only a store that hangs ends the process. Returns what the log said. */
static const char *run(bool *good)
{
    static struct kdnetd_config config;
    struct config_report report;
    config_report_init(&report);
    assert_true(options_load(&fake.options, NULL, &config, &report));
    config_report_clear(&report);
    fake.user = NULL; /* that of an earlier run is gone */
    captured_begin();
    int ended = setjmp(fake.end);
    if (ended == 0) {
        refused_begin(fake.refused, EAGAIN);
        scarce_begin(fake.failed, 0);
        *good = server_run(&fake.options, &config);
    } else {
        *good = ended == 1;
    }
    (void)scarce_end();
    (void)refused_end();
    const char *text = captured_end();
    assert_int_equal(ended != 0, fake.store_hangs);
    config_clear(&config);
    return text;
}

static void ask(size_t count, const enum request *requests)
{
    memcpy(fake.asked, requests, count * sizeof requests[0]);
    fake.count = count;
}

static void it_serves_until_it_is_told_to_stop(void **state)
{
    static const enum request requests[] = {REQUEST_SUMMARY, REQUEST_STOP};
    bool good;
    (void)state;
    ask(2, requests);
    const char *text = run(&good);
    print_message("%s", text);
    assert_true(good);
    assert_non_null(strstr(text, "msg=listening listen=127.0.0.1:50000"));
    assert_non_null(strstr(text, "msg=serving"));
    assert_non_null(strstr(text, "targets=1 workers=2 listeners=1"));
    const char *summary = strstr(text, "msg=summary");
    assert_non_null(summary);
    const char *stopping = strstr(summary, "msg=stopping");
    assert_non_null(stopping);
    assert_non_null(strstr(stopping, "msg=summary")); /* the last */
}

static void a_reload_is_done_and_one_after_the_word_to_stop_is_not(void **state)
{
    static const enum request requests[] = {REQUEST_RELOAD, REQUEST_STOP, REQUEST_RELOAD};
    bool good;
    (void)state;
    ask(3, requests);
    const char *text = run(&good);
    assert_true(good);
    const char *again = strstr(text, "configuration read again");
    assert_non_null(again);
    const char *stopping = strstr(again, "msg=stopping");
    assert_non_null(stopping);
    assert_null(strstr(stopping, "configuration read again"));
}

static void told_twice_it_stops_at_once(void **state)
{
    static const enum request requests[] = {REQUEST_STOP, REQUEST_STOP};
    bool good;
    (void)state;
    ask(2, requests);
    (void)run(&good);
    assert_true(good);
}

static void machines_are_served_while_the_rest_is_closed(void **state)
{
    static const enum request requests[] = {REQUEST_STOP};
    bool good;
    (void)state;
    ask(1, requests);
    (void)run(&good);
    assert_true(good);
    assert_true(fake.closed);
    assert_true(fake.served_meanwhile);
}

static void a_store_that_hangs_is_not_waited_for(void **state)
{
    static const enum request requests[] = {REQUEST_STOP};
    bool good;
    (void)state;
    ask(1, requests);
    fake.store_hangs = true;
    const char *text = run(&good);
    assert_true(good);
    assert_non_null(strstr(text, "hangs; it is not waited for"));
}

static void what_is_shown_after_the_workers_have_ended_is_not_kept(void **state)
{
    static const enum request requests[] = {REQUEST_STOP};
    bool good;
    (void)state;
    ask(1, requests);
    (void)run(&good);
    assert_true(good);
    assert_true(fake.shown);
    assert_int_equal(fake.waits, 0);
}

static void events_that_a_sink_has_lost_are_an_event(void **state)
{
    static const enum request requests[] = {REQUEST_SUMMARY, REQUEST_STOP};
    char line[1024] = "";
    bool good, found = false;
    (void)state;
    ask(2, requests);
    fake.overrun = 5;
    (void)run(&good);
    assert_true(good);
    if (!fake.callbacks.on_overrun)
        skip(); /* this build has nobody who asks for a store */
    FILE *file = fopen(fake.events, "r");
    assert_non_null(file);
    while (!found && fgets(line, sizeof line, file))
        found = strstr(line, "\"event\":\"sink_overrun\"") != NULL;
    assert_int_equal(fclose(file), 0);
    assert_true(found);
    assert_non_null(strstr(line, "\"sink\":\"soc\",\"count\":5"));
}

static void without_a_socket_it_does_not_start(void **state)
{
    bool good;
    (void)state;
    fake.socket_error = UV_EADDRINUSE;
    const char *text = run(&good);
    assert_false(good);
    assert_non_null(strstr(text, "no listener can be opened"));
    assert_null(strstr(text, "msg=serving"));
}

static void with_too_few_threads_fewer_workers_serve(void **state)
{
    static const enum request requests[] = {REQUEST_STOP};
    bool good;
    (void)state;
    ask(1, requests);
    fake.workers_refused = 1;
    const char *text = run(&good);
    assert_true(good);
    assert_non_null(strstr(text, "fewer serve than were asked for"));
    assert_non_null(strstr(text, "workers=1"));
}

static void without_any_thread_it_does_not_start(void **state)
{
    bool good;
    (void)state;
    fake.no_worker = true;
    const char *text = run(&good);
    assert_false(good);
    assert_non_null(strstr(text, REMEDY_LIMITS));
}

static void without_random_bytes_it_does_not_start(void **state)
{
    bool good;
    (void)state;
    fake.no_random = true;
    const char *text = run(&good);
    assert_false(good);
    assert_non_null(strstr(text, "no random bytes"));
}

/* Runs it with one refusal after the other until nothing is refused any more: it serves, and ends as it is told, or it
 * says why it does not. Returns how often something was refused. */
static size_t starve(size_t *number, size_t step)
{
    static const enum request requests[] = {REQUEST_SUMMARY, REQUEST_RELOAD, REQUEST_STOP};
    size_t count = 0;
    bool any = true;
    if (!system_is_posix())
        skip(); /* hundreds of starts take minutes under Wine */
    for (*number = 0; any; *number += step) {
        bool good;
        fake.at = 0;
        ask(3, requests);
        const char *text = run(&good);
        any = refused_call() || scarce_failed();
        count += any;
        if (!good && !strstr(text, "level=error"))
            fail_msg("%zu, %s: it says nothing of it: %s", *number, refused_call() ? refused_call() : "memory", text);
        assert_true(good || any);
        assert_int_equal(strstr(text, "msg=serving") != NULL, fake.at > 0);
    }
    return count;
}

static void with_a_call_refused_it_serves_or_says_why_not(void **state)
{
    (void)state;
    assert_in_range(starve(&fake.refused, 1), 50, 1000);
}

static void without_some_memory_it_serves_or_says_why_not(void **state)
{
    (void)state;
    assert_in_range(starve(&fake.failed, 1), 50, 10000);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(it_serves_until_it_is_told_to_stop),
        TEST(a_reload_is_done_and_one_after_the_word_to_stop_is_not),
        TEST(told_twice_it_stops_at_once),
        TEST(machines_are_served_while_the_rest_is_closed),
        TEST(without_a_socket_it_does_not_start),
        TEST(with_too_few_threads_fewer_workers_serve),
        TEST(without_any_thread_it_does_not_start),
        TEST(without_random_bytes_it_does_not_start),
        TEST(events_that_a_sink_has_lost_are_an_event),
        TEST(a_store_that_hangs_is_not_waited_for),
        TEST(what_is_shown_after_the_workers_have_ended_is_not_kept),
        TEST(with_a_call_refused_it_serves_or_says_why_not),
        TEST(without_some_memory_it_serves_or_says_why_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
