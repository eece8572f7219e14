/* SPDX-License-Identifier: Apache-2.0 */
/* A store whose file another process writes, too: a predecessor that still ends, or a second kdnetd by mistake. */
#include "service/store/database.h"
#include "service/store/store_read.h"
#include "tests/support/remove_tree.h"

#include <setjmp.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include <cmocka.h>

#define PATIENCE_MS 30000U /* for what happens by itself; nothing waits so long when all is well */
#define LOOK_MS     5U

struct folder {
    char path[64], file[96], results[96];
};

static void make_folder(struct folder *folder)
{
    (void)snprintf(folder->path, sizeof folder->path, "/tmp/kdnetd-writers.XXXXXX");
    assert_non_null(mkdtemp(folder->path));
    (void)snprintf(folder->file, sizeof folder->file, "%s/kdnetd.db", folder->path);
    (void)snprintf(folder->results, sizeof folder->results, "%s/events.jsonl", folder->path);
}

static void remove_folder(const struct folder *folder)
{
    assert_true(remove_tree(folder->path));
}

static struct store *open_store(const struct folder *folder, bool held)
{
    static const struct store_callbacks none = {.user = NULL};
    const struct store_options options = {.path = folder->file, .results = folder->results, .held = held};
    struct store *store = store_open(&options, &none);
    assert_non_null(store);
    return store;
}

/* A store in a new folder, open and empty. */
static struct store *begin(struct folder *folder)
{
    make_folder(folder);
    struct store *store = open_store(folder, false);
    store_settle(store, PATIENCE_MS);
    return store;
}

static int make_line(char line[static 256], const char *run, unsigned number)
{
    return snprintf(
        line, 256,
        "{\"time\":\"2026-11-27T00:00:00.%06uZ\",\"event\":\"connected\",\"target\":\"web-1\",\"id\":\"%s-%u\"}",
        number, run, number);
}

static void add(struct store *store, const char *run, unsigned number)
{
    char line[256];
    assert_true(store_add(store, line, (size_t)make_line(line, run, number), NULL));
}

static void tell(const struct folder *folder, const char *run, unsigned number)
{
    char line[256];
    FILE *file = fopen(folder->results, "a");
    assert_non_null(file);
    (void)make_line(line, run, number);
    assert_true(fprintf(file, "%s\n", line) > 0);
    assert_int_equal(fclose(file), 0);
}

static struct store_status status_of(struct store *store)
{
    struct store_status status;
    store_status(store, &status);
    return status;
}

/* Waits until the store has so many events, as its writer counts them. */
static void wait_for_events(struct store *store, uint64_t count)
{
    uint64_t until = uv_hrtime() + PATIENCE_MS * UINT64_C(1000000);
    while (status_of(store).events != count) {
        assert_true(uv_hrtime() < until);
        uv_sleep(LOOK_MS);
    }
}

static bool count_event(void *user, const struct store_event *event)
{
    unsigned *count = user;
    (void)event;
    ++*count;
    return true;
}

static unsigned stored(const struct folder *folder)
{
    struct store *store = open_store(folder, false);
    store_settle(store, PATIENCE_MS);
    struct store_reader *reader = store_reader_open(store);
    const struct store_event_query all = {.limit = 0};
    unsigned count = 0;
    assert_int_equal(store_events(reader, &all, count_event, &count), STORE_DONE);
    store_reader_close(reader);
    assert_true(store_close(store, PATIENCE_MS));
    return count;
}

static void test_two_processes_lose_nothing(void **state)
{
    struct folder folder;
    (void)state;
    make_folder(&folder);
    struct store *one = open_store(&folder, false), *other = open_store(&folder, false);
    store_settle(one, PATIENCE_MS);
    store_settle(other, PATIENCE_MS);
    for (unsigned i = 0; i < 20; ++i) { /* each commits before the other does */
        add(one, "one", i);
        store_settle(one, PATIENCE_MS);
        add(other, "other", i);
        store_settle(other, PATIENCE_MS);
    }
    assert_int_equal(status_of(one).errors + status_of(other).errors, 0);
    assert_true(store_close(one, PATIENCE_MS));
    assert_true(store_close(other, PATIENCE_MS));
    assert_int_equal(stored(&folder), 40);
    remove_folder(&folder);
}

/* Another process that has begun to write and is slow. */
static sqlite3 *lock_file(const struct folder *folder)
{
    sqlite3 *db = NULL;
    assert_int_equal(sqlite3_open_v2(folder->file, &db, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
    (void)sqlite3_busy_timeout(db, PATIENCE_MS);
    assert_int_equal(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    return db;
}

static void unlock_file(sqlite3 *db)
{
    assert_int_equal(sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static void test_a_slow_process_is_waited_for(void **state)
{
    struct folder folder;
    (void)state;
    struct store *store = begin(&folder);
    sqlite3 *other = lock_file(&folder);
    add(store, "one", 0);
    uv_sleep(STORE_COMMIT_MS + 2 * DATABASE_LOCK_SHORT_MS);
    assert_int_equal(status_of(store).errors, 0);
    unlock_file(other);
    wait_for_events(store, 1);
    assert_int_equal(status_of(store).errors, 0);
    assert_true(store_close(store, PATIENCE_MS));
    remove_folder(&folder);
}

static void test_at_the_end_a_slow_process_is_not_waited_for(void **state)
{
    struct folder folder;
    (void)state;
    struct store *store = begin(&folder);
    sqlite3 *other = lock_file(&folder);
    add(store, "one", 0);
    uv_sleep(2 * STORE_COMMIT_MS);
    uint64_t from = uv_hrtime();
    assert_true(store_close(store, PATIENCE_MS));
    assert_true(uv_hrtime() - from < DATABASE_LOCK_MS * UINT64_C(1000000) / 2);
    unlock_file(other);
    remove_folder(&folder);
}

static void test_held_it_opens_when_the_other_has_ended(void **state)
{
    struct folder folder;
    (void)state;
    make_folder(&folder);
    struct store *one = open_store(&folder, false);
    add(one, "one", 0);
    store_settle(one, PATIENCE_MS);
    struct store *other = open_store(&folder, true); /* for STORE_HELD_MS: no slow disk is waited for meanwhile */
    add(other, "other", 0);
    uv_sleep(5 * STORE_COMMIT_MS);
    assert_int_equal(status_of(other).state, STORE_DEGRADED); /* "it is being opened" */
    assert_int_equal(status_of(other).errors, 0);
    tell(&folder, "late", 0); /* what found no room in the first one */
    assert_true(store_close(one, PATIENCE_MS));
    store_release(other);
    wait_for_events(other, 3);
    assert_true(store_close(other, PATIENCE_MS));
    assert_int_equal(stored(&folder), 3);
    remove_folder(&folder);
}

static void test_released_late_it_reads_the_results_again(void **state)
{
    struct folder folder;
    (void)state;
    make_folder(&folder);
    struct store *store = open_store(&folder, false);
    add(store, "own", 0);
    wait_for_events(store, 1);
    tell(&folder, "late", 0);
    tell(&folder, "own", 0);
    store_release(store);
    add(store, "own", 1);
    wait_for_events(store, 3);
    assert_true(store_close(store, PATIENCE_MS));
    remove_folder(&folder);
}

static void test_told_to_end_it_is_held_no_longer(void **state)
{
    struct folder folder;
    (void)state;
    make_folder(&folder);
    struct store *store = open_store(&folder, true);
    add(store, "own", 0);
    assert_true(store_close(store, PATIENCE_MS));
    assert_int_equal(stored(&folder), 1);
    remove_folder(&folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_two_processes_lose_nothing),
        cmocka_unit_test(test_a_slow_process_is_waited_for),
        cmocka_unit_test(test_at_the_end_a_slow_process_is_not_waited_for),
        cmocka_unit_test(test_held_it_opens_when_the_other_has_ended),
        cmocka_unit_test(test_released_late_it_reads_the_results_again),
        cmocka_unit_test(test_told_to_end_it_is_held_no_longer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
