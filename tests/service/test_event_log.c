/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <fcntl.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "service/output/event_log.h"
#include "tests/support/system.h"
#include "tests/support/wait_for.h"

#include <cmocka.h>

#define GIVE_UP_MS 1600

struct world {
    uv_loop_t loop;
    struct event_log event_log;
    char folder[64], path[96];
};

static int setup(void **state)
{
    static struct world world;
    memset(&world, 0, sizeof world);
    (void)snprintf(world.folder, sizeof world.folder, "/tmp/kdnetd-results-XXXXXX");
    if (!mkdtemp(world.folder) || uv_loop_init(&world.loop) != 0)
        return -1;
    (void)snprintf(world.path, sizeof world.path, "%s/events", world.folder);
    *state = &world;
    return 0;
}

static int teardown(void **state)
{
    struct world *world = *state;
    char rotated[128];
    (void)event_log_give_up(&world->event_log, GIVE_UP_MS);
    WAIT_FOR(event_log_has_ended(&world->event_log));
    assert_true(event_log_close(&world->event_log));
    (void)uv_run(&world->loop, UV_RUN_DEFAULT);
    int error = uv_loop_close(&world->loop);
    (void)snprintf(rotated, sizeof rotated, "%s.1", world->path);
    (void)unlink(rotated);
    (void)unlink(world->path);
    (void)rmdir(world->folder);
    return error;
}

static void add_of(struct world *world, const char *text, enum event_worth worth, uint64_t source)
{
    (void)event_log_add(&world->event_log, strdup(text), strlen(text), worth, source);
    event_log_ring(&world->event_log);
}

static void add(struct world *world, const char *text)
{
    add_of(world, text, EVENT_WORTH_VERDICT, 1);
}

static struct event_log_counts counts(struct world *world)
{
    struct event_log_counts now;
    event_log_count(&world->event_log, &now);
    return now;
}

static void settle(struct world *world)
{
    WAIT_FOR(event_log_is_settled(&world->event_log) && counts(world).waiting_lines == 0);
}

static void open_at(struct world *world, const char *path)
{
    assert_int_equal(event_log_open(&world->event_log, &world->loop, path), 0);
}

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    (void)fputs(text, file);
    (void)fclose(file);
}

static bool file_is(const char *path, const char *wanted)
{
    char text[512] = "";
    FILE *file = fopen(path, "r");
    if (!file)
        return false;
    size_t length = fread(text, 1, sizeof text - 1, file);
    (void)fclose(file);
    text[length] = '\0';
    return strcmp(text, wanted) == 0;
}

static void assert_file(const char *path, const char *wanted)
{
    char text[256] = "";
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    size_t length = fread(text, 1, sizeof text - 1, file);
    (void)fclose(file);
    text[length] = '\0';
    assert_string_equal(text, wanted);
}

static void lines_reach_the_file_in_order(void **state)
{
    struct world *world = *state;
    open_at(world, world->path);
    add(world, "one\n");
    add_of(world, "two\n", EVENT_WORTH_PRINT, 1);
    settle(world);
    add(world, "three\n");
    settle(world);
    assert_file(world->path, "one\ntwo\nthree\n");
    assert_int_equal(counts(world).written, 3);
    assert_true(event_log_give_up(&world->event_log, GIVE_UP_MS));
}

static void a_file_is_appended_to(void **state)
{
    struct world *world = *state;
    write_file(world->path, "before\n");
    open_at(world, world->path);
    add(world, "after\n");
    settle(world);
    assert_file(world->path, "before\nafter\n");
}

static void half_a_line_at_the_end_of_the_file_does_not_swallow_the_next(void **state)
{
    struct world *world = *state;
    write_file(world->path, "before\n{\"ha");
    open_at(world, world->path);
    add(world, "after\n");
    settle(world);
    assert_file(world->path, "before\n{\"ha\nafter\n");
}

static void a_moved_file_is_opened_again_when_told(void **state)
{
    struct world *world = *state;
    char rotated[128];
    open_at(world, world->path);
    add(world, "one\n");
    settle(world);
    (void)snprintf(rotated, sizeof rotated, "%s.1", world->path);
    assert_int_equal(rename(world->path, rotated), 0);
    event_log_reopen(&world->event_log, world->path);
    WAIT_FOR(access(world->path, F_OK) == 0);
    add(world, "two\n");
    settle(world);
    assert_file(rotated, "one\n");
    assert_file(world->path, "two\n");
}

static void a_moved_file_is_opened_again_untold(void **state)
{
    struct world *world = *state;
    char rotated[128];
    open_at(world, world->path);
    add(world, "one\n");
    settle(world);
    (void)snprintf(rotated, sizeof rotated, "%s.1", world->path);
    assert_int_equal(rename(world->path, rotated), 0);
    WAIT_FOR(access(world->path, F_OK) == 0);
    add(world, "two\n");
    settle(world);
    assert_file(rotated, "one\n");
    assert_file(world->path, "two\n");
}

/* What was written since the last look at the file is written again: 1 s at most before it was deleted. */
static void a_deleted_file_is_made_again_with_what_was_written_meanwhile(void **state)
{
    struct world *world = *state;
    open_at(world, world->path);
    WAIT_FOR(access(world->path, F_OK) == 0);
    assert_int_equal(unlink(world->path), 0);
    add(world, "one\n");
    add(world, "two\n");
    WAIT_FOR(file_is(world->path, "one\ntwo\n"));
    add(world, "three\n");
    WAIT_FOR(file_is(world->path, "one\ntwo\nthree\n"));
    assert_int_equal(counts(world).dropped, 0);
}

static void a_deleted_file_is_made_again_when_all_ends(void **state)
{
    struct world *world = *state;
    if (!system_is_posix())
        skip(); /* the name is free when the file has been closed */
    open_at(world, world->path);
    add(world, "one\n");
    settle(world);
    assert_int_equal(unlink(world->path), 0);
    add(world, "two\n");
    event_log_end(&world->event_log);
    WAIT_FOR(event_log_has_ended(&world->event_log));
    assert_true(file_is(world->path, "two\n") || file_is(world->path, "one\ntwo\n"));
    assert_true(event_log_give_up(&world->event_log, GIVE_UP_MS));
}

static void beyond_the_bound_lines_are_shed_by_worth(void **state)
{
    struct world *world = *state;
    open_at(world, "/nonexistent/folder/events");
    add_of(world, "r1\n", EVENT_WORTH_BREAK, 1);
    uv_mutex_lock(&world->event_log.lock);
    world->event_log.queue.limit_bytes = 3 * world->event_log.queue.bytes;
    uv_mutex_unlock(&world->event_log.lock);
    add_of(world, "p1\n", EVENT_WORTH_PRINT, 2);
    add_of(world, "r2\n", EVENT_WORTH_VERDICT, 3);
    add_of(world, "p2\n", EVENT_WORTH_PRINT, 4);
    add_of(world, "r3\n", EVENT_WORTH_VERDICT, 5);
    assert_int_equal(counts(world).lost[EVENT_WORTH_PRINT], 2);
    assert_int_equal(counts(world).dropped, 2);
    event_log_look(&world->event_log);
    event_log_reopen(&world->event_log, world->path);
    settle(world);
    assert_file(world->path, "r1\nr2\nr3\n");
    assert_false(event_log_give_up(&world->event_log, GIVE_UP_MS));
}

static void a_line_longer_than_a_batch_is_written_whole(void **state)
{
    struct world *world = *state;
    size_t length = 3 * EVENT_LOG_BATCH_BYTES;
    char *text = malloc(length);
    assert_non_null(text);
    memset(text, 'x', length);
    text[length - 1] = '\n';
    open_at(world, world->path);
    add(world, "before\n");
    event_log_add(&world->event_log, text, length, EVENT_WORTH_VERDICT, 1);
    add(world, "after\n");
    settle(world);
    FILE *file = fopen(world->path, "r");
    assert_non_null(file);
    assert_int_equal(fseek(file, 0, SEEK_END), 0);
    assert_int_equal(ftell(file), (long)length + 13);
    (void)fclose(file);
}

static void a_file_that_cannot_be_opened_yet_gets_what_waited(void **state)
{
    struct world *world = *state;
    char deep[128], path[160];
    (void)snprintf(deep, sizeof deep, "%s/later", world->folder);
    (void)snprintf(path, sizeof path, "%s/events", deep);
    open_at(world, path);
    add(world, "early\n");
    WAIT_FOR(counts(world).errors > 0);
    assert_true(event_log_is_wanted(&world->event_log));
    assert_int_equal(counts(world).waiting_lines, 1);
    assert_int_equal(mkdir(deep, 0700), 0);
    WAIT_FOR(file_is(path, "early\n"));
    (void)unlink(path);
    event_log_end(&world->event_log);
    WAIT_FOR(event_log_has_ended(&world->event_log));
    (void)unlink(path);
    (void)rmdir(deep);
}

static void what_cannot_be_opened_at_all_is_lost_with_a_word(void **state)
{
    struct world *world = *state;
    open_at(world, world->folder);
    add(world, "lost\n");
    add_of(world, "lost\n", EVENT_WORTH_PRINT, 1);
    event_log_end(&world->event_log);
    assert_false(event_log_has_ended(&world->event_log));
    assert_false(event_log_give_up(&world->event_log, GIVE_UP_MS));
    assert_int_equal(counts(world).lost[EVENT_WORTH_VERDICT], 1);
    assert_int_equal(counts(world).dropped, 2);
}

static void no_results_wanted_takes_no_memory(void **state)
{
    struct world *world = *state;
    open_at(world, NULL);
    add(world, "unwanted\n");
    assert_int_equal(counts(world).waiting_lines, 0);
    assert_true(event_log_is_settled(&world->event_log));
    assert_true(event_log_give_up(&world->event_log, GIVE_UP_MS));
}

static void results_that_are_not_wanted_any_more_are_written_first(void **state)
{
    struct world *world = *state;
    open_at(world, world->path);
    add(world, "wanted\n");
    event_log_reopen(&world->event_log, NULL);
    add(world, "unwanted\n");
    settle(world);
    assert_file(world->path, "wanted\n");
    event_log_reopen(&world->event_log, world->path);
    add(world, "again\n");
    settle(world);
    assert_file(world->path, "wanted\nagain\n");
}

static void a_full_disk_keeps_the_lines_and_counts(void **state)
{
    struct world *world = *state;
    if (access("/dev/full", W_OK) != 0)
        skip();
    open_at(world, "/dev/full");
    add(world, "kept\n");
    WAIT_FOR(counts(world).errors > 0);
    assert_int_equal(counts(world).dropped, 0);
    assert_int_equal(counts(world).waiting_lines, 1);
    event_log_reopen(&world->event_log, world->path);
    settle(world);
    assert_file(world->path, "kept\n");
}

/* A limit to the size of files is as good as a disk that gets full in the middle of a line. */
static void a_line_that_a_full_disk_cut_is_gone_on_with(void **state)
{
    struct world *world = *state;
    struct rlimit before, small;
    if (!system_is_posix())
        skip();
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    (void)signal(SIGXFSZ, SIG_IGN);
    small = (struct rlimit){.rlim_cur = 8, .rlim_max = before.rlim_max};
    open_at(world, world->path);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    add(world, "one\n");
    add(world, "twotwo\n");
    WAIT_FOR(counts(world).errors > 0);
    assert_file(world->path, "one\ntwot");
    assert_int_equal(counts(world).waiting_lines, 1);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    settle(world);
    assert_file(world->path, "one\ntwotwo\n");
}

static void a_line_that_was_begun_in_a_file_that_another_changed_is_written_again(void **state)
{
    struct world *world = *state;
    struct rlimit before, small;
    if (!system_is_posix())
        skip();
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    (void)signal(SIGXFSZ, SIG_IGN);
    small = (struct rlimit){.rlim_cur = 8, .rlim_max = before.rlim_max};
    open_at(world, world->path);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    add(world, "one\n");
    add(world, "twotwo\n");
    WAIT_FOR(counts(world).errors > 0);
    assert_int_equal(truncate(world->path, 6), 0);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    settle(world);
    assert_file(world->path, "one\ntw\ntwotwo\n");
}

static void a_pipe_gets_whole_lines_and_its_next_reader_too(void **state)
{
    struct world *world = *state;
    char text[64];
    if (!system_is_posix())
        skip();
    assert_int_equal(mkfifo(world->path, 0600), 0);
    open_at(world, world->path);
    add(world, "early\n");
    WAIT_FOR(counts(world).errors > 0); /* nobody reads it */
    int reader = open(world->path, O_RDONLY);
    assert_true(reader >= 0);
    assert_int_equal(read(reader, text, sizeof text), 6);
    assert_memory_equal(text, "early\n", 6);
    (void)close(reader);
    add(world, "late\n");
    WAIT_FOR(counts(world).errors > 1);
    assert_int_equal(counts(world).dropped, 0);
    reader = open(world->path, O_RDONLY);
    assert_int_equal(read(reader, text, sizeof text), 5);
    assert_memory_equal(text, "late\n", 5);
    (void)close(reader);
}

/* A line of what fills a pipe is begun, its reader goes, and the next one gets it whole. */
static void a_line_that_a_reader_left_in_the_middle_is_written_again(void **state)
{
    struct world *world = *state;
    static char text[1 << 18];
    if (!system_is_posix())
        skip();
    assert_int_equal(mkfifo(world->path, 0600), 0);
    int reader = open(world->path, O_RDONLY | O_NONBLOCK);
    open_at(world, world->path);
    size_t length = sizeof text / 2;
    memset(text, 'x', length);
    text[length - 1] = '\n';
    text[length] = '\0';
    add(world, text); /* more than a pipe holds */
    WAIT_FOR(read(reader, text, 4096) == 4096);
    (void)close(reader);
    WAIT_FOR(counts(world).errors > 0);
    reader = open(world->path, O_RDONLY);
    size_t at = 0;
    while (at == 0 || text[at - 1] != '\n' || memchr(text, '\n', at) == text + at - 1) {
        ssize_t got = read(reader, text + at, sizeof text - at);
        assert_true(got > 0);
        at += (size_t)got;
    }
    (void)close(reader);
    assert_int_equal(text[at - length - 1], '\n');
    settle(world);
}

#ifdef __GLIBC__
#ifndef __SANITIZE_THREAD__
#ifndef __SANITIZE_ADDRESS__
/* The bound is of memory, not of text: small lines of many machines are the worst. */
static void waiting_lines_take_no_more_memory_than_their_bound(void **state)
{
    struct world *world = *state;
    char text[1024];
    memset(text, 'x', sizeof text);
    open_at(world, "/nonexistent/folder/events");
    for (size_t length = 20; length < 1000; length += 900) {
        size_t before = mallinfo2().uordblks;
        for (unsigned i = 0; i < 200000; ++i) {
            char *copy = malloc(1024);
            assert_non_null(copy);
            memcpy(copy, text, length);
            (void)event_log_add(&world->event_log, copy, length, EVENT_WORTH_PRINT, i % 50000);
        }
        size_t taken = mallinfo2().uordblks - before;
        assert_true(taken < EVENT_LOG_QUEUE_BYTES + EVENT_LOG_QUEUE_BYTES / 8);
    }
    assert_true(counts(world).lost[EVENT_WORTH_PRINT] > 0);
}
#define HAS_MEMORY_TEST
#endif
#endif
#endif

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    (void)signal(SIGPIPE, SIG_IGN); /* as the service does */
    const struct CMUnitTest tests[] = {
        TEST(lines_reach_the_file_in_order),
        TEST(a_file_is_appended_to),
        TEST(half_a_line_at_the_end_of_the_file_does_not_swallow_the_next),
        TEST(a_moved_file_is_opened_again_when_told),
        TEST(a_moved_file_is_opened_again_untold),
        TEST(a_deleted_file_is_made_again_with_what_was_written_meanwhile),
        TEST(a_deleted_file_is_made_again_when_all_ends),
        TEST(beyond_the_bound_lines_are_shed_by_worth),
        TEST(a_line_longer_than_a_batch_is_written_whole),
        TEST(a_file_that_cannot_be_opened_yet_gets_what_waited),
        TEST(what_cannot_be_opened_at_all_is_lost_with_a_word),
        TEST(no_results_wanted_takes_no_memory),
        TEST(results_that_are_not_wanted_any_more_are_written_first),
        TEST(a_full_disk_keeps_the_lines_and_counts),
        TEST(a_line_that_a_full_disk_cut_is_gone_on_with),
        TEST(a_line_that_was_begun_in_a_file_that_another_changed_is_written_again),
        TEST(a_pipe_gets_whole_lines_and_its_next_reader_too),
        TEST(a_line_that_a_reader_left_in_the_middle_is_written_again),
#ifdef HAS_MEMORY_TEST
        TEST(waiting_lines_take_no_more_memory_than_their_bound),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
