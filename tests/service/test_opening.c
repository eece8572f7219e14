/* SPDX-License-Identifier: Apache-2.0 */
/* What kdnetd sets up when it starts, each of whose locks, threads, handles and files is refused once, and of whose
 * allocations each fails once: a part is there whole, or it says so, and nothing of it is left. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "service/fleet/hints_file.h"
#include "service/fleet/hints_kv.h"
#include "service/fleet/strays.h"
#include "service/output/event_log.h"
#include "service/runtime/log.h"
#include "service/sinks/sinks.h"
#include "service/store/store.h"
#include "service/symbols/server.h"
#include "service/symbols/symbols.h"
#include "service/targets/snapshots.h"
#include "tests/service/fake_env.h"
#include "tests/support/refused.h"
#include "tests/support/scarce.h"

#include <cmocka.h>
#include <errno.h>
#include <unistd.h>

#define MOST    200U
#define WAIT_MS 60000U

static char folder[64], path[96];

static int set_up(void **state)
{
    (void)state;
    (void)snprintf(folder, sizeof folder, "/tmp/kdnetd-opening-XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    log_plain(CONFIG_LOG_DEBUG, "the log's lock is made before anything is refused");
    return 0;
}

static int tear_down(void **state)
{
    char command[128];
    (void)state;
    (void)snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command); // NOLINT(cert-env33-c)
}

static void name_path(const char *name)
{
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
}

/* Whether something was refused, or an allocation failed. */
static bool is_short(void)
{
    return refused_call() != NULL || scarce_failed();
}

/* `work` is told nothing, and asserts that it has all it wants unless is_short(). */
static void starve(void (*work)(void *user), size_t calls)
{
    work(NULL); /* what is made once, in libraries, too, is there then */
    size_t refusals = refused_each(EAGAIN, work, NULL);
    assert_in_range(refusals, calls, MOST);
}

/* The same for the allocations of what has no thread. */
static void starve_of_memory(void (*work)(void *user), size_t allocations)
{
    refused_begin(SIZE_MAX - 1, 0); /* nothing is refused */
    size_t failures = scarce_each(work, NULL);
    assert_null(refused_end());
    assert_in_range(failures, allocations, MOST);
}

/* --- tables --------------------------------------------------------------------------------------------------------
 */

static void open_snapshots(void *user)
{
    (void)user;
    struct snapshots *snapshots = snapshots_new();
    assert_int_equal(snapshots == NULL, is_short());
    snapshots_free(snapshots);
}

static void snapshots_are_there_or_not(void **state)
{
    (void)state;
    starve(open_snapshots, 4);
    starve_of_memory(open_snapshots, 1);
}

/* --- address hints -------------------------------------------------------------------------------------------------
 */

#define NOTED_US UINT64_C(1800000000000000)

/* Machines that were noted are found; a hint that found no memory is none. */
static void note_hints(void *user)
{
    char name[CONFIG_NAME_SIZE];
    struct hint found, hint = {.time_us = NOTED_US, .version = 5};
    assert_true(address_parse("192.0.2.7:51111", &hint.machine));
    assert_true(address_parse("198.51.100.1:50000", &hint.local));
    (void)user;
    struct hints *hints = hints_new(7);
    if (!hints)
        assert_true(is_short());
    for (unsigned i = 0; hints && i < 40; ++i) {
        (void)snprintf(name, sizeof name, "web-%u", i);
        hint.machine.ip[15] = (uint8_t)(i + 1);
        (void)hints_note(hints, name, &hint, NOTED_US);
        if (hints_find(hints, name, &found))
            assert_int_equal(found.machine.ip[15], i + 1);
        else
            assert_true(is_short());
    }
    hints_free(hints);
}

static void open_hints_file(void *user)
{
    (void)user;
    struct hints *hints = hints_new(7);
    struct hints_file *file = hints ? hints_file_open(hints, path) : NULL;
    if (!file)
        assert_true(is_short());
    assert_true(hints_file_close(file, WAIT_MS));
    hints_free(hints);
}

static void hints_are_found_or_not(void **state)
{
    (void)state;
    starve(note_hints, 2);
    starve_of_memory(note_hints, 5);
}

static void the_file_of_hints_is_kept_or_not(void **state)
{
    (void)state;
    name_path("hints");
    starve(open_hints_file, 4);
}

/* --- a network of collectors ----------------------------------------------------------------------------------------
 */

static struct kdnetd_config config;

static void came(void *user, const struct stray *stray)
{
    (void)user, (void)stray;
}

static void open_strays(void *user)
{
    (void)user;
    struct strays *strays = strays_open(&config, came, NULL);
#ifdef KDNETD_NATS
    /* Of its threads, the one that receives makes the one that publishes, soon or late. */
    assert_true(strays ? !is_short() || refused_is("uv_thread_create") : is_short());
#endif
    assert_true(strays_close(strays, WAIT_MS));
}

static void read_config(const char *text)
{
    struct config_report report;
    config_init(&config);
    config_report_init(&report);
    (void)config_load_text(text, strlen(text), "a.yaml", &config, &report);
    assert_int_equal(config_report_count(&report), 0);
    config_report_clear(&report);
}

static void strays_are_shown_or_not(void **state)
{
    (void)state;
    read_config("nats: {servers: [\"nats://127.0.0.1:9\"], hints: hints}\n");
    starve(open_strays, 4);
    config_clear(&config);
}

static void open_hints_kv(void *user)
{
    static const struct hints_kv_user to = {.user = NULL};
    (void)user;
    struct hints *hints = hints_new(7);
    struct hints_kv *kv = hints ? hints_kv_open(hints, &config, &to) : NULL;
#ifdef KDNETD_NATS
    if (!kv)
        assert_true(is_short());
#endif
    assert_true(hints_kv_close(kv, WAIT_MS));
    hints_free(hints);
}

static void hints_are_published_or_not(void **state)
{
    (void)state;
    read_config("nats: {servers: [\"nats://127.0.0.1:9\"], hints: hints}\n");
    starve(open_hints_kv, 5);
    config_clear(&config);
}

/* --- results --------------------------------------------------------------------------------------------------------
 */

static void open_store(void *user)
{
    const struct store_options options = {.path = path};
    (void)user;
    const struct store_callbacks callbacks = {.user = NULL};
    struct store *store = store_open(&options, &callbacks);
    if (!store)
        assert_true(is_short());
    assert_true(!store || store_close(store, WAIT_MS));
}

static void the_store_is_there_or_not(void **state)
{
    (void)state;
    name_path("kdnetd.db");
    starve(open_store, 4);
}

/* Opens the results, writes two lines, and closes them. */
static void write_results(void *user)
{
    static struct event_log log;
    uv_loop_t loop;
    (void)user;
    if (uv_loop_init(&loop) != 0) {
        assert_true(is_short());
        return;
    }
    if (event_log_open(&log, &loop, path) != 0)
        assert_true(is_short());
    for (unsigned i = 0; i < 2; ++i)
        if (event_log_is_wanted(&log))
            (void)event_log_add(&log, strdup("{}"), 2, EVENT_WORTH_VERDICT, 1);
    event_log_look(&log);
    event_log_end(&log);
    for (unsigned ms = 0; ms < WAIT_MS && !event_log_has_ended(&log); ++ms)
        uv_sleep(1);
    assert_true(event_log_has_ended(&log));
    assert_true(event_log_close(&log));
    (void)uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&loop), 0);
}

static void results_are_written_or_wait(void **state)
{
    (void)state;
    name_path("events");
    starve(write_results, 8);
}

/* --- workers --------------------------------------------------------------------------------------------------------
 */

static void open_worker(void *user)
{
    struct worker *worker = &fake.workers[1];
    (void)user;
    memset(worker, 0, sizeof *worker);
    bool good = worker_init(worker, &fake.env, 1), started = good && worker_start(worker) == 0;
    if (refused_call())
        assert_false(started);
    if (!started)
        assert_true(is_short());
    if (started) {
        worker_finish(worker);
        worker_run(worker);
        assert_int_equal(uv_thread_join(&worker->thread), 0);
    }
    if (worker->handles_ready)
        worker_clear(worker, started);
}

static void a_worker_is_there_or_not(void **state)
{
    (void)state;
    fake_begin(1);
    starve(open_worker, 5);
    starve_of_memory(open_worker, 5);
    fake_end();
}

/* --- symbols --------------------------------------------------------------------------------------------------------
 */

static void open_symbols(void *user)
{
    uv_loop_t loop;
    struct symbols *symbols = NULL;
    struct symbols_options options = {.cache_file = path};
    (void)user;
    if (uv_loop_init(&loop) != 0) {
        assert_true(is_short());
        return;
    }
    if (symbols_open(&symbols, &loop, &options) != 0) {
        assert_true(is_short());
        assert_null(symbols);
    }
    symbols_close(symbols);
    (void)uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&loop), 0);
}

static void symbols_are_there_or_not(void **state)
{
    (void)state;
    name_path("cache");
    starve(open_symbols, 3);
    starve_of_memory(open_symbols, 3);
}

static void open_server(void *user)
{
    char reason[SYMBOL_SERVER_REASON_SIZE] = "";
    struct symbol_server server = {.directory = folder, .url = "http://127.0.0.1:9/"};
    (void)user;
    bool good = symbol_server_init(&server, reason, sizeof reason);
    if (!good)
        assert_true(is_short() && reason[0] != '\0');
    if (good)
        symbol_server_clear(&server);
}

static void a_symbol_server_is_there_or_the_reason_is_said(void **state)
{
    (void)state;
    starve(open_server, 4);
    starve_of_memory(open_server, 3);
}

/* --- sinks ----------------------------------------------------------------------------------------------------------
 */

static void open_sinks(void *user)
{
    (void)user;
    struct sinks *sinks = sinks_open();
    assert_int_equal(sinks == NULL, is_short());
    assert_true(!sinks || sinks_close(sinks, WAIT_MS));
}

static void sinks_are_there_or_not(void **state)
{
    (void)state;
    starve(open_sinks, 1);
    starve_of_memory(open_sinks, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(snapshots_are_there_or_not),
        cmocka_unit_test(hints_are_found_or_not),
        cmocka_unit_test(the_file_of_hints_is_kept_or_not),
        cmocka_unit_test(strays_are_shown_or_not),
        cmocka_unit_test(hints_are_published_or_not),
        cmocka_unit_test(the_store_is_there_or_not),
        cmocka_unit_test(results_are_written_or_wait),
        cmocka_unit_test(a_worker_is_there_or_not),
        cmocka_unit_test(symbols_are_there_or_not),
        cmocka_unit_test(a_symbol_server_is_there_or_the_reason_is_said),
        cmocka_unit_test(sinks_are_there_or_not),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
