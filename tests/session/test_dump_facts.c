/* SPDX-License-Identifier: Apache-2.0 */
/* What the breaks of a crash say of its dump when nobody knows where the status is; and crashes without a last break.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "kdnet/assessment.h"
#include "kdnet/crash/trace_cache.h"
#include "service/kdnet-target/machine.h"
#include "tests/session/net.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define SECOND_US    UINT64_C(1000000)
#define FATAL        "connected v5; connected v5; bugcheck print; break_in bugcheck_first 80000003; kernel nt x64 lab pdb; "
#define FIRST        "crash_status bugcheck_first not_started symbol_absent from phase; released continue; "
#define SHORT        "connected v5; bugcheck print; break_in bugcheck_first 80000003; kernel nt x64 lab pdb; "

static const struct {
    const char *name;
    enum kdnet_read_kind kind;
    uint32_t rva;
} symbols[] = {
    {KDNET_DUMP_BLOCK_SYMBOL, KDNET_READ_POINTER, MACHINE_RVA_DUMP_BLOCK},
    {KDNET_DUMP_DRIVER_SYMBOL, KDNET_READ_POINTER, MACHINE_RVA_DUMP_DRIVER},
    {KDNET_DUMP_PROGRESS_SYMBOL, KDNET_READ_U32, MACHINE_RVA_DUMP_PROGRESS},
};

static struct kdnet_session_shared shared;
static struct kdnet_reads reads;
static const char *hidden; /* a symbol that this kernel does not have */

static enum kdnet_rva_answer find_rva(void *user, const struct kdnet_pdb *pdb, const char *symbol, uint32_t *rva,
                                      enum kdnet_source *source)
{
    (void)user;
    (void)pdb;
    for (size_t i = 0; i < COUNT(symbols); ++i) {
        if (strcmp(symbol, symbols[i].name) != 0 || (hidden && strcmp(symbol, hidden) == 0))
            continue;
        *rva = symbols[i].rva;
        *source = KDNET_SOURCE_PDB;
        return KDNET_RVA_FOUND;
    }
    return KDNET_RVA_ABSENT;
}

static int set_up(void **state)
{
    (void)state;
    net_shared_init(&shared);
    shared.find_rva = find_rva;
    shared.reads = &reads;
    shared.trace_cache = kdnet_trace_cache_new();
    if (!shared.trace_cache)
        return -1;
    reads = (struct kdnet_reads){.version = 1};
    for (size_t i = 0; i < COUNT(symbols); ++i) {
        struct kdnet_read *read = &reads.read[reads.count++];
        read->kind = (uint8_t)symbols[i].kind;
        (void)snprintf(read->name, sizeof read->name, "read_%zu", i); /* the name may be any */
        (void)snprintf(read->module, sizeof read->module, "nt");
        (void)snprintf(read->symbol, sizeof read->symbol, "%s", symbols[i].name);
    }
    hidden = NULL;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    kdnet_trace_cache_free(shared.trace_cache);
    net_shared_clear(&shared);
    return 0;
}

static void run(struct net_pair *pair, const struct machine_config *config, uint64_t seconds)
{
    net_pair_init(pair, &shared, config, 7);
    net_pair_run(pair, seconds * SECOND_US);
    struct machine_result result;
    machine_result(pair->machine, pair->now_us, &result);
    assert_int_equal(machine_harm(&result), 0);
}

static void expect_story(const struct net_pair *pair, const char *expected)
{
    char story[NET_STORY_SIZE];
    net_story(pair, story);
    assert_string_equal(story, expected);
}

static struct kdnet_assessment last_assessment(const struct net_pair *pair)
{
    struct kdnet_assessment out;
    unsigned count = net_count(pair, KDNET_EVENT_CRASH_STATUS);
    assert_int_equal(count, 2);
    kdnet_assess(&net_event(pair, KDNET_EVENT_CRASH_STATUS, 0)->u.crash_status.dump, &out);
    assert_int_equal(out.likely, KDNET_LIKELY_NONE); /* at a first break nothing has been tried yet */
    kdnet_assess(&net_event(pair, KDNET_EVENT_CRASH_STATUS, count - 1)->u.crash_status.dump, &out);
    return out;
}

/* --- verdict ------------------------------------------------------------------------------------------------------ */

static void null_at_both_breaks_is_not_started(void **state)
{
    static const char *const hide[] = {NULL, KDNET_DUMP_BLOCK_SYMBOL, KDNET_DUMP_DRIVER_SYMBOL};
    (void)state;
    for (size_t i = 0; i < COUNT(hide); ++i) {
        struct net_pair pair;
        struct machine_config config = {.scenario = "bugcheck", .no_dump = true};
        hidden = hide[i];
        run(&pair, &config, 20);
        expect_story(&pair, FATAL FIRST "break_in shutdown; crash_status shutdown not_started symbol_absent from "
                                        "dump_block since; released continue; connected v5 rebooted");
        assert_int_equal(last_assessment(&pair).likely, KDNET_LIKELY_NONE);
        net_pair_clear(&pair);
    }
}

static void second_break_counts_as_the_last(void **state)
{
    (void)state;
    struct net_pair pair;
    struct machine_config config = {.scenario = "bugcheck", .no_dump = true, .no_reboot = true};
    run(&pair, &config, 20);
    expect_story(&pair, FATAL FIRST "break_in bugcheck_second 80000003; crash_status bugcheck_second not_started "
                                    "symbol_absent from dump_block since; released hold");
    net_pair_clear(&pair);
}

/* A crash by hand has no first break: null at its last one alone is no proof. */
static void null_at_the_last_break_alone_is_no_verdict(void **state)
{
    (void)state;
    struct net_pair pair;
    struct machine_config config = {.scenario = "e2", .no_dump = true};
    run(&pair, &config, 20);
    assert_int_equal(net_count(&pair, KDNET_EVENT_CRASH_STATUS), 1);
    const struct kdnet_event_crash_status *status = &net_event(&pair, KDNET_EVENT_CRASH_STATUS, 0)->u.crash_status;
    struct kdnet_assessment out;
    assert_int_equal(status->conclusion.verdict, KDNET_VERDICT_UNKNOWN);
    kdnet_assess(&status->dump, &out);
    assert_int_equal(out.likely, KDNET_LIKELY_NOT_STARTED);
    assert_false(out.strong);
    net_pair_clear(&pair);
}

/* --- assessment --------------------------------------------------------------------------------------------------- */

static void screen_tells_how_the_dump_probably_ended(void **state)
{
    static const struct {
        uint32_t status;
        enum kdnet_likely likely;
        bool strong;
    } rows[] = {
        {0, KDNET_LIKELY_WRITTEN, true},
        {0xc0000185U, KDNET_LIKELY_FAILED, false},
        {KDNET_DUMP_NOT_STARTED, KDNET_LIKELY_NOT_STARTED, false},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); ++i) {
        struct net_pair pair;
        struct machine_config config = {.scenario = "bugcheck", .status = rows[i].status};
        run(&pair, &config, 20);
        expect_story(&pair, FATAL FIRST "break_in shutdown; crash_status shutdown unknown symbol_absent since; "
                                        "released continue; connected v5 rebooted");
        struct kdnet_assessment out = last_assessment(&pair);
        assert_string_equal(kdnet_likely_name(out.likely), kdnet_likely_name(rows[i].likely));
        assert_int_equal(out.strong, rows[i].strong);
        net_pair_clear(&pair);
    }
}

static void nothing_that_was_not_read_counts(void **state)
{
    (void)state;
    struct net_pair pair;
    struct machine_config config = {.scenario = "bugcheck", .no_dump = true};
    shared.reads = NULL;
    run(&pair, &config, 20);
    const struct kdnet_event_crash_status *status = &net_event(&pair, KDNET_EVENT_CRASH_STATUS, 1)->u.crash_status;
    assert_int_equal(status->conclusion.verdict, KDNET_VERDICT_UNKNOWN);
    assert_int_equal(last_assessment(&pair).likely, KDNET_LIKELY_NONE);
    net_pair_clear(&pair);
}

/* --- dump log ----------------------------------------------------------------------------------------------------- */

static const struct kdnet_event_crash_status *run_log(struct net_pair *pair, const struct machine_config *config)
{
    run(pair, config, 20);
    assert_int_equal(net_count(pair, KDNET_EVENT_CRASH_STATUS), 2);
    const struct kdnet_event_crash_status *first = &net_event(pair, KDNET_EVENT_CRASH_STATUS, 0)->u.crash_status;
    assert_false(first->dump.log.tried);
    return &net_event(pair, KDNET_EVENT_CRASH_STATUS, 1)->u.crash_status;
}

static void log_of_this_crash_proves_that_it_was_written(void **state)
{
    static const enum kdnet_machine kinds[] = {KDNET_MACHINE_X64, KDNET_MACHINE_X86, KDNET_MACHINE_ARM64};
    (void)state;
    for (size_t i = 0; i < COUNT(kinds); ++i) {
        struct net_pair pair;
        struct machine_config config = {.scenario = "bugcheck", .machine = kinds[i], .dump_log = true};
        const struct kdnet_event_crash_status *last = run_log(&pair, &config);
        assert_int_equal(last->conclusion.verdict, KDNET_VERDICT_WRITTEN);
        assert_int_equal(last->conclusion.source, KDNET_SOURCE_DUMP_LOG);
        assert_string_equal(last->dump.log.last_line, "Dump completed successfully.");
        assert_int_equal(last_assessment(&pair).likely, KDNET_LIKELY_NONE); /* there is a verdict */
        net_pair_clear(&pair);
    }
}

static void log_without_its_last_line_is_evidence(void **state)
{
    (void)state;
    struct net_pair pair;
    struct machine_config config = {.scenario = "bugcheck", .status = 0xc0000185U, .dump_log = true, .no_reboot = true};
    const struct kdnet_event_crash_status *last = run_log(&pair, &config);
    assert_int_equal(last->conclusion.verdict, KDNET_VERDICT_UNKNOWN);
    assert_true(last->dump.log.known);
    assert_int_equal(last->dump.log.percent, 45);
    assert_string_equal(kdnet_likely_name(last_assessment(&pair).likely), "failed");
    net_pair_clear(&pair);
}

static void log_is_looked_for_within_bounds(void **state)
{
    static const struct machine_config configs[] = {
        {.scenario = "bugcheck"},                                          /* it has none */
        {.scenario = "bugcheck", .dump_log = true},                        /* to be found */
        {.scenario = "bugcheck", .dump_log = true, .seed = 8},             /* where another machine had it */
        {.scenario = "bugcheck", .machine = KDNET_MACHINE_X86, .seed = 9}, /* and has not */
    };
    uint32_t asked[COUNT(configs)];
    (void)state;
    for (size_t i = 0; i < COUNT(configs); ++i) {
        struct net_pair pair;
        struct machine_result result;
        const struct kdnet_event_crash_status *last = run_log(&pair, &configs[i]);
        assert_true(last->dump.log.tried);
        assert_int_equal(last->dump.log.known, configs[i].dump_log);
        machine_result(pair.machine, pair.now_us, &result);
        asked[i] = result.requests;
        net_pair_clear(&pair);
        hidden = KDNET_DUMP_BLOCK_SYMBOL; /* without either place nothing is tried */
        reads.count = 1;
        ++reads.version;
        run(&pair, &configs[i], 20);
        assert_false(net_event(&pair, KDNET_EVENT_CRASH_STATUS, 1)->u.crash_status.dump.log.tried);
        machine_result(pair.machine, pair.now_us, &result);
        assert_in_range(asked[i] - result.requests, 1, 64 + 8); /* and the reads of evidence */
        net_pair_clear(&pair);
        hidden = NULL;
        reads.count = COUNT(symbols);
        ++reads.version;
    }
    print_message("dump log: %u, %u, then %u requests of a crash\n", asked[0], asked[1], asked[2]);
    assert_true(asked[2] < asked[1]);
}

/* --- no last break ------------------------------------------------------------------------------------------------ */

static void machine_that_survives_is_told_and_not_lost(void **state)
{
    (void)state;
    struct net_pair pair;
    struct machine_config config = {.scenario = "survives"};
    run(&pair, &config, 3600);
    expect_story(&pair, SHORT FIRST "no_last_break");
    const struct kdnet_event *event = net_event(&pair, KDNET_EVENT_NO_LAST_BREAK, 0);
    assert_in_range(event->u.no_last_break.since_first_us, 27 * SECOND_US, 40 * SECOND_US);
    assert_true(event->u.no_last_break.bugcheck.known);
    assert_true(event->of.crash_known);
    assert_false(kdnet_session_is_dumping(pair.session));
    net_pair_clear(&pair);
}

static void machine_that_starts_anew_without_a_word_is_told(void **state)
{
    (void)state;
    struct net_pair pair;
    struct machine_config config = {.scenario = "no-last-break"};
    run(&pair, &config, 3600);
    expect_story(&pair, FATAL FIRST "connected v5 rebooted; no_last_break rebooted");
    assert_true(net_event(&pair, KDNET_EVENT_NO_LAST_BREAK, 0)->of.crash_known);
    net_pair_clear(&pair);
}

static void no_other_crash_has_such_an_event(void **state)
{
    static const char *const others[] = {"bugcheck",     "bugcheck-hold", "e2",          "unattended",
                                         "double-crash", "boot",          "repeat-break"};
    (void)state;
    for (size_t i = 0; i < COUNT(others); ++i) {
        struct net_pair pair;
        struct machine_config config = {.scenario = others[i], .times = 3};
        run(&pair, &config, 600);
        assert_int_equal(net_count(&pair, KDNET_EVENT_NO_LAST_BREAK), 0);
        net_pair_clear(&pair);
    }
}

/* A long dump is silence, however long, and its end is the last break. */
static void long_dump_is_not_a_missing_break(void **state)
{
    (void)state;
    struct net_pair pair;
    struct machine_config config = {.scenario = "bugcheck", .dump_ms = 1200000};
    run(&pair, &config, 1300);
    assert_int_equal(net_count(&pair, KDNET_EVENT_NO_LAST_BREAK), 0);
    assert_int_equal(net_count(&pair, KDNET_EVENT_CRASH_STATUS), 2);
    net_pair_clear(&pair);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(null_at_both_breaks_is_not_started),         TEST(second_break_counts_as_the_last),
        TEST(null_at_the_last_break_alone_is_no_verdict), TEST(screen_tells_how_the_dump_probably_ended),
        TEST(nothing_that_was_not_read_counts),           TEST(log_of_this_crash_proves_that_it_was_written),
        TEST(log_without_its_last_line_is_evidence),      TEST(log_is_looked_for_within_bounds),
        TEST(machine_that_survives_is_told_and_not_lost), TEST(machine_that_starts_anew_without_a_word_is_told),
        TEST(no_other_crash_has_such_an_event),           TEST(long_dump_is_not_a_missing_break),
    };
#undef TEST
    return cmocka_run_group_tests(tests, NULL, NULL);
}
