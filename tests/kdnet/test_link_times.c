/* SPDX-License-Identifier: Apache-2.0 */
/* link: when packets are sent again, and what round trips are measured. PROTOCOL.md section 4. */
#include "tests/kdnet/link_world.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_gets_no_ack_goes_again_with_its_id_and_growing_patience),
        cmocka_unit_test(nothing_goes_again_before_its_time),
        cmocka_unit_test(the_targets_resend_brings_the_same_id_again),
        cmocka_unit_test(an_ack_without_a_reply_asks_with_resend_and_in_the_end_with_reset),
        cmocka_unit_test(the_targets_resends_are_answered_once_a_timeout),
        cmocka_unit_test(a_target_that_thinks_is_not_reset),
        cmocka_unit_test(the_time_that_a_reply_takes_is_learnt),
        cmocka_unit_test(the_timeout_follows_a_path_that_changes),
        cmocka_unit_test(a_continue_on_a_sure_link_is_never_reset),
        cmocka_unit_test(the_round_trip_is_smoothed_and_sets_the_timeout),
        cmocka_unit_test(timeouts_have_a_floor_and_a_ceiling),
        cmocka_unit_test(an_ack_measures_the_round_trip),
        cmocka_unit_test(what_was_sent_twice_measures_nothing),
        cmocka_unit_test(a_second_ack_measures_what_was_sent_again_too_soon),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
