/* SPDX-License-Identifier: Apache-2.0 */
/* The kernel's sum against ours, with real sockets on loopback. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "service/net/address.h"
#include "service/platform/platform.h"
#include "service/net/steer.h"

#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define WORKERS 3U
#define SOURCES 200U
#define WAIT_MS 10000

struct world {
    uv_os_sock_t sockets[WORKERS];
    struct sockaddr_storage local;
    struct steer steer;
};

/* All on one free port. False: this machine has no such address. */
static bool open_key_group(struct world *world, const char *ip)
{
    struct sockaddr *local = (struct sockaddr *)&world->local;
    socklen_t length = sizeof world->local;
    memset(world, 0, sizeof *world);
    world->steer = (struct steer){.seed = 0x9ABCDEF1U, .workers = WORKERS};
    if (uv_ip4_addr(ip, 0, (struct sockaddr_in *)local) != 0)
        assert_int_equal(uv_ip6_addr(ip, 0, (struct sockaddr_in6 *)local), 0);
    for (unsigned i = 0; i < WORKERS; ++i) {
        if (platform_udp_socket(local, PLATFORM_SHARED, &world->sockets[i]) != 0)
            return false;
        length = sizeof world->local;
        assert_int_equal(getsockname(world->sockets[i], local, &length), 0);
    }
    return true;
}

static void close_key_group(struct world *world)
{
    for (unsigned i = 0; i < WORKERS; ++i)
        platform_close_socket(world->sockets[i]);
}

/* Which socket has something. */
static unsigned arrived_at(const struct world *world)
{
    struct pollfd descriptors[WORKERS];
    char byte;
    for (unsigned i = 0; i < WORKERS; ++i)
        descriptors[i] = (struct pollfd){.fd = world->sockets[i], .events = POLLIN};
    assert_true(poll(descriptors, WORKERS, WAIT_MS) > 0);
    for (unsigned i = 0; i < WORKERS; ++i)
        if (descriptors[i].revents != 0) {
            assert_int_equal(recv(world->sockets[i], &byte, 1, 0), 1);
            return i;
        }
    return WORKERS;
}

static void send_from(const struct world *world, const struct sockaddr *from, socklen_t length)
{
    int sender = socket(from->sa_family, SOCK_DGRAM, 0);
    assert_true(sender >= 0);
    assert_int_equal(bind(sender, from, length), 0);
    assert_int_equal(sendto(sender, "x", 1, 0, (const struct sockaddr *)&world->local, length), 1);
    (void)close(sender);
}

static void each_worker_gets_the_addresses_that_are_its_own(void **state)
{
    (void)state;
    struct world world;
    unsigned got[WORKERS] = {0};
    assert_true(open_key_group(&world, "127.0.0.1"));
    if (!platform_can_share() || !platform_steer(world.sockets[0], &world.steer, true)) {
        close_key_group(&world);
        skip();
    }
    for (uint32_t i = 1; i <= SOURCES; ++i) {
        struct sockaddr_in from = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7F000000U + i * 331U)};
        struct address source;
        assert_true(address_from_socket((struct sockaddr *)&from, &source));
        send_from(&world, (struct sockaddr *)&from, sizeof from);
        unsigned at = arrived_at(&world);
        assert_int_equal(at, steer_worker(&world.steer, source.ip));
        ++got[at];
    }
    close_key_group(&world);
    for (unsigned i = 0; i < WORKERS; ++i)
        assert_true(got[i] > SOURCES / WORKERS / 2);
}

static void an_ipv6_address_has_its_worker_too(void **state)
{
    (void)state;
    struct world world;
    struct sockaddr_in6 from = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    if (!open_key_group(&world, "::1")) {
        close_key_group(&world);
        skip();
    }
    for (uint32_t seed = 0; seed < 16; ++seed) {
        struct address source;
        world.steer.seed = seed * 0x01234567U;
        if (!platform_can_share() || !platform_steer(world.sockets[0], &world.steer, false)) {
            close_key_group(&world);
            skip();
        }
        assert_true(address_from_socket((struct sockaddr *)&from, &source));
        send_from(&world, (struct sockaddr *)&from, sizeof from);
        assert_int_equal(arrived_at(&world), steer_worker(&world.steer, source.ip));
    }
    close_key_group(&world);
}

/* A machine that restarts comes from another port, and must find its session. */
static void the_port_does_not_count_and_the_seed_does(void **state)
{
    (void)state;
    struct address address = {.ip = {0x20, 0x01, 0x0d, 0xb8, [15] = 9}};
    unsigned others = 0;
    for (uint32_t seed = 0; seed < 64; ++seed) {
        struct steer one = {.seed = 1, .workers = 16}, other = {.seed = seed * 977U, .workers = 16};
        others += steer_worker(&one, address.ip) != steer_worker(&other, address.ip);
        assert_true(steer_worker(&other, address.ip) < 16);
        other.workers = 1;
        assert_int_equal(steer_worker(&other, address.ip), 0);
    }
    assert_true(others > 32);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_worker_gets_the_addresses_that_are_its_own),
        cmocka_unit_test(an_ipv6_address_has_its_worker_too),
        cmocka_unit_test(the_port_does_not_count_and_the_seed_does),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
