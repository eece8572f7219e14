/* SPDX-License-Identifier: Apache-2.0 */
/* What a session must keep, whatever pokes come. Included once, by each test of the handshake. */
#ifndef TESTS_SESSION_HANDSHAKE_WORLD_H
#define TESTS_SESSION_HANDSHAKE_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "kdnet/session/offers_internal.h"
#include "kdnet/session/state_internal.h"
#include "tests/session/late_answers.h"
#include "tests/session/puppet.h"

/* All that a recording must not change. */
struct snapshot {
    uint8_t id[KDNET_SESSION_ID_LENGTH], data_key[KDNET_AES_KEY_LENGTH];
    bool connected, halted;
    unsigned events;
};

static inline struct snapshot take(const struct puppet *p)
{
    struct snapshot out;
    memset(&out, 0, sizeof out);
    memcpy(out.id, p->session->id, sizeof out.id);
    memcpy(out.data_key, p->session->data_key, sizeof out.data_key);
    out.connected = kdnet_session_is_connected(p->session);
    out.halted = kdnet_session_is_halted(p->session);
    out.events = p->event_count;
    return out;
}

static inline void expect_unchanged(const struct puppet *p, const struct snapshot *before)
{
    struct snapshot now = take(p);
    assert_memory_equal(now.id, before->id, sizeof now.id);
    assert_memory_equal(now.data_key, before->data_key, sizeof now.data_key);
    assert_int_equal(now.connected, before->connected);
    assert_int_equal(now.halted, before->halted);
    assert_int_equal(now.events, before->events);
}

/* The session still talks with the puppet under the key that the puppet has. */
static inline void expect_talking(struct puppet *p)
{
    unsigned packets = p->packet_count;
    assert_int_equal(puppet_print(p, "still there\n"), KDNET_OK);
    assert_true(p->packet_count > packets);
}

#endif
