/* SPDX-License-Identifier: Apache-2.0 */
/* What kdnetd asks the system for, and each call refused once: it has what it asked for, or says the system's error,
 * and no descriptor is left open. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "service/net/address.h"
#include "service/platform/connecting.h"
#include "service/platform/inherited.h"
#include "service/platform/platform.h"
#include "tests/support/refused.h"

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define MOST 40U /* calls of one kind of work, at the most */

static struct sockaddr_storage socket_address(const char *text)
{
    struct sockaddr_storage out;
    struct address address;
    assert_true(address_parse(text, &address));
    address_to_socket(&address, &out);
    return out;
}

/* --- UDP sockets -------------------------------------------------------------------------------------------------- */

struct wish {
    struct sockaddr_storage local;
    unsigned how;
};

static void open_udp(void *user)
{
    const struct wish *wish = user;
    uv_os_sock_t out = -1;
    int error = platform_udp_socket((const struct sockaddr *)&wish->local, wish->how, &out);
    assert_int_equal(error, refused_call() ? UV_EMFILE : 0);
    assert_int_equal(out >= 0, error == 0);
    if (error == 0)
        platform_close_socket(out);
}

/* An IPv6 socket that may not be bound to any address as IPv6 is tried as IPv4, which Linux permits. */
static void open_udp_anywhere(void *user)
{
    const struct wish *wish = user;
    uv_os_sock_t out = -1;
    int error = platform_udp_socket((const struct sockaddr *)&wish->local, wish->how, &out);
    assert_true(error == 0 || (error == UV_EMFILE && refused_call()));
    assert_int_equal(out >= 0, error == 0);
    if (error == 0)
        platform_close_socket(out);
}

static void a_socket_is_open_or_the_error_is_said(void **state)
{
    struct wish wish = {.local = socket_address("127.0.0.1:0")};
    (void)state;
    assert_int_equal(refused_each(EMFILE, open_udp, &wish), 3); /* socket, close-on-exec, bind */
    wish.how = PLATFORM_SHARED | PLATFORM_BESIDE | PLATFORM_FREEBIND;
    assert_int_equal(refused_each(EMFILE, open_udp, &wish), 6);
}

static void so_is_one_of_ipv6(void **state)
{
    struct wish wish = {.local = socket_address("[::1]:0")};
    uv_os_sock_t out;
    (void)state;
    if (platform_udp_socket((const struct sockaddr *)&wish.local, 0, &out) != 0)
        skip(); /* a computer without IPv6 */
    platform_close_socket(out);
    assert_int_equal(refused_each(EMFILE, open_udp, &wish), 4); /* and only IPv6 */
    wish.how = PLATFORM_FREEBIND;
    assert_int_equal(refused_each(EMFILE, open_udp_anywhere, &wish), 5);
}

static void share(void *user)
{
    (void)user;
    bool can = platform_can_share();
    assert_int_equal(can, !refused_is("setsockopt"));
}

static void sockets_are_not_shared_where_the_system_says_no(void **state)
{
    (void)state;
    assert_int_equal(refused_each(EPERM, share, NULL), 2);
}

static void ask_source(void *user)
{
    struct sockaddr_storage from;
    bool known = platform_source_of(user, &from);
    assert_int_equal(known, !refused_call());
}

static void the_source_of_what_is_sent_is_known_or_not(void **state)
{
    struct sockaddr_storage to = socket_address("127.0.0.1:9");
    (void)state;
    assert_int_equal(refused_each(ENETUNREACH, ask_source, &to), 3);
}

static void buffers_and_losses_of_a_socket_that_tells_none_are_zero(void **state)
{
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    (void)state;
    assert_true(fd >= 0);
    refused_begin(0, EPERM); /* the size that needs a privilege: the other one is asked for */
    size_t granted = platform_receive_buffer(fd, SIZE_MAX);
    assert_string_equal(refused_end(), "setsockopt");
    assert_true(granted > 0);
    assert_int_equal(platform_receive_buffer(-1, 4096), 0);
    assert_int_equal(platform_receive_drops(fd), 0);
    assert_int_equal(platform_receive_drops(-1), 0);
    (void)close(fd);
}

static void duplicate(void *user)
{
    uv_os_sock_t out = -1;
    int error = inherited_duplicate(*(const int *)user, &out);
    assert_int_equal(error, refused_call() ? UV_EMFILE : 0);
    if (error == 0)
        platform_close_socket(out);
}

static void a_socket_is_duplicated_or_the_error_is_said(void **state)
{
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    (void)state;
    assert_int_equal(refused_each(EMFILE, duplicate, &fd), 1);
    (void)close(fd);
}

/* --- limits ------------------------------------------------------------------------------------------------------- */

static void a_limit_is_raised_or_stays(void **state)
{
    struct rlimit before, now;
    (void)state;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    if (before.rlim_max < 100)
        skip();
    const struct rlimit few = {.rlim_cur = 64, .rlim_max = before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    refused_begin(0, EPERM);
    platform_raise_limits();
    assert_string_equal(refused_end(), "getrlimit");
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &now), 0);
    assert_int_equal(now.rlim_cur, 64);
    platform_raise_limits();
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &now), 0);
    assert_int_equal(now.rlim_cur, now.rlim_max);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
}

static void count_spare(void *user)
{
    (void)user;
    size_t spare = platform_spare_descriptors(10);
    assert_int_equal(spare, refused_call() ? *(size_t *)user : 10);
    *(size_t *)user += 1;
}

static void spare_descriptors_are_counted_until_one_is_refused(void **state)
{
    size_t round = 0;
    (void)state;
    assert_int_equal(refused_each(EMFILE, count_spare, &round), 10);
}

/* --- the log ------------------------------------------------------------------------------------------------------ */

static void a_line_of_the_log_that_cannot_be_written_is_known_as_lost(void **state)
{
    static const char line[] = "a line of the test\n";
    (void)state;
    refused_begin(0, EINTR);
    assert_false(platform_write_log(line, sizeof line - 1));
    assert_string_equal(refused_end(), "poll");
    refused_begin(1, EIO);
    assert_false(platform_write_log(line, sizeof line - 1));
    assert_string_equal(refused_end(), "write");
    refused_begin(1, EINTR);
    assert_true(platform_write_log(line, sizeof line - 1)); /* tried again */
    assert_string_equal(refused_end(), "write");
}

/* --- connections of libraries ------------------------------------------------------------------------------------- */

/* A connection of TCP over loopback, of which one end has the mark. */
static void connect_pair(int ends[2])
{
    struct sockaddr_in name = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const struct linger at_once = {.l_onoff = 1, .l_linger = 0};
    socklen_t length = sizeof name;
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(listener >= 0);
    assert_int_equal(bind(listener, (const struct sockaddr *)&name, sizeof name), 0);
    assert_int_equal(listen(listener, 1), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&name, &length), 0);
    ends[0] = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(ends[0], (const struct sockaddr *)&name, sizeof name), 0);
    ends[1] = accept(listener, NULL, NULL);
    assert_true(ends[1] >= 0);
    assert_int_equal(setsockopt(ends[0], SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once), 0);
    (void)close(listener);
}

static void find_connection(void *user)
{
    struct platform_connection found[8];
    const int *ends = user;
    size_t count = platform_connections(found, 8);
    for (size_t i = 0; i < count; ++i) {
        assert_int_equal(found[i].descriptor, ends[0]);
        assert_true(found[i].id != 0 && found[i].port != 0);
    }
    if (!refused_call())
        assert_int_equal(count, 1);
}

static bool is_over(int end)
{
    char byte;
    ssize_t got = recv(end, &byte, 1, MSG_DONTWAIT);
    return got == 0 || (got < 0 && errno != EAGAIN);
}

static void only_the_connection_that_was_meant_is_broken(void **state)
{
    struct platform_connection found[8];
    int ends[2];
    (void)state;
    connect_pair(ends);
    assert_in_range(refused_each(EBADF, find_connection, ends), 5, 10 * MOST);
    assert_int_equal(platform_connections(found, 8), 1);
    assert_int_equal(platform_connections(found, 0), 0);
    struct platform_connection other = found[0];
    ++other.id;
    platform_break_connection(&other); /* the descriptor is another connection's by now */
    assert_false(is_over(ends[1]));
    refused_begin(0, EMFILE);
    platform_break_connection(&found[0]);
    assert_string_equal(refused_end(), "fcntl");
    assert_false(is_over(ends[1]));
    platform_break_connection(&found[0]);
    assert_true(is_over(ends[1]));
    (void)close(ends[0]);
    (void)close(ends[1]);
}

/* --- processes ---------------------------------------------------------------------------------------------------- */

static void never(void *user)
{
    (void)user;
    fail();
}

static void without_a_process_nothing_is_tried_as_another_user(void **state)
{
    (void)state;
    if (geteuid() != 0)
        skip();
    refused_begin(0, EAGAIN);
    platform_as_service_user("nobody", never, NULL);
    const char *call = refused_end();
    if (!call)
        skip(); /* there is no such user */
    assert_string_equal(call, "fork");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_socket_is_open_or_the_error_is_said),
        cmocka_unit_test(so_is_one_of_ipv6),
        cmocka_unit_test(sockets_are_not_shared_where_the_system_says_no),
        cmocka_unit_test(the_source_of_what_is_sent_is_known_or_not),
        cmocka_unit_test(buffers_and_losses_of_a_socket_that_tells_none_are_zero),
        cmocka_unit_test(a_socket_is_duplicated_or_the_error_is_said),
        cmocka_unit_test(a_limit_is_raised_or_stays),
        cmocka_unit_test(spare_descriptors_are_counted_until_one_is_refused),
        cmocka_unit_test(a_line_of_the_log_that_cannot_be_written_is_known_as_lost),
        cmocka_unit_test(only_the_connection_that_was_meant_is_broken),
        cmocka_unit_test(without_a_process_nothing_is_tried_as_another_user),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
