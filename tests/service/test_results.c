/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "service/results.h"

#include <cmocka.h>

struct world {
    uv_loop_t loop;
    struct results results;
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
    results_close(&world->results);
    (void)uv_run(&world->loop, UV_RUN_DEFAULT);
    int error = uv_loop_close(&world->loop);
    (void)snprintf(rotated, sizeof rotated, "%s.1", world->path);
    (void)unlink(rotated);
    (void)unlink(world->path);
    (void)rmdir(world->folder);
    return error;
}

static void add(struct world *world, const char *text, bool is_print)
{
    results_add(&world->results, strdup(text), strlen(text), is_print);
}

static void settle(struct world *world)
{
    results_flush(&world->results);
    (void)uv_run(&world->loop, UV_RUN_DEFAULT);
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
    assert_int_equal(results_open(&world->results, &world->loop, world->path), 0);
    add(world, "one\n", false);
    add(world, "two\n", true);
    settle(world);
    add(world, "three\n", false);
    settle(world);
    assert_file(world->path, "one\ntwo\nthree\n");
    assert_true(results_is_idle(&world->results));
    assert_int_equal(world->results.counts.written, 3);
}

static void a_file_is_appended_to(void **state)
{
    struct world *world = *state;
    FILE *file = fopen(world->path, "w");
    assert_non_null(file);
    (void)fputs("before\n", file);
    (void)fclose(file);
    assert_int_equal(results_open(&world->results, &world->loop, world->path), 0);
    add(world, "after\n", false);
    settle(world);
    assert_file(world->path, "before\nafter\n");
}

static void a_moved_file_is_opened_again(void **state)
{
    struct world *world = *state;
    char rotated[128];
    assert_int_equal(results_open(&world->results, &world->loop, world->path), 0);
    add(world, "one\n", false);
    settle(world);
    (void)snprintf(rotated, sizeof rotated, "%s.1", world->path);
    assert_int_equal(rename(world->path, rotated), 0);
    results_reopen(&world->results, world->path);
    add(world, "two\n", false);
    settle(world);
    assert_file(rotated, "one\n");
    assert_file(world->path, "two\n");
}

static void beyond_the_bound_the_oldest_prints_go_first(void **state)
{
    struct world *world = *state;
    assert_int_equal(results_open(&world->results, &world->loop, world->path), 0);
    world->results.queue_bytes = 12;
    add(world, "r1\n", false);
    add(world, "p1\n", true);
    add(world, "p2\n", true);
    add(world, "r2\n", false);
    add(world, "r3\n", false);
    add(world, "r4\n", false);
    add(world, "r5\n", false);
    settle(world);
    assert_int_equal(world->results.counts.dropped, 3);
    assert_file(world->path, "r2\nr3\nr4\nr5\n");
}

static void a_line_longer_than_a_batch_is_written_whole(void **state)
{
    struct world *world = *state;
    size_t length = 3 * RESULTS_BATCH_BYTES;
    char *text = malloc(length);
    assert_non_null(text);
    memset(text, 'x', length);
    assert_int_equal(results_open(&world->results, &world->loop, world->path), 0);
    add(world, "before\n", false);
    results_add(&world->results, text, length, false);
    settle(world);
    FILE *file = fopen(world->path, "r");
    assert_non_null(file);
    assert_int_equal(fseek(file, 0, SEEK_END), 0);
    assert_int_equal(ftell(file), (long)length + 7);
    (void)fclose(file);
}

static void a_file_that_cannot_be_opened_is_an_error(void **state)
{
    struct world *world = *state;
    assert_int_equal(results_open(&world->results, &world->loop, "/nonexistent/folder/events"), UV_ENOENT);
    add(world, "lost\n", false);
    settle(world);
}

static void no_results_wanted_takes_no_memory(void **state)
{
    struct world *world = *state;
    assert_int_equal(results_open(&world->results, &world->loop, NULL), 0);
    add(world, "unwanted\n", false);
    assert_true(results_is_idle(&world->results));
    assert_int_equal(world->results.counts.dropped, 0);
}

static void a_full_disk_keeps_the_lines_and_counts(void **state)
{
    struct world *world = *state;
    if (access("/dev/full", W_OK) != 0)
        skip();
    assert_int_equal(results_open(&world->results, &world->loop, "/dev/full"), 0);
    add(world, "kept\n", false);
    results_flush(&world->results);
    while (world->results.counts.errors == 0)
        (void)uv_run(&world->loop, UV_RUN_ONCE);
    assert_int_equal(world->results.counts.dropped, 0);
    assert_false(results_is_idle(&world->results));
    results_reopen(&world->results, world->path);
    settle(world);
    assert_file(world->path, "kept\n");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(lines_reach_the_file_in_order),
        TEST(a_file_is_appended_to),
        TEST(a_moved_file_is_opened_again),
        TEST(beyond_the_bound_the_oldest_prints_go_first),
        TEST(a_line_longer_than_a_batch_is_written_whole),
        TEST(a_file_that_cannot_be_opened_is_an_error),
        TEST(no_results_wanted_takes_no_memory),
        TEST(a_full_disk_keeps_the_lines_and_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
