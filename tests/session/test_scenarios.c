/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each scenario of the simulated machines, without loss: exactly the events that DESIGN.md section 3 promises, in their
 * order, what is in them, and how many questions they cost.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "kdnet/kernel/crash.h"
#include "service/kdnet-target/machine_internal.h"
#include "tests/session/net.h"
#include "tests/session/scenario_pair.h"

static const enum kdnet_machine machines[] = {KDNET_MACHINE_X64, KDNET_MACHINE_X86, KDNET_MACHINE_ARM64};
static const char *const names[] = {"x64", "x86", "arm64"};
static const uint8_t versions[] = {2, 4, 5};
static const uint32_t statuses[] = {0, 0xffffffff, 0xc000007f, 0xc0000185, 0x00000103};
static const char *const verdicts[] = {"written", "not_started", "failed", "failed", "failed"};

/* @v: version; @m: machine; @s: dump status in the end; @t: its verdict. */
#define CRASH                                                                                                          \
    "connected v@v; connected v@v; bugcheck print; break_in bugcheck_first 80000003; kernel nt @m lab pdb; "           \
    "crash_status bugcheck_first not_started ffffffff from rva; released continue; "
#define BREAK(code)                                                                                                    \
    "connected v@v; break_in break " code "; kernel nt @m lab pdb; crash_status break not_started ffffffff "           \
    "from rva; released continue"

static const struct {
    struct machine_config config;
    const char *story;
} rows[] = {
    {{.scenario = "idle"}, "connected v@v"},
    {{.scenario = "boot"}, "connected v@v; connected v@v rebooted"},
    {{.scenario = "bugcheck"},
     CRASH "break_in shutdown; crash_status shutdown @t @s from rva since; released continue; "
           "connected v@v rebooted"},
    {{.scenario = "bugcheck", .no_reboot = true},
     CRASH "break_in bugcheck_second 80000003; crash_status bugcheck_second @t @s from rva since; "
           "released hold"},
    {{.scenario = "int3"}, BREAK("80000003")},
    {{.scenario = "exception"}, BREAK("c0000005")},
    {{.scenario = "single-step"},
     BREAK(
         "80000004") "; break_in break 80000004; crash_status break not_started ffffffff from rva; released continue"},
    {{.scenario = "hardware-breakpoint"}, BREAK("80000004")},
    {{.scenario = "user-int3"}, BREAK("80000003")},
    {{.scenario = "user-step"}, BREAK("80000004")},
    {{.scenario = "user-exception"}, BREAK("c0000005")},
    {{.scenario = "prompt"}, "connected v@v"},
    {{.scenario = "fileio"}, "connected v@v"},
};

/* Writes a story with its words filled in. */
static void fill(const char *story, const char *const words[static 4], char out[static NET_STORY_SIZE])
{
    static const char marks[] = "vmst";
    size_t length = 0;
    for (; *story != '\0'; ++story) {
        const char *mark = *story == '@' ? strchr(marks, story[1]) : NULL;
        size_t n = mark ? strlen(words[mark - marks]) : 1;
        assert_true(length + n < NET_STORY_SIZE);
        memcpy(out + length, mark ? words[mark - marks] : story, n);
        length += n;
        story += mark ? 1 : 0;
    }
    out[length] = '\0';
}

/* What the words of a story leave out. */
static void expect_values(const struct net_pair *pair, size_t machine)
{
    static const char *const labs[] = {"20348.288.amd64fre.fe_release.210507-1500",
                                       "20348.288.x86fre.fe_release.210507-1500",
                                       "20348.288.arm64fre.fe_release.210507-1500"};
    struct machine_expectation expected;
    const struct kdnet_event *event;
    char guidage[KDNET_GUIDAGE_SIZE];
    machine_expectation(pair->machine, &expected);
    for (unsigned i = 0; (event = net_event(pair, KDNET_EVENT_KERNEL, i)) != NULL; ++i) {
        kdnet_pdb_guidage(&event->u.kernel.pdb, guidage);
        assert_string_equal(guidage, MACHINE_GUIDAGE);
        assert_string_equal(event->u.kernel.pdb.name, "ntkrnlmp.pdb");
        assert_string_equal(event->u.kernel.build_lab, labs[machine]);
        assert_int_equal(event->u.kernel.build, 20348);
    }
    for (unsigned i = 0; (event = net_event(pair, KDNET_EVENT_CRASH_STATUS, i)) != NULL; ++i) {
        const struct kdnet_event_crash_status *status = &event->u.crash_status;
        assert_true(status->address_known);
        assert_true(status->address ==
                    net_event(pair, KDNET_EVENT_KERNEL, 0)->u.kernel.kernel_base + MACHINE_RVA_DUMP_STATUS);
        assert_string_equal(status->build_lab, labs[machine]);
        assert_int_equal(status->bugcheck.known, expected.crash);
        assert_in_range(status->rtt_us, 2 * DELAY_US, 40 * DELAY_US);
        assert_in_range(status->read_us, 2 * DELAY_US, SECOND_US / 10);
        if (expected.crash) {
            assert_int_equal(status->bugcheck.data.code, expected.bugcheck.code);
            assert_memory_equal(status->bugcheck.data.parameters, expected.bugcheck.parameters,
                                sizeof expected.bugcheck.parameters);
        }
    }
}

static void expect_session_ids(const struct net_pair *pair)
{
    const uint8_t *id = NULL;
    for (unsigned i = 0; i < pair->event_count; ++i) {
        if (pair->event[i].type == KDNET_EVENT_CONNECTED) {
            assert_true(!id || memcmp(id, pair->event[i].session, KDNET_SESSION_ID_LENGTH) != 0);
            id = pair->event[i].session;
        }
        assert_non_null(id);
        assert_memory_equal(id, pair->event[i].session, KDNET_SESSION_ID_LENGTH);
    }
}

static void play(size_t row, size_t machine, uint8_t version, size_t status)
{
    struct machine_config config = rows[row].config;
    struct net_pair pair;
    char expected[NET_STORY_SIZE], digit[2] = {(char)('0' + version)}, value[9];
    const char *const words[] = {digit, names[machine], value, verdicts[status]};
    config.machine = machines[machine];
    config.version = version;
    config.status = statuses[status];
    config.delay_ms = 100;
    begin(&pair, &config);
    net_pair_run(&pair, LIMIT_US);
    (void)snprintf(value, sizeof value, "%08x", (unsigned)statuses[status]);
    fill(rows[row].story, words, expected);
    expect_story(&pair, expected);
    expect_harmless(&pair);
    expect_values(&pair, machine);
    expect_session_ids(&pair);
    net_pair_clear(&pair);
}

static void each_scenario_gives_exactly_its_events(void **state)
{
    (void)state;
    for (size_t row = 0; row < COUNT(rows); ++row)
        for (size_t machine = 0; machine < COUNT(machines); ++machine)
            for (size_t version = 0; version < COUNT(versions); ++version)
                for (size_t status = 0; status < COUNT(statuses); ++status)
                    play(row, machine, versions[version], status);
}

/* The event says what was cleared; the first time in a boot it is marked, for the log. */
static void what_a_former_debugger_left_is_told_and_cleared(void **state)
{
    static const struct {
        const char *scenario;
        enum kdnet_leftover expected[2]; /* x64 and x86, and ARM64, which does not say which */
    } cases[] = {
        {"single-step", {KDNET_LEFTOVER_SINGLE_STEP, KDNET_LEFTOVER_SINGLE_STEP}},
        {"hardware-breakpoint", {KDNET_LEFTOVER_HARDWARE_BREAKPOINT, KDNET_LEFTOVER_SINGLE_STEP}},
        {"user-step", {KDNET_LEFTOVER_NONE, KDNET_LEFTOVER_NONE}},
        {"int3", {KDNET_LEFTOVER_NONE, KDNET_LEFTOVER_NONE}},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(cases); ++i)
        for (size_t machine = 0; machine < COUNT(machines); ++machine) {
            struct machine_config config = {.scenario = cases[i].scenario, .machine = machines[machine]};
            bool arm64 = machines[machine] == KDNET_MACHINE_ARM64;
            struct net_pair pair;
            begin(&pair, &config);
            net_pair_run(&pair, LIMIT_US);
            const struct kdnet_event_released *released = &net_event(&pair, KDNET_EVENT_RELEASED, 0)->u.released;
            assert_int_equal(released->cleared, cases[i].expected[arm64]);
            assert_int_equal(released->cleared_first, released->cleared != KDNET_LEFTOVER_NONE);
            const struct kdnet_event *again = net_event(&pair, KDNET_EVENT_RELEASED, 1);
            assert_true(!again || (again->u.released.cleared == released->cleared && !again->u.released.cleared_first));
            expect_harmless(&pair);
            net_pair_clear(&pair);
        }
}

static void since_first_is_the_time_that_the_machine_had_for_its_dump(void **state)
{
    struct machine_config config = {.scenario = "bugcheck", .dump_ms = 2500};
    struct net_pair pair;
    (void)state;
    begin(&pair, &config);
    net_pair_run(&pair, LIMIT_US);
    const struct kdnet_event_crash_status *first = &net_event(&pair, KDNET_EVENT_CRASH_STATUS, 0)->u.crash_status;
    const struct kdnet_event_crash_status *last = &net_event(&pair, KDNET_EVENT_CRASH_STATUS, 1)->u.crash_status;
    assert_false(first->since_first_known);
    assert_true(last->since_first_known);
    assert_in_range(last->since_first_us, 2500000, 2502000);
    assert_true(first->break_status_known);
    assert_int_equal(first->break_status, KDNET_BREAK_BUGCHECK_FIRST);
    net_pair_clear(&pair);
}

static void play_without(const char *scenario, bool no_reboot, const char *expected)
{
    struct machine_config config = {.scenario = scenario, .no_reboot = no_reboot};
    struct net_pair pair;
    begin(&pair, &config);
    net_pair_run(&pair, LIMIT_US);
    expect_story(&pair, expected);
    expect_harmless(&pair);
    for (unsigned i = 0; i < net_count(&pair, KDNET_EVENT_CRASH_STATUS); ++i)
        assert_false(net_event(&pair, KDNET_EVENT_CRASH_STATUS, i)->u.crash_status.address_known);
    net_pair_clear(&pair);
}

#define CRASH_WITHOUT(reason)                                                                                          \
    "connected v5; connected v5; bugcheck print; break_in bugcheck_first 80000003; kernel nt x64 lab pdb; "            \
    "crash_status bugcheck_first not_started " reason " from phase; released continue; "

static void without_symbols_only_the_phase_speaks(void **state)
{
    (void)state;
    net_knows_rva = false;
    play_without("bugcheck", false,
                 CRASH_WITHOUT("no_symbols") "break_in shutdown; crash_status shutdown unknown no_symbols since; "
                                             "released continue; connected v5 rebooted");
    play_without("bugcheck", true,
                 CRASH_WITHOUT("no_symbols") "break_in bugcheck_second 80000003; crash_status bugcheck_second "
                                             "unknown no_symbols since; released hold");
    play_without("int3", false,
                 "connected v5; break_in break 80000003; kernel nt x64 lab pdb; crash_status break unknown "
                 "no_symbols; released continue");
}

static void symbols_without_the_name_are_another_reason(void **state)
{
    (void)state;
    net_knows_rva = false;
    net_lacks_symbol = true;
    play_without("bugcheck", false,
                 CRASH_WITHOUT("symbol_absent") "break_in shutdown; crash_status shutdown unknown symbol_absent "
                                                "since; released continue; connected v5 rebooted");
    play_without("exception", false,
                 "connected v5; break_in break c0000005; kernel nt x64 lab pdb; crash_status break unknown "
                 "symbol_absent; released continue");
}

/* Machines that have waited too long for their turn: asked what break it is, no more; what was no crash is none. */
static void a_machine_that_goes_on_unread_tells_which_break_it_was(void **state)
{
    (void)state;
    net_shared.breaks_pass = true;
    play_without("bugcheck", false,
                 "connected v5; connected v5; bugcheck print; break_in bugcheck_first 80000003; kernel nt x64; "
                 "crash_status bugcheck_first not_started overloaded from phase; released continue; break_in shutdown; "
                 "crash_status shutdown unknown overloaded since; released continue; connected v5 rebooted");
    play_without("bugcheck", true,
                 "connected v5; connected v5; bugcheck print; break_in bugcheck_first 80000003; kernel nt x64; "
                 "crash_status bugcheck_first not_started overloaded from phase; released continue; break_in "
                 "bugcheck_second 80000003; crash_status bugcheck_second unknown overloaded since; released hold");
    play_without("int3", false,
                 "connected v5; break_in break 80000003; kernel nt x64; crash_status break unknown overloaded; "
                 "released continue");
}

/* Symbols that arrive between two breaks serve the second. */
static void symbols_that_arrive_later_serve_the_next_time(void **state)
{
    struct machine_config config = {.scenario = "bugcheck", .dump_ms = 1000};
    struct net_pair pair;
    (void)state;
    net_knows_rva = false;
    begin(&pair, &config);
    net_pair_run(&pair, SECOND_US / 2);
    net_knows_rva = true;
    net_pair_run(&pair, LIMIT_US);
    expect_story(&pair, CRASH_WITHOUT("no_symbols") "break_in shutdown; crash_status shutdown written 00000000 from "
                                                    "rva since; released continue; connected v5 rebooted");
    net_pair_clear(&pair);
}

/* No print (code E2, or nobody was connected): the bug check comes from memory. */
static bool no_prints(struct net_pair *pair, bool to_host, struct net_packet *packet)
{
    (void)pair;
    if (to_host && !packet->control && packet->type == KDNET_PACKET_DEBUG_IO)
        memset(packet->payload + 16, ' ', packet->length - 16);
    return true;
}

static void a_bug_check_that_was_not_printed_is_read_from_memory(void **state)
{
    struct machine_config config = {.scenario = "bugcheck", .bugcheck = 0xe2, .status = 0xc0000185};
    struct machine_expectation expected;
    (void)state;
    for (size_t machine = 0; machine < COUNT(machines); ++machine) {
        struct net_pair pair;
        char story[NET_STORY_SIZE];
        config.machine = machines[machine];
        begin(&pair, &config);
        pair.tamper = no_prints;
        net_pair_run(&pair, LIMIT_US);
        (void)snprintf(
            story, sizeof story,
            "connected v5; connected v5; break_in bugcheck_first 80000003; bugcheck memory; kernel nt %s lab "
            "pdb; crash_status bugcheck_first not_started ffffffff from rva; released continue; break_in "
            "shutdown; crash_status shutdown failed c0000185 from rva since; released continue; connected v5 "
            "rebooted",
            names[machine]);
        expect_story(&pair, story);
        machine_expectation(pair.machine, &expected);
        const struct kdnet_event *event = net_event(&pair, KDNET_EVENT_BUGCHECK, 0);
        assert_int_equal(event->u.bugcheck.data.code, 0xe2);
        assert_memory_equal(event->u.bugcheck.data.parameters, expected.bugcheck.parameters,
                            sizeof expected.bugcheck.parameters);
        net_pair_clear(&pair);
    }
}

static void prints_are_events_when_they_are_asked_for(void **state)
{
    struct machine_config config = {.scenario = "int3"};
    struct net_pair pair;
    (void)state;
    net_shared.prints = true;
    begin(&pair, &config);
    net_pair_run(&pair, LIMIT_US);
    expect_story(&pair, "connected v5; print; break_in break 80000003; kernel nt x64 lab pdb; crash_status break "
                        "not_started ffffffff from rva; released continue");
    assert_int_equal(net_event(&pair, KDNET_EVENT_PRINT, 0)->u.print.length, strlen("driver: unexpected state\n"));
    net_pair_clear(&pair);
}

/* The questions of one break: between its state change and its Continue. */
struct cost {
    bool halted;
    uint32_t requests; /* of the break under way, Continue included */
    unsigned breaks, datagrams;
    uint32_t of[4];
    unsigned datagrams_of[4];
    uint64_t since_us, took_us[4];
};

static bool count_cost(struct net_pair *pair, bool to_host, struct net_packet *packet)
{
    struct cost *cost = pair->context;
    if (to_host && !packet->control && packet->type == KDNET_PACKET_STATE_CHANGE64 && !cost->halted) {
        cost->halted = true;
        cost->requests = 0;
        cost->datagrams = 0;
        cost->since_us = pair->now_us;
    }
    if (to_host)
        return true;
    ++cost->datagrams;
    if (packet->control || packet->type != KDNET_PACKET_MANIPULATE)
        return true;
    ++cost->requests;
    uint32_t api = (uint32_t)packet->payload[0] | (uint32_t)packet->payload[1] << 8;
    if ((api == KDNET_API_CONTINUE || api == KDNET_API_CONTINUE2) && cost->breaks < COUNT(cost->of)) {
        cost->of[cost->breaks] = cost->requests;
        cost->datagrams_of[cost->breaks] = cost->datagrams;
        cost->halted = false;
        cost->took_us[cost->breaks++] = pair->now_us + DELAY_US - cost->since_us;
    }
    return true;
}

static const struct {
    const char *scenario;
    bool knows_rva;
    unsigned breaks;
    uint32_t requests[3]; /* GetVersion … NtBuildLab, SetContext, Continue */
    unsigned datagrams[3];
} costs[] = {
    /* loads of symbols: with a machine that nobody knows, GetVersion first */
    {"boot", true, 3, {2, 1, 1}, {5, 3, 3}},  {"bugcheck", true, 2, {12, 3}, {25, 6}},
    {"bugcheck", false, 2, {11, 2}, {23, 4}}, {"int3", true, 1, {12, 0}, {25, 0}},
    {"int3", false, 1, {11, 0}, {23, 0}},     {"exception", true, 1, {10, 0}, {22, 0}},
    {"exception", false, 1, {9, 0}, {20, 0}},
};

static void a_break_costs_no_more_questions_than_it_must(void **state)
{
    (void)state;
    print_message("%-10s %-5s %-6s %-8s %-9s %s\n", "scenario", "rva", "break", "requests", "datagrams", "us");
    for (size_t i = 0; i < COUNT(costs); ++i) {
        struct machine_config config = {.scenario = costs[i].scenario};
        struct net_pair pair;
        struct cost cost = {0};
        net_knows_rva = costs[i].knows_rva;
        begin(&pair, &config);
        pair.context = &cost;
        pair.tamper = count_cost;
        net_pair_run(&pair, LIMIT_US);
        assert_int_equal(cost.breaks, costs[i].breaks);
        for (unsigned j = 0; j < cost.breaks; ++j) {
            print_message("%-10s %-5s %-6u %-8u %-9u %llu\n", costs[i].scenario, costs[i].knows_rva ? "yes" : "no",
                          j + 1, cost.of[j], cost.datagrams_of[j], (unsigned long long)cost.took_us[j]);
            assert_int_equal(cost.of[j], costs[i].requests[j]);
            assert_int_equal(cost.datagrams_of[j], costs[i].datagrams[j]);
        }
        net_pair_clear(&pair);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(each_scenario_gives_exactly_its_events, net_afresh),
        cmocka_unit_test_setup(what_a_former_debugger_left_is_told_and_cleared, net_afresh),
        cmocka_unit_test_setup(since_first_is_the_time_that_the_machine_had_for_its_dump, net_afresh),
        cmocka_unit_test_setup(without_symbols_only_the_phase_speaks, net_afresh),
        cmocka_unit_test_setup(symbols_without_the_name_are_another_reason, net_afresh),
        cmocka_unit_test_setup(a_machine_that_goes_on_unread_tells_which_break_it_was, net_afresh),
        cmocka_unit_test_setup(symbols_that_arrive_later_serve_the_next_time, net_afresh),
        cmocka_unit_test_setup(a_bug_check_that_was_not_printed_is_read_from_memory, net_afresh),
        cmocka_unit_test_setup(prints_are_events_when_they_are_asked_for, net_afresh),
        cmocka_unit_test_setup(a_break_costs_no_more_questions_than_it_must, net_afresh),
    };
    return cmocka_run_group_tests(tests, net_setup, net_teardown);
}
