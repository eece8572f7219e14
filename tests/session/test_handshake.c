/* SPDX-License-Identifier: Apache-2.0 */
/* Pokes, responses and data keys: what agrees on a key, and what a stranger with a recording cannot do. DESIGN.md
 * section 5. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "kdnet/session/offers_internal.h"
#include "kdnet/session/state_internal.h"
#include "tests/session/puppet.h"

#define SECOND_US UINT64_C(1000000)
#define ADDRESS   0xfffff80011112222U

static bool answers_all(struct puppet *p, struct kdnet_manipulate *reply, uint8_t *data)
{
    (void)p;
    (void)data;
    if (!puppet_version(reply))
        reply->return_status = KDNET_STATUS_UNSUCCESSFUL;
    return true;
}

/* All that a recording must not change. */
struct snapshot {
    uint8_t id[KDNET_SESSION_ID_LENGTH], data_key[KDNET_AES_KEY_LENGTH];
    bool connected, halted;
    unsigned events;
};

static struct snapshot take(const struct puppet *p)
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

static void expect_unchanged(const struct puppet *p, const struct snapshot *before)
{
    struct snapshot now = take(p);
    assert_memory_equal(now.id, before->id, sizeof now.id);
    assert_memory_equal(now.data_key, before->data_key, sizeof now.data_key);
    assert_int_equal(now.connected, before->connected);
    assert_int_equal(now.halted, before->halted);
    assert_int_equal(now.events, before->events);
}

/* The session still talks with the puppet under the key that the puppet has. */
static void expect_talking(struct puppet *p)
{
    unsigned packets = p->packet_count;
    assert_int_equal(puppet_print(p, "still there\n"), KDNET_OK);
    assert_true(p->packet_count > packets);
}

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

/* --- what a stranger can send ------------------------------------------------------------------------------------- */

/* Recordings of an earlier boot, all of them, played at a live session and at a halted one. */
static void recorded_pokes_of_an_earlier_boot_change_nothing(void **state)
{
    (void)state;
    for (int halted = 0; halted < 2; ++halted) {
        struct puppet *p = puppet_new();
        struct puppet_bytes old[20];
        puppet_new_boot(p, 55);
        for (size_t i = 0; i < 20; ++i)
            puppet_next_poke(p, &old[i]);
        puppet_new_boot(p, 1);
        puppet_connect(p);
        if (halted) {
            p->policy.action[KDNET_BREAK_KIND_EXCEPTION] = KDNET_ACTION_HOLD;
            p->answer = answers_all;
            puppet_break(p, 0xc0000005, ADDRESS);
            assert_true(kdnet_session_is_halted(p->session));
        }
        p->deaf = true; /* the real target does not take what was made for its former self */
        struct snapshot before = take(p);
        for (size_t i = 0; i < 20; ++i) {
            p->now_us += SECOND_US / 2;
            puppet_give_bytes(p, &old[i]);
            puppet_give_bytes(p, &old[i]);
            expect_unchanged(p, &before);
        }
        expect_talking(p);
        assert_int_equal(puppet_events(p, KDNET_EVENT_CONNECTED), 1);
        puppet_free(p);
    }
}

static void recorded_pokes_of_this_boot_get_silence(void **state)
{
    struct puppet *p = puppet_new();
    struct puppet_bytes old[10];
    (void)state;
    puppet_connect(p);
    for (size_t i = 0; i < 10; ++i) {
        p->now_us += 3 * SECOND_US;
        puppet_next_poke(p, &old[i]);
        puppet_give_bytes(p, &old[i]);
    }
    struct snapshot before = take(p);
    unsigned sent = p->sent_count;
    uint64_t seen = kdnet_session_last_seen(p->session);
    p->now_us += SECOND_US;
    for (size_t i = 0; i < 10; ++i)
        assert_int_equal(puppet_give_bytes(p, &old[i]), KDNET_ERR_REPEAT);
    assert_int_equal(p->sent_count, sent);
    assert_true(kdnet_session_last_seen(p->session) == seen); /* a recording is no sign of life */
    expect_unchanged(p, &before);
    puppet_free(p);
}

static void recorded_data_is_dropped(void **state)
{
    struct puppet *p = puppet_new();
    struct puppet_bytes old[12];
    struct kdnet_packet packet = {.control = true, .type = KDNET_PACKET_RESEND};
    (void)state;
    puppet_connect(p);
    for (size_t i = 0; i < 12; ++i) {
        puppet_make_packet(p, &packet, &old[i]);
        assert_int_equal(puppet_give_bytes(p, &old[i]), KDNET_OK);
    }
    struct snapshot before = take(p);
    p->now_us += SECOND_US;
    uint64_t seen = kdnet_session_last_seen(p->session);
    for (unsigned round = 0; round < 3; ++round)
        for (size_t i = 0; i < 12; ++i) {
            struct kdnet_received received;
            assert_int_equal(kdnet_session_receive(p->session, old[i].payload, old[i].length, p->now_us, &received),
                             KDNET_ERR_REPEAT);
            assert_true(received.authentic);
            assert_false(received.live); /* its sender's address is not believed */
            puppet_drain(p);
        }
    assert_true(kdnet_session_last_seen(p->session) == seen);
    expect_unchanged(p, &before);
    expect_talking(p);
    puppet_free(p);
}

static void recorded_data_of_an_old_key_is_dropped(void **state)
{
    struct puppet *p = puppet_new();
    struct puppet_bytes old[5];
    struct kdnet_packet packet = {.control = true, .type = KDNET_PACKET_RESEND};
    (void)state;
    puppet_connect(p);
    for (size_t i = 0; i < 5; ++i) {
        puppet_make_packet(p, &packet, &old[i]);
        puppet_give_bytes(p, &old[i]);
    }
    p->connected = (struct kdnet_address){.ip = {[10] = 0xff, [11] = 0xff}};
    p->now_us += 3 * SECOND_US;
    puppet_poke(p);
    struct snapshot before = take(p);
    for (size_t i = 0; i < 5; ++i)
        assert_int_equal(puppet_give_bytes(p, &old[i]), KDNET_ERR_AUTH);
    expect_unchanged(p, &before);
    expect_talking(p);
    puppet_free(p);
}

static void our_own_datagrams_sent_back_change_nothing(void **state)
{
    struct puppet *p = puppet_new();
    (void)state;
    p->answer = answers_all;
    puppet_connect(p);
    puppet_break(p, 0xc0000005, ADDRESS);
    struct snapshot before = take(p);
    unsigned sent = p->sent_count;
    assert_true(sent > 5);
    for (unsigned i = 0; i < sent; ++i)
        assert_int_equal(puppet_give_bytes(p, &p->sent[i]), KDNET_ERR_FORMAT);
    assert_int_equal(p->sent_count, sent);
    expect_unchanged(p, &before);
    expect_talking(p);
    puppet_free(p);
}

static void another_key_is_another_target(void **state)
{
    struct puppet *p = puppet_new(), *other = puppet_new();
    struct puppet_bytes poke;
    (void)state;
    memset(other->key.bytes, 0x43, sizeof other->key.bytes);
    kdnet_keys_init(&other->keys, &other->key);
    puppet_next_poke(other, &poke);
    assert_int_equal(puppet_give_bytes(p, &poke), KDNET_ERR_AUTH);
    assert_false(kdnet_session_may_open(p->session, poke.payload, poke.length));
    assert_int_equal(p->sent_count, 0);
    puppet_next_poke(p, &poke);
    assert_true(kdnet_session_may_open(p->session, poke.payload, poke.length));
    puppet_free(p);
    puppet_free(other);
}

/* --- a response that arrives twice -------------------------------------------------------------------------------- */

/* The target takes the second one for new, and starts its numbers again under the same key. */
static void a_target_that_starts_its_numbers_anew_is_followed(void **state)
{
    struct puppet *p = puppet_new();
    (void)state;
    puppet_connect(p);
    for (int i = 0; i < 5; ++i)
        expect_talking(p);
    struct snapshot before = take(p);
    p->data_sequence = 0;
    for (int i = 0; i < 5; ++i)
        expect_talking(p);
    expect_unchanged(p, &before);
    puppet_free(p);
}

/* --- solicited pokes ------------------------------------------------------------------------------------------------
 */

/* Data under a key of our former life: an empty control datagram for whoever sent it, no larger and not for each. */
static void data_under_a_forgotten_key_brings_a_solicit(void **state)
{
    struct puppet *p = puppet_new();
    struct puppet_bytes data;
    struct kdnet_packet packet = {.control = true, .type = KDNET_PACKET_RESEND};
    (void)state;
    p->keyed = true;
    memset(p->data_key, 0x99, sizeof p->data_key);
    p->heeds_solicits = true;
    p->connected = (struct kdnet_address){.ip = {[10] = 0xff, [11] = 0xff, 127, 0, 0, 1}, .port = 50000};
    puppet_make_packet(p, &packet, &data);
    assert_int_equal(puppet_give_bytes(p, &data), KDNET_ERR_AUTH);
    assert_true(p->sent[0].to_sender);
    assert_int_equal(p->sent[0].length, KDNET_DATAGRAM_MIN);
    assert_true(p->sent[0].length <= data.length);
    assert_true(kdnet_session_is_connected(p->session)); /* at once: request to poke, poke, response, check */
    assert_true(p->event[0].u.connected.took_over);
    puppet_free(p);
}

static void solicits_are_few(void **state)
{
    struct puppet *p = puppet_new();
    struct puppet_bytes data;
    struct kdnet_packet packet = {.control = true, .type = KDNET_PACKET_RESEND};
    (void)state;
    memset(p->data_key, 0x99, sizeof p->data_key);
    for (int i = 0; i < 10000; ++i) {
        puppet_make_packet(p, &packet, &data);
        puppet_give_bytes(p, &data);
        p->now_us += 100;
    }
    assert_in_range(p->sent_count, 1, 21); /* of a second */
    puppet_free(p);
}

/* Noise, while the target is heard from, asks it once: its data may be under another host's key. */
static void noise_beside_a_live_session_brings_one_solicit(void **state)
{
    struct puppet *p = puppet_new();
    uint8_t noise[64] = "MDBG\5";
    (void)state;
    puppet_connect(p);
    puppet_wait(p, 2 * SECOND_US, true);
    unsigned sent = p->sent_count;
    p->heeds_solicits = true;
    for (int i = 0; i < 100; ++i) {
        noise[40] = (uint8_t)i;
        assert_int_equal(puppet_give(p, noise, 6 + 16 + 16 + 16), KDNET_ERR_AUTH);
        p->now_us += 9000;
    }
    assert_in_range(p->sent_count - sent, 1, 4); /* the request, a response, RESEND */
    assert_int_equal(puppet_events(p, KDNET_EVENT_CONNECTED), 2);
    expect_talking(p);
    puppet_free(p);
}

static void data_under_a_key_that_we_have_not_makes_us_ask_for_a_poke_at_once(void **state)
{
    struct puppet *p = puppet_new();
    struct puppet_bytes data;
    struct kdnet_packet packet = {.control = true, .type = KDNET_PACKET_RESEND};
    (void)state;
    puppet_connect(p);
    p->heeds_solicits = true;
    puppet_wait(p, 10 * SECOND_US, false);
    memset(p->data_key, 0x99, sizeof p->data_key); /* it took a response of another host that is gone */
    puppet_make_packet(p, &packet, &data);
    puppet_give_bytes(p, &data);
    assert_int_equal(puppet_events(p, KDNET_EVENT_CONNECTED), 2);
    expect_talking(p);
    puppet_free(p);
}

/* A stranger has recorded the numbers of before and after: he must not make us go back and forth between them. */
static void a_recording_of_both_numberings_is_not_played_for_ever(void **state)
{
    struct puppet *p = puppet_new();
    struct puppet_bytes before[6], after[6];
    struct kdnet_packet packet = {.control = true, .type = KDNET_PACKET_RESEND};
    unsigned taken = 0;
    (void)state;
    puppet_connect(p);
    for (uint32_t i = 0; i < 6; ++i) {
        packet.id = i; /* other bytes, so another tag */
        puppet_make_packet(p, &packet, &before[i]);
        assert_int_equal(puppet_give_bytes(p, &before[i]), KDNET_OK);
    }
    p->data_sequence = 1;
    for (uint32_t i = 0; i < 6; ++i) {
        packet.id = 100 + i;
        puppet_make_packet(p, &packet, &after[i]);
        assert_int_equal(puppet_give_bytes(p, &after[i]), KDNET_OK);
    }
    for (unsigned round = 0; round < 100; ++round)
        for (size_t i = 0; i < 6; ++i) {
            struct kdnet_received received;
            const struct puppet_bytes *bytes = round % 2 == 0 ? &before[i] : &after[i];
            (void)kdnet_session_receive(p->session, bytes->payload, bytes->length, p->now_us, &received);
            taken += received.live ? 1 : 0;
            puppet_drain(p);
        }
    print_message("%u recorded datagrams taken for new\n", taken);
    assert_in_range(taken, 0, 6);
    puppet_free(p);
}

/* Noise with the target's address, without end: it costs a handshake now and then, not one after the other. */
static void noise_with_the_targets_address_does_not_make_handshake_after_handshake(void **state)
{
    struct puppet *p = puppet_new();
    uint8_t noise[54] = "MDBG\5";
    (void)state;
    p->heeds_solicits = true;
    puppet_connect(p);
    for (unsigned i = 0; i < 600; ++i) {
        noise[40] = (uint8_t)i;
        noise[41] = (uint8_t)(i >> 8);
        puppet_give(p, noise, sizeof noise);
        puppet_wait(p, SECOND_US / 2, false);
        if (i % 6 == 0)
            puppet_poke(p);
    }
    print_message("%u handshakes in five minutes\n", puppet_events(p, KDNET_EVENT_CONNECTED) - 1);
    assert_in_range(puppet_events(p, KDNET_EVENT_CONNECTED), 1, 12);
    expect_talking(p);
    puppet_free(p);
}

/* A fleet of a million is a million of these: see "Cost" in kdnet/README.md. */
static void a_connected_idle_machine_is_one_small_struct(void **state)
{
    struct puppet *p = puppet_new();
    (void)state;
    puppet_connect(p);
    (void)puppet_print(p, "hello\n");
    assert_true(kdnet_session_is_connected(p->session));
    assert_null(p->session->active);
    assert_null(p->session->history);
    assert_null(p->session->kernel_info);
    assert_null(p->session->offers);
    assert_true(sizeof *p->session <= 352);
    puppet_free(p);
}

/* In memory of the caller's, full of something else before; the sanitizers see what it keeps or touches beside it. */
static void a_session_in_memory_of_the_callers_is_one_like_any_other(void **state)
{
    struct puppet *p = puppet_new();
    size_t size = kdnet_session_size();
    uint8_t *memory = malloc(size);
    static const uint8_t nothing[sizeof(struct kdnet_session)];
    (void)state;
    assert_non_null(memory);
    assert_int_equal(size, sizeof *p->session);
    memset(memory, 0xa5, size);
    kdnet_session_free(p->session);
    p->session = kdnet_session_init(memory, &p->shared, &p->policy, &p->key);
    assert_ptr_equal(p->session, memory);
    puppet_connect(p);
    puppet_break(p, 0xc0000005, 0x1000);
    expect_talking(p);
    kdnet_session_clear(p->session);
    assert_memory_equal(memory, nothing, size); /* no key, nothing of its machine */
    free(memory);
    p->session = NULL;
    puppet_free(p);
}

static void a_restarted_session_knows_its_key_and_nothing_else(void **state)
{
    struct puppet *p = puppet_new();
    (void)state;
    puppet_connect(p);
    puppet_break(p, 0xc0000005, 0x1000);
    kdnet_session_restart(p->session);
    assert_false(kdnet_session_is_connected(p->session));
    assert_true(kdnet_session_deadline(p->session) == UINT64_MAX);
    assert_memory_equal(kdnet_session_key(p->session), &p->key, sizeof p->key);
    puppet_connect(p);
    expect_talking(p);
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
        cmocka_unit_test(recorded_pokes_of_an_earlier_boot_change_nothing),
        cmocka_unit_test(recorded_pokes_of_this_boot_get_silence),
        cmocka_unit_test(recorded_data_is_dropped),
        cmocka_unit_test(recorded_data_of_an_old_key_is_dropped),
        cmocka_unit_test(our_own_datagrams_sent_back_change_nothing),
        cmocka_unit_test(another_key_is_another_target),
        cmocka_unit_test(a_target_that_starts_its_numbers_anew_is_followed),
        cmocka_unit_test(data_under_a_forgotten_key_brings_a_solicit),
        cmocka_unit_test(solicits_are_few),
        cmocka_unit_test(noise_beside_a_live_session_brings_one_solicit),
        cmocka_unit_test(data_under_a_key_that_we_have_not_makes_us_ask_for_a_poke_at_once),
        cmocka_unit_test(a_recording_of_both_numberings_is_not_played_for_ever),
        cmocka_unit_test(noise_with_the_targets_address_does_not_make_handshake_after_handshake),
        cmocka_unit_test(a_connected_idle_machine_is_one_small_struct),
        cmocka_unit_test(a_session_in_memory_of_the_callers_is_one_like_any_other),
        cmocka_unit_test(a_restarted_session_knows_its_key_and_nothing_else),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
