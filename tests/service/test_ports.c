/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "service/server/server_internal.h"

#include <cmocka.h>

static struct port port;
static char said[1 << 14];

/* What is told of the port now, on standard error. */
static void tell(void)
{
    int ends[2], before = dup(STDERR_FILENO);
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(dup2(ends[1], STDERR_FILENO), STDERR_FILENO);
    port_log_drops(&port);
    assert_int_equal(dup2(before, STDERR_FILENO), STDERR_FILENO);
    (void)close(before);
    (void)close(ends[1]);
    ssize_t got = read(ends[0], said, sizeof said - 1);
    (void)close(ends[0]);
    said[got > 0 ? got : 0] = '\0';
}

static int setup(void **state)
{
    (void)state;
    memset(&port, 0, sizeof port);
    port.local.port = 50000;
    return 0;
}

static void nothing_lost_is_nothing_told(void **state)
{
    (void)state;
    port.counts.received = port.counts.sent = 1000;
    tell();
    assert_string_equal(said, "");
}

/* Each with its own count since the last time, and the port. */
static void each_kind_of_loss_is_told_once(void **state)
{
    (void)state;
    port.counts.shed = 5;
    port.shed_source = (struct address){.ip = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, 7}, .port = 9};
    tell();
    assert_non_null(strstr(said, "port=50000 shed=5 address=192.0.2.7:9\n"));
    port.counts.pass_dropped = 6;
    tell();
    assert_non_null(strstr(said, "another worker should have had"));
    assert_non_null(strstr(said, "dropped=6\n"));
    assert_null(strstr(said, "shed="));
    port.counts.overflowed = 7;
    tell();
    assert_non_null(strstr(said, "the kernel dropped datagrams"));
    assert_non_null(strstr(said, "dropped=7"));
    port.counts.overflowed = 9;
    port.counts.shed = 6;
    tell();
    assert_non_null(strstr(said, "dropped=2"));
    assert_non_null(strstr(said, "shed=1"));
    tell();
    assert_string_equal(said, "");
}

static void what_could_not_be_sent_is_told_with_its_error(void **state)
{
    (void)state;
    port.counts.send_failed = 3;
    port.counts.send_dropped = 4;
    port.send_error = UV_EHOSTUNREACH;
    tell();
    assert_non_null(strstr(said, "failed=3 no_room=4 error=\"host is unreachable\""));
}

#define TEST(name) cmocka_unit_test_setup(name, setup)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(nothing_lost_is_nothing_told),
        TEST(each_kind_of_loss_is_told_once),
        TEST(what_could_not_be_sent_is_told_with_its_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
