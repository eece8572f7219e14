/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rarer lives of a machine (PROTOCOL.md section 9): crashes that nobody waited for, in other debuggers than
 * Windows's, inside each other, while a session is made; machines that start anew or break in again while they are
 * asked.
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

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define DELAY_US     250U
#define SECOND_US    UINT64_C(1000000)
#define LIMIT_US     (30 * SECOND_US)

static const enum kdnet_machine machines[] = {KDNET_MACHINE_X64, KDNET_MACHINE_X86, KDNET_MACHINE_ARM64};

static struct kdnet_layout_cache layout_cache; /* that the host has read before; a host that died has not */

static int setup(void **state)
{
    (void)net_setup(state);
    net_shared.layout_cache = &layout_cache;
    return 0;
}

static void begin(struct net_pair *pair, const struct machine_config *config)
{
    net_pair_init(pair, &net_shared, config, 41);
    pair->weather.delay_us = DELAY_US;
}

/* --- stories ------------------------------------------------------------------------------------------------------ */

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

/* --- other forms of a state change -------------------------------------------------------------------------------- */

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

/* --- while a session is made -------------------------------------------------------------------------------------- */

/* What is lost: the datagrams of one or both directions, from the n-th on, for a time. */
struct cut {
    unsigned at, seen;
    bool to_host, to_target;
    uint64_t since_us, for_us; /* for_us 0: that one datagram */
};

static bool cut(struct net_pair *pair, bool to_host, const uint8_t *payload, size_t length)
{
    struct cut *cut = pair->context;
    (void)payload;
    (void)length;
    if (++cut->seen == cut->at)
        cut->since_us = pair->now_us;
    if (cut->seen < cut->at || (cut->for_us == 0 && cut->seen > cut->at) ||
        (cut->for_us > 0 && pair->now_us - cut->since_us >= cut->for_us))
        return true;
    return !(to_host ? cut->to_host : cut->to_target);
}

/* A second break is over when it was read. */
static bool is_over(const struct net_pair *pair)
{
    struct machine_expectation expected;
    machine_expectation(pair->machine, &expected);
    unsigned results = net_count(pair, KDNET_EVENT_CRASH_STATUS);
    return machine_is_ended(pair->machine, pair->now_us) && (!expected.second || results >= expected.breaks);
}

static void run_to_end(struct net_pair *pair, uint64_t limit_us)
{
    while (pair->now_us < limit_us && !is_over(pair))
        net_pair_run(pair, pair->now_us + SECOND_US);
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

/* --- the second break --------------------------------------------------------------------------------------------- */

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

/* --- cuts --------------------------------------------------------------------------------------------------------- */

static const char *const cut_scenarios[] = {"boot",      "bugcheck", "e2",     "int3",
                                            "exception", "prompt",   "fileio", "nested"};

struct cut_kind {
    bool to_host, to_target, restart;
    uint64_t for_us;
    uint64_t longest_us; /* the machine stands still beyond the cut */
};

/* Runs one cut; false when the machine does not go on in time. */
static bool play_cut(const char *scenario, const struct cut_kind *kind, unsigned at)
{
    struct machine_config config = {.scenario = scenario, .status = 0xc000007f, .delay_ms = 100};
    struct cut lost = {.at = at, .to_host = kind->to_host, .to_target = kind->to_target, .for_us = kind->for_us};
    struct machine_result result;
    struct net_pair pair;
    begin(&pair, &config);
    pair.context = &lost;
    pair.watch = cut;
    pair.dies_at = kind->restart ? at : 0;
    run_to_end(&pair, kind->for_us + kind->longest_us + LIMIT_US);
    machine_result(pair.machine, pair.now_us, &result);
    bool good = result.state == MACHINE_ENDED && result.released_wrongly == 0 &&
                result.longest_halt_us <= kind->for_us + kind->longest_us;
    if (!good)
        print_error("%s, cut after datagram %u: state %d, longest halt %llu us, wrong %u\n", scenario, at,
                    (int)result.state, (unsigned long long)result.longest_halt_us, result.released_wrongly);
    net_pair_clear(&pair);
    return good;
}

/* How many datagrams a scenario takes when nothing is lost. */
static unsigned datagrams_of(const char *scenario)
{
    struct machine_config config = {.scenario = scenario, .delay_ms = 100};
    struct net_pair pair;
    begin(&pair, &config);
    run_to_end(&pair, LIMIT_US);
    unsigned count = pair.sent_by_host + pair.sent_by_target;
    net_pair_clear(&pair);
    return count;
}

/*
 * The network is cut at each datagram of each scenario, in one direction or in both, for seconds or for an hour; in the
 * worst case the host dies at the same moment. No machine waits for a packet of ours for longer than the cut and what
 * the slowest of our asks takes.
 */
static void no_cut_of_any_kind_leaves_a_machine_halted(void **state)
{
    static const struct cut_kind kinds[] = {
        {true, true, false, 20 * SECOND_US, 15 * SECOND_US},    {false, true, false, 20 * SECOND_US, 25 * SECOND_US},
        {true, false, false, 20 * SECOND_US, 15 * SECOND_US},   {false, true, true, 20 * SECOND_US, 25 * SECOND_US},
        {true, true, true, 20 * SECOND_US, 25 * SECOND_US},     {true, true, false, 900 * SECOND_US, 900 * SECOND_US},
        {false, true, false, 900 * SECOND_US, 900 * SECOND_US}, {false, true, true, 3600 * SECOND_US, 3600 * SECOND_US},
    };
    unsigned cuts = 0, wrong = 0;
    (void)state;
    for (size_t kind = 0; kind < COUNT(kinds); ++kind)
        for (size_t scenario = 0; scenario < COUNT(cut_scenarios); ++scenario) {
            unsigned count = datagrams_of(cut_scenarios[scenario]);
            unsigned step = kinds[kind].for_us > 60 * SECOND_US ? 4 : 1; /* long ones take long here, too */
            for (unsigned at = 1; at <= count; at += step, ++cuts)
                wrong += play_cut(cut_scenarios[scenario], &kinds[kind], at) ? 0 : 1;
        }
    print_message("%u cuts\n", cuts);
    assert_int_equal(wrong, 0);
}

/* Longer than any asking: then the machine's own pokes make us ask, once an hour. */
static void a_cut_of_four_hours_leaves_no_machine_halted(void **state)
{
    static const struct cut_kind kinds[] = {
        {false, true, false, 14400 * SECOND_US, 3700 * SECOND_US},
        {false, true, true, 14400 * SECOND_US, 3700 * SECOND_US},
    };
    unsigned wrong = 0;
    (void)state;
    for (size_t kind = 0; kind < COUNT(kinds); ++kind)
        for (unsigned at = 3; at < 60; at += 7)
            wrong += play_cut("int3", &kinds[kind], at) ? 0 : 1;
    assert_int_equal(wrong, 0);
}

/* --- bad networks ------------------------------------------------------------------------------------------------- */

#define SEEDS 60U

/* So bad that hardly a break is read within its deadline: each machine goes on all the same. */
static void on_the_worst_network_every_life_goes_on(void **state)
{
    static const char *const lives[] = {"boot",   "bugcheck", "e2",           "int3",       "exception",
                                        "prompt", "fileio",   "loader-crash", "hypervisor", "processors",
                                        "nested", "reset",    "command"};
    (void)state;
    for (size_t life = 0; life < COUNT(lives); ++life) {
        uint64_t longest_us = 0;
        for (unsigned seed = 1; seed <= SEEDS; ++seed) {
            struct machine_config config = {.scenario = lives[life], .machine = machines[seed % COUNT(machines)]};
            struct machine_result result;
            struct net_pair pair;
            net_pair_init(&pair, &net_shared, &config, seed);
            pair.weather = (struct net_weather){.loss_percent = 30, .delay_us = 200000, .jitter_us = 20000};
            run_to_end(&pair, 7200 * SECOND_US);
            machine_result(pair.machine, pair.now_us, &result);
            if (result.state != MACHINE_ENDED)
                fail_msg("%s, seed %u: state %d, halted for %llu s", lives[life], seed, (int)result.state,
                         (unsigned long long)(result.longest_halt_us / SECOND_US));
            if (result.longest_halt_us > longest_us)
                longest_us = result.longest_halt_us;
            net_pair_clear(&pair);
        }
        print_message("%-13s longest halt %llu s\n", lives[life], (unsigned long long)(longest_us / SECOND_US));
    }
}

/* --- datagrams that are too long ---------------------------------------------------------------------------------- */

struct narrow {
    size_t to_host, to_target; /* longest payloads of datagrams that pass */
};

static bool narrow(struct net_pair *pair, bool to_host, const uint8_t *payload, size_t length)
{
    const struct narrow *narrow = pair->context;
    (void)payload;
    return length <= (to_host ? narrow->to_host : narrow->to_target);
}

/* A tunnel on the way carries 1,280 bytes, and nothing says so: a whole CONTEXT of x64 never comes through. */
static void a_network_that_drops_long_datagrams_does_not_keep_a_machine_on_its_breakpoint(void **state)
{
    static const struct narrow ways[] = {{1232, 1232}, {4000, 1232}, {1232, 4000}};
    static const char *const scenarios[] = {"bugcheck", "e2", "int3", "exception", "processors", "nested"};
    (void)state;
    for (size_t way = 0; way < COUNT(ways); ++way)
        for (size_t scenario = 0; scenario < COUNT(scenarios); ++scenario)
            for (size_t machine = 0; machine < COUNT(machines); ++machine) {
                struct machine_config config = {.scenario = scenarios[scenario], .machine = machines[machine]};
                struct narrow passes = ways[way];
                char usual[NET_STORY_SIZE], story[NET_STORY_SIZE];
                struct net_pair pair;
                begin(&pair, &config);
                net_pair_run(&pair, LIMIT_US);
                net_story(&pair, usual);
                net_pair_clear(&pair);
                begin(&pair, &config);
                pair.watch = narrow;
                pair.context = &passes;
                net_pair_run(&pair, LIMIT_US);
                net_story(&pair, story);
                if (strcmp(scenarios[scenario], "nested") != 0) /* other requests, so another break in it */
                    assert_string_equal(story, usual);
                net_expect_unharmed(&pair);
                net_pair_clear(&pair);
            }
}

struct narrow_for {
    struct narrow passes;
    uint64_t until_us;
};

static bool narrow_for(struct net_pair *pair, bool to_host, const uint8_t *payload, size_t length)
{
    const struct narrow_for *narrow_for = pair->context;
    (void)payload;
    return pair->now_us >= narrow_for->until_us ||
           length <= (to_host ? narrow_for->passes.to_host : narrow_for->passes.to_target);
}

/* It was only a bad moment, and this debugger does not know of pieces: the whole is tried again. */
static void who_knows_no_pieces_gets_the_whole_again(void **state)
{
    static const char *const scenarios[] = {"hypervisor", "loader-crash", "int3"};
    static const struct narrow ways[] = {{1232, 1232}, {4000, 1232}, {1232, 4000}};
    (void)state;
    for (size_t way = 0; way < COUNT(ways); ++way)
        for (size_t i = 0; i < COUNT(scenarios); ++i) {
            struct machine_config config = {.scenario = scenarios[i]};
            struct narrow_for moment = {.passes = ways[way], .until_us = 3 * SECOND_US};
            struct net_pair pair;
            begin(&pair, &config);
            pair.watch = narrow_for;
            pair.context = &moment;
            net_pair_run(&pair, LIMIT_US);
            struct machine_result result;
            machine_result(pair.machine, pair.now_us, &result);
            assert_int_equal(result.state, MACHINE_ENDED);
            assert_int_equal(machine_harm(&result), 0);
            assert_in_range(result.traps_again, 0, 5); /* released as it stands, a second after the deadline */
            net_pair_clear(&pair);
        }
}

/* --- clocks ------------------------------------------------------------------------------------------------------- */

struct jump {
    unsigned at, seen;
    uint64_t by_us;
};

static bool jump(struct net_pair *pair, bool to_host, const uint8_t *payload, size_t length)
{
    struct jump *jump = pair->context;
    (void)to_host;
    (void)payload;
    (void)length;
    if (++jump->seen == jump->at)
        pair->now_us += jump->by_us;
    return true;
}

/* A machine that slept, or a process that was stopped: the clock is suddenly far ahead. */
static void a_clock_that_jumps_ahead_releases_every_machine(void **state)
{
    (void)state;
    for (size_t scenario = 0; scenario < COUNT(cut_scenarios); ++scenario)
        for (unsigned at = 1; at < 100; ++at) {
            struct machine_config config = {.scenario = cut_scenarios[scenario], .delay_ms = 100};
            struct jump ahead = {.at = at, .by_us = 3600 * SECOND_US};
            struct machine_result result;
            struct net_pair pair;
            begin(&pair, &config);
            pair.context = &ahead;
            pair.watch = jump;
            run_to_end(&pair, ahead.by_us + LIMIT_US);
            machine_result(pair.machine, pair.now_us, &result);
            if (result.state != MACHINE_ENDED || result.released_wrongly > 0)
                fail_msg("%s, jump at datagram %u: state %d, wrong %u", cut_scenarios[scenario], at, (int)result.state,
                         result.released_wrongly);
            net_pair_clear(&pair);
        }
}

/* All that needs no timer goes on while the clock stands still, and each result is the right one. */
static void a_clock_that_stands_still_stops_nothing(void **state)
{
    struct machine_config config = {.scenario = "int3"};
    struct net_pair pair;
    char story[NET_STORY_SIZE];
    (void)state;
    begin(&pair, &config);
    pair.weather.delay_us = 0;
    net_pair_run(&pair, 0);
    net_story(&pair, story);
    assert_string_equal(story, "connected v5; break_in break 80000003; kernel nt x64 lab pdb; crash_status break "
                               "not_started ffffffff from rva; released continue");
    net_expect_unharmed(&pair);
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
        cmocka_unit_test_setup(no_cut_of_any_kind_leaves_a_machine_halted, net_afresh),
        cmocka_unit_test_setup(a_cut_of_four_hours_leaves_no_machine_halted, net_afresh),
        cmocka_unit_test_setup(on_the_worst_network_every_life_goes_on, net_afresh),
        cmocka_unit_test_setup(a_network_that_drops_long_datagrams_does_not_keep_a_machine_on_its_breakpoint,
                               net_afresh),
        cmocka_unit_test_setup(who_knows_no_pieces_gets_the_whole_again, net_afresh),
        cmocka_unit_test_setup(a_clock_that_jumps_ahead_releases_every_machine, net_afresh),
        cmocka_unit_test_setup(a_clock_that_stands_still_stops_nothing, net_afresh),
    };
    return cmocka_run_group_tests(tests, setup, net_teardown);
}
