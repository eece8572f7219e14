/* SPDX-License-Identifier: Apache-2.0 */
/* What HTTP asks the system for, and each call refused once: it has what it asked for, or is told the fault and the
 * remedy, and nothing is left open or lying about. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "service/http/state_internal.h"
#include "service/http/system.h"
#include "tests/service/captured_log.h"
#include "tests/support/refused.h"

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define MOST 40U /* calls of one kind of work, at the most */

static char folder[64], path[96];
static struct http http;
static struct endpoint endpoint;

static int set_up(void **state)
{
    (void)state;
    (void)snprintf(folder, sizeof folder, "/tmp/kdnetd-refused-XXXXXX");
    assert_non_null(mkdtemp(folder));
    (void)snprintf(path, sizeof path, "%s/a.sock", folder);
    memset(&http, 0, sizeof http);
    endpoint = (struct endpoint){.http = &http, .local = true, .socket = -1};
    (void)snprintf(endpoint.path, sizeof endpoint.path, "%s", path);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    (void)remove(path);
    return rmdir(folder);
}

static bool is_one_of(const char *const *names)
{
    for (; *names; ++names)
        if (refused_is(*names))
            return true;
    return false;
}

/* --- the Unix socket ---------------------------------------------------------------------------------------------- */

/* A file of a process that was killed. */
static void leave_socket(void)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    (void)snprintf(name.sun_path, sizeof name.sun_path, "%s", path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (const struct sockaddr *)&name, sizeof name), 0);
    (void)close(fd);
}

static void listen_local(void *user)
{
    static const char *const needed[] = {"socket", "bind", "listen", NULL};
    char error[HTTP_DETAIL_SIZE] = "";
    (void)user;
    int fd = system_listen_local(&endpoint, error);
    if (fd < 0) {
        assert_true(is_one_of(needed));
        assert_non_null(strstr(error, "Cannot allocate memory; "));
        assert_int_equal(access(path, F_OK), -1);
        return;
    }
    assert_string_equal(error, "");
    assert_int_equal(access(path, F_OK), 0);
    system_close(fd);
    (void)remove(path);
}

static void the_unix_socket_is_open_or_the_fault_is_told(void **state)
{
    (void)state;
    captured_begin();
    size_t times = refused_each(ENOMEM, listen_local, NULL);
    (void)captured_end();
    assert_in_range(times, 5, MOST);
}

/* Where nobody can be asked whether he listens there, the file stays. */
static void replace_leftover(void)
{
    char error[HTTP_DETAIL_SIZE] = "";
    int fd = system_listen_local(&endpoint, error);
    if (refused_is("connect")) {
        assert_true(fd < 0);
        assert_int_equal(access(path, F_OK), 0);
    }
    if (!refused_call())
        assert_true(fd >= 0);
    assert_int_equal(fd < 0, error[0] != '\0');
    if (fd >= 0)
        system_close(fd);
}

static void a_leftover_is_replaced_or_the_fault_is_told(void **state)
{
    (void)state;
    captured_begin();
    for (size_t n = 0, any = true; any; ++n) {
        (void)remove(path);
        leave_socket();
        refused_begin(n, EACCES);
        replace_leftover();
        any = refused_end() != NULL;
        assert_in_range(n, 0, MOST);
    }
    (void)captured_end();
}

/* --- whose the Unix socket is ------------------------------------------------------------------------------------- */

static const char *said_without_chown(const char *group)
{
    char error[HTTP_DETAIL_SIZE] = "";
    http.settings.group = (char *)(uintptr_t)group;
    captured_begin();
    size_t n = 0;
    int fd = -1;
    for (const char *call = ""; call && strcmp(call, "chown") != 0; ++n) {
        if (fd >= 0)
            system_close(fd);
        (void)remove(path);
        refused_begin(n, EPERM);
        fd = system_listen_local(&endpoint, error);
        call = refused_end();
    }
    assert_true(refused_is("chown"));
    assert_true(fd >= 0);
    system_close(fd);
    return captured_end();
}

static void a_group_that_cannot_be_given_is_told_and_the_socket_serves(void **state)
{
    const struct group *group = getgrgid(getegid());
    (void)state;
    if (!group)
        skip();
    const char *said = said_without_chown(group->gr_name);
    assert_non_null(strstr(said, "the socket cannot be given to this group; make kdnetd's user a member of it"));
}

/* --- TCP ---------------------------------------------------------------------------------------------------------- */

static void listen_tcp(void *user)
{
    static const char *const needed[] = {"socket", "bind", "listen", NULL};
    char error[HTTP_DETAIL_SIZE] = "";
    evutil_socket_t fd = system_listen(user, error);
    assert_int_equal(fd < 0, is_one_of(needed));
    assert_int_equal(fd < 0, strstr(error, "Too many open files; ") != NULL);
    if (fd >= 0)
        system_close(fd);
}

static void a_port_is_listened_on_or_the_fault_is_told(void **state)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    char error[HTTP_DETAIL_SIZE] = "";
    (void)state;
    assert_in_range(refused_each(EMFILE, listen_tcp, &v4), 4, MOST);
    evutil_socket_t fd = system_listen((const struct sockaddr *)&v6, error);
    if (fd < 0)
        skip(); /* a computer without IPv6 */
    system_close(fd);
    assert_in_range(refused_each(EMFILE, listen_tcp, &v6), 5, MOST);
}

static enum system_accepted accept_with(int error)
{
    evutil_socket_t out;
    refused_begin(0, error);
    enum system_accepted accepted = system_accept(&endpoint, &out);
    assert_string_equal(refused_end(), "accept4");
    return accepted;
}

static void why_no_connection_came_is_told_apart(void **state)
{
    (void)state;
    assert_int_equal(accept_with(EMFILE), SYSTEM_NO_DESCRIPTORS);
    assert_int_equal(accept_with(ENFILE), SYSTEM_NO_DESCRIPTORS);
    assert_int_equal(accept_with(ENOBUFS), SYSTEM_NO_DESCRIPTORS);
    assert_int_equal(accept_with(ENOMEM), SYSTEM_NO_DESCRIPTORS);
    assert_int_equal(accept_with(EINTR), SYSTEM_TRY_AGAIN);
    assert_int_equal(accept_with(ECONNABORTED), SYSTEM_TRY_AGAIN);
    assert_int_equal(accept_with(EAGAIN), SYSTEM_NONE_WAITS);
}

/* --- people ------------------------------------------------------------------------------------------------------- */

static void who_asks_is_named_as_far_as_known(void **state)
{
    char user[CALL_BY_SIZE];
    int ends[2];
    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    refused_begin(0, ENOPROTOOPT);
    system_name_user(ends[0], user);
    assert_string_equal(refused_end(), "getsockopt");
    assert_string_equal(user, "local");
    system_name_user(ends[0], user);
    assert_memory_equal(user, "local:", 6);
    (void)close(ends[0]);
    (void)close(ends[1]);
}

/* --- secrets ------------------------------------------------------------------------------------------------------ */

static void read_secret(void *user)
{
    char text[64], error[SYSTEM_ERROR_SIZE] = "";
    size_t length = 0;
    (void)user;
    bool good = system_read_secret(path, text, sizeof text, &length, error);
    assert_int_equal(good, !refused_call());
    if (good)
        assert_int_equal(length, 6);
    else
        assert_int_not_equal(error[0], '\0');
    if (refused_is("read"))
        assert_string_equal(error, "cannot be read: Input/output error");
}

static void a_secret_is_read_or_the_fault_is_told(void **state)
{
    char text[64], error[SYSTEM_ERROR_SIZE] = "";
    size_t length = 0;
    (void)state;
    (void)remove(path);
    int file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    assert_true(file >= 0);
    assert_int_equal(write(file, "secret", 6), 6);
    (void)close(file);
    assert_in_range(refused_each(EIO, read_secret, NULL), 4, MOST);
    refused_begin(2, EINTR); /* open, fstat, read */
    assert_true(system_read_secret(path, text, sizeof text, &length, error));
    assert_string_equal(refused_end(), "read");
    assert_int_equal(length, 6);
}

/* --- limits and waking -------------------------------------------------------------------------------------------- */

static void limits_of_a_system_that_tells_none_stay(void **state)
{
    struct http_limits limits = {.connections = 1000, .local = 64, .streams = 500};
    (void)state;
    refused_begin(0, EPERM);
    system_leave_files(&limits);
    assert_string_equal(refused_end(), "getrlimit");
    assert_int_equal(limits.connections, 1000);
    assert_int_equal(limits.streams, 500);
}

static void too_few_descriptors_are_seen(void *user)
{
    (void)user;
    bool enough = system_has_files();
    assert_int_equal(enough, !refused_call());
}

static void each_descriptor_counts(void **state)
{
    (void)state;
    assert_int_equal(refused_each(EMFILE, too_few_descriptors_are_seen, NULL), 64);
}

static void waking_needs_a_pipe_and_comes_through(void **state)
{
    evutil_socket_t ends[2] = {7, 7};
    char byte;
    (void)state;
    refused_begin(0, EMFILE);
    assert_false(system_open_wakeup(ends));
    assert_string_equal(refused_end(), "pipe2");
    system_close_wakeup(ends); /* closes nothing */
    assert_true(system_open_wakeup(ends));
    refused_begin(0, EINTR);
    system_wake(ends);
    assert_string_equal(refused_end(), "write");
    assert_int_equal(read(ends[0], &byte, 1), 1);
    system_wake(ends);
    system_take_wakeup(ends);
    assert_int_equal(read(ends[0], &byte, 1), -1);
    system_close_wakeup(ends);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_unix_socket_is_open_or_the_fault_is_told),
        cmocka_unit_test(a_leftover_is_replaced_or_the_fault_is_told),
        cmocka_unit_test(a_group_that_cannot_be_given_is_told_and_the_socket_serves),
        cmocka_unit_test(a_port_is_listened_on_or_the_fault_is_told),
        cmocka_unit_test(why_no_connection_came_is_told_apart),
        cmocka_unit_test(who_asks_is_named_as_far_as_known),
        cmocka_unit_test(a_secret_is_read_or_the_fault_is_told),
        cmocka_unit_test(limits_of_a_system_that_tells_none_stay),
        cmocka_unit_test(each_descriptor_counts),
        cmocka_unit_test(waking_needs_a_pipe_and_comes_through),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
