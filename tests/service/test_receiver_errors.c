/* SPDX-License-Identifier: Apache-2.0 */
/* Calls that fail: the test's own recvmmsg and so on go before the C library's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "service/platform/receiver.h"
#include "service/platform/sender.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#pragma GCC diagnostic ignored "-Wpedantic" /* the C library has a union of pointers where POSIX has a pointer */

enum call { RECVMMSG, RECVMSG, RECVFROM, SENDMMSG, SENDMSG, SENDTO, CALLS };

/* What a call says instead of doing anything; `times`: how often from now on. */
static struct {
    int error;
    unsigned times, asked;
} planned[CALLS];

static long fails(enum call call)
{
    ++planned[call].asked;
    if (planned[call].times == 0)
        return 0;
    --planned[call].times;
    errno = planned[call].error;
    return -1;
}

int recvmmsg(int fd, struct mmsghdr *messages, unsigned count, int flags, struct timespec *timeout)
{
    return fails(RECVMMSG) != 0 ? -1 : (int)syscall(SYS_recvmmsg, fd, messages, count, flags, timeout);
}

ssize_t recvmsg(int fd, struct msghdr *message, int flags)
{
    return fails(RECVMSG) != 0 ? -1 : syscall(SYS_recvmsg, fd, message, flags);
}

ssize_t recvfrom(int fd, void *space, size_t size, int flags, struct sockaddr *from, socklen_t *length)
{
    return fails(RECVFROM) != 0 ? -1 : syscall(SYS_recvfrom, fd, space, size, flags, from, length);
}

int sendmmsg(int fd, struct mmsghdr *messages, unsigned count, int flags)
{
    return fails(SENDMMSG) != 0 ? -1 : (int)syscall(SYS_sendmmsg, fd, messages, count, flags);
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
    return fails(SENDMSG) != 0 ? -1 : syscall(SYS_sendmsg, fd, message, flags);
}

ssize_t sendto(int fd, const void *bytes, size_t size, int flags, const struct sockaddr *to, socklen_t length)
{
    return fails(SENDTO) != 0 ? -1 : syscall(SYS_sendto, fd, bytes, size, flags, to, length);
}

#define FOR_EVER 1000000U

static void plan(enum call call, int error, unsigned times)
{
    planned[call].error = error;
    planned[call].times = times;
}

struct world {
    uv_loop_t loop;
    uv_udp_t udp, peer;
    struct receiver *receiver;
    struct sender sender;
    struct address place; /* of udp */
    size_t count, readies;
    uint8_t last, local[16];
    uint16_t via;
};

static struct world world;

static void on_ready(void *user)
{
    struct world *w = user;
    ++w->readies;
    (void)receiver_drain(w->receiver, 1);
}

static void on_batch(void *user, const struct receiver_datagram *datagrams, size_t count)
{
    struct world *w = user;
    for (size_t i = 0; i < count; ++i) {
        ++w->count;
        w->last = datagrams[i].length > 0 ? datagrams[i].payload[0] : 0;
        w->via = datagrams[i].source.via;
    }
}

static uint16_t find_via(void *user, const uint8_t local[static 16])
{
    struct world *w = user;
    memcpy(w->local, local, sizeof w->local);
    return 7;
}

/* One that is free: a port that the system chose is lost when a socket is disconnected. */
static bool choose_port(struct sockaddr_in *any)
{
    socklen_t length = sizeof *any;
    int probe = socket(AF_INET, SOCK_DGRAM, 0);
    bool good = bind(probe, (const struct sockaddr *)any, sizeof *any) == 0 &&
                getsockname(probe, (struct sockaddr *)any, &length) == 0;
    (void)close(probe);
    return good;
}

static int setup(void **state)
{
    const struct receiver_calls calls = {.ready = on_ready, .batch = on_batch, .via = find_via, .user = &world};
    int length = sizeof(struct sockaddr_storage), on = 1;
    struct sockaddr_storage local;
    struct sockaddr_in any;
    uv_os_fd_t descriptor;
    (void)state;
    memset(&world, 0, sizeof world);
    memset(planned, 0, sizeof planned);
    if (uv_ip4_addr("0.0.0.0", 0, &any) != 0 || uv_loop_init(&world.loop) != 0 ||
        uv_udp_init(&world.loop, &world.udp) != 0 || uv_udp_init(&world.loop, &world.peer) != 0 ||
        uv_udp_bind(&world.peer, (const struct sockaddr *)&any, 0) != 0 || !choose_port(&any) ||
        uv_udp_bind(&world.udp, (const struct sockaddr *)&any, 0) != 0 ||
        uv_udp_getsockname(&world.udp, (struct sockaddr *)&local, &length) != 0 ||
        uv_fileno((const uv_handle_t *)&world.udp, &descriptor) != 0 ||
        setsockopt(descriptor, IPPROTO_IP, IP_PKTINFO, &on, sizeof on) != 0 ||
        !address_from_socket((const struct sockaddr *)&local, &world.place))
        return -1;
    memcpy(world.place.ip + 12, (const uint8_t[]){127, 3, 2, 1}, 4);
    return receiver_open(&world.receiver, &world.udp, &calls);
}

static int teardown(void **state)
{
    (void)state;
    memset(planned, 0, sizeof planned);
    receiver_close(world.receiver);
    uv_close((uv_handle_t *)&world.udp, NULL);
    uv_close((uv_handle_t *)&world.peer, NULL);
    (void)uv_run(&world.loop, UV_RUN_DEFAULT);
    return uv_loop_close(&world.loop);
}

static void send_byte(uint8_t byte)
{
    struct sockaddr_storage to;
    uv_os_fd_t descriptor;
    address_to_socket(&world.place, &to);
    assert_int_equal(uv_fileno((const uv_handle_t *)&world.peer, &descriptor), 0);
    assert_int_equal(syscall(SYS_sendto, descriptor, &byte, 1, 0, &to, sizeof(struct sockaddr_in)), 1);
}

static void turn(void)
{
    for (int i = 0; i < 100; ++i)
        (void)uv_run(&world.loop, UV_RUN_NOWAIT);
}

static void comes(uint8_t byte)
{
    size_t before = world.count;
    send_byte(byte);
    turn();
    assert_int_equal(world.count, before + 1);
    assert_int_equal(world.last, byte);
}

/* What a socket has to tell (ICMP, ss -K) is no reason to take another call. */
static void an_error_of_the_socket_is_passed_over(void **state)
{
    static const int errors[] = {ECONNREFUSED, ECONNABORTED, EHOSTUNREACH, ENETDOWN, EPERM, EINTR};
    (void)state;
    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; ++i) {
        plan(RECVMMSG, errors[i], 2);
        comes((uint8_t)(i + 1));
        assert_int_equal(receiver_error(world.receiver), 0);
        assert_false(receiver_is_slow(world.receiver));
    }
}

static void a_refused_call_is_given_up_for_the_next(void **state)
{
    static const int errors[] = {ENOSYS, EPERM, EACCES, EOPNOTSUPP, EINVAL, ENOMEM};
    (void)state;
    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; ++i) {
        plan(RECVMMSG, errors[i], FOR_EVER);
        comes(1);
        assert_true(receiver_is_slow(world.receiver));
        assert_int_equal(world.via, 7);
        assert_memory_equal(world.local, world.place.ip, 16);
        plan(RECVMSG, errors[i], FOR_EVER);
        comes(2);
        assert_int_equal(world.via, 0); /* recvfrom does not know */
        assert_int_equal(receiver_error(world.receiver), 0);
        planned[RECVMMSG].times = planned[RECVMSG].times = 0;
        receiver_retry(world.receiver);
        comes(3);
        assert_false(receiver_is_slow(world.receiver));
    }
}

static void when_no_call_receives_it_fails_once_and_asks_for_nothing(void **state)
{
    (void)state;
    plan(RECVMMSG, ENOSYS, FOR_EVER);
    plan(RECVMSG, EPERM, FOR_EVER);
    plan(RECVFROM, EACCES, FOR_EVER);
    send_byte(1);
    turn();
    assert_int_equal(receiver_error(world.receiver), UV_EACCES);
    size_t readies = world.readies;
    assert_true(readies <= 2);
    receiver_watch(world.receiver, true);
    turn();
    assert_int_equal(world.readies, readies);
    assert_true(receiver_drain(world.receiver, 8));
    receiver_retry(world.receiver); /* in vain */
    turn();
    assert_int_equal(receiver_error(world.receiver), UV_EACCES);
    planned[RECVFROM].times = 0;
    receiver_retry(world.receiver);
    turn();
    assert_int_equal(world.count, 1);
    comes(2);
}

static void many_datagrams_come_one_by_one(void **state)
{
    (void)state;
    plan(RECVMMSG, ENOSYS, FOR_EVER);
    for (unsigned i = 0; i < 150; ++i)
        send_byte((uint8_t)i);
    turn();
    assert_int_equal(world.count, 150);
    assert_int_equal(world.last, 149);
}

/* libuv ends a poll that tells an error (POLLERR). Sockets only have one when they are connected or aborted, so a
 * connected one stands for it. */
static void an_error_that_the_poll_tells_is_fetched_and_the_socket_watched_on(void **state)
{
    struct sockaddr_in nobody;
    struct sockaddr_storage peer;
    int length = sizeof peer;
    uv_os_fd_t descriptor;
    (void)state;
    assert_int_equal(uv_fileno((const uv_handle_t *)&world.udp, &descriptor), 0);
    assert_int_equal(uv_udp_getsockname(&world.peer, (struct sockaddr *)&peer, &length), 0);
    for (int i = 0; i < 40; ++i) {
        assert_int_equal(uv_ip4_addr("127.0.0.1", 1, &nobody), 0);
        assert_int_equal(connect(descriptor, (const struct sockaddr *)&nobody, sizeof nobody), 0);
        (void)syscall(SYS_sendto, descriptor, "x", 1, 0, NULL, 0); /* its ICMP error comes back at once */
        turn();
        const struct sockaddr none = {.sa_family = AF_UNSPEC};
        assert_int_equal(connect(descriptor, &none, sizeof none), 0);
        assert_int_equal(receiver_error(world.receiver), 0);
        comes((uint8_t)i);
    }
}

/* Sending. */

static size_t send_some(size_t count, int *error)
{
    static uint8_t bytes[8];
    struct sender_datagram datagrams[8];
    struct sockaddr_storage local;
    int length = sizeof local;
    assert_int_equal(uv_udp_getsockname(&world.peer, (struct sockaddr *)&local, &length), 0);
    memset(datagrams, 0, sizeof datagrams);
    for (size_t i = 0; i < count; ++i) {
        bytes[i] = (uint8_t)i;
        datagrams[i].to = world.place;
        datagrams[i].payload = &bytes[i];
        datagrams[i].length = 1;
    }
    return sender_send(&world.sender, &world.peer, datagrams, count, error);
}

static void a_refused_send_goes_by_another_call(void **state)
{
    static const int errors[] = {ENOSYS, EPERM, EACCES};
    int error = 0;
    (void)state;
    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; ++i) {
        memset(&world.sender, 0, sizeof world.sender);
        world.count = 0;
        plan(SENDMMSG, errors[i], FOR_EVER);
        assert_int_equal(send_some(8, &error), 8);
        assert_true(sender_is_slow(&world.sender));
        unsigned asked = planned[SENDMMSG].asked;
        assert_int_equal(send_some(8, &error), 8);
        assert_int_equal(planned[SENDMMSG].asked, asked); /* no more */
        plan(SENDMSG, errors[i], FOR_EVER);
        assert_int_equal(send_some(8, &error), 8);
        turn();
        assert_int_equal(world.count, 24);
        planned[SENDMSG].times = 0;
    }
}

/* A firewall's refusal: each call says the same, and sendmmsg is not given up for it. */
static void an_error_of_a_datagram_gives_up_nothing(void **state)
{
    int error = 0;
    (void)state;
    for (int i = 0; i < 10; ++i) {
        plan(SENDMMSG, EPERM, 1);
        plan(SENDMSG, EPERM, 1);
        plan(SENDTO, EPERM, 1);
        assert_int_equal(send_some(3, &error), 0);
        assert_int_equal(error, UV_EPERM);
        plan(SENDMMSG, EAGAIN, 1);
        assert_int_equal(send_some(3, &error), 0);
        assert_int_equal(error, UV_EAGAIN);
        assert_int_equal(planned[SENDMSG].times, 0);
        plan(SENDMMSG, EMSGSIZE, 1);
        assert_int_equal(send_some(3, &error), 0);
        assert_int_equal(error, UV_EMSGSIZE);
        assert_int_equal(send_some(3, &error), 3);
        assert_false(sender_is_slow(&world.sender));
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_error_of_the_socket_is_passed_over),
        TEST(a_refused_call_is_given_up_for_the_next),
        TEST(when_no_call_receives_it_fails_once_and_asks_for_nothing),
        TEST(many_datagrams_come_one_by_one),
        TEST(an_error_that_the_poll_tells_is_fetched_and_the_socket_watched_on),
        TEST(a_refused_send_goes_by_another_call),
        TEST(an_error_of_a_datagram_gives_up_nothing),
    };
    if (!receiver_can_rest())
        return 0; /* libuv's calls, as libuv makes them */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
