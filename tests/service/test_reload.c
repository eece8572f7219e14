/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A configuration comes into force, at the start and again, while machines are served: workers' loops that a test
 * turns, a clock that it sets, and a thread that reads when it lets it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "service/runtime/log.h"
#include "service/server/reload_state_internal.h"
#include "tests/service/fake_machine.h"

#include <cmocka.h>

#define WORKERS 2U
#define LISTEN  "listen: [\"127.0.0.1:50000\"]\n"
#define WEB_17  "  - {name: web-17, key: 1.2.3.4}\n"
#define WEB_18  "  - {name: web-18, key: 1.2.3.5}\n"

static int begin(void **state, const char *configuration)
{
    (void)state;
    fake_begin(WORKERS, configuration);
    fake_machine_begin("web-17", "1.2.3.4");
    fake_start();
    return 0;
}

static int setup(void **state)
{
    return begin(state, LISTEN "targets:\n" WEB_17);
}

/* Stops at a breakpoint, whose questions it does not answer. */
static struct target *halt(void)
{
    machine.puppet->replies = false;
    struct target *row = fake_halt();
    assert_true(row->halted);
    return row;
}

/* Reads this configuration and applies it. Returns what the log said. */
static const char *reload(const char *configuration)
{
    fake_write(configuration);
    captured_begin();
    reload_again(fake.server);
    if (fake.readings > 0)
        fake_read();
    fake_turn();
    return captured_end();
}

static size_t count_rows(void)
{
    size_t count = 0;
    for (unsigned i = 0; i < WORKERS; ++i)
        count += fake.server->workers[i].targets.count;
    return count;
}

static void a_new_target_is_served_and_the_old_one_stays(void **state)
{
    struct worker *worker = NULL;
    (void)state;
    struct target *row = fake_find("web-17", &worker);
    assert_null(fake_find("web-18", &worker));
    const char *text = reload(LISTEN "targets:\n" WEB_17 WEB_18);
    assert_non_null(strstr(text, "msg=\"configuration read again\" targets=2"));
    assert_non_null(fake_find("web-18", &worker));
    assert_ptr_equal(fake_find("web-17", &worker), row);
    assert_int_equal(count_rows(), 2);
    assert_null(fake.server->reload);
    assert_string_equal(fake.server->mistake, "");
}

static void a_target_that_is_taken_out_is_no_longer_served(void **state)
{
    struct worker *worker = NULL;
    (void)state;
    (void)reload(LISTEN "targets:\n" WEB_18);
    assert_null(fake_find("web-17", &worker));
    assert_int_equal(count_rows(), 1);
    const char *text = reload(LISTEN "targets: []\n");
    assert_non_null(strstr(text, "targets: there are none"));
    assert_int_equal(count_rows(), 0);
}

/* Its machine is let go on first, with the key that it has. */
static void a_halted_target_that_is_taken_out_stays_until_it_goes_on(void **state)
{
    struct worker *worker = NULL;
    (void)state;
    struct target *row = halt();
    (void)reload(LISTEN "targets:\n" WEB_18);
    assert_ptr_equal(fake_find("web-17", &worker), row);
    assert_true(row->leaving);
    (void)reload(LISTEN "targets:\n" WEB_17); /* it is wanted again */
    assert_ptr_equal(fake_find("web-17", &worker), row);
    assert_false(row->leaving);
    assert_true(row->halted);
}

static void a_key_that_changes_while_its_machine_is_halted_is_used_until_the_machine_has_the_new_one(void **state)
{
    (void)state;
    struct target *row = halt();
    (void)reload(LISTEN "targets:\n  - {name: web-17, key: 9.9.9.9}\n");
    assert_int_equal(count_rows(), 2); /* the new key has a row of its own */
    assert_true(row->old_key);
    assert_true(row->halted);
    assert_string_equal(targets_name(row), "web-17");
}

static void a_machine_whose_target_gets_another_name_is_served_on(void **state)
{
    struct worker *worker = NULL;
    (void)state;
    struct target *row = halt();
    (void)reload(LISTEN "targets:\n  - {name: db-1, key: 1.2.3.4, address: 192.0.2.7, policy: {break: hold}}\n");
    assert_ptr_equal(fake_find("db-1", &worker), row);
    assert_true(row->halted);
    assert_true(row->has_address);
}

static void what_is_wrong_is_told_and_counts_for_nothing(void **state)
{
    struct worker *worker = NULL;
    (void)state;
    const char *text = reload(LISTEN "targets:\n  - {name: web-17, key: 1.2.3}\nfreebind: perhaps\n");
    assert_non_null(strstr(text, "msg=configuration mistake="));
    assert_non_null(strstr(text, "the one until now stays in force\" mistakes=2"));
    assert_non_null(fake_find("web-17", &worker));
    assert_non_null(strstr(fake.server->mistake, "kdnetd.yaml:3:"));
    assert_null(fake.server->reload);
    text = reload(LISTEN "targets:\n" WEB_17);
    assert_non_null(strstr(text, "configuration read again"));
    assert_string_equal(fake.server->mistake, "");
}

static void what_counts_from_the_next_start_on_is_told(void **state)
{
    (void)state;
    const char *text = reload(LISTEN "workers: 3\ntargets:\n" WEB_17);
    assert_non_null(strstr(text, "an option counts from the next start on, not from a reload\" option=workers"));
}

/* The files may have changed since they were read. */
static void a_request_during_a_reload_is_a_second_reload(void **state)
{
    struct worker *worker = NULL;
    (void)state;
    captured_begin();
    reload_again(fake.server);
    fake_read();
    fake_write(LISTEN "targets:\n" WEB_17 WEB_18);
    reload_again(fake.server);
    fake_turn();
    assert_null(fake_find("web-18", &worker));
    fake_read();
    fake_turn();
    (void)captured_end();
    assert_non_null(fake_find("web-18", &worker));
}

/* Threads that hang in a share are waited for no longer than 30 s, and four of them are enough. */
static void a_reading_that_hangs_is_given_up_and_its_result_is_old(void **state)
{
    struct worker *worker = NULL;
    (void)state;
    captured_begin();
    for (unsigned i = 0; i < 4; ++i) {
        reload_again(fake.server);
        assert_non_null(fake.server->reload);
        fake_pass_ms(29000);
        reload_look(fake.server, worker_now_us());
        assert_non_null(fake.server->reload);
        fake_pass_ms(1000);
        reload_look(fake.server, worker_now_us());
        assert_null(fake.server->reload);
    }
    reload_again(fake.server);
    assert_null(fake.server->reload);
    fake_write(LISTEN "targets:\n" WEB_18);
    for (unsigned i = 0; i < 4; ++i)
        fake_read();
    fake_turn();
    const char *text = captured_end();
    assert_non_null(strstr(text, "takes too long and is given up"));
    assert_non_null(strstr(text, "earlier readings of it still hang"));
    assert_null(fake.server->hung_reloads);
    assert_null(fake_find("web-18", &worker));
    assert_non_null(strstr(reload(LISTEN "targets:\n" WEB_18), "configuration read again"));
    assert_non_null(fake_find("web-18", &worker));
}

static void a_request_during_a_reading_that_hangs_is_done_when_it_is_given_up(void **state)
{
    (void)state;
    captured_begin();
    reload_again(fake.server);
    reload_again(fake.server);
    fake_pass_ms(30000);
    reload_look(fake.server, worker_now_us());
    (void)captured_end();
    assert_non_null(fake.server->reload);
    assert_non_null(fake.server->hung_reloads);
}

static void without_a_thread_the_configuration_stays(void **state)
{
    (void)state;
    fake.no_threads = true;
    const char *text = reload(LISTEN "targets:\n" WEB_18);
    assert_non_null(strstr(text, "out of memory or threads: the configuration is not read again"));
    assert_null(fake.server->reload);
}

static void without_a_pool_old_keys_are_wiped_here(void **state)
{
    (void)state;
    fake.no_pool = true;
    assert_non_null(strstr(reload(LISTEN "targets:\n" WEB_18), "configuration read again"));
    assert_null(fake.server->reload);
}

/* As logrotate wants it: once a reload is told, no result goes to the file that was renamed, whatever else is to do. */
static void results_go_to_another_file_from_the_word_on(void **state)
{
    uint64_t before = fake.server->event_log.generation;
    (void)state;
    fake.pool_is_busy = true;
    assert_non_null(strstr(reload(LISTEN "targets:\n" WEB_18), "configuration read again"));
    assert_non_null(fake.server->reload);
    assert_int_equal(fake.server->event_log.generation, before + 1);
    fake_pool_goes_on();
    assert_null(fake.server->reload);
    assert_int_equal(fake.server->event_log.generation, before + 1);
    assert_non_null(strstr(reload("nonsense"), "stays in force"));
    assert_int_equal(fake.server->event_log.generation, before + 2);
}

static void a_reading_that_the_end_overtakes_counts_for_nothing(void **state)
{
    struct worker *worker = NULL;
    (void)state;
    fake_write(LISTEN "targets:\n" WEB_17 WEB_18);
    captured_begin();
    reload_again(fake.server);
    assert_false(reload_is_over(fake.server, 0));
    fake.server->joined = true;
    fake_read();
    assert_true(reload_is_over(fake.server, 0));
    (void)captured_end();
    assert_null(fake.server->reload);
    assert_null(fake_find("web-18", &worker));
}

/* The rest is in fake_machine_teardown: nothing is left of it. */
static void steps_that_the_end_overtakes_are_not_gone(void **state)
{
    struct worker *worker = NULL;
    (void)state;
    fake_write(LISTEN "targets:\n" WEB_17 WEB_18);
    captured_begin();
    reload_again(fake.server);
    fake_read();
    (void)mailbox_handle(&fake.server->mailbox);
    (void)captured_end();
    assert_true(fake.server->reload->applying);
    assert_null(fake_find("web-18", &worker));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, fake_machine_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_new_target_is_served_and_the_old_one_stays),
        TEST(a_target_that_is_taken_out_is_no_longer_served),
        TEST(a_halted_target_that_is_taken_out_stays_until_it_goes_on),
        TEST(a_key_that_changes_while_its_machine_is_halted_is_used_until_the_machine_has_the_new_one),
        TEST(a_machine_whose_target_gets_another_name_is_served_on),
        TEST(what_is_wrong_is_told_and_counts_for_nothing),
        TEST(what_counts_from_the_next_start_on_is_told),
        TEST(a_request_during_a_reload_is_a_second_reload),
        TEST(a_reading_that_hangs_is_given_up_and_its_result_is_old),
        TEST(a_request_during_a_reading_that_hangs_is_done_when_it_is_given_up),
        TEST(without_a_thread_the_configuration_stays),
        TEST(without_a_pool_old_keys_are_wiped_here),
        TEST(results_go_to_another_file_from_the_word_on),
        TEST(a_reading_that_the_end_overtakes_counts_for_nothing),
        TEST(steps_that_the_end_overtakes_are_not_gone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
