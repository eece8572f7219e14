/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/kdnet-target/tiny_host.h"

#include <stdio.h>

#include <cmocka.h>

#define KEY    "1.2.3.4"
#define SECOND ((uint64_t)1000000)

struct world {
    struct tiny_host host;
    struct machine *machine;
    const struct kdnet_machine_layout *layout;
};

static struct machine_config base_config(struct tiny_host *host, const char *scenario)
{
    struct machine_config config = {
        .crypto = host->crypto, .key = host->key, .scenario = scenario, .seed = 7, .version = host->version};
    config.host.ip[15] = 9;
    config.host.port = 50000;
    return config;
}

static void start(struct world *w, const char *scenario)
{
    tiny_init(&w->host, KEY, 5);
    struct machine_config config = base_config(&w->host, scenario);
    w->machine = machine_new(&config);
    assert_non_null(w->machine);
    w->layout = kdnet_machine_layout(KDNET_MACHINE_X64);
    tiny_wait(&w->host, w->machine, 0);
}

static void stop(struct world *w)
{
    machine_free(w->machine);
    tiny_clear(&w->host);
}

static struct machine_result result(struct world *w)
{
    struct machine_result out;
    machine_result(w->machine, w->host.now_us, &out);
    return out;
}

/* Takes the machine to its first state change. */
static struct kdnet_state_change first_halt(struct world *w)
{
    struct kdnet_state_change change;
    assert_true(machine_is_halted(w->machine));
    assert_int_equal(w->host.data.packet.type, KDNET_PACKET_STATE_CHANGE64);
    assert_int_equal(
        kdnet_state_change_decode(w->host.data.packet.payload, w->host.data.packet.payload_length, &change), KDNET_OK);
    return change;
}

/* Releases whatever comes until the script has ended. */
static void run_to_end(struct world *w)
{
    for (int i = 0; i < 200 && !machine_is_ended(w->machine, w->host.now_us); ++i) {
        if (machine_is_halted(w->machine))
            tiny_release(&w->host, w->machine, w->layout);
        else
            tiny_wait(&w->host, w->machine, SECOND / 10);
    }
    assert_true(machine_is_ended(w->machine, w->host.now_us));
}

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

/* How slow it is */

static void start_slow(struct world *w, const struct machine_config *wanted)
{
    tiny_init(&w->host, KEY, 5);
    struct machine_config config = base_config(&w->host, "exception");
    config.think = wanted->think;
    config.loss_percent = wanted->loss_percent;
    config.path_ms = wanted->path_ms;
    config.path_then_ms = wanted->path_then_ms;
    config.path_at_ms = wanted->path_at_ms;
    w->machine = machine_new(&config);
    w->layout = kdnet_machine_layout(KDNET_MACHINE_X64);
    tiny_wait(&w->host, w->machine, SECOND);
}

/* How long the machine takes over its next request, in ms. */
static unsigned time_of_a_request(struct world *w)
{
    struct kdnet_manipulate request = {.api = KDNET_API_GET_VERSION}, reply;
    unsigned ms = 0;
    if (tiny_ask(&w->host, w->machine, &request, &reply))
        return 0;
    for (; !w->host.fresh && ms < 10000; ++ms)
        tiny_wait(&w->host, w->machine, 1000);
    assert_int_equal(w->host.data.packet.type, KDNET_PACKET_MANIPULATE);
    return ms;
}

/* Fifteen requests; 600 ms are the most. NULL: any time. */
static void expect_times(struct machine_think think, const unsigned *expected)
{
    struct world w;
    think.ms = 600;
    start_slow(&w, &(struct machine_config){.think = think});
    for (unsigned i = 0; i < 15; ++i) {
        unsigned ms = time_of_a_request(&w);
        unsigned step = i < MACHINE_THINK_STEPS ? i : MACHINE_THINK_STEPS - 1;
        assert_in_range(ms, expected ? expected[step] : 0, expected ? expected[step] : 600);
    }
    assert_int_equal(result(&w).requests, 15);
    stop(&w);
}

static void machine_thinks_as_its_profile_says(void **state)
{
    (void)state;
    static const unsigned constant[MACHINE_THINK_STEPS] = {600, 600, 600, 600, 600, 600, 600, 600};
    static const unsigned never[MACHINE_THINK_STEPS] = {0};
    static const unsigned growing[MACHINE_THINK_STEPS] = {75, 150, 225, 300, 375, 450, 525, 600};
    static const unsigned shrinking[MACHINE_THINK_STEPS] = {525, 450, 375, 300, 225, 150, 75, 0};
    for (unsigned i = 0; i < 4; ++i) {
        struct machine_think think = {.late_ack = i % 2 == 1, .alert = i / 2 == 1};
        expect_times(think, constant);
        think.change = MACHINE_THINK_AT_CRASH;
        expect_times(think, never);
        think.change = MACHINE_THINK_GROWING;
        expect_times(think, growing);
        think.change = MACHINE_THINK_SHRINKING;
        expect_times(think, shrinking);
        think.change = MACHINE_THINK_RANDOM;
        expect_times(think, NULL);
    }
}

static void request_is_acknowledged_early_or_late(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 4; ++i) {
        bool late = i % 2 == 1, alert = i / 2 == 1;
        struct world w;
        struct kdnet_manipulate request = {.api = KDNET_API_GET_VERSION}, reply;
        start_slow(&w, &(struct machine_config){.think = {.ms = 600, .late_ack = late, .alert = alert}});
        w.host.control_count = 0;
        assert_false(tiny_ask(&w.host, w.machine, &request, &reply));
        assert_int_equal(w.host.control_count, late ? 0 : 1);
        w.host.next_id -= 2; /* once more, as after a timeout */
        assert_false(tiny_ask(&w.host, w.machine, &request, &reply));
        assert_int_equal(w.host.control_count, late ? 0 : alert ? 2 : 1);
        tiny_send(&w.host, w.machine, true, KDNET_PACKET_RESEND, 0, NULL, 0);
        tiny_pump(&w.host, w.machine);
        assert_int_equal(result(&w).resends, alert);
        tiny_wait(&w.host, w.machine, SECOND);
        assert_int_equal(result(&w).resends, 1);
        assert_int_equal(result(&w).requests, 1);
        assert_int_equal(w.host.controls[0].type, KDNET_PACKET_ACK);
        assert_int_equal(w.host.data.packet.type, KDNET_PACKET_MANIPULATE);
        stop(&w);
    }
}

static void path_delays_both_ways_and_changes(void **state)
{
    (void)state;
    struct world w;
    start_slow(&w, &(struct machine_config){.path_ms = 40, .path_then_ms = 400, .path_at_ms = 2000});
    assert_int_equal(time_of_a_request(&w), 40);
    tiny_wait(&w.host, w.machine, 2 * SECOND);
    assert_int_equal(time_of_a_request(&w), 400);
    stop(&w);
}

static void path_loses_each_way(void **state)
{
    (void)state;
    struct world w;
    struct kdnet_manipulate request = {.api = KDNET_API_GET_VERSION}, reply;
    unsigned answered = 0;
    start_slow(&w, &(struct machine_config){.loss_percent = 50});
    for (unsigned i = 0; i < 400; ++i) {
        answered += tiny_ask(&w.host, w.machine, &request, &reply);
        tiny_wait(&w.host, w.machine, SECOND);
        w.host.next_id = KDNET_PACKET_FIRST_ID;
        tiny_send(&w.host, w.machine, true, KDNET_PACKET_RESET, w.host.next_id, NULL, 0);
        tiny_pump(&w.host, w.machine);
    }
    assert_in_range(answered, 20, 200);
    stop(&w);
}

/* What a broken or hostile one does */

static void storms_are_as_long_as_they_are_told(void **state)
{
    (void)state;
    struct world w;
    tiny_init(&w.host, KEY, 5);
    struct machine_config config = base_config(&w.host, "print-storm");
    config.rate = 100;
    config.times = 20;
    w.machine = machine_new(&config);
    tiny_wait(&w.host, w.machine, SECOND / 10);
    assert_in_range(result(&w).prints, 10, 11);
    tiny_wait(&w.host, w.machine, SECOND);
    assert_int_equal(result(&w).prints, 20);
    assert_non_null(strstr(w.host.text, "0x000000d1\n"));
    assert_non_null(strstr(w.host.text, "0x000000e4\n"));
    assert_int_equal(result(&w).state, MACHINE_ENDED);
    stop(&w);
    tiny_init(&w.host, KEY, 5);
    config = base_config(&w.host, "resend-storm");
    config.rate = 1000;
    config.times = 50;
    w.machine = machine_new(&config);
    w.host.control_count = 0;
    tiny_wait(&w.host, w.machine, SECOND);
    assert_in_range(w.host.control_count, 49, 50); /* the first came before it stood still */
    assert_int_equal(w.host.controls[10].type, KDNET_PACKET_RESEND);
    stop(&w);
}

static uint32_t play_storm(const char *scenario, uint32_t (*count)(const struct machine_result *))
{
    struct world w;
    tiny_init(&w.host, KEY, 5);
    struct machine_config config = base_config(&w.host, scenario);
    config.rate = 1000;
    config.times = 20;
    w.layout = kdnet_machine_layout(KDNET_MACHINE_X64);
    w.machine = machine_new(&config);
    for (int round = 0; round < 100 && result(&w).state != MACHINE_ENDED; ++round) {
        tiny_wait(&w.host, w.machine, SECOND / 100);
        if (machine_is_halted(w.machine))
            tiny_release(&w.host, w.machine, w.layout);
    }
    struct machine_result r = result(&w);
    assert_int_equal(r.state, MACHINE_ENDED);
    stop(&w);
    return count(&r);
}

static uint32_t handshakes(const struct machine_result *r)
{
    return r->handshakes;
}

static uint32_t breaks(const struct machine_result *r)
{
    return r->breaks;
}

static void what_happens_again_and_again_ends(void **state)
{
    (void)state;
    assert_int_equal(play_storm("reboot-storm", handshakes), 21);
    assert_int_equal(play_storm("crash-storm", breaks), 20);
    assert_int_equal(play_storm("shutdown-storm", breaks), 20);
}

static void first_pokes_of_its_boots_are_kept_to_be_sent_again(void **state)
{
    (void)state;
    struct world w;
    size_t length;
    start(&w, "stale-pokes");
    assert_null(machine_recording(w.machine, 0, &length));
    tiny_wait(&w.host, w.machine, 5 * SECOND);
    assert_true(machine_is_halted(w.machine)); /* of its crash */
    for (unsigned i = 0; i < MACHINE_RECORDINGS; ++i) {
        assert_non_null(machine_recording(w.machine, i, &length));
        assert_int_equal(length, 374);
    }
    assert_null(machine_recording(w.machine, MACHINE_RECORDINGS, &length));
    stop(&w);
}

static void halted_time_is_counted(void **state)
{
    (void)state;
    struct world w;
    start(&w, "exception");
    tiny_wait(&w.host, w.machine, 2 * SECOND);
    assert_int_equal(result(&w).halted_us, 2 * SECOND);
    tiny_release(&w.host, w.machine, w.layout);
    tiny_wait(&w.host, w.machine, SECOND);
    assert_int_equal(result(&w).halted_us, 2 * SECOND);
    assert_int_equal(result(&w).state, MACHINE_ENDED);
    stop(&w);
}

static void every_scenario_ends_well_on_every_machine_under_a_good_host(void **state)
{
    (void)state;
    static const enum kdnet_machine machines[] = {KDNET_MACHINE_X64, KDNET_MACHINE_X86, KDNET_MACHINE_ARM64};
    for (size_t i = 0; machine_scenario_name(i); ++i)
        for (size_t k = 0; k < 3; ++k) {
            struct world w;
            struct machine_expectation expected;
            if (strcmp(machine_scenario_name(i), "deaf-break") == 0)
                continue; /* no host brings it to an end */
            tiny_init(&w.host, KEY, (uint8_t)(2 + k));
            struct machine_config config = base_config(&w.host, machine_scenario_name(i));
            config.machine = machines[k];
            config.status = 0xc000007f;
            config.times = strstr(config.scenario, "repeat") || strstr(config.scenario, "storm") ? 1 : 0;
            w.layout = kdnet_machine_layout(machines[k]);
            w.host.programs = strncmp(config.scenario, "user", 4) == 0;
            w.machine = machine_new(&config);
            assert_non_null(w.machine);
            tiny_wait(&w.host, w.machine, 0);
            machine_expectation(w.machine, &expected);
            for (int round = 0; round < 100 && !machine_is_ended(w.machine, w.host.now_us); ++round) {
                if (machine_is_halted(w.machine) && !(expected.second && result(&w).breaks == 2))
                    tiny_release(&w.host, w.machine, w.layout);
                else
                    tiny_wait(&w.host, w.machine, SECOND / 10);
            }
            struct machine_result r = result(&w);
            if (r.state != MACHINE_ENDED)
                fail_msg("%s on %s is not ended", r.scenario, w.layout->name);
            if (!expected.interrupted) /* this host asks too little for that */
                assert_int_equal(r.breaks, expected.breaks);
            assert_int_equal(machine_harm(&r), 0);
            assert_int_equal(r.traps_again + r.released_wrongly + r.retransmissions + r.host_wrong_ids + r.rejected, 0);
            stop(&w);
        }
}

static void crash_tells_its_text_then_the_status_changes_while_it_is_silent(void **state)
{
    (void)state;
    struct world w;
    struct machine_expectation expected;
    struct kdnet_bugcheck told;
    uint8_t bytes[4];
    start(&w, "bugcheck");
    machine_expectation(w.machine, &expected);
    assert_true(expected.crash && expected.shutdown && !expected.second);
    assert_non_null(strstr(w.host.text, "KDTARGET: Refreshing KD connection\n"));
    assert_true(kdnet_bugcheck_from_text(w.host.text, strlen(w.host.text), &told));
    assert_int_equal(told.code, 0xd1);
    assert_memory_equal(told.parameters, expected.bugcheck.parameters, sizeof told.parameters);
    assert_int_equal(result(&w).handshakes, 2);
    assert_int_equal(tiny_read(&w.host, w.machine, result(&w).kernel_base + MACHINE_RVA_DUMP_STATUS, bytes, 4), 4);
    assert_int_equal(kdnet_get_le32(bytes), 0xffffffff);

    stop(&w);
    start(&w, "bugcheck"); /* from the break again: tiny_release wants the state change last */
    tiny_release(&w.host, w.machine, w.layout);
    assert_int_equal(machine_deadline(w.machine), w.host.now_us + 300000);
    tiny_wait(&w.host, w.machine, 299999);
    assert_false(machine_is_halted(w.machine));
    tiny_wait(&w.host, w.machine, 1);
    struct kdnet_state_change change = first_halt(&w);
    assert_true(kdnet_state_change_is_shutdown(&change));
    assert_int_equal(tiny_read(&w.host, w.machine, result(&w).kernel_base + MACHINE_RVA_DUMP_STATUS, bytes, 4), 4);
    assert_int_equal(kdnet_get_le32(bytes), 0);
    stop(&w);
}

static void second_break_comes_again_when_continued_and_reboot_is_honoured(void **state)
{
    (void)state;
    struct world w;
    start(&w, "bugcheck-hold");
    tiny_release(&w.host, w.machine, w.layout);
    tiny_wait(&w.host, w.machine, SECOND);
    assert_true(machine_is_halted(w.machine));
    tiny_release(&w.host, w.machine, w.layout);
    assert_true(machine_is_halted(w.machine));
    assert_int_equal(result(&w).breaks, 3);
    struct kdnet_manipulate request = {.api = KDNET_API_REBOOT}, reply;
    assert_false(tiny_ask(&w.host, w.machine, &request, &reply));
    tiny_wait(&w.host, w.machine, SECOND);
    assert_int_equal(result(&w).boots, 2);
    assert_int_equal(result(&w).handshakes, 3);
    assert_int_equal(result(&w).state, MACHINE_ENDED);
    stop(&w);
}

static void prompt_is_asked_again_until_the_answer_is_known(void **state)
{
    (void)state;
    struct world w;
    uint8_t payload[32] = {0};
    start(&w, "prompt");
    assert_int_equal(w.host.data.packet.type, KDNET_PACKET_DEBUG_IO);
    kdnet_put_le32(payload, KDNET_DEBUG_IO_GET_STRING);
    kdnet_put_le32(payload + 12, 2);
    payload[16] = 'x';
    tiny_data(&w.host, w.machine, KDNET_PACKET_DEBUG_IO, payload, 18);
    assert_true(machine_is_halted(w.machine));
    tiny_release(&w.host, w.machine, w.layout);
    assert_false(machine_is_halted(w.machine));
    assert_string_equal(result(&w).answer, "i");
    stop(&w);
}

static void silent_while_it_reboots_and_new_random_after(void **state)
{
    (void)state;
    struct world w;
    start(&w, "bugcheck");
    uint8_t random = w.host.poke.random[1];
    uint64_t kernel_base = result(&w).kernel_base;
    run_to_end(&w);
    assert_int_not_equal(w.host.poke.random[1], random);
    assert_int_not_equal(result(&w).kernel_base, kernel_base);
    assert_int_equal(result(&w).boots, 2);
    stop(&w);
}

static void unknown_scenario_makes_no_machine(void **state)
{
    (void)state;
    struct tiny_host host;
    tiny_init(&host, KEY, 5);
    struct machine_config config = base_config(&host, "nonsense");
    assert_null(machine_new(&config));
    tiny_clear(&host);
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
        cmocka_unit_test(machine_thinks_as_its_profile_says),
        cmocka_unit_test(request_is_acknowledged_early_or_late),
        cmocka_unit_test(path_delays_both_ways_and_changes),
        cmocka_unit_test(path_loses_each_way),
        cmocka_unit_test(storms_are_as_long_as_they_are_told),
        cmocka_unit_test(first_pokes_of_its_boots_are_kept_to_be_sent_again),
        cmocka_unit_test(halted_time_is_counted),
        cmocka_unit_test(what_happens_again_and_again_ends),
        cmocka_unit_test(every_scenario_ends_well_on_every_machine_under_a_good_host),
        cmocka_unit_test(crash_tells_its_text_then_the_status_changes_while_it_is_silent),
        cmocka_unit_test(second_break_comes_again_when_continued_and_reboot_is_honoured),
        cmocka_unit_test(prompt_is_asked_again_until_the_answer_is_known),
        cmocka_unit_test(silent_while_it_reboots_and_new_random_after),
        cmocka_unit_test(unknown_scenario_makes_no_machine),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
