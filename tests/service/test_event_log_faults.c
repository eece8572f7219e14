/* SPDX-License-Identifier: Apache-2.0 */
/* The results' thread and a file that fails: it cannot be opened, closed or looked at, or was deleted below it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "service/output/event_log.h"
#include "service/output/result_file.h"
#include "service/runtime/log.h"
#include "tests/service/captured_log.h"
#include "tests/support/wait_for.h"

#include <cmocka.h>

#define GIVE_UP_MS 1600

/* --- the file's calls --------------------------------------------------------------------------------------------- */

static atomic_int open_error, close_error; /* UV_ codes; 0: the real call */
static atomic_bool deleted, hangs;         /* so the file looks; a look does not return */
static atomic_uint opened, closed, looks;
static atomic_uint_fast64_t later_ms; /* added to the clock */
static const char *stdout_path;

int __real_result_file_open(struct result_file *file, const char *path);
int __wrap_result_file_open(struct result_file *file, const char *path);
int __real_result_file_close(struct result_file *file);
int __wrap_result_file_close(struct result_file *file);
enum result_file_place __wrap_result_file_look(const struct result_file *file, const char *path);

uint64_t __real_uv_hrtime(void);
uint64_t __wrap_uv_hrtime(void);

uint64_t __wrap_uv_hrtime(void)
{
    return __real_uv_hrtime() + later_ms * 1000000;
}

/* Standard output is a file of the test. */
int __wrap_result_file_open(struct result_file *file, const char *path)
{
    int error = open_error;
    *file = (struct result_file){.open = false};
    if (error == 0)
        error = __real_result_file_open(file, path ? path : stdout_path);
    file->is_stdout = !path;
    ++opened;
    return error;
}

int __wrap_result_file_close(struct result_file *file)
{
    file->is_stdout = false;
    int error = __real_result_file_close(file);
    ++closed;
    return close_error != 0 ? close_error : error;
}

enum result_file_place __wrap_result_file_look(const struct result_file *file, const char *path)
{
    (void)file;
    (void)path;
    ++looks;
    while (hangs)
        uv_sleep(1);
    return deleted ? RESULT_FILE_DELETED : RESULT_FILE_IN_PLACE;
}

/* --- the world ---------------------------------------------------------------------------------------------------- */

struct world {
    uv_loop_t loop;
    struct event_log event_log;
    char folder[64], path[96];
};

static int setup(void **state)
{
    static struct world world;
    memset(&world, 0, sizeof world);
    open_error = close_error = 0;
    deleted = hangs = false;
    opened = closed = looks = 0;
    (void)snprintf(world.folder, sizeof world.folder, "/tmp/kdnetd-results-XXXXXX");
    if (!mkdtemp(world.folder) || uv_loop_init(&world.loop) != 0)
        return -1;
    (void)snprintf(world.path, sizeof world.path, "%s/events", world.folder);
    stdout_path = world.path;
    *state = &world;
    return 0;
}

static int teardown(void **state)
{
    struct world *world = *state;
    hangs = false;
    (void)event_log_give_up(&world->event_log, GIVE_UP_MS);
    WAIT_FOR(event_log_has_ended(&world->event_log));
    assert_true(event_log_close(&world->event_log));
    (void)uv_run(&world->loop, UV_RUN_DEFAULT);
    (void)unlink(world->path);
    (void)rmdir(world->folder);
    return uv_loop_close(&world->loop);
}

static void add(struct world *world, const char *text, enum event_worth worth)
{
    assert_true(event_log_add(&world->event_log, strdup(text), strlen(text), worth, 1) > 0);
    event_log_ring(&world->event_log);
}

/* What the thread counts it has logged, too: both under the lock. */
static struct event_log_counts counts(struct world *world)
{
    struct event_log_counts now;
    event_log_count(&world->event_log, &now);
    return now;
}

static void open_at(struct world *world, const char *path)
{
    assert_int_equal(event_log_open(&world->event_log, &world->loop, path), 0);
}

static void settle(struct world *world)
{
    WAIT_FOR(event_log_is_settled(&world->event_log) && counts(world).waiting_lines == 0);
}

static void assert_file(const char *path, const char *wanted)
{
    char text[256] = "";
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    (void)fclose(file);
    assert_string_equal(text, wanted);
}

/* --- tests -------------------------------------------------------------------------------------------------------- */

static void each_fault_has_its_remedy(void **state)
{
    static const struct {
        int error;
        const char *hint;
    } faults[] = {
        {UV_ENOENT, "make its folder"},
        {UV_ENOTDIR, "make its folder"},
        {UV_EACCES, "let the service's user write there"},
        {UV_EPERM, "let the service's user write there"},
        {UV_EROFS, "the file system is read-only"},
        {UV_ENXIO, "it is a FIFO that nobody reads"},
        {UV_EISDIR, "it is a folder"},
        {UV_ENOSPC, "the disk is full"},
        {UV_EPIPE, "its reader went away"},
        {UV_EIO, "look at the disk"},
    };
    struct world *world = *state;
    open_at(world, world->path);
    WAIT_FOR(opened == 1);
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; ++i) {
        char hint[128];
        uint64_t errors = counts(world).errors;
        open_error = faults[i].error;
        captured_begin();
        event_log_reopen(&world->event_log, world->path);
        WAIT_FOR(counts(world).errors > errors);
        const char *text = captured_end();
        (void)snprintf(hint, sizeof hint, " hint=\"%s", faults[i].hint);
        assert_int_equal(captured_lines(text), 1);
        assert_non_null(strstr(text, "result file cannot be opened again; the one open until now is kept"));
        assert_non_null(strstr(text, uv_strerror(faults[i].error)));
        assert_non_null(strstr(text, hint));
    }
    add(world, "kept\n", EVENT_WORTH_VERDICT);
    settle(world);
    assert_file(world->path, "kept\n");
}

static void a_file_that_fails_at_its_close_is_told(void **state)
{
    struct world *world = *state;
    open_at(world, world->path);
    add(world, "one\n", EVENT_WORTH_VERDICT);
    settle(world);
    close_error = UV_ENOSPC;
    captured_begin();
    event_log_reopen(&world->event_log, world->path);
    WAIT_FOR(counts(world).errors == 1);
    const char *text = captured_end();
    close_error = 0;
    assert_non_null(strstr(text, "result file was closed with an error: what was written to it last may not be in it"));
    add(world, "two\n", EVENT_WORTH_VERDICT);
    settle(world);
    assert_file(world->path, "one\ntwo\n");
    assert_int_equal(counts(world).dropped, 0);
}

static void a_file_that_is_not_wanted_any_more_is_closed(void **state)
{
    struct world *world = *state;
    open_at(world, world->path);
    add(world, "one\n", EVENT_WORTH_VERDICT);
    settle(world);
    event_log_reopen(&world->event_log, NULL);
    WAIT_FOR(closed == 1);
    assert_int_equal(opened, 1);
    assert_file(world->path, "one\n");
}

/* What was written since the last look went with the file: crashes' results are in the log. */
static void results_in_a_standard_output_that_was_deleted_are_lost_with_a_word(void **state)
{
    struct world *world = *state;
    open_at(world, "-");
    add(world, "a verdict\n", EVENT_WORTH_VERDICT);
    add(world, "a print\n", EVENT_WORTH_PRINT);
    settle(world);
    captured_begin();
    deleted = true;
    event_log_end(&world->event_log); /* looks once more */
    WAIT_FOR(event_log_has_ended(&world->event_log));
    struct event_log_counts now = counts(world);
    bool whole = event_log_give_up(&world->event_log, GIVE_UP_MS);
    const char *text = captured_end();
    assert_false(whole);
    assert_int_equal(now.written, 0);
    assert_int_equal(now.dropped, 2);
    assert_int_equal(now.lost[EVENT_WORTH_VERDICT], 1);
    assert_int_equal(now.lost[EVENT_WORTH_PRINT], 1);
    assert_non_null(strstr(text, "the file that standard output goes to was deleted"));
    assert_non_null(strstr(text, "result=\"a verdict\""));
    assert_null(strstr(text, "a print"));
}

/* The thread ends as soon as its call returns. */
static void a_look_that_hangs_is_given_up(void **state)
{
    struct world *world = *state;
    open_at(world, world->path);
    add(world, "one\n", EVENT_WORTH_VERDICT);
    settle(world);
    hangs = true;
    unsigned before = looks;
    event_log_end(&world->event_log);
    WAIT_FOR(looks > before);
    (void)event_log_give_up(&world->event_log, GIVE_UP_MS);
    assert_false(event_log_close(&world->event_log));
    assert_false(event_log_has_ended(&world->event_log));
    deleted = true; /* too late: nobody makes it again */
    hangs = false;
    WAIT_FOR(event_log_has_ended(&world->event_log));
    assert_int_equal(opened, 1);
    assert_file(world->path, "one\n");
}

static const char *look_after(struct world *world, unsigned ms)
{
    later_ms += ms;
    captured_begin();
    event_log_look(&world->event_log);
    return captured_end();
}

/* The thread looks at the file, and its look does not return. */
static void hang(struct world *world)
{
    unsigned before = looks;
    hangs = true;
    later_ms += 2000; /* a look is due */
    add(world, "one\n", EVENT_WORTH_VERDICT);
    WAIT_FOR(looks > before);
}

static void a_file_that_does_not_answer_is_told_once_and_its_return_too(void **state)
{
    struct world *world = *state;
    open_at(world, world->path);
    WAIT_FOR(opened == 1);
    hang(world);
    assert_string_equal(look_after(world, EVENT_LOG_HANGS_MS / 2), "");
    const char *text = look_after(world, EVENT_LOG_HANGS_MS);
    assert_int_equal(captured_lines(text), 1);
    assert_non_null(strstr(text, "level=error msg=\"result file does not answer"));
    assert_non_null(strstr(text, " doing=\"looking at\""));
    assert_string_equal(look_after(world, 1000), "");
    hangs = false;
    settle(world);
    WAIT_FOR(strstr(look_after(world, 0), "result file answers again"));
    assert_file(world->path, "one\n");
}

/* Each time that the configuration is read again, until too many threads hang. No line is lost. */
static void a_file_that_does_not_answer_is_given_up_at_a_reload(void **state)
{
    struct world *world = *state;
    open_at(world, world->path);
    WAIT_FOR(opened == 1);
    for (unsigned i = 0; i <= EVENT_LOG_HUNG_MAX; ++i) {
        hang(world);
        event_log_reopen(&world->event_log, world->path);
        const char *text = look_after(world, 2 * EVENT_LOG_HANGS_MS);
        bool too_many = i == EVENT_LOG_HUNG_MAX;
        assert_true((strstr(text, "result file that does not answer is given up") != NULL) != too_many);
        assert_true((strstr(text, "too many were given up already") != NULL) == too_many);
        assert_string_equal(look_after(world, 1000), "");
        if (!too_many)
            WAIT_FOR(opened == i + 2);
    }
    hangs = false;
    settle(world);
    assert_int_equal(counts(world).dropped, 0);
    assert_file(world->path, "one\none\none\none\none\n");
    WAIT_FOR((event_log_look(&world->event_log), !world->event_log.hung));
}

static void results_that_go_on_waiting_are_told_each_minute(void **state)
{
    struct world *world = *state;
    open_error = UV_EACCES;
    open_at(world, world->path);
    add(world, "waits\n", EVENT_WORTH_VERDICT);
    WAIT_FOR(counts(world).errors > 0);
    assert_string_equal(look_after(world, 1000), "");
    const char *text = look_after(world, 60000);
    assert_int_equal(captured_lines(text), 1);
    assert_non_null(strstr(text, "level=error msg=\"results still wait in memory, because they cannot be written\""));
    assert_non_null(strstr(text, " waiting=1 "));
    assert_string_equal(look_after(world, 1000), "");
    open_error = 0;
    event_log_reopen(&world->event_log, world->path);
    settle(world);
    assert_file(world->path, "waits\n");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(each_fault_has_its_remedy),
        TEST(a_file_that_fails_at_its_close_is_told),
        TEST(a_file_that_is_not_wanted_any_more_is_closed),
        TEST(results_in_a_standard_output_that_was_deleted_are_lost_with_a_word),
        TEST(a_look_that_hangs_is_given_up),
        TEST(results_that_go_on_waiting_are_told_each_minute),
        TEST(a_file_that_does_not_answer_is_told_once_and_its_return_too),
        TEST(a_file_that_does_not_answer_is_given_up_at_a_reload),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
