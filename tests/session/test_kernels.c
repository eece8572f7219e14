/* SPDX-License-Identifier: Apache-2.0 */
/* Kernels that were read before, on other machines: what is spared, and that nothing else changes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "kdnet/kernels.h"
#include "service/target/machine.h"
#include "tests/session/net.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
#define DELAY_US     250U
#define LIMIT_US     20000000U
#define SPARED       3U      /* requests: the list that names the block, the image's headers, its debug directory */
#define NOWHERE      0x4000U /* as MACHINE_RVA_END: nothing is mapped there */

static struct kdnet_session_shared shared;
static struct kdnet_kernels kernels;

static int setup(void **state)
{
    (void)state;
    net_shared_init(&shared);
    memset(&kernels, 0, sizeof kernels);
    net_knows_rva = true;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    net_shared_clear(&shared);
    return 0;
}

/* One machine's life from its first poke. Returns the requests that it took. */
static uint32_t live(const char *scenario, enum kdnet_machine machine, char story[static NET_STORY_SIZE])
{
    struct machine_config config = {.scenario = scenario, .machine = machine, .status = 0xc0000185, .delay_ms = 100};
    struct machine_result result;
    struct net_pair pair;
    net_pair_init(&pair, &shared, &config, 7);
    pair.weather.delay_us = DELAY_US;
    net_pair_run(&pair, LIMIT_US);
    machine_result(pair.machine, pair.now_us, &result);
    assert_int_equal(result.state, MACHINE_ENDED);
    assert_int_equal(result.released_wrongly, 0);
    assert_int_equal(result.traps_again, 0);
    net_story(&pair, story);
    net_pair_clear(&pair);
    return result.requests;
}

static void a_kernel_that_was_read_before_costs_three_requests_less_and_says_the_same(void **state)
{
    static const enum kdnet_machine machines[] = {KDNET_MACHINE_X64, KDNET_MACHINE_X86, KDNET_MACHINE_ARM64};
    static const char *const scenarios[] = {"bugcheck", "int3", "exception"};
    (void)state;
    for (size_t i = 0; i < COUNT(machines) * COUNT(scenarios); ++i) {
        char alone[NET_STORY_SIZE], first[NET_STORY_SIZE], second[NET_STORY_SIZE];
        const char *scenario = scenarios[i / COUNT(machines)];
        enum kdnet_machine machine = machines[i % COUNT(machines)];
        shared.kernels = NULL;
        uint32_t whole = live(scenario, machine, alone);
        shared.kernels = &kernels;
        memset(&kernels, 0, sizeof kernels);
        assert_int_equal(live(scenario, machine, first), whole);
        assert_int_equal(kernels.count, 1);
        assert_int_equal(live(scenario, machine, second), whole - SPARED);
        assert_string_equal(first, alone);
        assert_string_equal(second, alone);
    }
}

/* What a machine that lies, or another kernel that looks the same, has left. */
static void wrong_places_cost_a_read_and_are_corrected(void **state)
{
    static const struct kdnet_kernel_places wrong[] = {
        {MACHINE_RVA_DEBUGGER_DATA + 8, MACHINE_RVA_CODEVIEW, 88},     /* no block: no tag */
        {NOWHERE, MACHINE_RVA_CODEVIEW, 88},                           /* unreadable */
        {MACHINE_RVA_DEBUGGER_DATA, MACHINE_RVA_BUILD_LAB, 88},        /* no record */
        {MACHINE_RVA_DEBUGGER_DATA, NOWHERE, 88},                      /* unreadable */
        {MACHINE_RVA_DEBUGGER_DATA, MACHINE_RVA_CODEVIEW, 7},          /* cut */
        {MACHINE_RVA_DEBUGGER_DATA, MACHINE_RVA_CODEVIEW, UINT32_MAX}, /* bounded when it is asked for */
        {UINT32_MAX, UINT32_MAX, UINT32_MAX},
    };
    char whole[NET_STORY_SIZE], story[NET_STORY_SIZE];
    (void)state;
    shared.kernels = NULL;
    uint32_t requests = live("bugcheck", KDNET_MACHINE_X64, whole);
    shared.kernels = &kernels;
    for (size_t i = 0; i < COUNT(wrong); ++i) {
        (void)live("bugcheck", KDNET_MACHINE_X64, story);
        assert_int_equal(kernels.count, 1);
        kernels.kernel[0].places = wrong[i];
        assert_in_range(live("bugcheck", KDNET_MACHINE_X64, story), requests - SPARED, requests + 1);
        assert_string_equal(story, whole);
        assert_int_equal(kernels.count, 1);
        assert_int_equal(live("bugcheck", KDNET_MACHINE_X64, story), requests - SPARED);
        assert_string_equal(story, whole);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_kernel_that_was_read_before_costs_three_requests_less_and_says_the_same,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(wrong_places_cost_a_read_and_are_corrected, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
