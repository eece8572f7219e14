/* SPDX-License-Identifier: Apache-2.0 */
/* scenario_pair: a session and a simulated machine without loss, and what they must tell. Only for tests. */
#ifndef TESTS_SESSION_SCENARIO_PAIR_H
#define TESTS_SESSION_SCENARIO_PAIR_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "service/kdnet-target/machine_internal.h"
#include "tests/session/net.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define DELAY_US     250U
#define LIMIT_US     12000000U
#define SECOND_US    UINT64_C(1000000)

static struct kdnet_session_counts counts; /* of the pair that plays */

static inline void begin(struct net_pair *pair, const struct machine_config *config)
{
    counts = (struct kdnet_session_counts){0};
    net_shared.counts = &counts;
    net_pair_init(pair, &net_shared, config, 41);
    pair->weather.delay_us = DELAY_US;
}

/* A test that ends in the middle of a machine's life. */
static inline void expect_story(const struct net_pair *pair, const char *expected)
{
    char story[NET_STORY_SIZE];
    net_story(pair, story);
    assert_string_equal(story, expected);
}

/* Nothing of ours harmed the machine or had to be said twice. */
static inline void expect_harmless(const struct net_pair *pair)
{
    struct machine_result result;
    net_expect_unharmed(pair);
    machine_result(pair->machine, pair->now_us, &result);
    assert_int_equal(result.retransmissions, 0);
    assert_int_equal(result.host_repeats, 0);
    assert_int_equal(counts.sent_again, 0);
    assert_int_equal(result.resets, 0); /* nothing was numbered before the handshake on the way into a crash */
    assert_int_equal(counts.rejected, 0);
}

#endif
