/* SPDX-License-Identifier: Apache-2.0 */
/* A machine whose break has to wait (breaks_wait): what is taken from it all the same, and what is told in the end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/session/puppet.h"

#define ADDRESS  0xfffff80012345678U
#define FAULT    0xc0000005U
#define SECOND   UINT64_C(1000000)
#define ROUND_US 1000U

/* The last datagram's, kept for the test: puppet_give keeps it to itself. */
static struct kdnet_received say_packet(struct puppet *p, uint16_t type, uint32_t id, const uint8_t *payload,
                                        size_t length)
{
    struct puppet_bytes bytes;
    struct kdnet_received received;
    struct kdnet_packet packet = {.type = type, .id = id, .payload = payload, .payload_length = length};
    puppet_make_packet(p, &packet, &bytes);
    (void)kdnet_session_receive(p->session, bytes.payload, bytes.length, p->now_us, &received);
    puppet_drain(p);
    return received;
}

/* Says the same break once more, as a machine does that gets no ACK. */
static void break_again(struct puppet *p, uint32_t code, uint64_t address)
{
    p->next_id -= KDNET_PACKET_ID_STEP;
    (void)puppet_break(p, code, address);
}

static unsigned packets(const struct puppet *p, bool control, uint16_t type)
{
    unsigned count = 0;
    for (unsigned i = 0; i < p->packet_count && i < PUPPET_KEEP; ++i)
        count += p->packet[i].control == control && p->packet[i].type == type;
    return count;
}

static bool answers_all(struct puppet *p, struct kdnet_manipulate *reply, uint8_t *data)
{
    (void)p;
    (void)data;
    if (!puppet_version(reply))
        reply->return_status = KDNET_STATUS_UNSUCCESSFUL;
    return true;
}

static struct puppet *connected(void)
{
    struct puppet *p = puppet_new();
    p->answer = answers_all;
    puppet_connect(p);
    p->shared.breaks_wait = true;
    p->packet_count = 0;
    return p;
}

static void a_break_that_waits_gets_no_ack_and_is_not_read(void **state)
{
    (void)state;
    struct puppet *p = connected();
    (void)puppet_break(p, FAULT, ADDRESS);
    for (int i = 0; i < 3; ++i) {
        break_again(p, FAULT, ADDRESS);
        assert_int_equal(p->packet_count, 0);
        assert_false(kdnet_session_is_halted(p->session));
        assert_true(kdnet_session_is_waiting(p->session));
    }
    p->shared.breaks_wait = false;
    break_again(p, FAULT, ADDRESS);
    assert_true(packets(p, true, KDNET_PACKET_ACK) > 0);
    assert_int_equal(p->continue_count, 1);
    assert_false(kdnet_session_is_waiting(p->session));
    assert_int_equal(puppet_events(p, KDNET_EVENT_CRASH_STATUS), 1);
    puppet_free(p);
}

static void a_print_is_acknowledged_while_breaks_wait(void **state)
{
    (void)state;
    struct puppet *p = connected();
    (void)puppet_print(p, "\n*** Fatal System Error: 0x000000d1\n                       "
                          "(0x0000000000000001,0x0000000000000002,0x0000000000000000,0xFFFFF80000000004)\n\n");
    assert_int_equal(packets(p, true, KDNET_PACKET_ACK), 1);
    assert_int_equal(puppet_events(p, KDNET_EVENT_BUGCHECK), 1);
    unsigned sent = p->packet_count;
    (void)puppet_break(p, KDNET_EXCEPTION_BREAKPOINT, ADDRESS);
    assert_int_equal(p->packet_count, sent);
    puppet_free(p);
}

static void a_question_is_answered_while_breaks_wait(void **state)
{
    (void)state;
    struct puppet *p = connected();
    uint8_t payload[64];
    size_t length;
    struct kdnet_debug_io io = {.api = KDNET_DEBUG_IO_GET_STRING, .text = "(boi)", .text_length = 5, .length = 5};
    io.read_length = 2;
    assert_int_equal(kdnet_debug_io_encode(&io, payload, sizeof payload, &length), KDNET_OK);
    (void)puppet_data(p, KDNET_PACKET_DEBUG_IO, payload, length);
    assert_int_equal(packets(p, false, KDNET_PACKET_DEBUG_IO), 1);
    puppet_free(p);
}

/* Whatever was deferred, and however often it said its break meanwhile. */
static void halted_time_counts_from_the_first_datagram_of_the_stop(void **state)
{
    (void)state;
    struct puppet *p = connected();
    (void)puppet_break(p, FAULT, ADDRESS);
    for (int i = 0; i < 4; ++i) {
        puppet_wait(p, 5 * SECOND, true);
        break_again(p, FAULT, ADDRESS);
    }
    p->shared.breaks_wait = false;
    p->packet_count = 0;
    kdnet_session_admit(p->session, p->now_us);
    puppet_drain(p);
    assert_int_equal(packets(p, true, KDNET_PACKET_RESEND), 1);
    p->now_us += ROUND_US;
    break_again(p, FAULT, ADDRESS);
    const struct kdnet_event *event = puppet_event(p, KDNET_EVENT_RELEASED, 0);
    assert_non_null(event);
    assert_int_equal(event->u.released.halted_us, 20 * SECOND + ROUND_US);
    event = puppet_event(p, KDNET_EVENT_CRASH_STATUS, 0);
    assert_int_equal(event->u.crash_status.read_us, 20 * SECOND + ROUND_US);
    puppet_free(p);
}

/* The read deadline counts from when it is taken: it is read as well as any other. */
static void the_read_deadline_counts_from_its_turn(void **state)
{
    (void)state;
    struct puppet *p = connected();
    p->replies = false;
    (void)puppet_break(p, FAULT, ADDRESS);
    puppet_wait(p, 10 * SECOND, true);
    p->shared.breaks_wait = false;
    break_again(p, FAULT, ADDRESS);
    assert_true(kdnet_session_is_halted(p->session));
    assert_int_equal(puppet_events(p, KDNET_EVENT_CRASH_STATUS), 0);
    puppet_free(p);
}

/* The first break is over without us: what it took does not count for the second. */
static void another_break_has_its_own_time(void **state)
{
    (void)state;
    struct puppet *p = connected();
    (void)puppet_break(p, FAULT, ADDRESS);
    puppet_wait(p, 5 * SECOND, true);
    (void)puppet_print(p, "it runs\n");
    p->shared.breaks_wait = false;
    (void)puppet_break(p, FAULT, ADDRESS);
    assert_int_equal(puppet_event(p, KDNET_EVENT_RELEASED, 0)->u.released.halted_us, 0);
    p->shared.breaks_wait = true;
    (void)puppet_break(p, FAULT, ADDRESS + 1);
    puppet_wait(p, 5 * SECOND, true);
    p->shared.breaks_wait = false;
    (void)puppet_break(p, FAULT, ADDRESS + 2); /* another place */
    assert_int_equal(puppet_event(p, KDNET_EVENT_RELEASED, 1)->u.released.halted_us, 0);
    puppet_free(p);
}

/* Its ACK was lost, and it has been continued: it must hear that ACK, whoever waits. */
static void the_last_break_again_is_acknowledged_again(void **state)
{
    (void)state;
    struct puppet *p = connected();
    p->shared.breaks_wait = false;
    (void)puppet_break(p, FAULT, ADDRESS);
    assert_int_equal(p->continue_count, 1);
    p->shared.breaks_wait = true;
    (void)puppet_print(p, "it runs\n");
    unsigned acks = packets(p, true, KDNET_PACKET_ACK);
    p->next_id -= KDNET_PACKET_ID_STEP;
    (void)puppet_print(p, "it runs\n");
    assert_int_equal(packets(p, true, KDNET_PACKET_ACK), acks + 1);
    puppet_free(p);
}

/* One lost RESEND must not leave it halted: it is asked again. */
static void a_machine_that_was_recalled_in_vain_is_asked_again(void **state)
{
    (void)state;
    struct puppet *p = connected();
    (void)puppet_break(p, FAULT, ADDRESS);
    p->shared.breaks_wait = false;
    kdnet_session_admit(p->session, p->now_us);
    puppet_drain(p);
    puppet_wait(p, 60 * SECOND, true);
    unsigned asked = packets(p, true, KDNET_PACKET_RESEND);
    assert_in_range(asked, 3, 10);
    break_again(p, FAULT, ADDRESS);
    puppet_wait(p, SECOND, true);
    assert_int_equal(p->continue_count, 1);
    puppet_free(p);
}

static void what_comes_says_whether_the_machine_hears_us(void **state)
{
    (void)state;
    struct puppet *p = connected();
    static const uint8_t junk[4] = {1, 2, 3, 4};
    uint32_t id = p->next_id;
    struct kdnet_received received = say_packet(p, KDNET_PACKET_DEBUG_IO, id, junk, sizeof junk);
    assert_true(received.said && !received.hears && !received.waits);
    received = say_packet(p, KDNET_PACKET_DEBUG_IO, id, junk, sizeof junk); /* again: it has not heard the ACK */
    assert_true(!received.said && !received.hears && !received.waits);
    received = say_packet(p, KDNET_PACKET_STATE_CHANGE64, id ^ 1U, junk, sizeof junk);
    assert_true(!received.said && !received.hears && received.waits);
    received = say_packet(p, KDNET_PACKET_MANIPULATE, id, junk, sizeof junk);
    assert_true(!received.said && received.hears && !received.waits);
    puppet_free(p);
}

static void a_machine_that_falls_silent_while_it_waits_is_lost_halted(void **state)
{
    (void)state;
    struct puppet *p = connected();
    (void)puppet_break(p, FAULT, ADDRESS);
    puppet_wait(p, 40 * SECOND, false);
    const struct kdnet_event *event = puppet_event(p, KDNET_EVENT_LOST, 0);
    assert_non_null(event);
    assert_true(event->u.lost.halted);
    puppet_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_break_that_waits_gets_no_ack_and_is_not_read),
        cmocka_unit_test(a_print_is_acknowledged_while_breaks_wait),
        cmocka_unit_test(a_question_is_answered_while_breaks_wait),
        cmocka_unit_test(halted_time_counts_from_the_first_datagram_of_the_stop),
        cmocka_unit_test(the_read_deadline_counts_from_its_turn),
        cmocka_unit_test(another_break_has_its_own_time),
        cmocka_unit_test(the_last_break_again_is_acknowledged_again),
        cmocka_unit_test(a_machine_that_was_recalled_in_vain_is_asked_again),
        cmocka_unit_test(what_comes_says_whether_the_machine_hears_us),
        cmocka_unit_test(a_machine_that_falls_silent_while_it_waits_is_lost_halted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
