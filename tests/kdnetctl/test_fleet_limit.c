/* SPDX-License-Identifier: Apache-2.0 */
/* A process with a limit ends: started with signals blocked, with a full standard error, and within its own end. */
#include "service/kdnetctl/fleet_limit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PATIENCE_MS 30000
#define SAID_SIZE   256

static const struct command the_command = {.name = "fleet"};

struct result {
    int status;
    char said[SAID_SIZE];
};

/* Does that in a process of its own, whose standard error is a pipe. */
static struct result see(void (*act)(void))
{
    struct result result = {.said = ""};
    int ends[2], status = 0;
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        (void)dup2(ends[1], STDERR_FILENO);
        act();
        _exit(99);
    }
    pid_t done = 0;
    for (unsigned i = 0; i < PATIENCE_MS / 10 && done == 0; ++i) {
        const struct timespec pause = {.tv_nsec = 10000000};
        done = waitpid(child, &status, WNOHANG);
        if (done == 0)
            (void)nanosleep(&pause, NULL);
    }
    if (done == 0) {
        (void)kill(child, SIGKILL);
        (void)waitpid(child, NULL, 0);
    }
    (void)close(ends[1]);
    ssize_t length = read(ends[0], result.said, sizeof result.said - 1);
    (void)close(ends[0]);
    assert_int_equal(done, child);
    assert_true(length >= 0 && WIFEXITED(status));
    result.status = WEXITSTATUS(status);
    return result;
}

static void hang(void)
{
    while (true)
        (void)pause();
}

static void hang_blocked(void)
{
    sigset_t all;
    (void)sigfillset(&all);
    (void)sigprocmask(SIG_SETMASK, &all, NULL);
    (void)signal(SIGALRM, SIG_IGN);
    fleet_limit(&the_command, 1, 3, "it hangs");
    hang();
}

static void hang_with_full_pipe(void)
{
    (void)fcntl(STDERR_FILENO, F_SETFL, O_NONBLOCK);
    while (write(STDERR_FILENO, "full", 4) > 0)
        ;
    (void)fcntl(STDERR_FILENO, F_SETFL, 0);
    fleet_limit(&the_command, 1, 4, "it hangs");
    hang();
}

static void hang_at_end(void)
{
    (void)atexit(hang);
    fleet_limit(&the_command, 1, 5, NULL);
    exit(6); // NOLINT(concurrency-mt-unsafe): this process has one thread
}

static void take_limit_back(void)
{
    fleet_limit(&the_command, 1, 3, "it hangs");
    fleet_limit(&the_command, 0, 3, NULL);
    if (alarm(0) == 0)
        _exit(7);
}

static void signals_that_were_blocked(void **state)
{
    (void)state;
    struct result result = see(hang_blocked);
    assert_int_equal(result.status, 3);
    assert_string_equal(result.said, "kdnetctl fleet: it hangs\n");
}

static void standard_error_that_nobody_reads(void **state)
{
    (void)state;
    struct result result = see(hang_with_full_pipe);
    assert_int_equal(result.status, 4);
    assert_memory_equal(result.said, "full", 4);
    assert_null(strstr(result.said, "hangs"));
}

static void end_of_the_process(void **state)
{
    (void)state;
    struct result result = see(hang_at_end);
    assert_int_equal(result.status, 5);
    assert_string_equal(result.said, "");
}

static void no_limit(void **state)
{
    (void)state;
    assert_int_equal(see(take_limit_back).status, 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(signals_that_were_blocked),
                                       cmocka_unit_test(standard_error_that_nobody_reads),
                                       cmocka_unit_test(end_of_the_process), cmocka_unit_test(no_limit)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
