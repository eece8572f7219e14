/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "kdnet/kernel/layout_cache.h"
#include "kdnet/wire/machine.h"

#define BASE  UINT64_C(0xfffff80012000000)
#define BLOCK 0xc00a0U

static struct kdnet_version version_of(uint16_t build, uint64_t base)
{
    return (struct kdnet_version){.minor = build,
                                  .machine = KDNET_MACHINE_X64,
                                  .kernel_base = base,
                                  .loaded_module_list = base + 0x5000,
                                  .debugger_data_list = base + 0x6000};
}

static void learn(struct kdnet_layout_cache *layout_cache, const struct kdnet_version *version)
{
    kdnet_layout_cache_learn(layout_cache, version, version->kernel_base + BLOCK);
}

static void a_kernel_is_known_again_wherever_it_lies(void **state)
{
    (void)state;
    static struct kdnet_layout_cache layout_cache;
    struct kdnet_version here = version_of(20348, BASE), there = version_of(20348, BASE + 0x40000000);
    uint32_t rva;
    assert_false(kdnet_layout_cache_find(NULL, &here, &rva));
    assert_false(kdnet_layout_cache_find(&layout_cache, &here, &rva));
    learn(&layout_cache, &here);
    assert_true(kdnet_layout_cache_find(&layout_cache, &there, &rva));
    assert_int_equal(rva, BLOCK);
}

static void another_look_is_another_kernel(void **state)
{
    (void)state;
    static struct kdnet_layout_cache layout_cache;
    struct kdnet_version one = version_of(20348, BASE), other = one;
    uint32_t rva;
    learn(&layout_cache, &one);
    other.minor = 20349;
    assert_false(kdnet_layout_cache_find(&layout_cache, &other, &rva));
    other = one;
    other.machine = KDNET_MACHINE_ARM64;
    assert_false(kdnet_layout_cache_find(&layout_cache, &other, &rva));
    other = one;
    other.debugger_data_list += 8;
    assert_false(kdnet_layout_cache_find(&layout_cache, &other, &rva));
    other = one;
    other.loaded_module_list += 8;
    assert_false(kdnet_layout_cache_find(&layout_cache, &other, &rva));
}

static void what_lies_outside_of_the_image_is_not_remembered(void **state)
{
    (void)state;
    static struct kdnet_layout_cache layout_cache;
    struct kdnet_version version = version_of(20348, BASE);
    kdnet_layout_cache_learn(&layout_cache, &version, BASE - 8);
    kdnet_layout_cache_learn(&layout_cache, &version, BASE);
    kdnet_layout_cache_learn(&layout_cache, &version, BASE + UINT64_C(0x100000000));
    version.debugger_data_list = 0;
    learn(&layout_cache, &version);
    assert_int_equal(layout_cache.count, 0);
}

static void a_place_that_is_known_is_not_taught_anew(void **state)
{
    (void)state;
    static struct kdnet_layout_cache layout_cache;
    struct kdnet_version version = version_of(20348, BASE);
    uint32_t rva;
    learn(&layout_cache, &version);
    kdnet_layout_cache_learn(&layout_cache, &version, BASE + 0x3000);
    assert_int_equal(layout_cache.count, 1);
    assert_true(kdnet_layout_cache_find(&layout_cache, &version, &rva));
    assert_int_equal(rva, BLOCK);
}

static void a_place_that_failed_is_forgotten_and_not_learnt_again(void **state)
{
    (void)state;
    static struct kdnet_layout_cache layout_cache;
    struct kdnet_version version = version_of(20348, BASE), other = version_of(26100, BASE);
    uint32_t rva;
    kdnet_layout_cache_refute(NULL, &version);
    kdnet_layout_cache_refute(&layout_cache, &version);
    learn(&layout_cache, &version);
    learn(&layout_cache, &other);
    kdnet_layout_cache_refute(&layout_cache, &version);
    assert_false(kdnet_layout_cache_find(&layout_cache, &version, &rva));
    learn(&layout_cache, &version);
    assert_false(kdnet_layout_cache_find(&layout_cache, &version, &rva));
    assert_true(kdnet_layout_cache_find(&layout_cache, &other, &rva));
}

static void of_too_many_kernels_the_oldest_are_forgotten(void **state)
{
    (void)state;
    static struct kdnet_layout_cache layout_cache;
    uint32_t rva;
    for (unsigned i = 0; i <= KDNET_LAYOUT_CACHE_MAX; ++i) {
        struct kdnet_version version = version_of((uint16_t)(10000 + i), BASE);
        learn(&layout_cache, &version);
    }
    for (unsigned i = 0; i <= KDNET_LAYOUT_CACHE_MAX; ++i) {
        struct kdnet_version version = version_of((uint16_t)(10000 + i), BASE);
        assert_int_equal(kdnet_layout_cache_find(&layout_cache, &version, &rva), i > 0);
    }
    assert_int_equal(layout_cache.count, KDNET_LAYOUT_CACHE_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_kernel_is_known_again_wherever_it_lies),
        cmocka_unit_test(another_look_is_another_kernel),
        cmocka_unit_test(what_lies_outside_of_the_image_is_not_remembered),
        cmocka_unit_test(a_place_that_is_known_is_not_taught_anew),
        cmocka_unit_test(a_place_that_failed_is_forgotten_and_not_learnt_again),
        cmocka_unit_test(of_too_many_kernels_the_oldest_are_forgotten),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
