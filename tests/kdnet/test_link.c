/* SPDX-License-Identifier: Apache-2.0 */
/* link: the exchange of KD packets, one packet at a time, on a clock that is a variable. PROTOCOL.md section 4. */
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

static void start(struct world *w)
{
    struct kdnet_link_memory memory;
    memset(w, 0, sizeof *w);
    kdnet_link_memory_init(&memory);
    kdnet_link_init(&w->link, &memory);
    w->now_us = 1000000;
}

static bool next(struct world *w)
{
    size_t length;
    if (!kdnet_link_next(&w->link, w->now_us, w->out, sizeof w->out, &length))
        return false;
    assert_int_equal(kdnet_packet_decode(w->out, length, &w->sent), KDNET_OK);
    return true;
}

static void expect_nothing(struct world *w)
{
    if (next(w))
        fail_msg("sent a packet of type %u, id %08x", w->sent.type, (unsigned)w->sent.id);
}

static void expect_control(struct world *w, uint16_t type, uint32_t id)
{
    assert_true(next(w));
    assert_true(w->sent.control);
    assert_int_equal(w->sent.type, type);
    assert_int_equal(w->sent.id, id);
}

static void expect_data(struct world *w, uint32_t id)
{
    assert_true(next(w));
    assert_false(w->sent.control);
    assert_int_equal(w->sent.type, KDNET_PACKET_MANIPULATE);
    assert_int_equal(w->sent.id, id);
    assert_int_equal(w->sent.payload_length, sizeof text);
    assert_memory_equal(w->sent.payload, text, sizeof text);
}

static void request(struct world *w, bool wants_reply)
{
    assert_int_equal(kdnet_link_send(&w->link, KDNET_PACKET_MANIPULATE, wants_reply, text, sizeof text), KDNET_OK);
}

static int deliver(struct world *w, const struct kdnet_packet *packet, uint64_t sequence)
{
    assert_int_equal(kdnet_packet_encode(packet, w->body, sizeof w->body, &w->body_length), KDNET_OK);
    return kdnet_link_receive(&w->link, w->body, w->body_length, sequence, w->now_us, &w->news, &w->got);
}

static void target_control(struct world *w, uint16_t type, uint32_t id)
{
    struct kdnet_packet packet = {.control = true, .type = type, .id = id};
    assert_int_equal(deliver(w, &packet, ++w->sequence), KDNET_OK);
}

static int target_data(struct world *w, uint32_t id, const char *payload)
{
    struct kdnet_packet packet = {.type = KDNET_PACKET_DEBUG_IO,
                                  .id = id,
                                  .payload = (const uint8_t *)payload,
                                  .payload_length = strlen(payload)};
    return deliver(w, &packet, ++w->sequence);
}

/* The reply to the request under way, with the ACK that goes before. */
static void target_replies(struct world *w, uint32_t id)
{
    target_control(w, KDNET_PACKET_ACK, w->link.id);
    assert_int_equal(target_data(w, id, "reply"), KDNET_OK);
    kdnet_link_done(&w->link);
    expect_control(w, KDNET_PACKET_ACK, id);
}

/* Lets the timer run out; returns how long that took. */
static uint64_t time_out(struct world *w)
{
    uint64_t deadline = kdnet_link_deadline(&w->link), before = w->now_us;
    assert_true(deadline != UINT64_MAX);
    assert_true(deadline >= before);
    w->now_us = deadline;
    kdnet_link_expire(&w->link, w->now_us);
    return deadline - before;
}

/* --- ids ---------------------------------------------------------------------------------------------------------- */

static void ids_begin_at_80000000_and_go_up_by_two(void **state)
{
    struct world w;
    (void)state;
    start(&w);
    for (uint32_t i = 0; i < 5; ++i) {
        request(&w, true);
        expect_data(&w, 0x80000000U + 2 * i);
        expect_nothing(&w);
        target_replies(&w, 2 * i);
    }
}

static void one_data_packet_is_under_way_at_a_time(void **state)
{
    struct world w;
    (void)state;
    start(&w);
    request(&w, true);
    assert_int_equal(kdnet_link_send(&w.link, KDNET_PACKET_MANIPULATE, true, text, sizeof text), KDNET_ERR_STATE);
    expect_data(&w, FIRST);
    assert_int_equal(kdnet_link_send(&w.link, KDNET_PACKET_MANIPULATE, true, text, sizeof text), KDNET_ERR_STATE);
}

static void a_payload_may_be_as_large_as_a_context_and_no_larger(void **state)
{
    static const uint8_t large[KDNET_LINK_PAYLOAD_MAX + 1];
    struct world w;
    (void)state;
    start(&w);
    assert_int_equal(kdnet_link_send(&w.link, 2, true, large, sizeof large), KDNET_ERR_SPACE);
    assert_int_equal(kdnet_link_send(&w.link, 2, true, large, sizeof large - 1), KDNET_OK);
    assert_true(next(&w));
    assert_int_equal(w.sent.payload_length, KDNET_LINK_PAYLOAD_MAX);
    assert_int_equal(w.sent.id, FIRST);
}

/* --- receiving ---------------------------------------------------------------------------------------------------- */

static void each_data_packet_is_acknowledged_once_and_delivered(void **state)
{
    struct world w;
    (void)state;
    start(&w);
    for (uint32_t id = 0; id < 8; id += 2) {
        assert_int_equal(target_data(&w, id, "print"), KDNET_OK);
        assert_int_equal(w.news, KDNET_LINK_DATA);
        assert_memory_equal(w.got.payload, "print", 5);
        expect_control(&w, KDNET_PACKET_ACK, id);
        expect_nothing(&w);
    }
}

static void what_has_come_is_not_asked_for(void **state)
{
    (void)state;
    struct world w;
    const struct kdnet_packet print = {
        .type = KDNET_PACKET_DEBUG_IO, .id = 0, .payload = text, .payload_length = sizeof text};
    start(&w);
    kdnet_link_control(&w.link, KDNET_PACKET_RESEND, 0);
    assert_int_equal(deliver(&w, &print, 1), KDNET_OK);
    expect_control(&w, KDNET_PACKET_ACK, 0);
    expect_nothing(&w);
    kdnet_link_control(&w.link, KDNET_PACKET_RESEND, 0);
    assert_int_equal(deliver(&w, &print, 2), KDNET_ERR_REPEAT); /* it may be that of before: the question stays */
    expect_control(&w, KDNET_PACKET_RESEND, 0);
    expect_control(&w, KDNET_PACKET_ACK, 0);
    expect_nothing(&w);
}

static void a_repeat_is_acknowledged_again_and_not_delivered(void **state)
{
    struct world w;
    (void)state;
    start(&w);
    assert_int_equal(target_data(&w, 4, "print"), KDNET_OK);
    expect_control(&w, KDNET_PACKET_ACK, 4);
    for (int i = 0; i < 3; ++i) {
        assert_int_equal(target_data(&w, 4, "print"), KDNET_ERR_REPEAT);
        assert_int_equal(w.news, KDNET_LINK_NOTHING);
        expect_control(&w, KDNET_PACKET_ACK, 4);
        expect_nothing(&w);
    }
}

/* A kernel that has just started counts from 0 again, and may hit the id of the loader's last packet. */
static void the_same_id_with_another_content_is_another_packet(void **state)
{
    struct world w;
    (void)state;
    start(&w);
    assert_int_equal(target_data(&w, 0, "loader"), KDNET_OK);
    assert_int_equal(target_data(&w, 0, "kernel"), KDNET_OK);
    assert_int_equal(w.news, KDNET_LINK_DATA);
}

static void a_straggler_is_neither_acknowledged_nor_delivered(void **state)
{
    struct kdnet_packet packet = {
        .type = KDNET_PACKET_DEBUG_IO, .id = 0, .payload = (const uint8_t *)"old", .payload_length = 3};
    struct world w;
    (void)state;
    start(&w);
    w.sequence = 10;
    assert_int_equal(target_data(&w, 2, "new"), KDNET_OK);
    expect_control(&w, KDNET_PACKET_ACK, 2);
    assert_int_equal(deliver(&w, &packet, 10), KDNET_ERR_REPEAT);
    assert_int_equal(w.news, KDNET_LINK_NOTHING);
    expect_nothing(&w);
    assert_int_equal(target_data(&w, 2, "new"), KDNET_ERR_REPEAT); /* the mark is still the new one's */
    expect_control(&w, KDNET_PACKET_ACK, 2);
}

static void a_wrong_checksum_asks_for_the_packet_again(void **state)
{
    struct world w;
    (void)state;
    start(&w);
    assert_int_equal(target_data(&w, 0, "print"), KDNET_OK);
    expect_control(&w, KDNET_PACKET_ACK, 0);
    w.body[KDNET_PACKET_HEADER] ^= 1;
    int error = kdnet_link_receive(&w.link, w.body, w.body_length, ++w.sequence, w.now_us, &w.news, &w.got);
    assert_int_equal(error, KDNET_ERR_CHECKSUM);
    assert_int_equal(w.news, KDNET_LINK_NOTHING);
    expect_control(&w, KDNET_PACKET_RESEND, 0);
    expect_nothing(&w);
}

/* The datagram is authentic, so the target itself makes it so: it would wait for its ACK for ever. */
static void a_packet_that_comes_damaged_again_and_again_is_taken_as_it_is(void **state)
{
    static const struct {
        size_t at;
        uint8_t flip;
    } damages[] = {{KDNET_PACKET_HEADER, 1}, {6, 0x40}, {7, 0xf0}}; /* content; a count that is too large, two ways */
    (void)state;
    for (size_t i = 0; i < sizeof damages / sizeof damages[0]; ++i) {
        struct world w;
        start(&w);
        assert_int_equal(target_data(&w, 0, "print"), KDNET_OK);
        expect_control(&w, KDNET_PACKET_ACK, 0);
        w.body[damages[i].at] ^= damages[i].flip;
        w.body[8] = 2; /* the next id */
        for (int times = 0; times < 3; ++times) {
            assert_int_not_equal(
                kdnet_link_receive(&w.link, w.body, w.body_length, ++w.sequence, w.now_us, &w.news, &w.got), KDNET_OK);
            expect_control(&w, KDNET_PACKET_RESEND, 0);
        }
        assert_int_equal(kdnet_link_receive(&w.link, w.body, w.body_length, ++w.sequence, w.now_us, &w.news, &w.got),
                         KDNET_OK);
        assert_int_equal(w.news, KDNET_LINK_DATA);
        assert_int_equal(w.got.payload_length, w.body_length - KDNET_PACKET_HEADER);
        expect_control(&w, KDNET_PACKET_ACK, 2);
        assert_int_equal(target_data(&w, 4, "print"), KDNET_OK); /* a whole one ends it */
        expect_control(&w, KDNET_PACKET_ACK, 4);
        w.body[KDNET_PACKET_HEADER] ^= 1;
        assert_int_equal(kdnet_link_receive(&w.link, w.body, w.body_length, ++w.sequence, w.now_us, &w.news, &w.got),
                         KDNET_ERR_CHECKSUM);
    }
}

/* Nobody is there while a RESET is out, and its answer never comes: it goes again when somebody is there. */
static void a_link_that_slept_over_its_reset_wakes(void **state)
{
    struct world w;
    (void)state;
    start(&w);
    w.link.memory.out_of_step = true;
    request(&w, true);
    expect_control(&w, KDNET_PACKET_RESET, FIRST);
    expect_nothing(&w);
    kdnet_link_sleep(&w.link);
    assert_true(kdnet_link_deadline(&w.link) == UINT64_MAX);
    w.now_us += 60000000;
    kdnet_link_wake(&w.link, w.now_us);
    assert_true(kdnet_link_deadline(&w.link) == w.now_us);
    kdnet_link_expire(&w.link, w.now_us);
    expect_control(&w, KDNET_PACKET_RESET, FIRST);
}

static void what_is_no_packet_changes_nothing(void **state)
{
    static const uint8_t junk[40] = {1, 2, 3};
    struct world w;
    (void)state;
    start(&w);
    for (size_t length = 0; length <= sizeof junk; ++length) {
        assert_int_not_equal(kdnet_link_receive(&w.link, junk, length, ++w.sequence, 0, &w.news, &w.got), KDNET_OK);
        assert_int_equal(w.news, KDNET_LINK_NOTHING);
        expect_nothing(&w);
    }
    assert_int_equal(target_data(&w, 0, "print"), KDNET_OK);
}

static void an_unknown_control_packet_changes_nothing(void **state)
{
    struct world w;
    (void)state;
    start(&w);
    request(&w, true);
    expect_data(&w, FIRST);
    target_control(&w, 99, FIRST);
    assert_int_equal(w.news, KDNET_LINK_NOTHING);
    expect_nothing(&w);
}

/* --- acknowledgements --------------------------------------------------------------------------------------------- */

static void a_continue_is_done_by_its_ack(void **state)
{
    struct world w;
    (void)state;
    start(&w);
    request(&w, false);
    expect_data(&w, FIRST);
    target_control(&w, KDNET_PACKET_ACK, FIRST);
    assert_int_equal(w.news, KDNET_LINK_ACKED);
    assert_true(kdnet_link_deadline(&w.link) == UINT64_MAX);
    request(&w, false);
    expect_data(&w, SECOND);
}

static void a_request_is_not_done_by_its_ack(void **state)
{
    struct world w;
    (void)state;
    start(&w);
    request(&w, true);
    expect_data(&w, FIRST);
    target_control(&w, KDNET_PACKET_ACK, FIRST);
    assert_int_equal(w.news, KDNET_LINK_NOTHING);
    assert_int_equal(kdnet_link_send(&w.link, KDNET_PACKET_MANIPULATE, true, text, sizeof text), KDNET_ERR_STATE);
    assert_true(kdnet_link_deadline(&w.link) != UINT64_MAX);
}

static void an_ack_of_another_id_or_before_sending_means_nothing(void **state)
{
    struct world w;
    (void)state;
    start(&w);
    target_control(&w, KDNET_PACKET_ACK, FIRST);
    assert_int_equal(w.news, KDNET_LINK_NOTHING);
    request(&w, false);
    target_control(&w, KDNET_PACKET_ACK, FIRST);
    assert_int_equal(w.news, KDNET_LINK_NOTHING);
    expect_data(&w, FIRST);
    target_control(&w, KDNET_PACKET_ACK, SECOND);
    assert_int_equal(w.news, KDNET_LINK_NOTHING);
    assert_true(w.link.busy);
}

static void an_ack_that_comes_twice_counts_once(void **state)
{
    struct world w;
    (void)state;
    start(&w);
    request(&w, false);
    expect_data(&w, FIRST);
    target_control(&w, KDNET_PACKET_ACK, FIRST);
    assert_int_equal(w.news, KDNET_LINK_ACKED);
    target_control(&w, KDNET_PACKET_ACK, FIRST);
    assert_int_equal(w.news, KDNET_LINK_NOTHING);
    request(&w, false);
    expect_data(&w, SECOND);
    target_control(&w, KDNET_PACKET_ACK, FIRST);
    assert_int_equal(w.news, KDNET_LINK_NOTHING);
    assert_true(w.link.busy);
}

/* A reply needs no ACK before it: the caller says done, and a late ACK means nothing. */
static void a_reply_without_ack_is_a_reply_but_no_proof(void **state)
{
    struct world w;
    (void)state;
    start(&w);
    request(&w, true);
    expect_data(&w, FIRST);
    assert_int_equal(target_data(&w, 0, "reply"), KDNET_OK);
    kdnet_link_done(&w.link);
    expect_control(&w, KDNET_PACKET_ACK, 0);
    assert_true(kdnet_link_deadline(&w.link) == UINT64_MAX);
    target_control(&w, KDNET_PACKET_ACK, FIRST);
    assert_int_equal(w.news, KDNET_LINK_NOTHING);
    assert_true(kdnet_link_is_unsure(&w.link)); /* it may be the one to an older request, said again */
    request(&w, true);
    expect_data(&w, SECOND);
    target_control(&w, KDNET_PACKET_ACK, SECOND);
    assert_int_equal(target_data(&w, 2, "another reply"), KDNET_OK);
    kdnet_link_done(&w.link);
    assert_false(kdnet_link_is_unsure(&w.link));
}

/* --- sending again ------------------------------------------------------------------------------------------------ */

static void what_gets_no_ack_goes_again_with_its_id_and_growing_patience(void **state)
{
    struct world w;
    uint64_t last = 0;
    (void)state;
    start(&w);
    request(&w, true);
    expect_data(&w, FIRST);
    for (int i = 0; i < 10; ++i) {
        uint64_t waited = time_out(&w);
        assert_int_equal(waited > last || waited == KDNET_LINK_RTO_GROWN_US, 1);
        assert_true(waited >= KDNET_LINK_RTO_FIRST_US && waited <= KDNET_LINK_RTO_GROWN_US);
        last = waited;
        expect_data(&w, FIRST);
        expect_nothing(&w);
    }
    assert_int_equal(last, KDNET_LINK_RTO_GROWN_US);
}

static void nothing_goes_again_before_its_time(void **state)
{
    struct world w;
    (void)state;
    start(&w);
    request(&w, true);
    expect_data(&w, FIRST);
    w.now_us = kdnet_link_deadline(&w.link) - 1;
    kdnet_link_expire(&w.link, w.now_us);
    expect_nothing(&w);
    assert_int_equal(time_out(&w), 1);
    expect_data(&w, FIRST);
}

static void the_targets_resend_brings_the_same_id_again(void **state)
{
    struct world w;
    (void)state;
    start(&w);
    target_control(&w, KDNET_PACKET_RESEND, 0); /* of nothing */
    expect_nothing(&w);
    request(&w, true);
    target_control(&w, KDNET_PACKET_RESEND, 0); /* of what is not yet sent */
    expect_data(&w, FIRST);
    expect_nothing(&w);
    target_control(&w, KDNET_PACKET_RESEND, 0);
    expect_data(&w, FIRST);
    target_control(&w, KDNET_PACKET_ACK, FIRST);
    w.now_us += KDNET_LINK_RTO_GROWN_US;
    target_control(&w, KDNET_PACKET_RESEND, 0); /* it asks, so it has not taken it */
    expect_data(&w, FIRST);
    expect_nothing(&w);
}

/* A target that asks again and again gets its answer once a timeout, later and later. */
static void the_targets_resends_are_answered_once_a_timeout(void **state)
{
    struct world w;
    unsigned answers = 0;
    (void)state;
    start(&w);
    kdnet_link_sample(&w.link, 100);
    request(&w, true);
    expect_data(&w, FIRST);
    for (unsigned us = 0; us < 10000000; us += 100) {
        w.now_us += 100;
        target_control(&w, KDNET_PACKET_ACK, FIRST);
        target_control(&w, KDNET_PACKET_RESEND, 0);
        kdnet_link_expire(&w.link, w.now_us);
        while (next(&w))
            answers += !w.sent.control;
    }
    assert_in_range(answers, 5, 250);
}

static void an_ack_without_a_reply_asks_with_resend_and_in_the_end_with_reset(void **state)
{
    struct world w;
    unsigned resends = 0;
    (void)state;
    start(&w);
    request(&w, true);
    expect_data(&w, FIRST);
    target_control(&w, KDNET_PACKET_ACK, FIRST);
    for (;;) {
        (void)time_out(&w);
        assert_true(next(&w));
        assert_true(w.sent.control);
        if (w.sent.type == KDNET_PACKET_RESET)
            break;
        assert_int_equal(w.sent.type, KDNET_PACKET_RESEND);
        expect_nothing(&w);
        assert_true(++resends < 25);
    }
    assert_int_equal(resends, 19);
    assert_int_equal(w.sent.id, FIRST);
    expect_nothing(&w); /* the request waits for the answer to RESET */
    target_control(&w, KDNET_PACKET_RESET, 6);
    (void)time_out(&w);
    expect_data(&w, FIRST);
}

/* However unsure: one that has acknowledged thinks, ten seconds perhaps. What it waits with, said again, tells more. */
static void a_target_that_thinks_is_not_reset(void **state)
{
    (void)state;
    for (int acked = 0; acked < 2; ++acked) {
        struct world w;
        start(&w);
        kdnet_link_sample(&w.link, 100);
        w.link.memory.unsure = true;
        request(&w, true);
        expect_data(&w, FIRST);
        uint64_t until_us = w.now_us + 10000000;
        if (acked)
            target_control(&w, KDNET_PACKET_ACK, FIRST);
        while (kdnet_link_deadline(&w.link) < until_us) {
            (void)time_out(&w);
            assert_true(next(&w));
            assert_int_equal(w.sent.control, acked);
            assert_int_not_equal(w.sent.control ? w.sent.type : 0, KDNET_PACKET_RESET);
        }
    }
}

/* Its reply is measured apart from the ACK, and its patience is kept until something is measured. */
static void the_time_that_a_reply_takes_is_learnt(void **state)
{
    struct world w;
    (void)state;
    start(&w);
    kdnet_link_sample(&w.link, 100);
    for (unsigned i = 0; i < 3; ++i) {
        unsigned asked = 0;
        request(&w, true);
        expect_data(&w, FIRST + i * KDNET_PACKET_ID_STEP);
        target_control(&w, KDNET_PACKET_ACK, w.link.id);
        for (uint64_t until_us = w.now_us + 1000000; kdnet_link_deadline(&w.link) < until_us; ++asked) {
            (void)time_out(&w);
            expect_control(&w, KDNET_PACKET_RESEND, 0);
        }
        w.now_us = w.link.begun_us + 1000000;
        assert_int_equal(target_data(&w, 2 * i, "reply"), KDNET_OK);
        kdnet_link_replied(&w.link, w.now_us);
        expect_control(&w, KDNET_PACKET_ACK, 2 * i);
        assert_true(i == 0 ? asked > 0 : asked == 0);
    }
    assert_true(kdnet_link_reply_rtt(&w.link) == 1000000);
    assert_true(kdnet_link_rtt(&w.link) < 1000);
}

/* From a quick path to a slow one: everything is sent once again soon; and back: at once. */
static void the_timeout_follows_a_path_that_changes(void **state)
{
    struct world w;
    unsigned again = 0;
    (void)state;
    start(&w);
    kdnet_link_sample(&w.link, 150);
    for (unsigned i = 0; i < 4; ++i) {
        request(&w, false);
        expect_data(&w, FIRST + i * KDNET_PACKET_ID_STEP);
        uint64_t acked_us = w.now_us + 500000;
        for (; kdnet_link_deadline(&w.link) < acked_us; again += i > 0) {
            (void)time_out(&w);
            assert_true(next(&w));
        }
        w.now_us = acked_us;
        target_control(&w, KDNET_PACKET_ACK, w.link.id);
    }
    assert_int_equal(again, 0);
    assert_true(kdnet_link_rtt(&w.link) > 50000);
    for (unsigned i = 0; i < 2; ++i) {
        request(&w, false);
        assert_true(next(&w));
        w.now_us += 150;
        target_control(&w, KDNET_PACKET_ACK, w.link.id);
    }
    request(&w, false);
    assert_true(next(&w));
    assert_in_range(time_out(&w), KDNET_LINK_RTO_MIN_US, 2 * KDNET_LINK_RTO_MIN_US);
}

/* A Continue that went through and whose ACK was lost must not be told apart by a RESET: the machine runs. */
static void a_continue_on_a_sure_link_is_never_reset(void **state)
{
    struct world w;
    (void)state;
    start(&w);
    request(&w, false);
    expect_data(&w, FIRST);
    for (int i = 0; i < 100; ++i) {
        (void)time_out(&w);
        expect_data(&w, FIRST);
        expect_nothing(&w);
    }
}

/* --- RESET -------------------------------------------------------------------------------------------------------- */

static void out_of_step_a_reset_with_the_next_id_goes_first(void **state)
{
    struct world w;
    (void)state;
    start(&w);
    w.link.memory.out_of_step = true;
    expect_nothing(&w);
    request(&w, true);
    expect_control(&w, KDNET_PACKET_RESET, FIRST);
    expect_nothing(&w);
    target_control(&w, KDNET_PACKET_RESET, 2);
    expect_nothing(&w); /* what the target waits with comes first */
    assert_int_equal(target_data(&w, 2, "break"), KDNET_OK);
    expect_control(&w, KDNET_PACKET_ACK, 2);
    expect_data(&w, FIRST);
    assert_true(kdnet_link_is_unsure(&w.link));
    target_replies(&w, 4);
    assert_false(kdnet_link_is_unsure(&w.link));
    request(&w, true);
    expect_data(&w, SECOND);
}

static void a_reset_without_answer_goes_again_and_then_the_request_goes_without(void **state)
{
    struct world w;
    (void)state;
    start(&w);
    w.link.memory.out_of_step = true;
    request(&w, true);
    expect_control(&w, KDNET_PACKET_RESET, FIRST);
    (void)time_out(&w);
    expect_control(&w, KDNET_PACKET_RESET, FIRST);
    (void)time_out(&w);
    expect_control(&w, KDNET_PACKET_RESET, FIRST);
    expect_nothing(&w);
    (void)time_out(&w);
    expect_data(&w, FIRST);
    assert_true(kdnet_link_is_unsure(&w.link));
}

static void an_ack_while_a_reset_is_out_is_of_the_time_before(void **state)
{
    struct world w;
    (void)state;
    start(&w);
    request(&w, false);
    expect_data(&w, FIRST);
    target_control(&w, KDNET_PACKET_RESET, 0); /* the target starts anew by itself */
    expect_control(&w, KDNET_PACKET_RESET, FIRST);
    target_control(&w, KDNET_PACKET_ACK, FIRST);
    assert_int_equal(w.news, KDNET_LINK_NOTHING);
    target_control(&w, KDNET_PACKET_RESET, 0);
    (void)time_out(&w);
    expect_data(&w, FIRST);
    target_control(&w, KDNET_PACKET_ACK, FIRST);
    assert_int_equal(w.news, KDNET_LINK_ACKED);
}

static void the_answer_to_our_reset_coming_twice_is_not_answered(void **state)
{
    struct world w;
    (void)state;
    start(&w);
    w.link.memory.out_of_step = true;
    request(&w, true);
    expect_control(&w, KDNET_PACKET_RESET, FIRST);
    target_control(&w, KDNET_PACKET_RESET, 2);
    (void)time_out(&w);
    expect_data(&w, FIRST);
    for (int i = 0; i < 3; ++i) {
        target_control(&w, KDNET_PACKET_RESET, 2);
        expect_nothing(&w);
    }
}

/* After its own RESET a target counts from anywhere: the same id and content again is a new packet. */
static void after_the_targets_reset_its_ids_start_anew(void **state)
{
    struct world w;
    (void)state;
    start(&w);
    assert_int_equal(target_data(&w, 0, "print"), KDNET_OK);
    target_control(&w, KDNET_PACKET_RESET, 0);
    assert_int_equal(target_data(&w, 0, "print"), KDNET_OK);
    assert_int_equal(w.news, KDNET_LINK_DATA);
}

static void an_ignored_request_that_was_acknowledged_is_reset_at_once(void **state)
{
    struct world w;
    (void)state;
    start(&w);
    kdnet_link_ignored(&w.link);
    expect_nothing(&w);
    request(&w, true);
    expect_data(&w, FIRST);
    kdnet_link_ignored(&w.link); /* not acknowledged: it may not have arrived */
    expect_nothing(&w);
    target_control(&w, KDNET_PACKET_ACK, FIRST);
    kdnet_link_ignored(&w.link); /* it counts as we do: it thinks, and was asked meanwhile */
    expect_nothing(&w);
    w.link.memory.unsure = true;
    kdnet_link_ignored(&w.link);
    expect_control(&w, KDNET_PACKET_RESET, FIRST);
    target_control(&w, KDNET_PACKET_RESET, 0);
    (void)time_out(&w);
    expect_data(&w, FIRST);
    target_control(&w, KDNET_PACKET_ACK, FIRST);
    kdnet_link_ignored(&w.link); /* after that RESET it counts as we do */
    expect_nothing(&w);
}

/* It is lost, or comes before the answer: our packet goes out all the same. */
static void our_packet_waits_for_the_targets_own_only_a_moment(void **state)
{
    (void)state;
    for (int before = 0; before < 2; ++before) {
        struct world w;
        start(&w);
        w.link.memory.out_of_step = true;
        request(&w, true);
        expect_control(&w, KDNET_PACKET_RESET, FIRST);
        if (before) {
            assert_int_equal(target_data(&w, 2, "break"), KDNET_OK);
            expect_control(&w, KDNET_PACKET_ACK, 2);
        }
        target_control(&w, KDNET_PACKET_RESET, 2);
        if (!before) {
            expect_nothing(&w);
            assert_in_range(time_out(&w), 1, KDNET_LINK_RTO_MIN_US);
        }
        expect_data(&w, FIRST);
    }
}

/* --- done, abandoned, unsure -------------------------------------------------------------------------------------- */

static void what_was_never_sent_is_abandoned_without_trace(void **state)
{
    struct world w;
    (void)state;
    start(&w);
    kdnet_link_abandon(&w.link);
    request(&w, true);
    kdnet_link_abandon(&w.link);
    assert_false(kdnet_link_is_unsure(&w.link));
    expect_nothing(&w);
    request(&w, true);
    expect_data(&w, FIRST);
}

static void what_was_acknowledged_is_abandoned_without_reset(void **state)
{
    struct world w;
    (void)state;
    start(&w);
    request(&w, true);
    expect_data(&w, FIRST);
    target_control(&w, KDNET_PACKET_ACK, FIRST);
    kdnet_link_abandon(&w.link);
    assert_false(kdnet_link_is_unsure(&w.link));
    request(&w, true);
    expect_data(&w, SECOND);
}

static void what_was_not_acknowledged_is_abandoned_and_reset_goes_before_the_next(void **state)
{
    struct world w;
    (void)state;
    start(&w);
    request(&w, true);
    expect_data(&w, FIRST);
    kdnet_link_abandon(&w.link);
    assert_true(kdnet_link_is_unsure(&w.link));
    assert_true(kdnet_link_deadline(&w.link) == UINT64_MAX);
    request(&w, true);
    expect_control(&w, KDNET_PACKET_RESET, SECOND);
}

static void presumed_done_leaves_a_doubt_that_a_reply_ends(void **state)
{
    struct world w;
    (void)state;
    start(&w);
    request(&w, false);
    expect_data(&w, FIRST);
    kdnet_link_presume_done(&w.link);
    assert_true(kdnet_link_is_unsure(&w.link));
    request(&w, true);
    expect_data(&w, SECOND);
    target_control(&w, KDNET_PACKET_ACK, SECOND);
    assert_true(kdnet_link_is_unsure(&w.link)); /* a repeat is acknowledged too */
    assert_int_equal(target_data(&w, 0, "reply"), KDNET_OK);
    kdnet_link_done(&w.link);
    assert_false(kdnet_link_is_unsure(&w.link));
}

/* An ACK of something without a reply proves nothing: repeats are acknowledged too. */
static void an_acknowledged_answer_does_not_end_a_doubt(void **state)
{
    struct world w;
    (void)state;
    start(&w);
    w.link.memory.unsure = true;
    request(&w, false);
    expect_data(&w, FIRST);
    target_control(&w, KDNET_PACKET_ACK, FIRST);
    assert_int_equal(w.news, KDNET_LINK_ACKED);
    assert_true(kdnet_link_is_unsure(&w.link));
}

static void a_reply_that_comes_while_a_reset_is_out_leaves_both_out_of_step(void **state)
{
    struct world w;
    (void)state;
    start(&w);
    request(&w, true);
    expect_data(&w, FIRST);
    target_control(&w, KDNET_PACKET_ACK, FIRST);
    w.link.memory.unsure = true;
    kdnet_link_ignored(&w.link);
    expect_control(&w, KDNET_PACKET_RESET, FIRST);
    assert_int_equal(target_data(&w, 0, "late reply"), KDNET_OK);
    kdnet_link_done(&w.link);
    expect_control(&w, KDNET_PACKET_ACK, 0);
    request(&w, true);
    expect_control(&w, KDNET_PACKET_RESET, SECOND);
}

static void an_abandoned_request_does_not_end_a_doubt(void **state)
{
    struct world w;
    (void)state;
    start(&w);
    w.link.memory.unsure = true;
    request(&w, true);
    expect_data(&w, FIRST);
    target_control(&w, KDNET_PACKET_ACK, FIRST);
    kdnet_link_abandon(&w.link);
    assert_true(kdnet_link_is_unsure(&w.link));
}

/* --- new key ------------------------------------------------------------------------------------------------------ */

static void restart_keeping_sends_what_is_under_way_again_behind_a_reset(void **state)
{
    struct world w;
    (void)state;
    start(&w);
    request(&w, true);
    expect_data(&w, FIRST);
    target_control(&w, KDNET_PACKET_ACK, FIRST);
    kdnet_link_control(&w.link, KDNET_PACKET_ACK, 4);
    kdnet_link_restart(&w.link, true);
    expect_control(&w, KDNET_PACKET_RESET, FIRST); /* the ACK was for the key before */
    target_control(&w, KDNET_PACKET_RESET, 0);
    (void)time_out(&w);
    expect_data(&w, FIRST);
}

static void restart_without_keeping_is_as_new_but_knows_the_network(void **state)
{
    struct world w;
    (void)state;
    start(&w);
    kdnet_link_sample(&w.link, 5000);
    request(&w, true);
    expect_data(&w, FIRST);
    assert_int_equal(target_data(&w, 0, "print"), KDNET_OK);
    kdnet_link_restart(&w.link, false);
    expect_nothing(&w);
    assert_true(kdnet_link_deadline(&w.link) == UINT64_MAX);
    assert_false(kdnet_link_is_unsure(&w.link));
    assert_int_equal(kdnet_link_rtt(&w.link), 5000);
    w.sequence = 0; /* the target's numbers start again under the new key */
    assert_int_equal(target_data(&w, 0, "print"), KDNET_OK);
    expect_control(&w, KDNET_PACKET_ACK, 0);
    request(&w, true);
    expect_data(&w, FIRST);
}

static void sequences_start_again_after_either_restart(void **state)
{
    (void)state;
    for (int keep = 0; keep < 2; ++keep) {
        struct world w;
        start(&w);
        w.sequence = 100;
        assert_int_equal(target_data(&w, 0, "print"), KDNET_OK);
        kdnet_link_restart(&w.link, keep != 0);
        w.sequence = 0;
        assert_int_equal(target_data(&w, 2, "print"), KDNET_OK);
    }
}

static void memory_carries_a_link_over_a_rest(void **state)
{
    struct world w;
    (void)state;
    start(&w);
    request(&w, true);
    expect_data(&w, FIRST);
    target_replies(&w, 8);
    struct kdnet_link_memory memory = w.link.memory;
    kdnet_link_init(&w.link, &memory);
    assert_int_equal(target_data(&w, 8, "reply"), KDNET_ERR_REPEAT);
    expect_control(&w, KDNET_PACKET_ACK, 8);
    request(&w, true);
    expect_data(&w, SECOND);
}

/* --- round-trip time ---------------------------------------------------------------------------------------------- */

static void the_round_trip_is_smoothed_and_sets_the_timeout(void **state)
{
    struct world w;
    (void)state;
    start(&w);
    assert_int_equal(kdnet_link_rtt(&w.link), 0);
    kdnet_link_sample(&w.link, 80000);
    assert_int_equal(kdnet_link_rtt(&w.link), 80000);
    assert_int_equal(w.link.memory.rttvar_us, 40000);
    kdnet_link_sample(&w.link, 160000);
    assert_int_equal(kdnet_link_rtt(&w.link), 90000);
    assert_int_equal(w.link.memory.rttvar_us, 50000);
    request(&w, true);
    expect_data(&w, FIRST);
    assert_int_equal(time_out(&w), 90000 + 4 * 50000);
}

/* Sent twice and acknowledged twice: it was not lost, only late, and its first ACK measures. */
static void a_second_ack_measures_what_was_sent_again_too_soon(void **state)
{
    struct world w;
    (void)state;
    start(&w);
    kdnet_link_sample(&w.link, 10000);
    request(&w, true);
    expect_data(&w, FIRST);
    uint64_t waited_us = time_out(&w);
    expect_data(&w, FIRST);
    w.now_us += 1000; /* it looks as if the first had been lost, and the second was quick */
    target_control(&w, KDNET_PACKET_ACK, FIRST);
    assert_int_equal(kdnet_link_rtt(&w.link), 10000);
    w.now_us += waited_us;
    target_control(&w, KDNET_PACKET_ACK, FIRST);
    assert_int_equal(kdnet_link_rtt(&w.link), (7 * 10000 + waited_us + 1000) / 8);
    target_control(&w, KDNET_PACKET_ACK, FIRST); /* a copy: once is enough */
    assert_int_equal(kdnet_link_rtt(&w.link), (7 * 10000 + waited_us + 1000) / 8);
}

static void timeouts_have_a_floor_and_a_ceiling(void **state)
{
    struct world w;
    (void)state;
    start(&w);
    kdnet_link_sample(&w.link, 0); /* loopback on a coarse clock: measured all the same */
    assert_int_equal(kdnet_link_rtt(&w.link), 1);
    request(&w, true);
    expect_data(&w, FIRST);
    assert_int_equal(time_out(&w), KDNET_LINK_RTO_MIN_US);
    start(&w);
    kdnet_link_sample(&w.link, UINT64_MAX);
    request(&w, true);
    expect_data(&w, FIRST);
    assert_int_equal(time_out(&w), KDNET_LINK_RTO_MAX_US);
}

static void an_ack_measures_the_round_trip(void **state)
{
    struct world w;
    (void)state;
    start(&w);
    request(&w, true);
    expect_data(&w, FIRST);
    w.now_us += 7000;
    target_control(&w, KDNET_PACKET_ACK, FIRST);
    assert_int_equal(kdnet_link_rtt(&w.link), 7000);
    w.now_us += 7000;
    target_control(&w, KDNET_PACKET_ACK, FIRST); /* the same ACK, late */
    assert_int_equal(kdnet_link_rtt(&w.link), 7000);
}

static void what_was_sent_twice_measures_nothing(void **state)
{
    struct world w;
    (void)state;
    start(&w);
    request(&w, true);
    expect_data(&w, FIRST);
    (void)time_out(&w);
    expect_data(&w, FIRST);
    w.now_us += 10;
    target_control(&w, KDNET_PACKET_ACK, FIRST); /* of which of the two? */
    assert_int_equal(kdnet_link_rtt(&w.link), 0);
}

/* --- control packets, sleep --------------------------------------------------------------------------------------- */

static void of_too_many_control_packets_the_oldest_go(void **state)
{
    struct world w;
    (void)state;
    start(&w);
    for (uint32_t id = 0; id < KDNET_LINK_CONTROL_MAX + 2; ++id)
        kdnet_link_control(&w.link, KDNET_PACKET_ACK, id);
    for (uint32_t id = 2; id < KDNET_LINK_CONTROL_MAX + 2; ++id)
        expect_control(&w, KDNET_PACKET_ACK, id);
    expect_nothing(&w);
}

static void the_same_control_packet_waits_once(void **state)
{
    struct world w;
    (void)state;
    start(&w);
    kdnet_link_control(&w.link, KDNET_PACKET_RESEND, 0);
    kdnet_link_control(&w.link, KDNET_PACKET_RESEND, 0);
    kdnet_link_control(&w.link, KDNET_PACKET_ACK, 0);
    expect_control(&w, KDNET_PACKET_RESEND, 0);
    expect_control(&w, KDNET_PACKET_ACK, 0);
    expect_nothing(&w);
}

static void control_packets_go_before_data(void **state)
{
    struct world w;
    (void)state;
    start(&w);
    request(&w, true);
    kdnet_link_control(&w.link, KDNET_PACKET_ACK, 0);
    expect_control(&w, KDNET_PACKET_ACK, 0);
    expect_data(&w, FIRST);
}

/* A flood of packets with the target's key must not cost the RESET that a request waits for. */
static void a_reset_pushed_out_by_acks_is_sent_later(void **state)
{
    struct world w;
    (void)state;
    start(&w);
    w.link.memory.out_of_step = true;
    request(&w, true);
    expect_control(&w, KDNET_PACKET_RESET, FIRST);
    (void)time_out(&w);
    for (uint32_t id = 0; id < 10; id += 2)
        assert_int_equal(target_data(&w, id, "print"), KDNET_OK);
    while (next(&w))
        assert_true(w.sent.control);
    assert_true(kdnet_link_deadline(&w.link) != UINT64_MAX);
}

static void asleep_it_sends_nothing_until_it_is_woken(void **state)
{
    struct world w;
    (void)state;
    start(&w);
    request(&w, false);
    expect_data(&w, FIRST);
    kdnet_link_sleep(&w.link);
    assert_true(kdnet_link_deadline(&w.link) == UINT64_MAX);
    w.now_us += 3600000000U;
    kdnet_link_expire(&w.link, w.now_us);
    expect_nothing(&w);
    kdnet_link_wake(&w.link, w.now_us);
    assert_int_equal(time_out(&w), 0);
    expect_data(&w, FIRST);
    kdnet_link_wake(&w.link, w.now_us); /* awake already: the timer stays */
    assert_true(kdnet_link_deadline(&w.link) > w.now_us);
}

static void waking_an_idle_link_does_nothing(void **state)
{
    struct world w;
    (void)state;
    start(&w);
    kdnet_link_wake(&w.link, w.now_us);
    assert_true(kdnet_link_deadline(&w.link) == UINT64_MAX);
    expect_nothing(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ids_begin_at_80000000_and_go_up_by_two),
        cmocka_unit_test(one_data_packet_is_under_way_at_a_time),
        cmocka_unit_test(a_payload_may_be_as_large_as_a_context_and_no_larger),
        cmocka_unit_test(each_data_packet_is_acknowledged_once_and_delivered),
        cmocka_unit_test(what_has_come_is_not_asked_for),
        cmocka_unit_test(a_repeat_is_acknowledged_again_and_not_delivered),
        cmocka_unit_test(the_same_id_with_another_content_is_another_packet),
        cmocka_unit_test(a_straggler_is_neither_acknowledged_nor_delivered),
        cmocka_unit_test(a_wrong_checksum_asks_for_the_packet_again),
        cmocka_unit_test(a_packet_that_comes_damaged_again_and_again_is_taken_as_it_is),
        cmocka_unit_test(a_link_that_slept_over_its_reset_wakes),
        cmocka_unit_test(what_is_no_packet_changes_nothing),
        cmocka_unit_test(an_unknown_control_packet_changes_nothing),
        cmocka_unit_test(a_continue_is_done_by_its_ack),
        cmocka_unit_test(a_request_is_not_done_by_its_ack),
        cmocka_unit_test(an_ack_of_another_id_or_before_sending_means_nothing),
        cmocka_unit_test(an_ack_that_comes_twice_counts_once),
        cmocka_unit_test(a_reply_without_ack_is_a_reply_but_no_proof),
        cmocka_unit_test(what_gets_no_ack_goes_again_with_its_id_and_growing_patience),
        cmocka_unit_test(nothing_goes_again_before_its_time),
        cmocka_unit_test(the_targets_resend_brings_the_same_id_again),
        cmocka_unit_test(an_ack_without_a_reply_asks_with_resend_and_in_the_end_with_reset),
        cmocka_unit_test(the_targets_resends_are_answered_once_a_timeout),
        cmocka_unit_test(a_target_that_thinks_is_not_reset),
        cmocka_unit_test(the_time_that_a_reply_takes_is_learnt),
        cmocka_unit_test(the_timeout_follows_a_path_that_changes),
        cmocka_unit_test(our_packet_waits_for_the_targets_own_only_a_moment),
        cmocka_unit_test(a_continue_on_a_sure_link_is_never_reset),
        cmocka_unit_test(out_of_step_a_reset_with_the_next_id_goes_first),
        cmocka_unit_test(a_reset_without_answer_goes_again_and_then_the_request_goes_without),
        cmocka_unit_test(an_ack_while_a_reset_is_out_is_of_the_time_before),
        cmocka_unit_test(the_answer_to_our_reset_coming_twice_is_not_answered),
        cmocka_unit_test(after_the_targets_reset_its_ids_start_anew),
        cmocka_unit_test(an_ignored_request_that_was_acknowledged_is_reset_at_once),
        cmocka_unit_test(what_was_never_sent_is_abandoned_without_trace),
        cmocka_unit_test(what_was_acknowledged_is_abandoned_without_reset),
        cmocka_unit_test(what_was_not_acknowledged_is_abandoned_and_reset_goes_before_the_next),
        cmocka_unit_test(presumed_done_leaves_a_doubt_that_a_reply_ends),
        cmocka_unit_test(an_acknowledged_answer_does_not_end_a_doubt),
        cmocka_unit_test(a_reply_that_comes_while_a_reset_is_out_leaves_both_out_of_step),
        cmocka_unit_test(an_abandoned_request_does_not_end_a_doubt),
        cmocka_unit_test(restart_keeping_sends_what_is_under_way_again_behind_a_reset),
        cmocka_unit_test(restart_without_keeping_is_as_new_but_knows_the_network),
        cmocka_unit_test(sequences_start_again_after_either_restart),
        cmocka_unit_test(memory_carries_a_link_over_a_rest),
        cmocka_unit_test(the_round_trip_is_smoothed_and_sets_the_timeout),
        cmocka_unit_test(timeouts_have_a_floor_and_a_ceiling),
        cmocka_unit_test(an_ack_measures_the_round_trip),
        cmocka_unit_test(what_was_sent_twice_measures_nothing),
        cmocka_unit_test(of_too_many_control_packets_the_oldest_go),
        cmocka_unit_test(the_same_control_packet_waits_once),
        cmocka_unit_test(control_packets_go_before_data),
        cmocka_unit_test(a_second_ack_measures_what_was_sent_again_too_soon),
        cmocka_unit_test(a_reset_pushed_out_by_acks_is_sent_later),
        cmocka_unit_test(asleep_it_sends_nothing_until_it_is_woken),
        cmocka_unit_test(waking_an_idle_link_does_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
