/* SPDX-License-Identifier: Apache-2.0 */
/* A link, the target at its other end, and a clock that is a variable. Included once, by each test of the link. */
#ifndef TESTS_KDNET_LINK_WORLD_H
#define TESTS_KDNET_LINK_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "kdnet/error.h"
#include "kdnet/session/link.h"

#define FIRST  KDNET_PACKET_FIRST_ID
#define SECOND (FIRST + KDNET_PACKET_ID_STEP)

/* A link and what it has sent last. */
struct world {
    struct kdnet_link link;
    uint64_t now_us, sequence;
    uint8_t out[KDNET_PACKET_HEADER + KDNET_LINK_PAYLOAD_MAX];
    struct kdnet_packet sent; /* borrows from out */
    enum kdnet_link_news news;
    struct kdnet_packet got; /* borrows from body */
    uint8_t body[KDNET_PACKET_HEADER + KDNET_PACKET_PAYLOAD_MAX];
    size_t body_length;
};

static const uint8_t text[] = "payload";

static inline void start(struct world *w)
{
    struct kdnet_link_memory memory;
    memset(w, 0, sizeof *w);
    kdnet_link_memory_init(&memory);
    kdnet_link_init(&w->link, &memory);
    w->now_us = 1000000;
}

static inline bool next(struct world *w)
{
    size_t length;
    if (!kdnet_link_next(&w->link, w->now_us, w->out, sizeof w->out, &length))
        return false;
    assert_int_equal(kdnet_packet_decode(w->out, length, &w->sent), KDNET_OK);
    return true;
}

static inline void expect_nothing(struct world *w)
{
    if (next(w))
        fail_msg("sent a packet of type %u, id %08x", w->sent.type, (unsigned)w->sent.id);
}

static inline void expect_control(struct world *w, uint16_t type, uint32_t id)
{
    assert_true(next(w));
    assert_true(w->sent.control);
    assert_int_equal(w->sent.type, type);
    assert_int_equal(w->sent.id, id);
}

static inline void expect_data(struct world *w, uint32_t id)
{
    assert_true(next(w));
    assert_false(w->sent.control);
    assert_int_equal(w->sent.type, KDNET_PACKET_MANIPULATE);
    assert_int_equal(w->sent.id, id);
    assert_int_equal(w->sent.payload_length, sizeof text);
    assert_memory_equal(w->sent.payload, text, sizeof text);
}

static inline void request(struct world *w, bool wants_reply)
{
    assert_int_equal(kdnet_link_send(&w->link, KDNET_PACKET_MANIPULATE, wants_reply, text, sizeof text), KDNET_OK);
}

static inline int deliver(struct world *w, const struct kdnet_packet *packet, uint64_t sequence)
{
    assert_int_equal(kdnet_packet_encode(packet, w->body, sizeof w->body, &w->body_length), KDNET_OK);
    return kdnet_link_receive(&w->link, w->body, w->body_length, sequence, w->now_us, &w->news, &w->got);
}

static inline void target_control(struct world *w, uint16_t type, uint32_t id)
{
    struct kdnet_packet packet = {.control = true, .type = type, .id = id};
    assert_int_equal(deliver(w, &packet, ++w->sequence), KDNET_OK);
}

static inline int target_data(struct world *w, uint32_t id, const char *payload)
{
    struct kdnet_packet packet = {.type = KDNET_PACKET_DEBUG_IO,
                                  .id = id,
                                  .payload = (const uint8_t *)payload,
                                  .payload_length = strlen(payload)};
    return deliver(w, &packet, ++w->sequence);
}

/* The reply to the request under way, with the ACK that goes before. */
static inline void target_replies(struct world *w, uint32_t id)
{
    target_control(w, KDNET_PACKET_ACK, w->link.id);
    assert_int_equal(target_data(w, id, "reply"), KDNET_OK);
    kdnet_link_done(&w->link);
    expect_control(w, KDNET_PACKET_ACK, id);
}

/* Lets the timer run out; returns how long that took. */
static inline uint64_t time_out(struct world *w)
{
    uint64_t deadline = kdnet_link_deadline(&w->link), before = w->now_us;
    assert_true(deadline != UINT64_MAX);
    assert_true(deadline >= before);
    w->now_us = deadline;
    kdnet_link_expire(&w->link, w->now_us);
    return deadline - before;
}

#endif
