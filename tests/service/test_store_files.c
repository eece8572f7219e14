/* SPDX-License-Identifier: Apache-2.0 */
/* What may happen to the store's file: damage, another's, none, a full disk; and a copy of it. */
#include "service/store/store_read.h"
#include "tests/service/store_place.h"
#include "tests/support/system.h"

#include <dirent.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>

#include <cmocka.h>

static void damage(const char *path)
{
    struct stat file;
    FILE *to = fopen(path, "r+");
    assert_non_null(to);
    assert_int_equal(stat(path, &file), 0);
    for (long at = 0; at < file.st_size; at += 512) {
        assert_int_equal(fseek(to, at, SEEK_SET), 0);
        assert_true(fputs("damaged by a test", to) >= 0);
    }
    assert_int_equal(fclose(to), 0);
}

/* Those whose names begin so. */
static unsigned count_files(struct place *place, const char *begin)
{
    unsigned count = 0;
    DIR *folder = opendir(place->folder);
    assert_non_null(folder);
    for (const struct dirent *entry; (entry = readdir(folder));)
        count += strncmp(entry->d_name, begin, strlen(begin)) == 0;
    (void)closedir(folder);
    return count;
}

static void test_sets_a_damaged_file_aside(void **state)
{
    struct place *place = new_place();
    (void)state;
    write_results(place, 1, 5);
    open_store(place);
    await_told(place, 5);
    close_store(place);
    damage(place->path);
    open_store(place);
    await_told(place, 10); /* a new one, with what the result file has */
    await_state(place, STORE_OK);
    assert_int_equal(count_files(place, "kdnetd.db.damaged-"), 1);
    close_store(place);
    remove_place(place);
}

static void test_goes_on_when_its_file_is_damaged_or_replaced(void **state)
{
    (void)state;
    if (!system_is_posix())
        skip(); /* an open file can be neither deleted nor changed there */
    char line[256];
    struct place *place = new_place();
    struct listing none = {0};
    write_results(place, 1, 5);
    open_store(place);
    await_told(place, 5);
    assert_int_equal(unlink(place->path), 0); /* deleted */
    write_results(place, 6, 6);
    add(place, event(6, line));
    await_told(place, 11);
    struct listing all = events(place, &(struct store_event_query){0});
    assert_int_equal(all.count, 6);
    close_store(place);
    open_store(place);
    await_state(place, STORE_OK);
    write_text(place->path, "r+", "this is no database any more, from its first byte on .......................");
    for (unsigned i = 0; i < PATIENCE_MS / 10 && told(place) < 17; ++i) { /* found by who reads, too */
        (void)store_events(place->reader, &(struct store_event_query){0}, list_event, &none);
        store_reader_close(place->reader);
        place->reader = store_reader_open(place->store);
        uv_sleep(10);
    }
    await_told(place, 17);
    await_state(place, STORE_OK);
    close_store(place);
    remove_place(place);
}

static void test_waits_for_a_folder_that_is_missing(void **state)
{
    char line[256], moved[96];
    struct place *place = new_place();
    struct listing none = {0};
    (void)state;
    (void)snprintf(moved, sizeof moved, "%s/later/kdnetd.db", place->folder);
    place->options.path = moved;
    open_store(place);
    await_state(place, STORE_DEGRADED);
    add(place, event(1, line));
    assert_int_equal(store_events(place->reader, &(struct store_event_query){0}, list_event, &none), STORE_UNAVAILABLE);
    assert_int_equal(told(place), 0);
    (void)snprintf(moved, sizeof moved, "%s/later", place->folder);
    assert_int_equal(mkdir(moved, 0700), 0);
    await_told(place, 1);
    await_state(place, STORE_OK);
    close_store(place);
    remove_place(place);
}

/* No file may grow: what a full disk does to a store whose file and log are as large as they can be. */
static void test_outlives_a_full_disk(void **state)
{
    char line[256];
    (void)state;
    if (!system_is_posix())
        skip();
    struct place *place = new_place();
    struct rlimit limit, small;
    (void)signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    open_store(place);
    add(place, event(1, line));
    await_told(place, 1);
    small = limit;
    small.rlim_cur = 4096;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    for (unsigned n = 2; n <= 3000; ++n)
        add(place, event(n, line));
    await_state(place, STORE_DEGRADED);
    assert_int_equal(told(place), 1);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    await_told(place, 3000);
    await_state(place, STORE_OK);
    close_store(place);
    remove_place(place);
}

static void test_lines_without_room_come_from_the_result_file(void **state)
{
    char line[256];
    struct place *place = new_place();
    char moved[96];
    (void)state;
    (void)snprintf(moved, sizeof moved, "%s/later/kdnetd.db", place->folder);
    place->options.path = moved;
    open_store(place);
    await_state(place, STORE_DEGRADED);
    char *huge = malloc(STORE_QUEUE_BYTES);
    assert_non_null(huge);
    memset(huge, ' ', STORE_QUEUE_BYTES);
    assert_true(store_add(place->store, huge, STORE_QUEUE_BYTES - 4096, NULL)); /* no event, but it takes the room */
    for (unsigned i = 0; i < 8; ++i)
        (void)store_add(place->store, huge, STORE_QUEUE_BYTES / 2, NULL);
    free(huge);
    write_results(place, 1, 4);
    (void)store_add(place->store, event(4, line), strlen(line), NULL);
    (void)snprintf(moved, sizeof moved, "%s/later", place->folder);
    assert_int_equal(mkdir(moved, 0700), 0);
    await_told(place, 4);
    close_store(place);
    remove_place(place);
}

static void test_copies_itself(void **state)
{
    char line[256], to[96], error[STORE_ERROR_SIZE], long_name[5000] = "";
    struct place *place = new_place();
    struct stat file;
    (void)state;
    open_store(place);
    for (unsigned n = 1; n <= 10; ++n)
        add(place, event(n, line));
    await_told(place, 10);
    (void)snprintf(to, sizeof to, "%s/copy.db", place->folder);
    assert_true(store_backup(place->path, to, error));
    assert_true(store_backup(place->path, to, error)); /* replaced */
    assert_int_equal(stat(to, &file), 0);
    if (system_is_posix()) /* has modes */
        assert_int_equal(file.st_mode & 0777, 0600);
    assert_int_equal(count_files(place, "copy.db"), 1);
    (void)snprintf(to, sizeof to, "%s/none/copy.db", place->folder);
    assert_false(store_backup(place->path, to, error));
    assert_true(error[0] != '\0');
    memset(long_name, 'a', sizeof long_name - 1);
    assert_false(store_backup(place->path, long_name, error));
    assert_string_equal(error, "the name is too long");
    close_store(place);
    (void)snprintf(place->path, sizeof place->path, "%s/copy.db", place->folder);
    open_store(place); /* it serves as a store */
    await_state(place, STORE_OK);
    struct listing all = events(place, &(struct store_event_query){0});
    assert_int_equal(all.count, 10);
    close_store(place);
    remove_place(place);
}

static void test_refuses_the_file_of_another_program(void **state)
{
    char command[200], error[STORE_ERROR_SIZE];
    (void)state;
    if (!system_is_posix())
        skip();
    struct place *place = new_place();
    if (system("command -v sqlite3 >/dev/null") != 0) {
        remove_place(place);
        skip();
    }
    (void)snprintf(command, sizeof command, "sqlite3 %s 'CREATE TABLE theirs(x); INSERT INTO theirs VALUES(7)'",
                   place->path);
    assert_int_equal(system(command), 0);
    open_store(place);
    for (unsigned i = 0; i < PATIENCE_MS; ++i) {
        (void)state_of(place, error);
        if (strstr(error, "another program"))
            break;
        uv_sleep(1);
    }
    assert_non_null(strstr(error, "another program"));
    close_store(place);
    (void)snprintf(command, sizeof command, "test \"$(sqlite3 %s 'SELECT x FROM theirs')\" = 7", place->path);
    assert_int_equal(system(command), 0);
    remove_place(place);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sets_a_damaged_file_aside),
        cmocka_unit_test(test_goes_on_when_its_file_is_damaged_or_replaced),
        cmocka_unit_test(test_waits_for_a_folder_that_is_missing),
        cmocka_unit_test(test_outlives_a_full_disk),
        cmocka_unit_test(test_lines_without_room_come_from_the_result_file),
        cmocka_unit_test(test_copies_itself),
        cmocka_unit_test(test_refuses_the_file_of_another_program),
    };
    if (!HAS_STORE) {
        (void)puts("skipped: this build has no SQLite");
        return 0;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
