/* SPDX-License-Identifier: Apache-2.0 */
/* Claims of machines that are asked in full: who gets one, and when it ends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "kdnet/crash/trace_cache.h"
#include "tests/support/random.h"

#define UNTIL_US 500U

static struct kdnet_trace_claims claims;
static struct kdnet_trace_cache *cache;

static int set_up(void **state)
{
    (void)state;
    claims = (struct kdnet_trace_claims){.count = 0};
    cache = kdnet_trace_cache_new();
    return cache ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    kdnet_trace_cache_free(cache);
    return 0;
}

static void two_get_a_claim_and_keep_it(void **state)
{
    (void)state;
    assert_true(kdnet_trace_claims_take(&claims, 7, 1, 2, 0, UNTIL_US));
    assert_true(kdnet_trace_claims_take(&claims, 7, 2, 2, 1, UNTIL_US + 1));
    assert_false(kdnet_trace_claims_take(&claims, 7, 3, 2, 2, UNTIL_US + 2));
    assert_true(kdnet_trace_claims_take(&claims, 7, 1, 2, 3, UNTIL_US + 3)); /* its own */
    assert_true(kdnet_trace_claims_take(&claims, 8, 3, 2, 3, UNTIL_US + 3)); /* to something else */
    assert_int_equal(claims.count, 3);
}

static void claim_lapses_at_its_time(void **state)
{
    (void)state;
    assert_true(kdnet_trace_claims_take(&claims, 7, 1, 1, 0, UNTIL_US));
    assert_false(kdnet_trace_claims_take(&claims, 7, 2, 1, UNTIL_US - 1, 2 * UNTIL_US));
    assert_true(kdnet_trace_claims_take(&claims, 7, 2, 1, UNTIL_US, 2 * UNTIL_US));
    assert_false(kdnet_trace_claims_take(&claims, 7, 1, 1, UNTIL_US, 2 * UNTIL_US));
}

static void what_was_told_is_no_longer_claimed(void **state)
{
    (void)state;
    assert_true(kdnet_trace_claims_take(&claims, 7, 1, 1, 0, UNTIL_US));
    kdnet_trace_claims_drop(&claims, 8, 1);
    kdnet_trace_claims_drop(&claims, 7, 2);
    assert_false(kdnet_trace_claims_take(&claims, 7, 2, 1, 0, UNTIL_US));
    kdnet_trace_claims_drop(&claims, 7, 1);
    assert_true(kdnet_trace_claims_take(&claims, 7, 2, 1, 0, UNTIL_US));
}

static void claim_of_a_machine_that_is_asked_on_holds_longer(void **state)
{
    (void)state;
    assert_true(kdnet_trace_claims_take(&claims, 7, 1, 2, 0, UNTIL_US));
    assert_true(kdnet_trace_claims_take(&claims, 7, 2, 2, 0, UNTIL_US));
    kdnet_trace_claims_renew(&claims, 1, 2 * UNTIL_US);
    kdnet_trace_claims_renew(&claims, 1, UNTIL_US / 2);                             /* never earlier */
    assert_true(kdnet_trace_claims_take(&claims, 7, 3, 2, UNTIL_US, 2 * UNTIL_US)); /* 2 has lapsed */
    assert_false(kdnet_trace_claims_take(&claims, 7, 4, 2, 2 * UNTIL_US - 1, 3 * UNTIL_US));
    assert_true(kdnet_trace_claims_take(&claims, 7, 4, 2, 2 * UNTIL_US, 3 * UNTIL_US));
}

static void too_many_claims_are_refused_until_one_lapses(void **state)
{
    (void)state;
    for (uint64_t i = 0; i < KDNET_TRACE_CLAIMS; ++i)
        assert_true(kdnet_trace_claims_take(&claims, i, i, 2, 0, i == 9 ? UNTIL_US / 2 : UNTIL_US));
    assert_false(kdnet_trace_claims_take(&claims, 1000, 1000, 2, UNTIL_US / 2 - 1, UNTIL_US));
    assert_true(kdnet_trace_claims_take(&claims, 1000, 1000, 2, UNTIL_US / 2, UNTIL_US));
    assert_int_equal(claims.count, KDNET_TRACE_CLAIMS);
}

/* Against a list of all that was ever claimed. */
static void random_claims_are_those_of_a_plain_list(void **state)
{
    static struct kdnet_trace_claim all[4000];
    struct test_random random;
    size_t count = 0;
    (void)state;
    test_random_init(&random);
    for (uint64_t now_us = 0; now_us < 4000; ++now_us) {
        uint64_t what = test_random_below(&random, 5), teller = test_random_below(&random, 9);
        unsigned seats = (unsigned)test_random_below(&random, 3), others = 0;
        bool own = false;
        for (size_t i = 0; i < count; ++i)
            if (all[i].what == what && all[i].until_us > now_us) {
                own |= all[i].teller == teller;
                others += all[i].teller != teller;
            }
        bool expected = own || others < seats;
        uint64_t until_us = now_us + test_random_below(&random, 40);
        assert_int_equal(kdnet_trace_claims_take(&claims, what, teller, seats, now_us, until_us), expected);
        if (expected && !own)
            all[count++] = (struct kdnet_trace_claim){what, teller, until_us};
    }
}

/* --- in the cache ------------------------------------------------------------------------------------------------- */

static const struct kdnet_image_place kernel = {.stamp = 5, .size = 0x800000, .machine = 0x8664};

static bool claim_kernel(uint64_t id, uint64_t teller, uint64_t now_us)
{
    return kdnet_trace_cache_claim_kernel(cache, &kernel, id, teller, now_us, now_us + UNTIL_US) == KDNET_TRACE_IN_FULL;
}

static void those_who_told_of_a_kernel_and_those_who_are_asked_are_two(void **state)
{
    (void)state;
    assert_true(claim_kernel(9, 1, 0));
    assert_true(claim_kernel(9, 2, 0));
    assert_false(claim_kernel(9, 3, 0));
    assert_true(claim_kernel(10, 3, 0)); /* another kernel */
    kdnet_trace_cache_learn_kernel(cache, &kernel, 9, 1);
    assert_false(claim_kernel(9, 3, 1));       /* 1 told, 2 is asked */
    assert_true(claim_kernel(9, 3, UNTIL_US)); /* 2 has vanished */
    assert_false(claim_kernel(9, 4, UNTIL_US));
    kdnet_trace_cache_learn_kernel(cache, &kernel, 9, 3);
    assert_false(claim_kernel(9, 4, 10 * UNTIL_US)); /* for ever */
    assert_true(claim_kernel(9, 1, 10 * UNTIL_US));  /* one of the two again */
}

static bool claim_walk(uint64_t address, uint64_t teller, uint64_t now_us)
{
    return kdnet_trace_cache_claim_walk(cache, &kernel, address, teller, now_us, now_us + UNTIL_US) ==
           KDNET_TRACE_IN_FULL;
}

static void two_walk_for_an_address_at_a_time(void **state)
{
    static const struct kdnet_image_place image = {.base = 0x10000, .size = 0x8000, .stamp = 6, .machine = 0x8664};
    (void)state;
    assert_true(claim_walk(0x11234, 1, 0));
    assert_true(claim_walk(0x91234, 2, 0)); /* the same place of a page */
    assert_false(claim_walk(0x31234, 3, 0));
    assert_true(claim_walk(0x31238, 3, 0));
    kdnet_trace_cache_learn_hint(cache, 1, &kernel, &image, 0x11234);
    assert_false(claim_walk(0x31234, 3, 1)); /* 1 told, 2 walks */
    assert_true(claim_walk(0x31234, 3, UNTIL_US));
    assert_false(claim_walk(0x31234, 4, UNTIL_US));
    kdnet_trace_cache_learn_walk(cache, &kernel, 0x31234, 3); /* in vain, where 1 found something */
    assert_true(claim_walk(0x31234, 4, UNTIL_US));
    assert_false(claim_walk(0x31234, 5, UNTIL_US));
}

/* What machines say of other images at the same place of a page never stops the walks for this one. */
static void one_machine_may_walk_whatever_others_told(void **state)
{
    (void)state;
    for (uint64_t i = 1; i <= 20; ++i) {
        struct kdnet_image_place image = {.base = 0x10000, .size = 0x8000, .stamp = (uint32_t)i, .machine = 0x8664};
        kdnet_trace_cache_learn_hint(cache, i, &kernel, &image, 0x11234);
    }
    assert_true(claim_walk(0x11234, 100, 0));
    assert_false(claim_walk(0x11234, 101, 0));
    assert_true(claim_walk(0x11234, 101, UNTIL_US));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(two_get_a_claim_and_keep_it),
        TEST(claim_lapses_at_its_time),
        TEST(what_was_told_is_no_longer_claimed),
        TEST(claim_of_a_machine_that_is_asked_on_holds_longer),
        TEST(too_many_claims_are_refused_until_one_lapses),
        TEST(random_claims_are_those_of_a_plain_list),
        TEST(those_who_told_of_a_kernel_and_those_who_are_asked_are_two),
        TEST(two_walk_for_an_address_at_a_time),
        TEST(one_machine_may_walk_whatever_others_told),
    };
#undef TEST
    return cmocka_run_group_tests(tests, NULL, NULL);
}
