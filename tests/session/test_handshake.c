/* SPDX-License-Identifier: Apache-2.0 */
/* Pokes, responses and data keys: what agrees on a key, and what a stranger with a recording cannot do. DESIGN.md
 * section 5. */
#include "tests/session/handshake_world.h"

/* --- a poke and its answer ---------------------------------------------------------------------------------------- */

static void a_poke_is_answered_and_the_first_data_connects(void **state)
{
    struct puppet *p = puppet_new();
    (void)state;
    p->no_check = true;
    assert_int_equal(puppet_poke(p), KDNET_OK);
    assert_int_equal(p->sent_count, 1);
    assert_int_equal(p->sent[0].length, 358);
    assert_true(p->sent[0].to_sender);
    assert_true(p->keyed);
    assert_false(kdnet_session_is_connected(p->session)); /* nothing was heard under the key */
    assert_int_equal(p->event_count, 0);
    assert_int_equal(puppet_check(p), KDNET_OK);
    assert_true(kdnet_session_is_connected(p->session));
    assert_int_equal(p->event_count, 1);
    assert_int_equal(p->event[0].type, KDNET_EVENT_CONNECTED);
    assert_int_equal(p->event[0].u.connected.version, 5);
    assert_false(p->event[0].u.connected.rebooted);
    assert_false(p->event[0].u.connected.took_over);
    assert_int_equal(p->packet_count, 1); /* WinDbg's first packet: RESEND, id 0 */
    assert_true(p->packet[0].control);
    assert_int_equal(p->packet[0].type, KDNET_PACKET_RESEND);
    assert_int_equal(p->packet[0].id, 0);
    puppet_free(p);
}

static void the_answer_has_the_version_of_the_poke(void **state)
{
    (void)state;
    for (uint8_t version = 2; version <= 5; ++version) {
        struct puppet *p = puppet_new();
        p->version = version;
        puppet_connect(p);
        assert_true(kdnet_session_is_connected(p->session));
        assert_int_equal(p->event[0].u.connected.version, version);
        for (unsigned i = 0; i < p->sent_count; ++i)
            assert_int_equal(p->sent[i].payload[4], version);
        puppet_free(p);
    }
}

static void the_same_poke_seen_again_gets_the_same_bytes_again(void **state)
{
    struct puppet *p = puppet_new();
    struct puppet_bytes poke;
    (void)state;
    p->deaf = true;
    puppet_next_poke(p, &poke);
    for (unsigned i = 0; i < 5; ++i) {
        assert_int_equal(puppet_give_bytes(p, &poke), KDNET_OK);
        assert_int_equal(p->sent_count, i + 1);
        assert_int_equal(p->sent[i].length, p->sent[0].length);
        assert_memory_equal(p->sent[i].payload, p->sent[0].payload, p->sent[0].length);
        p->now_us += 100000;
    }
    assert_int_equal(p->draws, 1); /* never a second key */
    puppet_free(p);
}

static void an_older_poke_than_the_answered_one_gets_silence(void **state)
{
    struct puppet *p = puppet_new();
    struct puppet_bytes first, second;
    (void)state;
    p->deaf = true;
    puppet_next_poke(p, &first);
    puppet_next_poke(p, &second);
    puppet_give_bytes(p, &second);
    assert_int_equal(p->sent_count, 1);
    p->now_us += 10 * SECOND_US;
    puppet_give_bytes(p, &first);
    assert_int_equal(p->sent_count, 1);
    puppet_free(p);
}

static void a_live_session_does_not_answer_pokes(void **state)
{
    struct puppet *p = puppet_new();
    (void)state;
    puppet_connect(p);
    puppet_wait(p, 300 * SECOND_US, true);
    assert_int_equal(p->responses, 1);
    assert_int_equal(p->event_count, 1);
    puppet_free(p);
}

/* It pokes but does not hear, or we do not hear its check: each poke gets an answer. */
static void a_target_that_does_not_take_the_response_gets_another(void **state)
{
    struct puppet *p = puppet_new();
    (void)state;
    p->deaf = true;
    for (unsigned i = 0; i < 10; ++i) {
        puppet_poke(p);
        assert_int_equal(p->sent_count, i + 1);
        p->now_us += 3 * SECOND_US;
    }
    p->deaf = false;
    puppet_poke(p);
    assert_true(kdnet_session_is_connected(p->session));
    puppet_free(p);
}

static void a_lost_connection_check_is_made_up_by_the_first_packet(void **state)
{
    struct puppet *p = puppet_new();
    (void)state;
    p->no_check = true;
    p->answer = answers_all;
    puppet_poke(p);
    p->now_us += 2 * SECOND_US;
    puppet_break(p, 0xc0000005, ADDRESS);
    assert_true(kdnet_session_is_connected(p->session));
    assert_int_equal(puppet_events(p, KDNET_EVENT_CRASH_STATUS), 1);
    assert_int_equal(p->continue_count, 1);
    puppet_free(p);
}

/* --- keys --------------------------------------------------------------------------------------------------------- */

static void the_old_key_stays_in_force_until_the_target_uses_the_new_one(void **state)
{
    struct puppet *p = puppet_new();
    (void)state;
    puppet_connect(p);
    struct snapshot before = take(p);
    p->connected = (struct kdnet_address){.ip = {[10] = 0xff, [11] = 0xff}}; /* it says that it lost us */
    p->deaf = true;
    p->now_us += 3 * SECOND_US;
    unsigned sent = p->sent_count;
    puppet_poke(p);
    assert_int_equal(p->sent_count, sent + 1);
    expect_unchanged(p, &before);
    expect_talking(p); /* under the old key */
    expect_unchanged(p, &before);
    p->deaf = false;
    p->now_us += 3 * SECOND_US;
    puppet_poke(p);
    assert_int_equal(puppet_events(p, KDNET_EVENT_CONNECTED), 2);
    assert_false(puppet_event(p, KDNET_EVENT_CONNECTED, 1)->u.connected.rebooted);
    assert_memory_not_equal(p->session->data_key, before.data_key, sizeof before.data_key);
    assert_memory_not_equal(p->session->id, before.id, sizeof before.id);
    expect_talking(p);
    puppet_free(p);
}

/* Two responses may be on their way; the target takes one, and we follow, whichever it is. */
static void whichever_response_the_target_took_counts(void **state)
{
    (void)state;
    for (unsigned taken = 0; taken < 2; ++taken) {
        struct puppet *p = puppet_new();
        p->deaf = true;
        puppet_poke(p);
        p->now_us += 3 * SECOND_US;
        puppet_poke(p);
        assert_int_equal(p->sent_count, 2);
        p->deaf = false;
        puppet_take(p, &p->sent[taken]);
        puppet_drain(p);
        assert_true(kdnet_session_is_connected(p->session));
        expect_talking(p);
        puppet_free(p);
    }
}

static void our_data_sequence_only_grows(void **state)
{
    struct puppet *p = puppet_new();
    (void)state;
    p->answer = answers_all;
    uint64_t last = 0;
    for (int i = 0; i < 4; ++i) {
        p->connected = (struct kdnet_address){.ip = {[10] = 0xff, [11] = 0xff}};
        puppet_poke(p);
        puppet_print(p, "hello\n");
        assert_true(p->session->sequence > last);
        last = p->session->sequence;
        p->now_us += 3 * SECOND_US;
    }
    puppet_free(p);
}

/* --- boots -------------------------------------------------------------------------------------------------------- */

static void another_random_is_a_reboot(void **state)
{
    struct puppet *p = puppet_new();
    (void)state;
    puppet_connect(p);
    puppet_new_boot(p, 77);
    p->now_us += SECOND_US;
    puppet_connect(p);
    assert_int_equal(puppet_events(p, KDNET_EVENT_CONNECTED), 2);
    assert_true(puppet_event(p, KDNET_EVENT_CONNECTED, 1)->u.connected.rebooted);
    expect_talking(p);
    puppet_free(p);
}

/* The counter is more than its first byte: it carries, and the run is the same. */
static void a_counter_that_carries_is_no_reboot(void **state)
{
    struct puppet *p = puppet_new();
    (void)state;
    p->random[0] = 0xfd;
    p->random[1] = 0xff;
    puppet_connect(p);
    for (int i = 0; i < 6; ++i) {
        p->now_us += 3 * SECOND_US;
        puppet_poke(p);
    }
    p->connected = (struct kdnet_address){.ip = {[10] = 0xff, [11] = 0xff}};
    p->now_us += 3 * SECOND_US;
    puppet_poke(p);
    assert_int_equal(puppet_events(p, KDNET_EVENT_CONNECTED), 2);
    assert_false(puppet_event(p, KDNET_EVENT_CONNECTED, 1)->u.connected.rebooted);
    puppet_free(p);
}

static void no_connection_is_said_in_two_ways(void **state)
{
    static const struct kdnet_address ways[] = {{.ip = {0}}, {.ip = {[10] = 0xff, [11] = 0xff}}};
    (void)state;
    for (size_t i = 0; i < 2; ++i) {
        struct puppet *p = puppet_new();
        p->connected = ways[i];
        puppet_connect(p);
        assert_false(p->event[0].u.connected.took_over);
        p->connected = ways[i]; /* and again, on the way into a crash */
        p->now_us += 3 * SECOND_US;
        puppet_poke(p);
        assert_int_equal(puppet_events(p, KDNET_EVENT_CONNECTED), 2);
        puppet_free(p);
    }
}

/* On its way into a crash KDNET sets itself up again; nobody has seen whether its control numbers go on. Either of the
 * two that advance shows that a poke is new. */
static void a_target_that_begins_its_sequence_anew_is_served(void **state)
{
    struct puppet *p = puppet_new();
    (void)state;
    p->control_sequence = 100000;
    puppet_connect(p);
    puppet_wait(p, 30 * SECOND_US, true);
    p->control_sequence = 0;
    p->connected = (struct kdnet_address){.ip = {[10] = 0xff, [11] = 0xff}};
    puppet_connect(p);
    assert_int_equal(puppet_events(p, KDNET_EVENT_CONNECTED), 2);
    assert_false(puppet_event(p, KDNET_EVENT_CONNECTED, 1)->u.connected.rebooted);
    uint64_t seen_us = kdnet_session_last_seen(p->session);
    p->now_us += SECOND_US;
    puppet_poke(p);
    assert_true(kdnet_session_last_seen(p->session) > seen_us);
    kdnet_put_le64(p->random, 0); /* and its counter, while the sequence goes on */
    p->connected = (struct kdnet_address){.ip = {[10] = 0xff, [11] = 0xff}};
    puppet_connect(p);
    assert_int_equal(puppet_events(p, KDNET_EVENT_CONNECTED), 3);
    expect_talking(p);
    puppet_free(p);
}

/* It took a response, its connection check was lost, and it has nothing to say: under the old key nobody hears us. */
static void a_target_that_may_use_an_offered_key_is_offered_another(void **state)
{
    struct puppet *p = puppet_new();
    (void)state;
    puppet_connect(p);
    p->connected = (struct kdnet_address){.ip = {[10] = 0xff, [11] = 0xff}};
    p->no_check = true;
    puppet_poke(p);
    assert_int_equal(p->responses, 2);
    assert_int_equal(puppet_events(p, KDNET_EVENT_CONNECTED), 1);
    p->no_check = false;
    puppet_wait(p, 4 * SECOND_US, true); /* the next poke says that it is connected */
    assert_int_equal(p->responses, 3);
    assert_int_equal(puppet_events(p, KDNET_EVENT_CONNECTED), 2);
    expect_talking(p);
    puppet_wait(p, 60 * SECOND_US, true);
    assert_int_equal(p->responses, 3); /* and that was all */
    puppet_free(p);
}

static void a_target_that_was_connected_before_us_is_taken_over(void **state)
{
    struct puppet *p = puppet_new();
    (void)state;
    p->connected = (struct kdnet_address){.ip = {[10] = 0xff, [11] = 0xff, 127, 0, 0, 1}, .port = 50000};
    puppet_connect(p);
    assert_true(kdnet_session_is_connected(p->session));
    assert_true(p->event[0].u.connected.took_over);
    assert_false(p->event[0].u.connected.rebooted);
    puppet_free(p);
}

static const struct kdnet_address another = {.ip = {[10] = 0xff, [11] = 0xff, 10, 9, 8, 7}, .port = 50000};

/* While we hold it, a poke that names another host gets no answer: two hosts would take the target from each other. */
static void a_target_that_says_it_is_connected_elsewhere_is_not_fought_over(void **state)
{
    struct puppet *p = puppet_new();
    (void)state;
    puppet_connect(p);
    assert_int_equal(p->other_host, 0);
    p->connected = another;
    puppet_wait(p, 60 * SECOND_US, true);
    assert_int_equal(p->responses, 1);
    assert_int_equal(puppet_events(p, KDNET_EVENT_CONNECTED), 1);
    assert_int_equal(p->other_host, 20); /* each poke says so */
    assert_true(kdnet_address_equal(&p->other, &another));
    p->connected = (struct kdnet_address){.ip = {[10] = 0xff, [11] = 0xff}}; /* it is free again */
    puppet_poke(p);
    assert_int_equal(puppet_events(p, KDNET_EVENT_CONNECTED), 2);
    puppet_free(p);
}

/* A host that was restarted elsewhere must find its machines: so once, but not again when the other one takes it back.
 */
static void a_target_of_another_host_is_taken_over_once(void **state)
{
    struct puppet *p = puppet_new();
    (void)state;
    p->connected = another;
    puppet_connect(p);
    assert_int_equal(puppet_events(p, KDNET_EVENT_CONNECTED), 1);
    assert_true(p->event[0].u.connected.took_over);
    assert_int_equal(p->other_host, 1);
    puppet_wait(p, 10 * SECOND_US, true);
    p->connected = another;
    puppet_wait(p, 600 * SECOND_US, true);
    assert_int_equal(p->responses, 1);
    assert_int_equal(puppet_events(p, KDNET_EVENT_CONNECTED), 1);
    puppet_free(p);
}

/* It was halted under us when the other host took it: what we still send is heard by nobody, and ends. */
static void a_halted_target_that_was_taken_by_another_host_is_let_go(void **state)
{
    struct puppet *p = puppet_new();
    (void)state;
    puppet_connect(p);
    p->acks = p->replies = false;
    p->heeds_solicits = true;
    puppet_break(p, 0xc0000005, ADDRESS);
    p->connected = another;
    puppet_wait(p, 3600 * SECOND_US, true);
    unsigned sent = p->sent_count;
    puppet_wait(p, 3600 * SECOND_US, true);
    print_message("%u datagrams in an hour, then %u\n", sent, p->sent_count - sent);
    assert_int_equal(puppet_events(p, KDNET_EVENT_CONNECTED), 1); /* no new key */
    assert_int_equal(puppet_events(p, KDNET_EVENT_CRASH_STATUS), 1);
    assert_true(sent < 2500);
    assert_true(p->sent_count - sent < 20);
    puppet_free(p);
}

/* Another host at the same address: the machine cannot tell them apart. Each new key of ours is soon another's. */
static void keys_that_are_changed_again_and_again_show_another_host(void **state)
{
    struct puppet *p = puppet_new();
    struct puppet_bytes data;
    struct kdnet_packet packet = {.control = true, .type = KDNET_PACKET_RESEND};
    (void)state;
    puppet_connect(p);
    p->heeds_solicits = true;
    for (int i = 0; i < 1200; ++i) {
        memset(p->data_key, 0x99, sizeof p->data_key);
        p->now_us += SECOND_US / 2;
        puppet_make_packet(p, &packet, &data);
        puppet_give_bytes(p, &data);
    }
    unsigned keys = puppet_events(p, KDNET_EVENT_CONNECTED);
    print_message("%u keys in ten minutes, %u times said\n", keys, p->other_host);
    assert_in_range(keys, 4, 20);
    assert_in_range(p->other_host, 1, keys - 3);
    assert_true(kdnet_address_is_none(&p->other));
    puppet_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_poke_is_answered_and_the_first_data_connects),
        cmocka_unit_test(the_answer_has_the_version_of_the_poke),
        cmocka_unit_test(the_same_poke_seen_again_gets_the_same_bytes_again),
        cmocka_unit_test(an_older_poke_than_the_answered_one_gets_silence),
        cmocka_unit_test(a_live_session_does_not_answer_pokes),
        cmocka_unit_test(a_target_that_does_not_take_the_response_gets_another),
        cmocka_unit_test(a_lost_connection_check_is_made_up_by_the_first_packet),
        cmocka_unit_test(the_old_key_stays_in_force_until_the_target_uses_the_new_one),
        cmocka_unit_test(whichever_response_the_target_took_counts),
        cmocka_unit_test(our_data_sequence_only_grows),
        cmocka_unit_test(another_random_is_a_reboot),
        cmocka_unit_test(a_counter_that_carries_is_no_reboot),
        cmocka_unit_test(no_connection_is_said_in_two_ways),
        cmocka_unit_test(a_target_that_begins_its_sequence_anew_is_served),
        cmocka_unit_test(a_target_that_may_use_an_offered_key_is_offered_another),
        cmocka_unit_test(a_target_that_was_connected_before_us_is_taken_over),
        cmocka_unit_test(a_target_that_says_it_is_connected_elsewhere_is_not_fought_over),
        cmocka_unit_test(a_target_of_another_host_is_taken_over_once),
        cmocka_unit_test(a_halted_target_that_was_taken_by_another_host_is_let_go),
        cmocka_unit_test(keys_that_are_changed_again_and_again_show_another_host),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
