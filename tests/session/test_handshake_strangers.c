/* SPDX-License-Identifier: Apache-2.0 */
/* Pokes and data of strangers: what a recording, noise, or a response that arrives twice cannot do. */
#include "tests/session/handshake_world.h"

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

/* How a machine that sent an ACK under another key pokes next. */
enum {
    AFTER_A_SECOND,
    AT_ONCE,
    OF_A_HOST_THAT_SAYS_SO,
    OF_A_HOST_THAT_IT_NAMES,
    AT_ANOTHER_HOST,
    WHERE_NOTHING_IS_SHOWN
};

static void poke_after_foreign_ack(struct puppet *p, unsigned how)
{
    const struct kdnet_packet ack = {.control = true, .type = KDNET_PACKET_ACK};
    struct kdnet_received received;
    struct puppet_bytes bytes;
    memset(p->data_key, 0x99, sizeof p->data_key);
    puppet_make_packet(p, &ack, &bytes);
    assert_int_equal(puppet_give_bytes(p, &bytes), KDNET_ERR_AUTH);
    puppet_wait(p, SECOND_US / 10, false); /* nobody says that it has the machine */
    if (how == OF_A_HOST_THAT_SAYS_SO)
        kdnet_session_kept(p->session, p->now_us);
    puppet_wait(p, how == AT_ONCE ? SECOND_US / 2 : 2 * SECOND_US, false);
    if (how == OF_A_HOST_THAT_IT_NAMES)
        p->connected.ip[15] = 9;
    puppet_next_poke(p, &bytes);
    if (how == AT_ANOTHER_HOST)
        (void)kdnet_session_receive_relayed(p->session, bytes.payload, bytes.length, p->now_us, &received);
    else
        (void)puppet_give_bytes(p, &bytes);
    puppet_drain(p);
}

/* It may wait under a key that nobody has any more, which only its poke can tell: where hosts share an address, that
 * names no other host. */
static void a_machine_that_waits_under_a_key_that_nobody_has_gets_a_new_one(void **state)
{
    (void)state;
    for (unsigned how = AFTER_A_SECOND; how <= WHERE_NOTHING_IS_SHOWN; ++how) {
        struct puppet *p = puppet_new();
        p->shared.rivals = true;
        p->shared.relays = how != WHERE_NOTHING_IS_SHOWN;
        puppet_connect(p);
        puppet_wait(p, 3 * SECOND_US, true);
        poke_after_foreign_ack(p, how);
        assert_int_equal(puppet_events(p, KDNET_EVENT_CONNECTED), how == AFTER_A_SECOND ? 2 : 1);
        puppet_free(p);
    }
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
    assert_null(p->session->strays);
    assert_true(sizeof *p->session <= 360);
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
        cmocka_unit_test(a_machine_that_waits_under_a_key_that_nobody_has_gets_a_new_one),
        cmocka_unit_test(a_recording_of_both_numberings_is_not_played_for_ever),
        cmocka_unit_test(noise_with_the_targets_address_does_not_make_handshake_after_handshake),
        cmocka_unit_test(a_connected_idle_machine_is_one_small_struct),
        cmocka_unit_test(a_session_in_memory_of_the_callers_is_one_like_any_other),
        cmocka_unit_test(a_restarted_session_knows_its_key_and_nothing_else),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
