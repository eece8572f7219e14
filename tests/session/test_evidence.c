/* SPDX-License-Identifier: Apache-2.0 */
/* Further values that are read at a break: what they cost and what stands for those that cannot be had. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "kdnet/session/state_internal.h"
#include "kdnet/base/wire.h"
#include "service/kdnet-target/machine_internal.h"
#include "tests/session/net.h"
#include "tests/session/puppet.h"
#include "tests/session/evidence_reads.h"

static void expect_number(unsigned n, const char *name, uint64_t number)
{
    assert_int_equal(value(n, name)->state, KDNET_VALUE_KNOWN);
    assert_int_equal(value(n, name)->number, number);
}

static void expect_text(unsigned n, const char *name, const char *text)
{
    const struct kdnet_value *v = value(n, name);
    assert_int_equal(v->state, KDNET_VALUE_KNOWN);
    assert_int_equal(v->text_length, strlen(text));
    assert_memory_equal(told.evidence[n].texts + v->text_at, text, v->text_length);
}

static void each_machine_gives_its_evidence_behind_the_status(void **state)
{
    static const enum kdnet_machine kinds[] = {KDNET_MACHINE_X64, KDNET_MACHINE_X86, KDNET_MACHINE_ARM64};
    static const char *const labs[] = {"amd64fre", "x86fre", "arm64fre"};
    for (size_t i = 0; i < COUNT(kinds); ++i) {
        char lab[KDNET_BUILD_LAB_SIZE];
        tear_down(state);
        set_up(state);
        add_usual();
        run("bugcheck", kinds[i], NULL);
        assert_int_equal(told.count, 2);
        (void)snprintf(lab, sizeof lab, "20348.288.%s.fe_release.210507-1500-ex", labs[i]);
        for (unsigned n = 0; n < 2; ++n) {
            assert_true(told.have[n]);
            assert_true(told.status[n].status_known);
            expect_number(n, "auto_reboot", 1);
            expect_number(n, "initialized", 1);
            assert_int_equal(value(n, "block")->state, KDNET_VALUE_KNOWN);
            assert_int_not_equal(value(n, "block")->number, 0);
            expect_number(n, "active", 1);
            expect_text(n, "driver", "faulty.sys");
            expect_text(n, "lab", lab);
            expect_number(n, "boot_time", MACHINE_BOOT_TIME);
            expect_number(n, "processors", 4);
        }
    }
}

/* The figures of the table in README.md. */
static void neighbours_come_together_and_constants_once(void **state)
{
    uint32_t bare[2], with[2];
    (void)state;
    run("bugcheck", KDNET_MACHINE_X64, NULL);
    memcpy(bare, told.requests, sizeof bare);
    assert_false(told.have[0]);
    memset(&told, 0, sizeof told);
    add_usual();
    run("bugcheck", KDNET_MACHINE_X64, NULL);
    memcpy(with, told.requests, sizeof with);
    print_message("evidence: %u requests at the first break, %u at the last\n", with[0] - bare[0],
                  with[1] - bare[1] - (with[0] - bare[0]));
    /* the build string; all the rest in one; the driver's UNICODE_STRING; its text */
    assert_int_equal(with[0] - bare[0], 4);
    assert_int_equal(with[1] - bare[1] - 4, 3);
}

static void image_found_in_the_list_is_read_by_its_own_symbols(void **state)
{
    (void)state;
    (void)add("state", "FAULTY", "FaultyState", KDNET_READ_U32);
    (void)add("absent", "faulty", "NotThere", KDNET_READ_U32);
    (void)add("nowhere", "missing", "Anything", KDNET_READ_U32);
    (void)add("auto_reboot", "nt", "IopAutoReboot", KDNET_READ_U32);
    run("bugcheck", KDNET_MACHINE_X64, NULL);
    for (unsigned n = 0; n < 2; ++n) {
        expect_number(n, "state", MACHINE_DRIVER_STATE);
        expect_state(n, "absent", KDNET_VALUE_SYMBOL_ABSENT);
        expect_state(n, "nowhere", KDNET_VALUE_NO_MODULE);
        expect_number(n, "auto_reboot", 1);
    }
    memset(&told, 0, sizeof told);
    run("bugcheck", KDNET_MACHINE_X86, NULL);
    expect_number(1, "state", MACHINE_DRIVER_STATE);
}

static void what_cannot_be_had_says_why(void **state)
{
    (void)state;
    (void)add("known", "nt", "IopAutoReboot", KDNET_READ_U32);
    (void)add("gone", "nt", "Gone", KDNET_READ_U32);
    (void)add("last", "nt", "Last", KDNET_READ_U64);
    (void)add("beyond", "nt", "Beyond", KDNET_READ_U32);
    (void)add("cut", "nt", "Last", KDNET_READ_STRING);
    add("offset", "nt", "Last", KDNET_READ_U8)->offset[0] = 0x1000;
    add("nowhere", "nt", "KeBootTime", KDNET_READ_U8)->steps = 1; /* its time is no address */
    (void)add("late", "nt", "CrashdmpInitialized", KDNET_READ_U8);
    pending = "CrashdmpInitialized";
    run("bugcheck", KDNET_MACHINE_X64, NULL);
    expect_number(0, "known", 1);
    expect_state(0, "gone", KDNET_VALUE_SYMBOL_ABSENT);
    expect_number(0, "last", 0);
    expect_state(0, "beyond", KDNET_VALUE_UNREADABLE);
    expect_text(0, "cut", "");
    expect_state(0, "offset", KDNET_VALUE_UNREADABLE);
    expect_state(0, "nowhere", KDNET_VALUE_UNREADABLE);
    expect_state(0, "late", KDNET_VALUE_PENDING); /* nothing waits for its look-up */
    assert_true(told.status[0].read_us < KDNET_READ_DEADLINE_US / 4);
}

static struct kdnet_session_shared other_shared;
static struct kdnet_reads other_reads;

/* In the middle of its evidence the session goes to another worker, with reads of its own. */
static bool move_away(struct net_pair *pair, bool to_host, struct net_packet *packet)
{
    (void)packet;
    if (!to_host && pair->session->active && pair->session->active->evidence_probe &&
        pair->session->shared == &shared) {
        other_reads = reads;
        other_shared = shared;
        other_shared.reads = &other_reads;
        kdnet_session_move(pair->session, &other_shared);
    }
    return true;
}

static void evidence_of_a_session_that_moved_is_of_the_reads_where_it_is(void **state)
{
    (void)state;
    add_usual();
    other_shared.reads = NULL;
    run("bugcheck", KDNET_MACHINE_X64, move_away);
    assert_ptr_equal(other_shared.reads, &other_reads); /* it moved */
    assert_true(told.have[0] && told.have[1]);
    for (unsigned n = 0; n < 2; ++n)
        assert_ptr_equal(told.evidence[n].reads, &other_reads);
    expect_number(0, "auto_reboot", 1);
}

static void without_symbols_every_value_says_so(void **state)
{
    (void)state;
    add_usual();
    none = true;
    run("bugcheck", KDNET_MACHINE_X64, NULL);
    assert_int_equal(told.status[0].conclusion.reason, KDNET_REASON_NO_SYMBOLS);
    for (size_t i = 0; i < reads.count; ++i)
        expect_state(0, reads.read[i].name, KDNET_VALUE_NO_SYMBOLS);
}

static void break_that_is_no_crash_is_asked_only_what_is_always_wanted(void **state)
{
    (void)state;
    add_usual();
    run("int3", KDNET_MACHINE_X64, NULL);
    assert_int_equal(told.count, 1);
    assert_false(told.have[0]);
    struct kdnet_read *driver = add("always", "nt", "KiBugCheckDriver", KDNET_READ_UNICODE);
    driver->steps = 1;
    driver->always = true;
    ++reads.version;
    memset(&told, 0, sizeof told);
    run("int3", KDNET_MACHINE_X64, NULL);
    assert_true(told.have[0]);
    expect_state(0, "always", KDNET_VALUE_NULL_POINTER); /* no driver is to blame */
    expect_state(0, "auto_reboot", KDNET_VALUE_NOT_ASKED);
}

static void reads_that_change_meanwhile_are_those_of_the_next_break(void **state)
{
    struct machine_config config = {.scenario = "bugcheck", .delay_ms = CRASH_US / 1000};
    struct net_pair pair;
    (void)state;
    add_usual();
    net_pair_init(&pair, &shared, &config, 7);
    pair.weather.delay_us = DELAY_US;
    pair.told = on_told;
    unsigned changes = 0;
    for (uint64_t until_us = CRASH_US; until_us < 10 * SECOND_US; until_us += 700) {
        net_pair_run(&pair, until_us);
        if (!kdnet_session_is_halted(pair.session) || ++changes > 40)
            continue;
        reads.count = changes % 2 == 0 ? 8 : 3;
        ++reads.version;
    }
    assert_true(machine_is_ended(pair.machine, pair.now_us));
    assert_int_equal(told.count, 2);
    net_pair_clear(&pair);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_SHARED(each_machine_gives_its_evidence_behind_the_status),
        WITH_SHARED(neighbours_come_together_and_constants_once),
        WITH_SHARED(image_found_in_the_list_is_read_by_its_own_symbols),
        WITH_SHARED(what_cannot_be_had_says_why),
        WITH_SHARED(evidence_of_a_session_that_moved_is_of_the_reads_where_it_is),
        WITH_SHARED(without_symbols_every_value_says_so),
        WITH_SHARED(break_that_is_no_crash_is_asked_only_what_is_always_wanted),
        WITH_SHARED(reads_that_change_meanwhile_are_those_of_the_next_break),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
