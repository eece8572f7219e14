/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "service/platform/receiver.h"

#include <cmocka.h>

#define MANY 150 /* more than two batches */

struct world {
    uv_loop_t loop;
    uv_udp_t udp, sender;
    struct receiver *receiver;
    struct sockaddr_in local;
    bool rests; /* `ready` is not followed by a drain */
    size_t readies, batches, count, largest;
    size_t lengths[MANY + 8];
    uint8_t firsts[MANY + 8];
    uint16_t port; /* of the last source */
};

static struct world world;

static void on_ready(void *user)
{
    struct world *w = user;
    ++w->readies;
    if (w->rests)
        receiver_watch(w->receiver, false);
    else
        (void)receiver_drain(w->receiver, 1);
}

static void on_batch(void *user, const struct receiver_datagram *datagrams, size_t count)
{
    struct world *w = user;
    ++w->batches;
    w->largest = count > w->largest ? count : w->largest;
    for (size_t i = 0; i < count && w->count < MANY + 8; ++i, ++w->count) {
        w->lengths[w->count] = datagrams[i].length;
        w->firsts[w->count] = datagrams[i].length > 0 ? datagrams[i].payload[0] : 0;
        w->port = datagrams[i].source.port;
    }
}

static int setup(void **state)
{
    const struct receiver_calls calls = {.ready = on_ready, .batch = on_batch, .user = &world};
    int length = sizeof world.local;
    struct sockaddr_in any;
    (void)state;
    memset(&world, 0, sizeof world);
    if (uv_ip4_addr("127.0.0.1", 0, &any) != 0 || uv_loop_init(&world.loop) != 0 ||
        uv_udp_init_ex(&world.loop, &world.udp, AF_INET) != 0 ||
        uv_udp_init_ex(&world.loop, &world.sender, AF_INET) != 0 ||
        uv_udp_bind(&world.udp, (const struct sockaddr *)&any, 0) != 0 ||
        uv_udp_bind(&world.sender, (const struct sockaddr *)&any, 0) != 0 ||
        uv_udp_getsockname(&world.udp, (struct sockaddr *)&world.local, &length) != 0)
        return -1;
    return receiver_open(&world.receiver, &world.udp, &calls);
}

static int teardown(void **state)
{
    (void)state;
    receiver_close(world.receiver);
    uv_close((uv_handle_t *)&world.udp, NULL);
    uv_close((uv_handle_t *)&world.sender, NULL);
    (void)uv_run(&world.loop, UV_RUN_DEFAULT);
    return uv_loop_close(&world.loop);
}

static void send_bytes(size_t length, uint8_t first)
{
    static char bytes[RECEIVER_DATAGRAM + 100];
    bytes[0] = (char)first;
    uv_buf_t buffer = uv_buf_init(bytes, (unsigned)length);
    assert_int_equal(uv_udp_try_send(&world.sender, &buffer, 1, (const struct sockaddr *)&world.local), (int)length);
}

/* Loopback delivers before the send returns: what was sent is there. */
static void run_until(size_t count)
{
    for (int i = 0; i < 1000 && world.count < count; ++i)
        (void)uv_run(&world.loop, UV_RUN_NOWAIT);
    assert_int_equal(world.count, count);
}

static void datagrams_come_in_order_and_whole_with_their_source(void **state)
{
    struct sockaddr_in source;
    int length = sizeof source;
    (void)state;
    for (uint8_t i = 0; i < MANY; ++i)
        send_bytes(10U + i, i);
    run_until(MANY);
    for (uint8_t i = 0; i < MANY; ++i) {
        assert_int_equal(world.lengths[i], 10 + i);
        assert_int_equal(world.firsts[i], i);
    }
    assert_true(world.largest <= RECEIVER_BATCH);
    assert_int_equal(uv_udp_getsockname(&world.sender, (struct sockaddr *)&source, &length), 0);
    assert_int_equal(world.port, ntohs(source.sin_port));
}

static void what_is_too_long_or_empty_has_no_length(void **state)
{
    (void)state;
    send_bytes(RECEIVER_DATAGRAM, 1);
    send_bytes(RECEIVER_DATAGRAM + 1, 2);
    send_bytes(0, 3);
    send_bytes(1, 4);
    run_until(4);
    assert_int_equal(world.lengths[0], RECEIVER_DATAGRAM);
    assert_int_equal(world.lengths[1], 0);
    assert_int_equal(world.lengths[2], 0);
    assert_int_equal(world.lengths[3], 1);
}

static void a_socket_that_rests_is_drained_when_we_want(void **state)
{
    (void)state;
    if (!receiver_can_rest())
        skip();
    world.rests = true;
    send_bytes(5, 1);
    while (world.readies == 0)
        (void)uv_run(&world.loop, UV_RUN_NOWAIT);
    for (uint8_t i = 1; i < MANY; ++i)
        send_bytes(5, 1);
    (void)uv_run(&world.loop, UV_RUN_NOWAIT);
    assert_int_equal(world.readies, 1);
    assert_int_equal(world.count, 0);
    assert_false(receiver_drain(world.receiver, 2)); /* two batches: some are left */
    assert_int_equal(world.count, 2 * RECEIVER_BATCH);
    assert_true(receiver_drain(world.receiver, 8));
    assert_int_equal(world.count, MANY);
    assert_true(receiver_drain(world.receiver, 8));
    world.rests = false;
    receiver_watch(world.receiver, true);
    send_bytes(5, 1);
    run_until(MANY + 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(datagrams_come_in_order_and_whole_with_their_source),
        TEST(what_is_too_long_or_empty_has_no_length),
        TEST(a_socket_that_rests_is_drained_when_we_want),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
