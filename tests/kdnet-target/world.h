/* SPDX-License-Identifier: Apache-2.0 */
/* A simulated machine and the host that it talks with. Included once, by each test of the machine. */
#ifndef TESTS_KDNET_TARGET_WORLD_H
#define TESTS_KDNET_TARGET_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/kdnet-target/tiny_host.h"

#include <stdio.h>

#include <cmocka.h>

#define KEY    "1.2.3.4"
#define SECOND ((uint64_t)1000000)

struct world {
    struct tiny_host host;
    struct machine *machine;
    const struct kdnet_machine_layout *layout;
};

static inline struct machine_config base_config(struct tiny_host *host, const char *scenario)
{
    struct machine_config config = {
        .crypto = host->crypto, .key = host->key, .scenario = scenario, .seed = 7, .version = host->version};
    config.host.ip[15] = 9;
    config.host.port = 50000;
    return config;
}

static inline void start(struct world *w, const char *scenario)
{
    tiny_init(&w->host, KEY, 5);
    struct machine_config config = base_config(&w->host, scenario);
    w->machine = machine_new(&config);
    assert_non_null(w->machine);
    w->layout = kdnet_machine_layout(KDNET_MACHINE_X64);
    tiny_wait(&w->host, w->machine, 0);
}

static inline void stop(struct world *w)
{
    machine_free(w->machine);
    tiny_clear(&w->host);
}

static inline struct machine_result result(struct world *w)
{
    struct machine_result out;
    machine_result(w->machine, w->host.now_us, &out);
    return out;
}

/* Takes the machine to its first state change. */
static inline struct kdnet_state_change first_halt(struct world *w)
{
    struct kdnet_state_change change;
    assert_true(machine_is_halted(w->machine));
    assert_int_equal(w->host.data.packet.type, KDNET_PACKET_STATE_CHANGE64);
    assert_int_equal(
        kdnet_state_change_decode(w->host.data.packet.payload, w->host.data.packet.payload_length, &change), KDNET_OK);
    return change;
}

/* Releases whatever comes until the script has ended. */
static inline void run_to_end(struct world *w)
{
    for (int i = 0; i < 200 && !machine_is_ended(w->machine, w->host.now_us); ++i) {
        if (machine_is_halted(w->machine))
            tiny_release(&w->host, w->machine, w->layout);
        else
            tiny_wait(&w->host, w->machine, SECOND / 10);
    }
    assert_true(machine_is_ended(w->machine, w->host.now_us));
}

static inline uint32_t handshakes(const struct machine_result *r)
{
    return r->handshakes;
}

static inline uint32_t breaks(const struct machine_result *r)
{
    return r->breaks;
}

#endif
