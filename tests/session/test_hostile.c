/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What anybody on the network can send: it changes nothing, costs no memory, and is never answered with more than it
 * brought. And what an idle machine costs.
 */
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
#include "tests/support/random.h"

#define SECOND_US UINT64_C(1000000)
#define ADDRESS   0xfffff80011112222U

/* Where a session may be when it is attacked. */
enum stance { NEW, OFFERED, CONNECTED, READING, HELD, STANCES };

static bool answers_all(struct puppet *p, struct kdnet_manipulate *reply, uint8_t *data)
{
    (void)p;
    (void)data;
    if (!puppet_version(reply))
        reply->return_status = KDNET_STATUS_UNSUCCESSFUL;
    return true;
}

static struct puppet *stand(enum stance stance)
{
    struct puppet *p = puppet_new();
    p->answer = answers_all;
    if (stance == OFFERED) {
        p->deaf = true;
        puppet_poke(p);
        p->deaf = false;
    }
    if (stance >= CONNECTED)
        puppet_connect(p);
    if (stance == HELD)
        p->policy.action[KDNET_BREAK_KIND_EXCEPTION] = KDNET_ACTION_HOLD;
    if (stance == READING)
        p->replies = p->acks = false;
    if (stance >= READING)
        puppet_break(p, 0xc0000005, ADDRESS);
    return p;
}

/* All of a session that a stranger must not touch: everything but its counts and what requests to poke remember. */
struct likeness {
    struct kdnet_session session;
    bool is_active;
    enum kdnet_stage stage;
    uint64_t deadline;
    unsigned events;
};

static struct likeness look(const struct puppet *p)
{
    struct likeness out;
    memset(&out, 0, sizeof out);
    memcpy(&out.session, p->session, sizeof out.session);
    out.session.foreign_ms = out.session.solicited_ms = 0;
    out.session.claim_us = 0;
    out.session.asked = false;
    out.session.waits_ms = 0;
    out.session.claim_tries = 0;
    out.session.claims_unpaid = 0;
    out.session.rival = 0;
    out.session.solicit_due = out.session.solicit_to_sender = false;
    out.session.solicit_version = 0;
    out.session.rekey_wanted = false; /* only what the target's own silence allows; its next poke decides */
    out.is_active = p->session->active != NULL;
    out.stage = p->session->active ? p->session->active->halt.stage : KDNET_STAGE_RUNNING;
    out.deadline = kdnet_session_deadline(&out.session);
    out.events = p->event_count;
    return out;
}

/* Gives it to the session, which must neither change nor answer at length. */
static void strike(struct puppet *p, const struct likeness *before, const uint8_t *payload, size_t length)
{
    unsigned sent = p->sent_count;
    assert_int_not_equal(puppet_give(p, payload, length), KDNET_OK);
    for (unsigned i = sent; i < p->sent_count && i < PUPPET_KEEP; ++i) {
        assert_true(p->sent[i].to_sender);
        assert_true(p->sent[i].length <= length);
    }
    assert_true(p->sent_count <= sent + 1);
    p->sent_count = sent; /* what is kept is for the next one */
    struct likeness now = look(p);
    assert_memory_equal(&now, before, sizeof now);
}

static void garbage_changes_nothing(void **state)
{
    struct test_random random;
    uint8_t payload[2048];
    (void)state;
    test_random_init(&random);
    for (int stance = NEW; stance < STANCES; ++stance) {
        struct puppet *p = stand((enum stance)stance);
        struct likeness before = look(p);
        for (unsigned i = 0; i < 5000; ++i) {
            size_t length = test_random_below(&random, sizeof payload);
            test_random_fill(&random, payload, length);
            if (length >= 6 && i % 2 == 0) { /* with a header that is right */
                static const uint8_t magic[4] = {'M', 'D', 'B', 'G'};
                memcpy(payload, magic, sizeof magic);
                payload[4] = (uint8_t)(2 + i / 2 % 4);
                payload[5] = i / 8 % 2;
            }
            strike(p, &before, payload, length);
        }
        puppet_free(p);
    }
}

static void sizes_and_headers_at_the_edge_change_nothing(void **state)
{
    static uint8_t payload[65536] = "MDBG\5";
    (void)state;
    for (int stance = NEW; stance < STANCES; ++stance) {
        struct puppet *p = stand((enum stance)stance);
        struct likeness before = look(p);
        for (unsigned channel = 0; channel < 2; ++channel) {
            payload[5] = (uint8_t)channel;
            for (size_t length = 0; length < 200; ++length)
                strike(p, &before, payload, length);
            for (size_t length = KDNET_DATAGRAM_MAX - 40; length < KDNET_DATAGRAM_MAX + 40; ++length)
                strike(p, &before, payload, length);
            strike(p, &before, payload, 65507);
        }
        puppet_free(p);
    }
}

/* Each cut of something genuine and each copy with one bit flipped, of both channels. */
static void spoil(struct puppet *p, const struct likeness *before, const struct puppet_bytes *genuine)
{
    struct puppet_bytes copy = *genuine;
    for (size_t length = 0; length < genuine->length; ++length)
        strike(p, before, copy.payload, length);
    for (size_t i = 0; i < genuine->length; ++i)
        for (unsigned bit = 0; bit < 8; ++bit) {
            copy.payload[i] ^= (uint8_t)(1U << bit);
            strike(p, before, copy.payload, genuine->length);
            copy.payload[i] ^= (uint8_t)(1U << bit);
        }
    memset(copy.payload + copy.length, 0, 16);
    strike(p, before, copy.payload, copy.length + 16);
}

static void cut_and_flipped_datagrams_change_nothing(void **state)
{
    (void)state;
    for (int stance = CONNECTED; stance < STANCES; ++stance) {
        struct puppet *p = stand((enum stance)stance);
        struct kdnet_packet packet = {.control = true, .type = KDNET_PACKET_RESEND};
        struct puppet_bytes poke, data;
        p->random[0] += 1;
        p->control_sequence += 3;
        puppet_make_poke(p, &poke);
        puppet_make_packet(p, &packet, &data);
        struct likeness before = look(p);
        spoil(p, &before, &poke);
        spoil(p, &before, &data);
        assert_int_equal(puppet_give_bytes(p, &poke), KDNET_OK); /* whole, they are taken */
        assert_int_equal(puppet_give_bytes(p, &data), KDNET_OK);
        puppet_free(p);
    }
}

static void other_versions_of_a_genuine_datagram_change_nothing(void **state)
{
    struct puppet *p = stand(CONNECTED);
    struct puppet_bytes poke;
    (void)state;
    puppet_next_poke(p, &poke);
    struct likeness before = look(p);
    for (unsigned version = 0; version < 256; ++version)
        for (unsigned channel = 0; channel < 256; ++channel) {
            if (version == p->version && channel == KDNET_CHANNEL_CONTROL)
                continue;
            poke.payload[4] = (uint8_t)version;
            poke.payload[5] = (uint8_t)channel;
            strike(p, &before, poke.payload, poke.length);
        }
    puppet_free(p);
}

static void our_own_datagrams_sent_back_get_no_answer(void **state)
{
    (void)state;
    for (int stance = CONNECTED; stance < STANCES; ++stance) {
        struct puppet *p = stand((enum stance)stance);
        struct likeness before = look(p);
        for (unsigned i = 0; i < p->sent_count && i < PUPPET_KEEP; ++i) {
            struct puppet_bytes copy = p->sent[i];
            unsigned sent = p->sent_count;
            strike(p, &before, copy.payload, copy.length);
            assert_int_equal(p->sent_count, sent);
        }
        puppet_free(p);
    }
}

/* Somebody who has the key is not a stranger; but what he says may be nonsense. */
static void authentic_nonsense_on_the_control_channel_changes_nothing(void **state)
{
    struct test_random random;
    uint8_t body[KDNET_POKE_LENGTH + 64];
    (void)state;
    test_random_init(&random);
    struct puppet *p = stand(CONNECTED);
    struct likeness before = look(p);
    for (size_t length = 0; length < sizeof body; ++length) {
        struct puppet_bytes bytes;
        struct kdnet_datagram datagram = {.version = 5,
                                          .channel = KDNET_CHANNEL_CONTROL,
                                          .sequence = 1000 + length,
                                          .body = body,
                                          .body_length = length};
        test_random_fill(&random, body, sizeof body);
        body[0] = 2; /* no poke */
        puppet_seal(p, p->keys.control.bytes, &datagram, &bytes);
        strike(p, &before, bytes.payload, bytes.length);
    }
    puppet_free(p);
}

/* --- memory ------------------------------------------------------------------------------------------------------- */

static void an_idle_machine_costs_its_session_and_nothing_more(void **state)
{
    struct puppet *p = stand(CONNECTED);
    (void)state;
    assert_null(p->session->active);
    assert_null(p->session->offers);
    assert_null(p->session->kernel_info);
    assert_true(sizeof *p->session <= 640);
    puppet_print(p, "hello\n");
    assert_null(p->session->active);
    puppet_wait(p, 60 * SECOND_US, true);
    assert_null(p->session->active);
    assert_null(p->session->offers);
    puppet_free(p);
}

static void after_a_break_the_talk_is_given_back(void **state)
{
    struct puppet *p = stand(CONNECTED);
    (void)state;
    puppet_break(p, 0xc0000005, ADDRESS);
    assert_int_equal(p->continue_count, 1);
    puppet_wait(p, SECOND_US, false);
    assert_null(p->session->active);
    assert_null(p->session->offers);
    assert_non_null(p->session->kernel_info); /* what does not change during one boot is asked once */
    puppet_free(p);
}

static void a_lost_machine_gives_its_memory_back(void **state)
{
    struct puppet *p = stand(CONNECTED);
    (void)state;
    puppet_wait(p, 3600 * SECOND_US, false);
    assert_int_equal(puppet_events(p, KDNET_EVENT_LOST), 1);
    assert_null(p->session->active);
    puppet_free(p);
}

static void many_boots_recorded_do_not_grow_the_session(void **state)
{
    struct puppet *p = stand(CONNECTED);
    struct puppet_bytes poke;
    (void)state;
    p->deaf = true;
    for (unsigned boot = 2; boot < 250; ++boot) {
        puppet_new_boot(p, (uint8_t)boot);
        puppet_next_poke(p, &poke);
        p->now_us += 1000;
        puppet_give_bytes(p, &poke);
        unsigned used = 0;
        for (size_t i = 0; i < p->session->offers->room; ++i)
            used += p->session->offers->offer[i].used ? 1 : 0;
        assert_in_range(used, 1, KDNET_OFFERS);
        assert_in_range(p->session->offers->room, used, KDNET_OFFERS);
        assert_null(p->session->active);
    }
    puppet_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(garbage_changes_nothing),
        cmocka_unit_test(sizes_and_headers_at_the_edge_change_nothing),
        cmocka_unit_test(cut_and_flipped_datagrams_change_nothing),
        cmocka_unit_test(other_versions_of_a_genuine_datagram_change_nothing),
        cmocka_unit_test(our_own_datagrams_sent_back_get_no_answer),
        cmocka_unit_test(authentic_nonsense_on_the_control_channel_changes_nothing),
        cmocka_unit_test(an_idle_machine_costs_its_session_and_nothing_more),
        cmocka_unit_test(after_a_break_the_talk_is_given_back),
        cmocka_unit_test(a_lost_machine_gives_its_memory_back),
        cmocka_unit_test(many_boots_recorded_do_not_grow_the_session),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
