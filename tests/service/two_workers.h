/* SPDX-License-Identifier: Apache-2.0 */
/*
 * two_workers: two workers whose loops a test turns, sockets that keep what is sent, and a clock that a test sets. Only
 * for tests; tests/CMakeLists.txt has what is wrapped.
 */
#ifndef TESTS_SERVICE_TWO_WORKERS_H
#define TESTS_SERVICE_TWO_WORKERS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "service/platform/platform.h"
#include "service/targets/policies.h"
#include "service/worker/listener.h"
#include "service/worker/route.h"
#include "tests/service/captured_log.h"
#include "tests/service/fake_env.h"
#include "tests/session/puppet.h"

#include <cmocka.h>

#define WORKERS 2U

static struct kdnetd_config config;
static struct policies policies;
static const struct kdnet_policy *policy;
static struct puppet *machine;

/* The clock. */

static uint64_t now_ns;

uint64_t __wrap_uv_hrtime(void);

uint64_t __wrap_uv_hrtime(void)
{
    return now_ns;
}

/* The sockets. */

static struct {
    unsigned count;
    struct address to;         /* of the last datagram */
    struct puppet_bytes bytes; /* the last datagram */
    size_t total;              /* bytes */
    bool full;                 /* takes nothing */
    int error;                 /* UV_EAGAIN, or why it can never be sent */
} sent;

size_t __wrap_sender_send(struct sender *sender, uv_udp_t *udp, const struct sender_datagram *datagrams, size_t count,
                          int *error);

size_t __wrap_sender_send(struct sender *sender, uv_udp_t *udp, const struct sender_datagram *datagrams, size_t count,
                          int *error)
{
    (void)sender;
    (void)udp;
    if (sent.full) {
        *error = sent.error;
        return 0;
    }
    for (size_t i = 0; i < count; ++i) {
        ++sent.count;
        sent.total += datagrams[i].length;
        sent.to = datagrams[i].to;
        sent.bytes.length = datagrams[i].length;
        memcpy(sent.bytes.payload, datagrams[i].payload, datagrams[i].length);
    }
    return count;
}

static inline void open_listener(struct worker *worker)
{
    struct sockaddr_storage place = {.ss_family = AF_INET};
    const struct address local = {.ip = {[10] = 0xff, [11] = 0xff, 127, 0, 0, 1}, .port = 50000};
    uv_os_sock_t socket;
    assert_int_equal(uv_ip4_addr("127.0.0.1", 0, (struct sockaddr_in *)(void *)&place), 0);
    assert_int_equal(platform_udp_socket((const struct sockaddr *)&place, 0, &socket), 0);
    assert_int_equal(listener_open(worker, 1, &local, socket, false), 0);
}

static inline int setup(void **state)
{
    (void)state;
    memset(&sent, 0, sizeof sent);
    now_ns += UINT64_C(3600000000000);
    config_init(&config);
    policies_init(&policies);
    policy = policies_to_let_go(&policies);
    assert_non_null(policy);
    fake_begin(WORKERS);
    for (unsigned i = 0; i < WORKERS; ++i) {
        worker_configure(&fake.workers[i], &config);
        open_listener(&fake.workers[i]);
    }
    machine = puppet_new();
    machine->no_check = true;
    return 0;
}

static inline int teardown(void **state)
{
    (void)state;
    fake_end();
    policies_clear(&policies);
    puppet_free(machine);
    config_clear(&config);
    return 0;
}

#define ROUNDS 200U /* of both loops, at most, until something has happened */

static inline void pass_us(uint64_t us)
{
    now_ns += us * 1000;
}

/* An address, one of many, whose machines this worker serves. */
static inline struct address address_of(unsigned worker, unsigned number)
{
    struct address address = {.ip = {[10] = 0xff, [11] = 0xff, 192, 0, 2, 0}, .port = 9};
    for (;; ++address.ip[15])
        if (steer_worker(&fake.env.steer, address.ip) == worker && number-- == 0)
            return address;
}

static inline struct target *add_target(struct worker *worker, const char *name, const struct kdnet_key *key,
                                        const struct address *configured)
{
    struct config_target target = {.key = *key, .has_address = configured != NULL};
    (void)snprintf(target.name, sizeof target.name, "%s", name);
    if (configured)
        memcpy(target.address.ip, configured->ip, sizeof target.address.ip);
    assert_true(worker_reserve(worker, worker->targets.count + 1));
    struct target *row = targets_add(&worker->targets, &target, false);
    assert_non_null(row);
    targets_begin_session(row, &worker->shared, policy, key);
    assert_true(targets_index(&worker->targets));
    return row;
}

/* A datagram arrives at a worker. */
static inline void arrive(unsigned worker, const struct address *source, const struct puppet_bytes *bytes)
{
    const struct receiver_datagram datagram = {.source = *source, .payload = bytes->payload, .length = bytes->length};
    route_batch(fake.workers[worker].listeners, &datagram, 1);
}

static inline void arrive_poke(unsigned worker, const struct address *source)
{
    struct puppet_bytes bytes;
    puppet_next_poke(machine, &bytes);
    arrive(worker, source, &bytes);
}

static inline void arrive_check(unsigned worker, const struct address *source)
{
    struct puppet_bytes bytes;
    puppet_make_check(machine, &bytes);
    arrive(worker, source, &bytes);
}

/* Turns the loops until so much was sent; keys are tried as the CPU budget allows, so time passes. */
static inline void turn_until_sent(unsigned count)
{
    for (unsigned i = 0; i < ROUNDS && sent.count < count; ++i) {
        pass_us(1000);
        fake_turn();
    }
    assert_true(sent.count >= count);
}

/* The machine is live at this address. */
static inline void connect_at(unsigned worker, const struct address *source)
{
    arrive_poke(worker, source);
    turn_until_sent(1);
    puppet_take(machine, &sent.bytes);
    assert_true(machine->keyed);
    arrive_check(worker, source);
    fake_turn();
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

#endif
