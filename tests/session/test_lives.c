/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rarer lives of a machine (PROTOCOL.md section 9): crashes that nobody waited for, in other debuggers than
 * Windows's, inside each other, while a session is made.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "kdnet/kernel/crash.h"
#include "kdnet/kernel/layout_cache.h"
#include "kdnet/base/wire.h"
#include "service/kdnet-target/machine_internal.h"
#include "tests/session/net.h"
#include "tests/session/rare_lives.h"

/* @m: machine. Without the status' address in a loader or hypervisor: that is no Windows kernel. */
#define READ(phase) "kernel nt @m lab pdb; crash_status " phase " not_started ffffffff from rva; released continue"

static const struct {
    const char *scenario;
    bool no_reboot;
    const char *story;
} rows[] = {
    {"e2", false,
     "connected v5; break_in shutdown; bugcheck memory; kernel nt @m lab pdb; crash_status shutdown failed c000007f "
     "from "
     "rva; released continue; connected v5 rebooted"},
    {"e2", true,
     "connected v5; break_in bugcheck_second 80000003; bugcheck memory; kernel nt @m lab pdb; crash_status "
     "bugcheck_second failed c000007f from rva; released hold"},
    {"unattended", false, "connected v5"}, /* it has rebooted before anybody could ask */
    {"unattended", true,
     "connected v5; break_in bugcheck_second 80000003; bugcheck memory; kernel nt @m lab pdb; crash_status "
     "bugcheck_second failed c000007f from rva; released hold"},
    {"double-crash", false,
     "connected v5; connected v5; bugcheck print; break_in bugcheck_first 80000003; " READ(
         "bugcheck_first") "; break_in "
                           "bugcheck_second 80000003; crash_status bugcheck_second not_started ffffffff from rva "
                           "since; released hold"},
    {"loader-crash", false,
     "connected v5; break_in boot 80000003; kernel boot @m; crash_status boot unknown no_kernel; released continue; "
     "break_in boot c0000005; crash_status boot unknown no_kernel; released continue; connected v5 rebooted"},
    {"hypervisor", false,
     "connected v5; break_in break 80000003; kernel hypervisor @m; crash_status break unknown no_kernel; released "
     "continue; break_in break c0000005; crash_status break unknown no_kernel; released continue"},
    {"processors", false,
     "connected v5; break_in break 80000003; " READ(
         "break") "; break_in break 80000003; crash_status break not_started "
                  "ffffffff from rva; released continue; break_in break 80000003; crash_status break not_started "
                  "ffffffff from rva; "
                  "released continue; break_in break 80000003; crash_status break not_started ffffffff from rva; "
                  "released continue"},
    /* the outer break is read again when the inner one is over */
    {"nested", false,
     "connected v5; break_in break 80000003; kernel nt @m; crash_status break unknown lost; break_in break c000001d; "
     "crash_status break not_started ffffffff from rva; released continue; break_in break 80000003; crash_status break "
     "not_started ffffffff from rva; released continue"},
    {"reset", false,
     "connected v5; break_in break 80000003; kernel nt @m; crash_status break unknown lost; connected v5 rebooted"},
    {"command", false, "connected v5; break_in break; " READ("break")},
    {"elsewhere", false, "connected v5"},
};

/* Writes a story with its machine filled in. */
static void fill(const char *story, const char *machine, char out[static NET_STORY_SIZE])
{
    size_t length = 0;
    for (; *story != '\0'; ++story) {
        bool mark = story[0] == '@' && story[1] == 'm';
        size_t n = mark ? strlen(machine) : 1;
        assert_true(length + n < NET_STORY_SIZE);
        memcpy(out + length, mark ? machine : story, n);
        length += n;
        story += mark ? 1 : 0;
    }
    out[length] = '\0';
}

static void each_life_gives_exactly_its_events(void **state)
{
    (void)state;
    for (size_t row = 0; row < COUNT(rows); ++row)
        for (size_t machine = 0; machine < COUNT(machines); ++machine) {
            struct machine_config config = {.scenario = rows[row].scenario,
                                            .no_reboot = rows[row].no_reboot,
                                            .machine = machines[machine],
                                            .status = 0xc000007f};
            struct net_pair pair;
            char expected[NET_STORY_SIZE], story[NET_STORY_SIZE];
            begin(&pair, &config);
            net_pair_run(&pair, LIMIT_US);
            fill(rows[row].story, kdnet_machine_name(machines[machine]), expected);
            net_story(&pair, story);
            assert_string_equal(story, expected);
            net_expect_unharmed(&pair);
            net_pair_clear(&pair);
        }
}

static void a_crash_by_hand_has_its_code(void **state)
{
    struct machine_config config = {.scenario = "e2", .no_reboot = true};
    struct net_pair pair;
    (void)state;
    begin(&pair, &config);
    net_pair_run(&pair, LIMIT_US);
    const struct kdnet_event_crash_status *status = &net_event(&pair, KDNET_EVENT_CRASH_STATUS, 0)->u.crash_status;
    assert_int_equal(status->bugcheck.data.code, 0xe2);
    assert_true(status->bugcheck.from_memory);
    assert_int_equal(status->break_status, KDNET_BREAK_BUGCHECK_SECOND);
    assert_false(status->since_first_known); /* there was no first break */
    net_pair_clear(&pair);
}

/* Writes a state change of an x86 machine as its older form has it: DBGKD_WAIT_STATE_CHANGE32 [ros]. */
static void make32(struct net_packet *packet)
{
    static const struct {
        size_t from, to, length;
    } moves[] = {{0, 0, 12},  {16, 12, 4}, {24, 16, 4}, {32, 20, 8}, {40, 28, 4},
                 {48, 32, 4}, {56, 36, 4}, {64, 40, 4}, {72, 44, 4}, {184, 100, 4}};
    static const struct {
        size_t from, to, length;
    } load_moves[] = {{0, 0, 12},  {16, 12, 4}, {24, 16, 4}, {32, 20, 4},
                      {40, 24, 4}, {48, 28, 4}, {56, 32, 8}, {64, 40, 4}};
    uint8_t old[KDNET_PACKET_PAYLOAD_MAX];
    memcpy(old, packet->payload, packet->length);
    bool load = kdnet_get_le32(old) == KDNET_STATE_LOAD_SYMBOLS;
    size_t tail = packet->length - KDNET_STATE_CHANGE_FIXED;
    memset(packet->payload, 0, KDNET_STATE_CHANGE32_FIXED);
    for (size_t i = 0; i < (load ? COUNT(load_moves) : COUNT(moves)); ++i)
        memcpy(packet->payload + (load ? load_moves[i].to : moves[i].to),
               old + (load ? load_moves[i].from : moves[i].from), load ? load_moves[i].length : moves[i].length);
    memcpy(packet->payload + KDNET_STATE_CHANGE32_FIXED, old + KDNET_STATE_CHANGE_FIXED, tail);
    packet->length = KDNET_STATE_CHANGE32_FIXED + tail;
    packet->type = KDNET_PACKET_STATE_CHANGE32;
}

static bool as_32(struct net_pair *pair, bool to_host, struct net_packet *packet)
{
    (void)pair;
    if (to_host && !packet->control && packet->type == KDNET_PACKET_STATE_CHANGE64)
        make32(packet);
    return true;
}

static bool as_alternate(struct net_pair *pair, bool to_host, struct net_packet *packet)
{
    (void)pair;
    if (to_host && !packet->control && packet->type == KDNET_PACKET_STATE_CHANGE64)
        packet->payload[2] |= 1; /* KDNET_STATE_ALTERNATE */
    return true;
}

/* Another form of the same state changes gives the same story, and harms no machine. */
static void other_forms_of_state_changes_are_read_alike(void **state)
{
    static const char *const scenarios[] = {"boot",      "bugcheck",     "e2",        "int3",
                                            "exception", "loader-crash", "processors"};
    static net_tamper *const forms[] = {as_32, as_alternate};
    (void)state;
    for (size_t form = 0; form < COUNT(forms); ++form)
        for (size_t i = 0; i < COUNT(scenarios); ++i) {
            struct machine_config config = {.scenario = scenarios[i], .machine = KDNET_MACHINE_X86, .status = 0};
            char usual[NET_STORY_SIZE], story[NET_STORY_SIZE];
            struct net_pair pair;
            begin(&pair, &config);
            net_pair_run(&pair, LIMIT_US);
            net_story(&pair, usual);
            net_pair_clear(&pair);
            begin(&pair, &config);
            pair.tamper = forms[form];
            net_pair_run(&pair, LIMIT_US);
            net_story(&pair, story);
            assert_string_equal(story, usual);
            net_expect_unharmed(&pair);
            net_pair_clear(&pair);
        }
}

/* The crash comes as soon as the machine is connected; each of the first datagrams is lost in turn. */
static void a_crash_while_the_session_is_made_gives_its_results(void **state)
{
    (void)state;
    for (int no_reboot = 0; no_reboot < 2; ++no_reboot)
        for (unsigned at = 0; at < 24; ++at) {
            struct machine_config config = {.scenario = "bugcheck", .no_reboot = no_reboot == 1, .status = 0xc000007f};
            struct cut lost = {.at = at, .to_host = true, .to_target = true};
            struct net_pair pair;
            begin(&pair, &config);
            pair.context = &lost;
            pair.watch = at > 0 ? cut : NULL;
            run_to_end(&pair, LIMIT_US);
            net_expect_unharmed(&pair);
            assert_int_equal(net_count(&pair, KDNET_EVENT_CRASH_STATUS), 2);
            assert_int_equal(net_event(&pair, KDNET_EVENT_CRASH_STATUS, 0)->u.crash_status.phase,
                             KDNET_PHASE_BUGCHECK_FIRST);
            assert_int_equal(net_event(&pair, KDNET_EVENT_CRASH_STATUS, 1)->u.crash_status.status, 0xc000007f);
            net_pair_clear(&pair);
        }
}

/* It would come again at once, for ever: read once, held, and then nothing is sent. A new host does the same. */
static void the_endless_second_break_is_read_once_by_each_host_and_held_in_silence(void **state)
{
    struct machine_config config = {.scenario = "bugcheck", .no_reboot = true};
    struct machine_result result;
    struct net_pair pair;
    (void)state;
    begin(&pair, &config);
    for (unsigned hosts = 1; hosts <= 3; ++hosts) {
        net_pair_run(&pair, pair.now_us + 10 * SECOND_US);
        assert_int_equal(net_count(&pair, KDNET_EVENT_CRASH_STATUS), 1 + hosts);
        assert_true(kdnet_session_is_halted(pair.session));
        unsigned sent = pair.sent_by_host, heard = pair.sent_by_target;
        net_pair_run(&pair, pair.now_us + 7200 * SECOND_US);
        assert_int_equal(pair.sent_by_host, sent);
        assert_in_range(pair.sent_by_target - heard, 2399, 2401); /* its pokes */
        assert_int_equal(net_count(&pair, KDNET_EVENT_CRASH_STATUS), 1 + hosts);
        net_pair_restart(&pair);
    }
    machine_result(pair.machine, pair.now_us, &result);
    assert_int_equal(result.breaks, 2); /* it was never continued */
    assert_int_equal(result.continues, 1);
    net_pair_clear(&pair);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(each_life_gives_exactly_its_events, net_afresh),
        cmocka_unit_test_setup(a_crash_by_hand_has_its_code, net_afresh),
        cmocka_unit_test_setup(other_forms_of_state_changes_are_read_alike, net_afresh),
        cmocka_unit_test_setup(a_crash_while_the_session_is_made_gives_its_results, net_afresh),
        cmocka_unit_test_setup(the_endless_second_break_is_read_once_by_each_host_and_held_in_silence, net_afresh),
    };
    return cmocka_run_group_tests(tests, setup, net_teardown);
}
