/* SPDX-License-Identifier: Apache-2.0 */
/* machine: the simulated machine's handshake, its link and its halts, against a tiny host. */
#include "tests/kdnet-target/world.h"

/* Handshake */

static void pokes_every_three_seconds_with_advancing_random_and_sequence(void **state)
{
    (void)state;
    struct world w;
    start(&w, "idle");
    uint8_t random = w.host.poke.random[0];
    uint64_t sequence = w.host.poke_sequence;
    assert_int_equal(w.host.pokes, 1);
    assert_int_equal(w.host.checks, 1);
    tiny_wait(&w.host, w.machine, 3 * SECOND);
    assert_int_equal(w.host.pokes, 2);
    assert_int_equal(w.host.poke.random[0], (uint8_t)(random + 1));
    assert_int_equal(w.host.poke_sequence, sequence + 3);
    assert_int_equal(w.host.poke.connected.port, 50000);
    stop(&w);
}

static void response_to_an_old_poke_is_refused(void **state)
{
    (void)state;
    struct world w;
    tiny_init(&w.host, KEY, 5);
    w.host.no_response = true;
    struct machine_config config = base_config(&w.host, "idle");
    w.machine = machine_new(&config);
    tiny_wait(&w.host, w.machine, 0);
    struct kdnet_poke old = w.host.poke;
    uint64_t sequence = w.host.poke_sequence;
    tiny_wait(&w.host, w.machine, 6 * SECOND); /* two more */
    w.host.poke = old;
    w.host.poke_sequence = sequence;
    tiny_respond(&w.host, w.machine);
    assert_int_equal(result(&w).handshakes, 0);
    assert_int_equal(result(&w).rejected, 1);
    stop(&w);
}

static void empty_control_datagram_brings_a_poke_at_once(void **state)
{
    (void)state;
    struct world w;
    start(&w, "idle");
    tiny_send_raw(&w.host, w.machine, KDNET_CHANNEL_CONTROL, 1, NULL, 0);
    tiny_pump(&w.host, w.machine);
    assert_int_equal(w.host.pokes, 2);
    stop(&w);
}

static void connected_machine_takes_a_new_key_from_a_restarted_host(void **state)
{
    (void)state;
    struct world w;
    start(&w, "idle");
    tiny_respond(&w.host, w.machine);
    tiny_pump(&w.host, w.machine);
    assert_int_equal(result(&w).handshakes, 2);
    assert_int_equal(w.host.checks, 2);
    stop(&w);
}

static void other_versions_and_foreign_keys_are_rejected(void **state)
{
    (void)state;
    struct world w;
    start(&w, "idle");
    w.host.version = 4;
    tiny_send_raw(&w.host, w.machine, KDNET_CHANNEL_CONTROL, 1, NULL, 0);
    w.host.version = 5;
    w.host.keys.control.bytes[0] ^= 1;
    tiny_send_raw(&w.host, w.machine, KDNET_CHANNEL_CONTROL, 1, NULL, 0);
    assert_int_equal(result(&w).rejected, 2);
    stop(&w);
}

static void data_that_does_not_advance_is_dropped(void **state)
{
    (void)state;
    struct world w;
    start(&w, "int3");
    w.host.sequence -= 1;
    tiny_send(&w.host, w.machine, true, KDNET_PACKET_RESEND, 0, NULL, 0);
    assert_int_equal(result(&w).stale, 1);
    assert_int_equal(result(&w).resends, 0);
    stop(&w);
}

/* Link */

static void unacknowledged_packet_comes_again_with_the_same_id_every_half_second(void **state)
{
    (void)state;
    struct world w;
    tiny_init(&w.host, KEY, 5);
    w.host.no_ack = true;
    struct machine_config config = base_config(&w.host, "int3");
    w.machine = machine_new(&config);
    tiny_wait(&w.host, w.machine, 0);
    assert_int_equal(w.host.data.packet.id, 0);
    tiny_wait(&w.host, w.machine, SECOND + 100);
    assert_int_equal(result(&w).retransmissions, 2);
    assert_int_equal(w.host.data.packet.id, 0);
    w.host.no_ack = false;
    tiny_wait(&w.host, w.machine, SECOND / 2);
    assert_int_equal(w.host.data.packet.id, 2);
    assert_true(machine_is_halted(w.machine));
    stop(&w);
}

static void resend_brings_the_state_change_of_a_halted_machine_again(void **state)
{
    (void)state;
    struct world w;
    start(&w, "exception");
    uint32_t id = w.host.data.packet.id;
    w.host.fresh = false;
    tiny_send(&w.host, w.machine, true, KDNET_PACKET_RESEND, 0, NULL, 0);
    tiny_pump(&w.host, w.machine);
    assert_true(w.host.fresh);
    assert_int_equal(w.host.data.packet.id, id + 2);
    assert_int_equal(first_halt(&w).exception.code, 0xc0000005);
    stop(&w);
}

static void wrong_id_is_acknowledged_and_ignored_until_a_reset(void **state)
{
    (void)state;
    struct world w;
    struct kdnet_manipulate request = {.api = KDNET_API_GET_VERSION}, reply;
    start(&w, "exception");
    w.host.next_id = KDNET_PACKET_FIRST_ID + 100;
    w.host.control_count = 0;
    assert_false(tiny_ask(&w.host, w.machine, &request, &reply));
    assert_int_equal(w.host.control_count, 1);
    assert_int_equal(w.host.controls[0].type, KDNET_PACKET_ACK);
    assert_int_equal(w.host.controls[0].id, KDNET_PACKET_FIRST_ID + 100);
    assert_int_equal(result(&w).host_wrong_ids, 1);

    w.host.control_count = 0;
    tiny_send(&w.host, w.machine, true, KDNET_PACKET_RESET, KDNET_PACKET_FIRST_ID + 200, NULL, 0);
    tiny_pump(&w.host, w.machine);
    assert_int_equal(w.host.controls[0].type, KDNET_PACKET_RESET);
    assert_int_equal(w.host.controls[0].id, w.host.data.packet.id);
    first_halt(&w);
    w.host.next_id = KDNET_PACKET_FIRST_ID + 200;
    assert_true(tiny_ask(&w.host, w.machine, &request, &reply));
    assert_int_equal(reply.return_status, 0);
    stop(&w);
}

static void repeated_request_is_acknowledged_and_not_done_again(void **state)
{
    (void)state;
    struct world w;
    struct kdnet_manipulate request = {.api = KDNET_API_GET_VERSION}, reply;
    start(&w, "exception");
    assert_true(tiny_ask(&w.host, w.machine, &request, &reply));
    w.host.control_count = 0;
    w.host.next_id -= 2;
    assert_false(tiny_ask(&w.host, w.machine, &request, &reply));
    assert_int_equal(w.host.control_count, 1);
    assert_int_equal(w.host.controls[0].type, KDNET_PACKET_ACK);
    assert_int_equal(result(&w).requests, 1);
    assert_int_equal(result(&w).host_repeats, 1);
    stop(&w);
}

static void repeated_continue_is_acknowledged_by_the_running_machine(void **state)
{
    (void)state;
    struct world w;
    start(&w, "exception");
    tiny_continue(&w.host, w.machine, KDNET_DBG_EXCEPTION_NOT_HANDLED);
    assert_false(machine_is_halted(w.machine));
    w.host.control_count = 0;
    w.host.next_id -= 2;
    tiny_continue(&w.host, w.machine, KDNET_DBG_EXCEPTION_NOT_HANDLED);
    assert_int_equal(w.host.control_count, 1);
    assert_int_equal(result(&w).continues, 1);
    stop(&w);
}

/* Capture, frame 198. */
static void data_instead_of_an_ack_is_answered_with_resend_and_taken_when_it_comes_again(void **state)
{
    (void)state;
    struct world w;
    struct kdnet_manipulate request = {.api = KDNET_API_GET_VERSION}, reply;
    start(&w, "exception");
    w.host.no_ack = true;
    assert_true(tiny_ask(&w.host, w.machine, &request, &reply));
    w.host.control_count = 0;
    assert_false(tiny_ask(&w.host, w.machine, &request, &reply));
    assert_int_equal(w.host.control_count, 1);
    assert_int_equal(w.host.controls[0].type, KDNET_PACKET_RESEND);
    w.host.next_id -= 2;
    w.host.no_ack = false;
    assert_true(tiny_ask(&w.host, w.machine, &request, &reply));
    stop(&w);
}

static void running_machine_ignores_requests_but_breaks_in_when_asked(void **state)
{
    (void)state;
    struct world w;
    struct kdnet_manipulate request = {.api = KDNET_API_GET_VERSION}, reply;
    const uint8_t break_in = KDNET_BREAK_IN_BYTE;
    start(&w, "idle");
    assert_false(tiny_ask(&w.host, w.machine, &request, &reply));
    assert_int_equal(w.host.control_count, 0);
    w.host.next_id -= 2;
    tiny_send_raw(&w.host, w.machine, KDNET_CHANNEL_DATA, ++w.host.sequence, &break_in, 1);
    tiny_pump(&w.host, w.machine);
    assert_int_equal(first_halt(&w).exception.code, KDNET_EXCEPTION_BREAKPOINT);
    tiny_release(&w.host, w.machine, w.layout);
    assert_false(machine_is_halted(w.machine));
    assert_int_equal(result(&w).released_wrongly, 0);
    stop(&w);
}

/* Halts */

static void breakpoint_traps_again_until_it_is_stepped_over(void **state)
{
    (void)state;
    struct world w;
    start(&w, "int3");
    struct kdnet_state_change change = first_halt(&w);
    assert_int_equal(change.report[24], 0xcc);
    tiny_continue(&w.host, w.machine, KDNET_DBG_CONTINUE);
    assert_true(machine_is_halted(w.machine));
    assert_int_equal(result(&w).traps_again, 1);
    tiny_release(&w.host, w.machine, w.layout);
    assert_false(machine_is_halted(w.machine));
    assert_int_equal(result(&w).breaks, 2);
    stop(&w);
}

static void access_violation_wants_not_handled(void **state)
{
    (void)state;
    struct world w;
    start(&w, "exception");
    tiny_continue(&w.host, w.machine, KDNET_DBG_CONTINUE);
    assert_true(machine_is_halted(w.machine));
    assert_int_equal(result(&w).released_wrongly, 1);
    tiny_continue(&w.host, w.machine, KDNET_DBG_EXCEPTION_NOT_HANDLED);
    assert_false(machine_is_halted(w.machine));
    stop(&w);
}

/* What a single step, or a breakpoint in Dr0, that a former debugger left wants. */
static void leftovers_come_again_until_they_are_cleared(void **state)
{
    (void)state;
    struct world w;
    start(&w, "single-step");
    tiny_continue2(&w.host, w.machine, w.layout, KDNET_DBG_EXCEPTION_NOT_HANDLED, 0);
    assert_int_equal(result(&w).released_wrongly, 1);
    tiny_continue(&w.host, w.machine, KDNET_DBG_EXCEPTION_HANDLED); /* without a control set nothing is cleared */
    assert_int_equal(result(&w).traps_again, 1);
    tiny_continue2(&w.host, w.machine, w.layout, KDNET_DBG_EXCEPTION_HANDLED, 0);
    assert_int_equal(result(&w).prints, 1); /* it went on, to the second step of the script */
    assert_int_equal(result(&w).breaks, 4);
    tiny_continue2(&w.host, w.machine, w.layout, KDNET_DBG_EXCEPTION_HANDLED, 0);
    assert_false(machine_is_halted(w.machine));
    stop(&w);
    start(&w, "hardware-breakpoint");
    tiny_continue2(&w.host, w.machine, w.layout, KDNET_DBG_EXCEPTION_HANDLED, 0x401);
    assert_int_equal(result(&w).wrong_dr7, 1);
    assert_int_equal(result(&w).traps_again, 1);
    tiny_continue2(&w.host, w.machine, w.layout, KDNET_DBG_EXCEPTION_HANDLED, 0x400);
    assert_false(machine_is_halted(w.machine));
    stop(&w);
}

static void exceptions_of_programs_want_not_handled(void **state)
{
    (void)state;
    static const char *const scenarios[] = {"user-int3", "user-step", "user-exception"};
    for (size_t i = 0; i < 3; ++i) {
        struct world w;
        start(&w, scenarios[i]);
        uint64_t pc = first_halt(&w).program_counter;
        assert_true(kdnet_machine_is_user_address(KDNET_MACHINE_X64, pc));
        tiny_continue2(&w.host, w.machine, w.layout, KDNET_DBG_EXCEPTION_HANDLED, 0x400);
        assert_int_equal(result(&w).released_wrongly, 1);
        tiny_continue2(&w.host, w.machine, w.layout, KDNET_DBG_EXCEPTION_NOT_HANDLED, 0x400);
        assert_false(machine_is_halted(w.machine));
        assert_int_equal(result(&w).released_wrongly, 1);
        stop(&w);
    }
}

static void ask_with_data(struct world *w, uint32_t api, const uint8_t *data, size_t length)
{
    struct kdnet_manipulate request = {.api = api, .data = data, .data_length = length}, reply;
    tiny_ask(&w->host, w->machine, &request, &reply);
}

static void whatever_harms_is_counted(void **state)
{
    (void)state;
    struct world w;
    struct kdnet_manipulate request = {.api = KDNET_API_GET_CONTEXT}, reply;
    uint8_t context[KDNET_CONTEXT_MAX];
    start(&w, "exception");
    assert_true(tiny_ask(&w.host, w.machine, &request, &reply));
    memcpy(context, reply.data, w.layout->context_size);
    ask_with_data(&w, KDNET_API_SET_CONTEXT, context, w.layout->context_size);
    assert_int_equal(result(&w).contexts_changed, 0);
    context[300] ^= 1;
    ask_with_data(&w, KDNET_API_SET_CONTEXT, context, w.layout->context_size);
    assert_int_equal(result(&w).contexts_changed, 1);
    static const uint32_t writes[] = {KDNET_API_WRITE_VIRTUAL_MEMORY, KDNET_API_WRITE_BREAK_POINT, KDNET_API_WRITE_MSR,
                                      KDNET_API_WRITE_PHYSICAL_MEMORY, KDNET_API_CAUSE_BUG_CHECK};
    for (size_t i = 0; i < sizeof writes / sizeof writes[0]; ++i)
        ask_with_data(&w, writes[i], context, 4);
    assert_int_equal(result(&w).writes, sizeof writes / sizeof writes[0]);
    kdnet_manipulate_continue(&request, KDNET_MACHINE_X64, KDNET_DBG_EXCEPTION_NOT_HANDLED, 0x401);
    request.raw[20] = 1; /* TraceFlag */
    tiny_ask(&w.host, w.machine, &request, &reply);
    struct machine_result r = result(&w);
    assert_int_equal(r.trace_flags, 1);
    assert_int_equal(r.wrong_dr7, 1);
    assert_int_equal(machine_harm(&r), 1 + 5 + 1 + 1);
    w.host.random = 0xff; /* the next one is of zeros */
    tiny_respond(&w.host, w.machine);
    assert_int_equal(result(&w).zero_randoms, 1);
    stop(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pokes_every_three_seconds_with_advancing_random_and_sequence),
        cmocka_unit_test(response_to_an_old_poke_is_refused),
        cmocka_unit_test(empty_control_datagram_brings_a_poke_at_once),
        cmocka_unit_test(connected_machine_takes_a_new_key_from_a_restarted_host),
        cmocka_unit_test(other_versions_and_foreign_keys_are_rejected),
        cmocka_unit_test(data_that_does_not_advance_is_dropped),
        cmocka_unit_test(unacknowledged_packet_comes_again_with_the_same_id_every_half_second),
        cmocka_unit_test(resend_brings_the_state_change_of_a_halted_machine_again),
        cmocka_unit_test(wrong_id_is_acknowledged_and_ignored_until_a_reset),
        cmocka_unit_test(repeated_request_is_acknowledged_and_not_done_again),
        cmocka_unit_test(repeated_continue_is_acknowledged_by_the_running_machine),
        cmocka_unit_test(data_instead_of_an_ack_is_answered_with_resend_and_taken_when_it_comes_again),
        cmocka_unit_test(running_machine_ignores_requests_but_breaks_in_when_asked),
        cmocka_unit_test(breakpoint_traps_again_until_it_is_stepped_over),
        cmocka_unit_test(access_violation_wants_not_handled),
        cmocka_unit_test(leftovers_come_again_until_they_are_cleared),
        cmocka_unit_test(exceptions_of_programs_want_not_handled),
        cmocka_unit_test(whatever_harms_is_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
