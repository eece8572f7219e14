/* SPDX-License-Identifier: Apache-2.0 */
/* machine: how slow it is, and what a broken or hostile machine does. */
#include "kdnet/kernel/bugcheck.h"
#include "tests/kdnet-target/world.h"

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
