/* SPDX-License-Identifier: Apache-2.0 */
/* target_rows: rows in a table, and listeners that are only addresses. Only for tests. */
#ifndef TESTS_SERVICE_TARGET_ROWS_H
#define TESTS_SERVICE_TARGET_ROWS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "service/targets/targets.h"

#include <cmocka.h>

#define PORT 50000

/* Listeners are only compared by this room. */
static char listener_endpoints[2];
#define LISTENER(i) ((struct listener *)(void *)&listener_endpoints[i])

static inline int setup(void **state)
{
    static struct targets targets;
    targets_init(&targets, 42);
    *state = &targets;
    return 0;
}

static inline int teardown(void **state)
{
    targets_clear(*state);
    return 0;
}

static inline struct address ipv4(uint32_t ip, uint16_t port)
{
    struct address address = {.ip = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff}, .port = port};
    for (int i = 0; i < 4; ++i)
        address.ip[12 + i] = (uint8_t)(ip >> (24 - 8 * i));
    return address;
}

static inline struct target *add(struct targets *targets, unsigned number, const struct address *address)
{
    struct config_target config;
    memset(&config, 0, sizeof config);
    (void)snprintf(config.name, sizeof config.name, "t-%u", number);
    config.key.bytes[0] = (uint8_t)number;
    if (address) {
        config.has_address = config.strict = true;
        memcpy(config.address.ip, address->ip, sizeof config.address.ip);
    }
    assert_true(targets_reserve(targets, targets->count + 1));
    struct target *target = targets_add(targets, &config, false);
    assert_non_null(target);
    assert_true(targets_index(targets));
    return target;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

#endif
