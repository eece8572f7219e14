/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fake_machine: a machine that a fake_server serves: its datagrams arrive at the worker that has its row, and it takes
 * what workers send. Only for tests, one at a time; sender_send is wrapped (tests/CMakeLists.txt).
 */
#ifndef TESTS_SERVICE_FAKE_MACHINE_H
#define TESTS_SERVICE_FAKE_MACHINE_H

#include "service/worker/route.h"
#include "service/worker/send.h"
#include "tests/service/captured_log.h"
#include "tests/service/fake_server.h"
#include "tests/session/puppet.h"

#define FAKE_QUEUE 64U
#define FAKE_FEW   3U /* rounds of the loops after which what was due is sent */

static const struct address fake_address = {.ip = {[10] = 0xff, [11] = 0xff, 192, 0, 2, 7}, .port = 9};

static struct {
    struct puppet *puppet;
    const char *name;
    unsigned sent;     /* datagrams of the workers, since the start */
    struct address to; /* the last of them */
    size_t queued;     /* that the machine has not taken */
    struct puppet_bytes queue[FAKE_QUEUE];
} machine;

size_t __wrap_sender_send(struct sender *sender, uv_udp_t *udp, const struct sender_datagram *datagrams, size_t count,
                          int *error);

size_t __wrap_sender_send(struct sender *sender, uv_udp_t *udp, const struct sender_datagram *datagrams, size_t count,
                          int *error)
{
    (void)sender;
    (void)udp;
    (void)error;
    for (size_t i = 0; i < count; ++i) {
        ++machine.sent;
        machine.to = datagrams[i].to;
        if (machine.queued == FAKE_QUEUE)
            continue; /* lost */
        struct puppet_bytes *bytes = &machine.queue[machine.queued++];
        bytes->length = datagrams[i].length;
        memcpy(bytes->payload, datagrams[i].payload, bytes->length);
    }
    return count;
}

/* The row of this name; NULL: no worker has it. */
static inline struct target *fake_find(const char *name, struct worker **where)
{
    for (unsigned i = 0; i < fake.server->worker_count; ++i) {
        struct targets *targets = &fake.server->workers[i].targets;
        for (uint32_t id = 0; id < targets->ids; ++id) {
            struct target *row = targets_row(targets, id);
            if (!row || strcmp(targets_name(row), name) != 0)
                continue;
            *where = &fake.server->workers[i];
            return row;
        }
    }
    return NULL;
}

/* A datagram of the machine arrives at the worker of its row. */
static inline int fake_arrive(struct puppet *puppet, const uint8_t *payload, size_t length)
{
    struct worker *worker = NULL;
    const struct receiver_datagram datagram = {.source = fake_address, .payload = payload, .length = length};
    (void)puppet;
    if (!fake_find(machine.name, &worker))
        abort();
    route_batch(worker->listeners, &datagram, 1);
    return KDNET_OK;
}

/* A kernel that says its version, and has nothing else to read. */
static inline bool fake_answer(struct puppet *puppet, struct kdnet_manipulate *reply, uint8_t *data)
{
    (void)puppet;
    (void)data;
    if (!puppet_version(reply))
        reply->return_status = 0xc0000001U; /* STATUS_UNSUCCESSFUL */
    return true;
}

/* The machine takes what was sent and answers it, until nothing more is said. */
static inline void fake_talk(void)
{
    struct puppet_bytes bytes;
    fake_rounds(FAKE_FEW);
    while (machine.queued > 0) {
        bytes = machine.queue[0];
        memmove(machine.queue, machine.queue + 1, --machine.queued * sizeof machine.queue[0]);
        puppet_take(machine.puppet, &bytes);
        fake_rounds(FAKE_FEW);
    }
}

/* Time passes, and what was due by then is done. */
static inline void fake_wait_ms(uint64_t ms)
{
    for (; ms > 0; ms -= ms < 100 ? ms : 100) {
        fake_pass_ms(ms < 100 ? ms : 100);
        for (unsigned i = 0; i < fake.server->worker_count; ++i)
            fake.server->workers[i].deadline_due = true;
        fake_talk();
    }
}

static inline void fake_machine_begin(const char *name, const char *key)
{
    memset(&machine, 0, sizeof machine);
    machine.name = name;
    struct puppet *puppet = machine.puppet = puppet_new();
    puppet->give = fake_arrive;
    puppet->answer = fake_answer;
    if (kdnet_key_parse(key, strlen(key), &puppet->key, NULL, NULL) != KDNET_OK)
        abort();
    kdnet_keys_init(&puppet->keys, &puppet->key);
}

/* Ends the server, and what of it runs, without a word; for cmocka. */
static inline int fake_machine_teardown(void **state)
{
    (void)state;
    captured_begin();
    hinting_stop(fake.server);
    fake_end();
    (void)captured_end();
    puppet_free(machine.puppet);
    return 0;
}

/* The first configuration comes into force. */
static inline void fake_start(void)
{
    captured_begin();
    bool good = reload_first(fake.server);
    (void)captured_end();
    if (!good)
        abort();
    fake_turn();
}

static inline struct target *fake_connect(void)
{
    struct worker *worker = NULL;
    (void)puppet_poke(machine.puppet);
    fake_wait_ms(20);
    struct target *row = fake_find(machine.name, &worker);
    if (!row || !row->connected)
        abort();
    return row;
}

/* The machine connects, and stops at a breakpoint. */
static inline struct target *fake_halt(void)
{
    struct target *row = fake_connect();
    (void)puppet_break(machine.puppet, KDNET_EXCEPTION_BREAKPOINT, 0xfffff80012345678U);
    return row;
}

#endif
