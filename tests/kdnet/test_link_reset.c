/* SPDX-License-Identifier: Apache-2.0 */
/* link: RESET, requests that end otherwise than by their reply, and new keys. PROTOCOL.md section 4. */
#include "tests/kdnet/link_world.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(our_packet_waits_for_the_targets_own_only_a_moment),
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
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
