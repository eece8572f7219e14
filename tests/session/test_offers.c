/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A stranger without a key plays recorded pokes of one machine: of its earlier boots, of this one, of all, quickly or
 * slowly, near or far away. The machine has to be connected, and its crash to be released, after a few of its pokes.
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
#include "tests/support/part.h"

#define SECOND_US UINT64_C(1000000)
#define POKE_US   (3 * SECOND_US)
#define BOOTS_MAX 200
#define POKES     20 /* recorded of each boot */

static const struct kdnet_address nobody = {.ip = {[10] = 0xff, [11] = 0xff}};

struct attack {
    unsigned boots, per_second;
    uint64_t trip_us; /* of the machine's datagrams, there and back */
    bool this_boot;   /* the recordings are of the boot that the machine is in, too */
    bool ordered;     /* boot after boot; else a poke of each in turn */
};

struct recording {
    unsigned count, next;
    struct puppet_bytes poke[BOOTS_MAX * POKES];
};

static void new_boot(struct puppet *p, unsigned number)
{
    puppet_new_boot(p, (uint8_t)number);
    p->random[20] = (uint8_t)(number >> 8);
    p->random[21] = (uint8_t)(number * 37);
}

static void record(struct puppet *p, struct recording *recording, const struct attack *attack)
{
    recording->count = recording->next = 0;
    for (unsigned boot = 0; boot < attack->boots; ++boot) {
        new_boot(p, boot + 1);
        for (unsigned i = 0; i < POKES; ++i) {
            unsigned at = attack->ordered ? recording->count : i * attack->boots + boot;
            puppet_next_poke(p, &recording->poke[at]);
            ++recording->count;
        }
    }
    if (!attack->this_boot)
        new_boot(p, 1000);
}

/* What the stranger sends until then. The session's answers go to him. */
static void play_until(struct puppet *p, struct recording *recording, const struct attack *attack, uint64_t until_us)
{
    while (p->now_us < until_us) {
        uint64_t next_us = p->now_us + SECOND_US / attack->per_second;
        p->now_us = next_us < until_us ? next_us : until_us;
        if (next_us > until_us || recording->count == 0)
            continue;
        p->deaf = true;
        (void)puppet_give_bytes(p, &recording->poke[recording->next++ % recording->count]);
        p->deaf = false;
    }
}

/* The machine pokes, hears the answer half a round trip later, and is heard another half later. */
static bool poke_from_afar(struct puppet *p, struct recording *recording, const struct attack *attack)
{
    struct puppet_bytes poke, check;
    struct kdnet_outgoing out = {.length = 0};
    struct kdnet_received received;
    puppet_next_poke(p, &poke);
    (void)kdnet_session_receive(p->session, poke.payload, poke.length, p->now_us, &received);
    bool made = kdnet_session_next_datagram(p->session, p->now_us, &out);
    assert_int_equal(made, received.answered);
    play_until(p, recording, attack, p->now_us + attack->trip_us);
    if (!made)
        return false;
    struct puppet_bytes response = {.length = out.length, .to_sender = out.to_sender};
    memcpy(response.payload, out.payload, out.length);
    p->no_check = true;
    puppet_take(p, &response);
    p->no_check = false;
    puppet_make_check(p, &check);
    return puppet_give_bytes(p, &check) == KDNET_OK;
}

/* How many pokes it took. */
static unsigned connect_once(struct puppet *p, struct recording *recording, const struct attack *attack)
{
    unsigned before = puppet_events(p, KDNET_EVENT_CONNECTED);
    for (unsigned pokes = 1; pokes <= 20; ++pokes) {
        uint64_t next_us = p->now_us + POKE_US;
        if (poke_from_afar(p, recording, attack) && puppet_events(p, KDNET_EVENT_CONNECTED) > before)
            return pokes;
        play_until(p, recording, attack, next_us);
    }
    return 21;
}

static unsigned worst;

static void run(const struct attack *attack)
{
    struct puppet *p = puppet_new();
    static struct recording recording;
    record(p, &recording, attack);
    play_until(p, &recording, attack, p->now_us + 2 * SECOND_US + 12345); /* kdnetd has just started */
    unsigned first = connect_once(p, &recording, attack);
    play_until(p, &recording, attack, p->now_us + SECOND_US);
    p->connected = nobody; /* on its way into a crash it begins anew */
    unsigned crash = connect_once(p, &recording, attack);
    play_until(p, &recording, attack, p->now_us + SECOND_US);
    new_boot(p, 2000);
    unsigned reboot = connect_once(p, &recording, attack);
    unsigned most = first > reboot ? first : reboot;
    worst = most > worst ? most : worst;
    if (most > 2 || crash > 1)
        print_message("%u boots, %u a second, %u us%s%s: connected after %u pokes, in its crash %u, rebooted %u\n",
                      attack->boots, attack->per_second, (unsigned)attack->trip_us,
                      attack->this_boot ? ", this boot" : "", attack->ordered ? ", in order" : "", first, crash,
                      reboot);
    assert_int_equal(crash, 1); /* the run that has shown itself has places of its own */
    assert_in_range(most, 1, 2);
    puppet_free(p);
}

static void recordings_do_not_keep_a_machine_from_its_key(void **state)
{
    static const unsigned boots[] = {1, 8, 13, 15, 29, 60, 200}, rates[] = {1, 30, 300, 1000, 10000};
    static const unsigned trips[] = {100, 8000, 50000, 500000};
    (void)state;
    for (size_t b = 0; b < sizeof boots / sizeof boots[0]; ++b)
        for (size_t r = 0; r < sizeof rates / sizeof rates[0]; ++r)
            for (size_t t = 0; t < sizeof trips / sizeof trips[0]; t += TEST_ONE_IN(2U))
                /* With more boots than places, recordings of this very boot would use up its turns. */
                for (unsigned kind = boots[b] > KDNET_OFFERS_OTHERS ? 2 : 0; kind < 4; ++kind)
                    run(&(struct attack){.boots = boots[b],
                                         .per_second = rates[r],
                                         .trip_us = trips[t],
                                         .this_boot = kind < 2,
                                         .ordered = kind & 1});
    print_message("at most %u pokes\n", worst);
}

/* The places are bounded, and given back when the machine is connected and the stranger has gone. */
static void recordings_cost_bounded_memory(void **state)
{
    struct puppet *p = puppet_new();
    static struct recording recording;
    struct attack attack = {.boots = 200, .per_second = 1000, .trip_us = 1000};
    (void)state;
    record(p, &recording, &attack);
    play_until(p, &recording, &attack, p->now_us + 10 * SECOND_US);
    assert_int_equal(p->session->offers->room, KDNET_OFFERS);
    assert_in_range(connect_once(p, &recording, &attack), 1, 3);
    puppet_wait(p, 65 * SECOND_US, true);
    assert_null(p->session->offers);
    puppet_free(p);
}

/* A response that waits is not dropped by a recorded poke that comes behind it. */
static void a_stale_poke_drops_no_response(void **state)
{
    struct puppet *p = puppet_new();
    struct puppet_bytes old, poke;
    struct kdnet_received received;
    struct kdnet_outgoing out;
    (void)state;
    puppet_next_poke(p, &old);
    puppet_next_poke(p, &poke);
    assert_int_equal(kdnet_session_receive(p->session, poke.payload, poke.length, p->now_us, &received), KDNET_OK);
    assert_true(received.answered);
    assert_int_equal(kdnet_session_receive(p->session, old.payload, old.length, p->now_us, &received), KDNET_OK);
    assert_false(received.answered);
    assert_true(kdnet_session_next_control(p->session, &out));
    assert_int_equal(out.length, 358);
    assert_false(kdnet_session_next_control(p->session, &out));
    puppet_free(p);
}

/* Where a machine is, is said by its own new pokes; a recording says at most that data may come from its sender. */
static void a_recording_is_told_from_the_machine(void **state)
{
    struct puppet *p = puppet_new();
    struct puppet_bytes old_boot, old, poke;
    struct kdnet_received received;
    (void)state;
    puppet_new_boot(p, 99);
    puppet_next_poke(p, &old_boot);
    puppet_new_boot(p, 1);
    puppet_next_poke(p, &old);
    puppet_connect(p);
    puppet_wait(p, POKE_US, false);
    p->deaf = true;
    puppet_next_poke(p, &poke);
    (void)kdnet_session_receive(p->session, poke.payload, poke.length, p->now_us, &received);
    assert_true(received.fresh && !received.answered);
    (void)kdnet_session_receive(p->session, poke.payload, poke.length, p->now_us, &received);
    assert_true(received.poke && !received.fresh && !received.answered);
    (void)kdnet_session_receive(p->session, old.payload, old.length, p->now_us, &received);
    assert_true(received.poke && !received.fresh && !received.answered);
    (void)kdnet_session_receive(p->session, old_boot.payload, old_boot.length, p->now_us, &received);
    assert_true(received.poke && !received.fresh && received.answered);
    (void)kdnet_session_receive(p->session, old_boot.payload, old_boot.length, p->now_us, &received);
    assert_true(received.poke && !received.fresh && received.answered); /* the same again */
    puppet_free(p);
}

/* --- a response that arrives a third time ------------------------------------------------------------------------- */

/* The machine starts its numbers anew again: it is not followed, but gets another key at once. */
static void numbers_that_start_anew_twice_bring_a_new_key(void **state)
{
    struct puppet *p = puppet_new();
    (void)state;
    p->heeds_solicits = true;
    puppet_connect(p);
    for (unsigned round = 0; round < 4; ++round) {
        char text[16] = "line 0 0\n";
        for (int i = 0; i < 6; ++i) {
            text[5] = (char)('0' + round);
            text[7] = (char)('0' + i);
            (void)puppet_print(p, text);
        }
        p->now_us += SECOND_US / 10;
        p->data_sequence = 0;
    }
    unsigned packets = p->packet_count;
    assert_in_range(puppet_events(p, KDNET_EVENT_CONNECTED), 2, 3);
    (void)puppet_print(p, "it says so again, when it gets no ACK\n");
    assert_int_equal(puppet_print(p, "it says so again, when it gets no ACK\n"), KDNET_OK);
    assert_true(p->packet_count > packets);
    puppet_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(recordings_do_not_keep_a_machine_from_its_key),
        cmocka_unit_test(recordings_cost_bounded_memory),
        cmocka_unit_test(a_stale_poke_drops_no_response),
        cmocka_unit_test(a_recording_is_told_from_the_machine),
        cmocka_unit_test(numbers_that_start_anew_twice_bring_a_new_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
