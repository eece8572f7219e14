/* SPDX-License-Identifier: Apache-2.0 */
/* What a worker says of datagrams that no well-behaved machine of today sends, and of its own misfortunes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "service/runtime/log.h"
#include "service/platform/platform.h"
#include "service/worker/listener.h"
#include "service/worker/route.h"
#include "service/targets/policies.h"
#include "tests/service/captured_log.h"
#include "tests/service/fake_env.h"
#include "tests/session/puppet.h"

#include <cmocka.h>

static struct worker *const worker = &fake.workers[0];
static struct kdnetd_config config;
static struct policies policies;
static const struct kdnet_policy *policy;

/* The machine, of which only what it says is used; and where it is. */
static struct puppet *machine;
static const struct address machine_at = {.ip = {[10] = 0xff, [11] = 0xff, 127, 0, 0, 1}, .port = 9};

static void open_listener(void)
{
    struct sockaddr_storage place = {.ss_family = AF_INET};
    uv_os_sock_t socket;
    assert_int_equal(uv_ip4_addr("127.0.0.1", 0, (struct sockaddr_in *)(void *)&place), 0);
    assert_int_equal(platform_udp_socket((const struct sockaddr *)&place, 0, &socket), 0);
    socklen_t length = sizeof place;
    struct address local;
    assert_int_equal(getsockname(socket, (struct sockaddr *)&place, &length), 0);
    assert_true(address_from_socket((const struct sockaddr *)&place, &local));
    assert_int_equal(listener_open(worker, 1, &local, socket, false), 0);
}

static struct target *add_target(const struct kdnet_key *key)
{
    struct config_target configured = {.name = "web-17", .key = *key, .has_address = true};
    memcpy(configured.address.ip, machine_at.ip, sizeof configured.address.ip);
    assert_true(worker_reserve(worker, 1));
    struct target *target = targets_add(&worker->targets, &configured, false);
    assert_non_null(target);
    targets_begin_session(target, &worker->shared, policy, key);
    assert_true(targets_index(&worker->targets));
    return target;
}

static int setup(void **state)
{
    config_init(&config);
    policies_init(&policies);
    policy = policies_to_let_go(&policies);
    assert_non_null(policy);
    fake_begin(1);
    worker_configure(worker, &config);
    open_listener();
    machine = puppet_new();
    *state = add_target(&machine->key);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    fake_end();
    policies_clear(&policies);
    puppet_free(machine);
    config_clear(&config);
    return 0;
}

static void give(const struct puppet_bytes *bytes)
{
    struct receiver_datagram datagram = {.source = machine_at, .payload = bytes->payload, .length = bytes->length};
    route_batch(worker->listeners, &datagram, 1);
}

static void poke(void)
{
    struct puppet_bytes bytes;
    puppet_next_poke(machine, &bytes);
    give(&bytes);
}

/* A datagram of the control channel with another body than a poke's. */
static void give_control(size_t length)
{
    static const uint8_t body[KDNET_BODY_MAX];
    struct puppet_bytes bytes;
    struct kdnet_datagram datagram = {.version = machine->version,
                                      .channel = KDNET_CHANNEL_CONTROL,
                                      .sequence = machine->control_sequence += 3,
                                      .body = body,
                                      .body_length = length};
    puppet_seal(machine, machine->keys.control.bytes, &datagram, &bytes);
    give(&bytes);
}

static void what_is_known_is_served_without_a_word(void **state)
{
    const struct target *target = *state;
    captured_begin();
    for (int i = 0; i < 20; ++i)
        poke();
    assert_string_equal(captured_end(), "");
    assert_non_null(targets_destination(target));
}

static void an_authentic_datagram_of_another_length_is_told_once_a_minute(void **state)
{
    (void)state;
    captured_begin();
    for (size_t i = 0; i < 1000; ++i)
        give_control(i % 7 * 100);
    const char *text = captured_end();
    print_message("%s", text);
    assert_int_equal(captured_lines(text), 1);
    assert_non_null(
        strstr(text, "level=warning msg=\"an authentic datagram is not of a form that kdnetd knows; please report it\" "
                     "target=web-17 address=127.0.0.1:9 version=5 channel=1 length="));
    worker->unexpected_us -= WORKER_MINUTE_US;
    captured_begin();
    give_control(100);
    give_control(100);
    assert_int_equal(captured_lines(captured_end()), 1);
}

static void a_version_of_the_future_is_told_once_a_minute_and_served(void **state)
{
    const struct target *target = *state;
    machine->version = 6;
    captured_begin();
    for (int i = 0; i < 100; ++i)
        poke();
    const char *text = captured_end();
    print_message("%s", text);
    assert_int_equal(captured_lines(text), 1);
    assert_non_null(strstr(text,
                           "msg=\"a machine speaks a version of KDNET that kdnetd has not seen; please report it\" "
                           "target=web-17 address=127.0.0.1:9 version=6 "));
    assert_non_null(targets_destination(target));
}

static void what_does_not_authenticate_is_not_told_of(void **state)
{
    struct puppet_bytes bytes;
    (void)state;
    captured_begin();
    for (uint8_t i = 0; i < 100; ++i) {
        puppet_next_poke(machine, &bytes);
        bytes.payload[4] = 6;
        bytes.payload[20] ^= (uint8_t)(i + 1);
        give(&bytes);
    }
    assert_string_equal(captured_end(), "");
}

static int no_random(void *user, uint8_t *out, size_t length)
{
    (void)user;
    (void)out;
    (void)length;
    return KDNET_ERR_RANDOM;
}

static void a_session_that_cannot_go_on_begins_anew_and_serves_the_next_poke(void **state)
{
    const struct target *target = *state;
    int (*random)(void *, uint8_t *, size_t) = worker->shared.random;
    worker->shared.random = no_random;
    captured_begin();
    poke();
    const char *text = captured_end();
    print_message("%s", text);
    assert_non_null(strstr(
        text, "level=error msg=\"session given up and begun anew; the machine is served again from its next poke\" "
              "target=web-17 error=\"no random bytes to be had\"\n"));
    assert_null(targets_destination(target));
    worker->shared.random = random;
    captured_begin();
    poke();
    assert_string_equal(captured_end(), "");
    assert_non_null(targets_destination(target));
}

/* Its poke names another host, again and again. */
static void a_machine_that_another_host_has_is_told_once_in_a_while(void **state)
{
    (void)state;
    poke();
    machine->connected = (struct kdnet_address){.ip = {[10] = 0xff, [11] = 0xff, 192, 0, 2, 99}, .port = 50000};
    captured_begin();
    for (int i = 0; i < 50; ++i)
        poke();
    const char *text = captured_end();
    print_message("%s", text);
    assert_int_equal(captured_lines(text), 1);
    assert_non_null(strstr(text, "names another host as its debugger"));
    assert_non_null(strstr(text, "other=192.0.2.99:50000"));
}

/* What is kept of targets elsewhere is brought up to date only when there is something new. */
static void pokes_that_change_nothing_are_no_change(void **state)
{
    (void)state;
    for (int i = 0; i < 20; ++i)
        poke();
    assert_int_equal(fake.changed, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_known_is_served_without_a_word, setup, teardown),
        cmocka_unit_test_setup_teardown(an_authentic_datagram_of_another_length_is_told_once_a_minute, setup, teardown),
        cmocka_unit_test_setup_teardown(a_version_of_the_future_is_told_once_a_minute_and_served, setup, teardown),
        cmocka_unit_test_setup_teardown(what_does_not_authenticate_is_not_told_of, setup, teardown),
        cmocka_unit_test_setup_teardown(a_session_that_cannot_go_on_begins_anew_and_serves_the_next_poke, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(pokes_that_change_nothing_are_no_change, setup, teardown),
        cmocka_unit_test_setup_teardown(a_machine_that_another_host_has_is_told_once_in_a_while, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
