/* SPDX-License-Identifier: Apache-2.0 */
/* What a worker sends and its socket does not take: it goes out later, in order, or is counted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "service/worker/send.h"
#include "tests/service/captured_log.h"
#include "tests/service/fake_env.h"
#include "tests/session/puppet.h"
#include "tests/service/two_workers.h"

#include <cmocka.h>

static void give_to_send(struct listener *listener, uint8_t number)
{
    static const struct address to = {.ip = {[10] = 0xff, [11] = 0xff, 192, 0, 2, 1}, .port = 9};
    uint8_t payload[1000] = {number};
    send_datagram(listener, &to, payload, sizeof payload);
    send_flush(listener->worker);
}

static void what_a_full_socket_does_not_take_goes_out_later_in_order(void **state)
{
    struct worker *worker = &fake.workers[0];
    (void)state;
    sent.full = true;
    sent.error = UV_EAGAIN;
    for (uint8_t i = 1; i <= 5; ++i)
        give_to_send(worker->listeners, i);
    assert_int_equal(sent.count, 0);
    assert_int_equal(worker->sending_bytes, 5000);
    assert_true(uv_is_active((uv_handle_t *)&worker->send_timer));
    send_on_timer(&worker->send_timer); /* still full */
    assert_int_equal(worker->sending_bytes, 5000);
    sent.full = false;
    send_on_timer(&worker->send_timer);
    assert_int_equal(sent.count, 5);
    assert_int_equal(sent.bytes.payload[0], 5);
    assert_int_equal(worker->sending_bytes, 0);
    assert_int_equal(worker->listeners->counts.sent, 5);
}

static void what_finds_no_room_in_the_send_queue_is_dropped_and_counted(void **state)
{
    struct worker *worker = &fake.workers[0];
    unsigned fit = WORKER_SEND_QUEUE / 1000;
    (void)state;
    sent.full = true;
    sent.error = UV_EAGAIN;
    for (unsigned i = 0; i < fit + 10; ++i)
        give_to_send(worker->listeners, 1);
    assert_int_equal(worker->listeners->counts.send_dropped, 10);
    assert_true(worker->sending_bytes <= WORKER_SEND_QUEUE);
    send_drop_waiting(worker->listeners);
    assert_int_equal(worker->sending_bytes, 0);
    assert_int_equal(worker->listeners->counts.send_dropped, 10 + fit);
}

static void what_can_never_be_sent_is_counted_with_its_error(void **state)
{
    struct listener *listener = fake.workers[0].listeners;
    (void)state;
    sent.full = true;
    sent.error = UV_EHOSTUNREACH;
    give_to_send(listener, 1);
    assert_int_equal(listener->counts.send_failed, 1);
    assert_int_equal(listener->send_error, UV_EHOSTUNREACH);
    assert_int_equal(fake.workers[0].sending_bytes, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_a_full_socket_does_not_take_goes_out_later_in_order),
        TEST(what_finds_no_room_in_the_send_queue_is_dropped_and_counted),
        TEST(what_can_never_be_sent_is_counted_with_its_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
