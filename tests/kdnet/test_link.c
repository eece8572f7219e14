/* SPDX-License-Identifier: Apache-2.0 */
/* link: the exchange of KD packets, one packet at a time, on a clock that is a variable. PROTOCOL.md section 4. */
#include "tests/kdnet/link_world.h"

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
        cmocka_unit_test(of_too_many_control_packets_the_oldest_go),
        cmocka_unit_test(the_same_control_packet_waits_once),
        cmocka_unit_test(control_packets_go_before_data),
        cmocka_unit_test(a_reset_pushed_out_by_acks_is_sent_later),
        cmocka_unit_test(asleep_it_sends_nothing_until_it_is_woken),
        cmocka_unit_test(waking_an_idle_link_does_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
