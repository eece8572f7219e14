/* SPDX-License-Identifier: Apache-2.0 */
/* What the POSIX half of platform/ does that no program of the tests needs, or that only root can do. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "service/net/address.h"
#include "service/platform/platform.h"
#include "service/platform/service.h"
#include "service/platform/yield.h"
#include "tests/service/captured_log.h"

#include <cmocka.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

static int never(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    fail();
    return 0;
}

static void the_command_service_names_what_does_it_here(void **state)
{
    char name[] = "kdnetd", word[] = "service";
    char *argv[] = {name, word, NULL};
    (void)state;
    captured_begin();
    int status = service_command(2, argv, never);
    assert_non_null(strstr(captured_end(), "systemctl enable --now kdnetd"));
    assert_int_equal(status, 2); /* as any wrong command line */
}

static void standard_output_can_be_opened_anew(void **state)
{
    struct stat one, other;
    (void)state;
    int file = open(platform_stdout_path(), O_WRONLY);
    if (file < 0)
        skip(); /* a socket cannot be */
    assert_int_equal(fstat(STDOUT_FILENO, &one), 0);
    assert_int_equal(fstat(file, &other), 0);
    assert_int_equal(one.st_ino, other.st_ino);
    (void)close(file);
}

/* In a process of its own: tells by which user it is called. */
static void tell_user(void *user)
{
    const int *pipes = user;
    uid_t uid = getuid();
    if (write(pipes[1], &uid, sizeof uid) != (ssize_t)sizeof uid)
        abort();
}

static void what_the_service_user_may_do_is_tried_as_that_user(void **state)
{
    int pipes[2];
    uid_t uid = 0;
    (void)state;
    const struct passwd *nobody = getpwnam("nobody");
    if (geteuid() != 0 || !nobody)
        skip();
    uid_t wanted = nobody->pw_uid;
    assert_int_equal(pipe2(pipes, O_NONBLOCK), 0);
    platform_as_service_user("no-such-user-of-kdnetd", tell_user, pipes);
    assert_int_equal(read(pipes[0], &uid, sizeof uid), -1); /* not called */
    platform_as_service_user("nobody", tell_user, pipes);
    assert_int_equal(read(pipes[0], &uid, sizeof uid), sizeof uid);
    assert_int_equal(uid, wanted);
    assert_int_equal(geteuid(), 0);
    (void)close(pipes[0]);
    (void)close(pipes[1]);
}

static void what_is_sent_to_loopback_comes_from_there(void **state)
{
    struct address address;
    struct sockaddr_storage to, from;
    (void)state;
    assert_true(address_parse("127.0.0.1:9", &address));
    address_to_socket(&address, &to);
    assert_true(platform_source_of(&to, &from));
    assert_true(address_from_socket((const struct sockaddr *)&from, &address));
    assert_true(address_is_ipv4(&address));
    assert_int_equal(address.ip[12], 127);
}

static void memory_is_known(void **state)
{
    (void)state;
    assert_true(platform_memory() > 4096);
}

struct attributes { /* struct sched_attr of linux/sched/types.h */
    uint32_t size, policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t slice_ns, deadline_ns, period_ns;
};

static struct attributes attributes_now(void)
{
    struct attributes now = {.size = sizeof now};
    assert_int_equal(syscall(SYS_sched_getattr, 0, &now, sizeof now, 0U), 0);
    return now;
}

/* Whether the kernel has slices that a thread may set: from 6.12 on. */
static bool has_slices(void)
{
    struct utsname name;
    unsigned major = 0, minor = 0;
    assert_int_equal(uname(&name), 0);
    assert_int_equal(sscanf(name.release, "%u.%u", &major, &minor), 2);
    return major > 6 || (major == 6 && minor >= 12);
}

static void a_thread_that_serves_machines_has_a_short_slice_and_stays_as_nice(void **state)
{
    (void)state;
    assert_int_equal(setpriority(PRIO_PROCESS, 0, 3), 0);
    struct attributes before = attributes_now();
    platform_begin_soon();
    struct attributes after = attributes_now();
    assert_int_equal(after.policy, before.policy);
    assert_int_equal(after.nice, 3);
    if (has_slices())
        assert_int_equal(after.slice_ns, 500000);
    platform_step_back();
    assert_int_equal(attributes_now().nice, 8);
    platform_step_back();
    assert_int_equal(attributes_now().nice, 10); /* and no further */
    platform_yield();
    assert_int_equal(attributes_now().nice, 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_command_service_names_what_does_it_here),
        cmocka_unit_test(standard_output_can_be_opened_anew),
        cmocka_unit_test(what_the_service_user_may_do_is_tried_as_that_user),
        cmocka_unit_test(what_is_sent_to_loopback_comes_from_there),
        cmocka_unit_test(memory_is_known),
        cmocka_unit_test(a_thread_that_serves_machines_has_a_short_slice_and_stays_as_nice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
