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

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

#endif
