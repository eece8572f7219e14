/* SPDX-License-Identifier: Apache-2.0 */
/* How a dump probably ended: each rule at its edges, contradictions, and never against a verdict. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "kdnet/assessment.h"
#include "tests/support/random.h"

static struct kdnet_dump_facts unknown(void)
{
    return (struct kdnet_dump_facts){.verdict = KDNET_VERDICT_UNKNOWN, .phase = KDNET_PHASE_SHUTDOWN};
}

static struct kdnet_dump_facts with_screen(uint32_t percent)
{
    struct kdnet_dump_facts facts = unknown();
    facts.now.progress_known = true;
    facts.now.progress = percent;
    return facts;
}

static struct kdnet_assessment assess(struct kdnet_dump_facts facts)
{
    struct kdnet_assessment out;
    memset(&out, 0xee, sizeof out);
    kdnet_assess(&facts, &out);
    return out;
}

static void check(struct kdnet_dump_facts facts, enum kdnet_likely likely, bool strong)
{
    struct kdnet_assessment out = assess(facts);
    assert_string_equal(kdnet_likely_name(out.likely), kdnet_likely_name(likely));
    assert_int_equal(out.strong, strong);
    if (likely == KDNET_LIKELY_NONE)
        assert_int_equal(out.count, 0);
    else
        assert_in_range(out.count, 2, KDNET_ASSESSMENT_REASONS);
}

static void nothing_known_gives_none(void **state)
{
    (void)state;
    check(unknown(), KDNET_LIKELY_NONE, false);
}

static void full_screen_is_strong_for_written(void **state)
{
    (void)state;
    struct kdnet_assessment out = assess(with_screen(100));
    assert_int_equal(out.likely, KDNET_LIKELY_WRITTEN);
    assert_string_equal(kdnet_strength_name(&out), "strong");
    assert_int_equal(out.count, 2);
    assert_string_equal(out.because[0], "screen showed 100 percent");
    assert_string_equal(out.because[1], "dump step is over");
}

static void screen_below_full_is_weak_for_failed(void **state)
{
    (void)state;
    check(with_screen(99), KDNET_LIKELY_FAILED, false);
    check(with_screen(1), KDNET_LIKELY_FAILED, false);
    check(with_screen(101), KDNET_LIKELY_NONE, false);
    check(with_screen(UINT32_MAX), KDNET_LIKELY_NONE, false);
}

static void screen_at_zero_counts_only_soon(void **state)
{
    (void)state;
    struct kdnet_dump_facts facts = with_screen(0);
    check(facts, KDNET_LIKELY_NONE, false);
    facts.since_first_known = true;
    facts.since_first_us = 1999999;
    check(facts, KDNET_LIKELY_NOT_STARTED, false);
    facts.since_first_us = 2000000;
    check(facts, KDNET_LIKELY_NONE, false);
}

static void screen_that_was_full_before_says_nothing(void **state)
{
    (void)state;
    struct kdnet_dump_facts facts = with_screen(100);
    facts.first.progress_known = true;
    facts.first.progress = 100;
    check(facts, KDNET_LIKELY_WRITTEN, true); /* that first break is not of this crash */
    facts.first_seen = true;
    check(facts, KDNET_LIKELY_NONE, false);
    facts.first.progress = 99;
    check(facts, KDNET_LIKELY_WRITTEN, true);
    facts.first.progress = 100;
    facts.first.progress_known = false;
    check(facts, KDNET_LIKELY_WRITTEN, true);
}

static void only_the_last_break_is_judged(void **state)
{
    (void)state;
    static const enum kdnet_phase others[] = {KDNET_PHASE_BREAK, KDNET_PHASE_BUGCHECK_FIRST, KDNET_PHASE_BOOT};
    struct kdnet_dump_facts facts = with_screen(100);
    facts.phase = KDNET_PHASE_BUGCHECK_SECOND;
    check(facts, KDNET_LIKELY_WRITTEN, true);
    for (size_t i = 0; i < sizeof others / sizeof others[0]; ++i) {
        facts.phase = others[i];
        check(facts, KDNET_LIKELY_NONE, false);
    }
}

static void null_at_this_break_alone_is_weak(void **state)
{
    (void)state;
    struct kdnet_dump_facts facts = unknown();
    facts.now.block = KDNET_POINTER_NULL;
    check(facts, KDNET_LIKELY_NOT_STARTED, false);
    assert_string_equal(assess(facts).because[0], "no dump is set up");
    facts.now = (struct kdnet_dump_setup){.driver = KDNET_POINTER_NULL};
    check(facts, KDNET_LIKELY_NOT_STARTED, false);
    assert_string_equal(assess(facts).because[0], "dump driver is not loaded");
    facts.now.driver = KDNET_POINTER_SET;
    check(facts, KDNET_LIKELY_NONE, false);
    facts.now.driver = KDNET_POINTER_NULL;
    facts.first_seen = true;
    check(facts, KDNET_LIKELY_NOT_STARTED, false);
    facts.first.driver = KDNET_POINTER_SET; /* it was there: what took it away is not known */
    check(facts, KDNET_LIKELY_NONE, false);
}

static void null_at_both_breaks_is_certain(void **state)
{
    (void)state;
    struct kdnet_dump_facts facts = unknown();
    facts.first_seen = true;
    assert_false(kdnet_dump_never_set_up(&facts));
    facts.first.block = facts.now.block = KDNET_POINTER_NULL;
    assert_true(kdnet_dump_never_set_up(&facts));
    facts.phase = KDNET_PHASE_BUGCHECK_SECOND;
    assert_true(kdnet_dump_never_set_up(&facts));
    facts.phase = KDNET_PHASE_BUGCHECK_FIRST;
    assert_false(kdnet_dump_never_set_up(&facts));
    facts.phase = KDNET_PHASE_SHUTDOWN;
    facts.first_seen = false;
    assert_false(kdnet_dump_never_set_up(&facts));
    facts.first_seen = true;
    facts.first.block = KDNET_POINTER_SET;
    assert_false(kdnet_dump_never_set_up(&facts));
    facts.first.driver = KDNET_POINTER_NULL; /* one at the first, the other at the last: no proof */
    assert_false(kdnet_dump_never_set_up(&facts));
    facts.now.driver = KDNET_POINTER_NULL;
    assert_true(kdnet_dump_never_set_up(&facts));
}

static void log_counts_pages(void **state)
{
    (void)state;
    struct kdnet_dump_facts facts = unknown();
    facts.log = (struct kdnet_dump_log_facts){.known = true, .pages_known = true, .pages = 1000, .pages_written = 1000};
    check(facts, KDNET_LIKELY_WRITTEN, true);
    facts.log.pages_written = 999;
    check(facts, KDNET_LIKELY_FAILED, false);
    facts.log.pages_written = 1001; /* nonsense */
    check(facts, KDNET_LIKELY_NONE, false);
    facts.log.pages = facts.log.pages_written = 0;
    check(facts, KDNET_LIKELY_NONE, false);
    facts.log = (struct kdnet_dump_log_facts){.pages_known = true, .pages = 9, .pages_written = 9};
    check(facts, KDNET_LIKELY_NONE, false);
}

static void log_stops_at_a_percentage(void **state)
{
    (void)state;
    struct kdnet_dump_facts facts = unknown();
    facts.log = (struct kdnet_dump_log_facts){.known = true, .percent_known = true, .percent = 99};
    check(facts, KDNET_LIKELY_FAILED, false);
    facts.log.percent = 100;
    check(facts, KDNET_LIKELY_NONE, false);
    facts.log.percent = 40;
    facts.log.pages_known = true; /* then pages count, not the percentage */
    facts.log.pages = facts.log.pages_written = 7;
    check(facts, KDNET_LIKELY_WRITTEN, true);
}

static void time_and_size_stand_beside(void **state)
{
    (void)state;
    struct kdnet_dump_facts facts = with_screen(100);
    facts.log = (struct kdnet_dump_log_facts){.known = true, .size_known = true, .size = 4300000000};
    facts.since_first_known = true;
    facts.since_first_us = 12400000;
    struct kdnet_assessment out = assess(facts);
    assert_int_equal(out.count, 3);
    assert_string_equal(out.because[2], "12.4 s for 4.3 GB");
}

static void contradictions_give_none(void **state)
{
    (void)state;
    struct kdnet_dump_facts facts = with_screen(100);
    facts.now.block = KDNET_POINTER_NULL;
    check(facts, KDNET_LIKELY_NONE, false);
    facts = with_screen(40);
    facts.log = (struct kdnet_dump_log_facts){.known = true, .pages_known = true, .pages = 5, .pages_written = 5};
    check(facts, KDNET_LIKELY_NONE, false);
    facts.log.pages_written = 4;
    check(facts, KDNET_LIKELY_FAILED, false);
}

static struct kdnet_dump_setup any_setup(struct test_random *random)
{
    return (struct kdnet_dump_setup){.block = (enum kdnet_pointer_fact)test_random_below(random, 3),
                                     .driver = (enum kdnet_pointer_fact)test_random_below(random, 3),
                                     .progress_known = test_random_below(random, 2) != 0,
                                     .progress = (uint32_t)test_random_below(random, 103)};
}

static struct kdnet_dump_facts any_facts(struct test_random *random)
{
    struct kdnet_dump_facts facts = {.verdict = (enum kdnet_verdict)test_random_below(random, 4),
                                     .phase = (enum kdnet_phase)test_random_below(random, 5),
                                     .first_seen = test_random_below(random, 2) != 0,
                                     .first = any_setup(random),
                                     .now = any_setup(random)};
    facts.since_first_known = test_random_below(random, 2) != 0;
    facts.since_first_us = test_random_below(random, 4000000);
    facts.log.known = test_random_below(random, 2) != 0;
    facts.log.percent_known = test_random_below(random, 2) != 0;
    facts.log.pages_known = test_random_below(random, 2) != 0;
    facts.log.size_known = test_random_below(random, 2) != 0;
    facts.log.percent = (uint32_t)test_random_below(random, 103);
    facts.log.pages = test_random_below(random, 3);
    facts.log.pages_written = test_random_below(random, 3);
    facts.log.size = UINT64_MAX >> test_random_below(random, 64);
    return facts;
}

static void whatever_the_facts_it_keeps_its_promises(void **state)
{
    (void)state;
    struct test_random random;
    test_random_init(&random);
    for (unsigned i = 0; i < 100000; ++i) {
        struct kdnet_dump_facts facts = any_facts(&random);
        struct kdnet_assessment out = assess(facts);
        bool may = facts.verdict == KDNET_VERDICT_UNKNOWN &&
                   (facts.phase == KDNET_PHASE_BUGCHECK_SECOND || facts.phase == KDNET_PHASE_SHUTDOWN);
        assert_true(may || out.likely == KDNET_LIKELY_NONE);
        assert_in_range(out.count, 0, KDNET_ASSESSMENT_REASONS);
        for (size_t n = 0; n < out.count; ++n)
            assert_in_range(strnlen(out.because[n], KDNET_ASSESSMENT_REASON_SIZE), 1, KDNET_ASSESSMENT_REASON_SIZE - 1);
        if (out.strong)
            assert_int_equal(out.likely, KDNET_LIKELY_WRITTEN);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_known_gives_none),
        cmocka_unit_test(full_screen_is_strong_for_written),
        cmocka_unit_test(screen_below_full_is_weak_for_failed),
        cmocka_unit_test(screen_at_zero_counts_only_soon),
        cmocka_unit_test(screen_that_was_full_before_says_nothing),
        cmocka_unit_test(only_the_last_break_is_judged),
        cmocka_unit_test(null_at_this_break_alone_is_weak),
        cmocka_unit_test(null_at_both_breaks_is_certain),
        cmocka_unit_test(log_counts_pages),
        cmocka_unit_test(log_stops_at_a_percentage),
        cmocka_unit_test(time_and_size_stand_beside),
        cmocka_unit_test(contradictions_give_none),
        cmocka_unit_test(whatever_the_facts_it_keeps_its_promises),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
