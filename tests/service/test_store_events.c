/* SPDX-License-Identifier: Apache-2.0 */
/* Events in the store: kept by id, in order, caught up from the result file, over ends and kills. */
#include "service/store/line.h"
#include "service/store/store_read.h"
#include "tests/service/store_place.h"
#include "tests/support/system.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <uv.h>

#include <cmocka.h>

static void test_keeps_events_by_id_in_order(void **state)
{
    char line[256];
    struct place *place = new_place();
    (void)state;
    open_store(place);
    for (unsigned n = 1; n <= 2500; ++n)
        add(place, event(n, line));
    add(place, event(7, line));                                                       /* the same fact again */
    add(place, "{\"time\":\"2026-11-22T10:00:00.000000Z\",\"event\":\"connected\"}"); /* no id: no event */
    add(place, "not JSON");
    add(place, event(2501, line));
    await_told(place, 2501);
    assert_string_equal(place->last_id, "c-s-2501");
    assert_int_equal(place->caught_up, 0);
    struct listing some = events(place, &(struct store_event_query){.limit = 3});
    assert_string_equal(some.ids, "c-s-1 c-s-2 c-s-3 ");
    some = events(place, &(struct store_event_query){.after_id = "c-s-2499"});
    assert_string_equal(some.ids, "c-s-2500 c-s-2501 ");
    some = events(place, &(struct store_event_query){.tail = 2});
    assert_string_equal(some.ids, "c-s-2500 c-s-2501 ");
    const char *const names[] = {"web-1", "web-2"};
    some = events(place, &(struct store_event_query){.targets = {names, 2}, .limit = 4});
    assert_string_equal(some.ids, "c-s-1 c-s-2 c-s-8 c-s-9 ");
    some = events(place, &(struct store_event_query){.types = {names, 1}});
    assert_int_equal(some.count, 0);
    some = events(place, &(struct store_event_query){.since_us = 1795341660000000U, .until_us = 1795341662000000U});
    assert_string_equal(some.ids, "c-s-60 c-s-61 ");
    struct listing none = {0};
    assert_int_equal(
        store_events(place->reader, &(struct store_event_query){.after_id = "c-s-9999"}, list_event, &none),
        STORE_GONE);
    struct store_bounds bounds;
    assert_int_equal(store_event_bounds(place->reader, &bounds), STORE_DONE);
    assert_string_equal(bounds.oldest, "c-s-1");
    assert_string_equal(bounds.newest, "c-s-2501");
    close_store(place);
    open_store(place); /* what was kept is there, and numbers go on */
    add(place, event(2502, line));
    await_told(place, 2502);
    some = events(place, &(struct store_event_query){.after_id = "c-s-2500"});
    assert_string_equal(some.ids, "c-s-2501 c-s-2502 ");
    close_store(place);
    remove_place(place);
}

static void test_catches_up_from_the_result_file(void **state)
{
    char line[256], older[128];
    struct place *place = new_place();
    (void)state;
    write_results(place, 1, 3);
    (void)snprintf(older, sizeof older, "%s.1", place->results);
    assert_int_equal(rename(place->results, older), 0);
    write_text(place->results, "a", "garbage\n{\"id\":\"x\"}\n\n");
    write_results(place, 3, 5);
    char *endless = malloc(STORE_LINE_MAX + 100000);
    assert_non_null(endless);
    memset(endless, 'x', STORE_LINE_MAX + 100000);
    memcpy(endless + STORE_LINE_MAX + 100000 - 2, "\n", 2);
    write_text(place->results, "a", endless); /* is passed over */
    write_results(place, 6, 6);
    free(endless);
    write_text(place->results, "a", "{\"time\":\"2026"); /* is still being written */
    open_store(place);
    await_told(place, 6);
    assert_int_equal(place->caught_up, 6);
    add(place, event(6, line));
    add(place, event(7, line));
    await_told(place, 7);
    struct listing all = events(place, &(struct store_event_query){0});
    assert_string_equal(all.ids, "c-s-1 c-s-2 c-s-3 c-s-4 c-s-5 c-s-6 c-s-7 ");
    close_store(place);
    open_store(place); /* it lacks nothing now */
    await_state(place, STORE_OK);
    close_store(place);
    assert_int_equal(place->told, 7);
    remove_place(place);
}

/* What was told before this run is no news; what this run told before its store was open is. */
static void test_a_new_sink_begins_with_this_run(void **state)
{
    static const char *const sinks[] = {"soc"};
    struct place *place = new_place();
    uint64_t behind = 99;
    char line[256];
    (void)state;
    write_results(place, 1, 4);
    for (unsigned n = 10; n < 13; ++n) {
        char later[256];
        (void)snprintf(later, sizeof later, "{\"time\":\"2096%s", event(n, line) + strlen("{\"time\":\"2026"));
        write_text(place->results, "a", later);
        write_text(place->results, "a", "\n");
    }
    place->options.sinks = sinks;
    place->options.sink_count = 1;
    open_store(place);
    await_told(place, 7);
    assert_int_equal(store_sinks(place->reader, check_sink, &behind), STORE_DONE);
    assert_int_equal(behind, 3);
    close_store(place);
    remove_place(place);
}

/* What was settled is in the file itself, and what came afterwards beside it. */
static void test_settled_it_ends_soon_and_keeps_all(void **state)
{
    char line[256], wal[128];
    struct stat status;
    struct place *place = new_place();
    (void)state;
    open_store(place);
    for (unsigned n = 1; n <= 500; ++n)
        add(place, event(n, line));
    store_settle(place->store, PATIENCE_MS);
    assert_int_equal(told(place), 500);
    assert_int_equal(stat(place->path, &status), 0);
    off_t settled = status.st_size;
    add(place, event(501, line));
    close_store(place);
    assert_int_equal(stat(place->path, &status), 0);
    assert_int_equal(status.st_size, settled); /* nothing was moved at the end */
    (void)snprintf(wal, sizeof wal, "%s-wal", place->path);
    assert_int_equal(stat(wal, &status), 0);
    open_store(place);
    add(place, event(501, line)); /* it has it */
    add(place, event(502, line));
    await_told(place, 502);
    close_store(place);
    remove_place(place);
}

static void test_no_file_is_no_store(void **state)
{
    char line[256], error[STORE_ERROR_SIZE];
    struct place *place = new_place();
    struct listing none = {0};
    (void)state;
    place->options.path = NULL;
    open_store(place);
    add(place, event(1, line));
    add(place, event(2, line));
    await_told(place, 2);
    assert_int_equal(state_of(place, error), STORE_OFF);
    assert_int_equal(store_events(place->reader, &(struct store_event_query){0}, list_event, &none), STORE_UNAVAILABLE);
    assert_false(store_acknowledge(place->store, "aaaaaaaaaaaaaaaa", "ann", NULL, NULL, NULL));
    place->options.path = place->path; /* a reload names one */
    assert_true(store_configure(place->store, &place->options));
    await_state(place, STORE_OK);
    add(place, event(3, line));
    await_told(place, 3);
    none = events(place, &(struct store_event_query){0});
    assert_string_equal(none.ids, "c-s-3 ");
    close_store(place);
    remove_place(place);
}

/* The child says the newest seq on the pipe after each commit. */
static void say_committed(void *user, const struct store_event *events_told, size_t count)
{
    uint64_t seq = events_told[count - 1].seq;
    assert_int_equal(write(*(int *)user, &seq, sizeof seq), sizeof seq);
}

static void store_for_ever(const struct store_options *options, int pipe_end, unsigned from)
{
    const struct store_callbacks callbacks = {.user = &pipe_end, .on_committed = say_committed};
    struct store *store = store_open(options, &callbacks);
    char line[256];
    for (unsigned n = from; store; ++n) {
        (void)store_add(store, event(n, line), strlen(line), NULL);
        if (n % 300 == 0)
            uv_sleep(1);
    }
    _exit(1);
}

static uint64_t kill_one(struct place *place, unsigned from, unsigned after_ms)
{
    int ends[2];
    uint64_t seq, newest = 0;
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        store_for_ever(&place->options, ends[1], from);
    (void)close(ends[1]);
    assert_int_equal(read(ends[0], &newest, sizeof newest), sizeof newest);
    uv_sleep(after_ms);
    assert_int_equal(kill(child, SIGKILL), 0);
    while (read(ends[0], &seq, sizeof seq) == sizeof seq)
        newest = seq;
    (void)close(ends[0]);
    assert_int_equal(waitpid(child, NULL, 0), child);
    return newest;
}

static void test_a_kill_loses_nothing_that_was_shown(void **state)
{
    char command[160];
    (void)state;
    if (!system_is_posix())
        skip();
    struct place *place = new_place();
    for (unsigned i = 0; i < 6; ++i) {
        uint64_t shown = kill_one(place, 1 + i * 1000000, i * 17);
        (void)snprintf(command, sizeof command, "test \"$(sqlite3 %s 'PRAGMA integrity_check')\" = ok", place->path);
        if (system("command -v sqlite3 >/dev/null") == 0)
            assert_int_equal(system(command), 0);
        open_store(place);
        await_state(place, STORE_OK);
        struct store_bounds bounds;
        assert_int_equal(store_event_bounds(place->reader, &bounds), STORE_DONE);
        assert_true(bounds.newest_seq >= shown);
        close_store(place);
    }
    remove_place(place);
}

static void test_reads_times(void **state)
{
    uint64_t us;
    (void)state;
    assert_true(store_time_parse("1970-01-01T00:00:00Z", &us));
    assert_int_equal(us, 0);
    assert_true(store_time_parse("2026-11-22T10:00:00.123456Z", &us));
    assert_true(us == 1795341600123456U);
    assert_true(store_time_parse("2024-02-29T23:59:59.9Z", &us));
    assert_true(us == 1709251199900000U);
    static const char *const wrong[] = {"",
                                        "2026",
                                        "2026-13-01T00:00:00Z",
                                        "2026-11-22 10:00:00Z",
                                        "2026-11-22T10:00:00",
                                        "2026-11-22T10:00:00.Z",
                                        "2026-11-22T10:00:00.1234567890Z",
                                        "2026-11-22T25:00:00Z",
                                        "2026-11-22T10:00:00+01:00"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; ++i)
        assert_false(store_time_parse(wrong[i], &us));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keeps_events_by_id_in_order),
        cmocka_unit_test(test_catches_up_from_the_result_file),
        cmocka_unit_test(test_a_new_sink_begins_with_this_run),
        cmocka_unit_test(test_settled_it_ends_soon_and_keeps_all),
        cmocka_unit_test(test_no_file_is_no_store),
        cmocka_unit_test(test_a_kill_loses_nothing_that_was_shown),
        cmocka_unit_test(test_reads_times),
    };
    if (!HAS_STORE) {
        (void)puts("skipped: this build has no SQLite");
        return 0;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
