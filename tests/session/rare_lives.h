/* SPDX-License-Identifier: Apache-2.0 */
/* rare_lives: what the tests of rarer lives share. Only for tests. */
#ifndef TESTS_SESSION_RARE_LIVES_H
#define TESTS_SESSION_RARE_LIVES_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "kdnet/kernel/layout_cache.h"
#include "kdnet/base/wire.h"
#include "service/kdnet-target/machine_internal.h"
#include "tests/session/net.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define DELAY_US     250U
#define SECOND_US    UINT64_C(1000000)
#define LIMIT_US     (30 * SECOND_US)

static const enum kdnet_machine machines[] = {KDNET_MACHINE_X64, KDNET_MACHINE_X86, KDNET_MACHINE_ARM64};

static struct kdnet_layout_cache layout_cache; /* that the host has read before; a host that died has not */

static inline int setup(void **state)
{
    (void)net_setup(state);
    net_shared.layout_cache = &layout_cache;
    return 0;
}

static inline void begin(struct net_pair *pair, const struct machine_config *config)
{
    net_pair_init(pair, &net_shared, config, 41);
    pair->weather.delay_us = DELAY_US;
}

/* What is lost: the datagrams of one or both directions, from the n-th on, for a time. */
struct cut {
    unsigned at, seen;
    bool to_host, to_target;
    uint64_t since_us, for_us; /* for_us 0: that one datagram */
};

static inline bool cut(struct net_pair *pair, bool to_host, const uint8_t *payload, size_t length)
{
    struct cut *cut = pair->context;
    (void)payload;
    (void)length;
    if (++cut->seen == cut->at)
        cut->since_us = pair->now_us;
    if (cut->seen < cut->at || (cut->for_us == 0 && cut->seen > cut->at) ||
        (cut->for_us > 0 && pair->now_us - cut->since_us >= cut->for_us))
        return true;
    return !(to_host ? cut->to_host : cut->to_target);
}

/* A second break is over when it was read. */
static inline bool is_over(const struct net_pair *pair)
{
    struct machine_expectation expected;
    machine_expectation(pair->machine, &expected);
    unsigned results = net_count(pair, KDNET_EVENT_CRASH_STATUS);
    return machine_is_ended(pair->machine, pair->now_us) && (!expected.second || results >= expected.breaks);
}

static inline void run_to_end(struct net_pair *pair, uint64_t limit_us)
{
    while (pair->now_us < limit_us && !is_over(pair))
        net_pair_run(pair, pair->now_us + SECOND_US);
}

#endif
