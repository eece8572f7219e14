/* SPDX-License-Identifier: Apache-2.0 */
/* Kernels that were read before, on other machines: what is spared, and that nothing else changes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "kdnet/error.h"
#include "kdnet/kernel/layout_cache.h"
#include "kdnet/base/wire.h"
#include "service/kdnet-target/machine.h"
#include "tests/session/net.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
#define DELAY_US     250U
#define LIMIT_US     20000000U
#define SPARED       1U      /* requests: the list that names the block */
#define NOWHERE      0x4000U /* as MACHINE_RVA_END: nothing is mapped there */

static struct kdnet_layout_cache layout_cache;

static int setup(void **state)
{
    (void)net_setup(state);
    memset(&layout_cache, 0, sizeof layout_cache);
    return 0;
}

/* One machine's life from its first poke. Returns the requests that it took. */
static uint32_t live(const char *scenario, enum kdnet_machine machine, char story[static NET_STORY_SIZE])
{
    struct machine_config config = {.scenario = scenario, .machine = machine, .status = 0xc0000185, .delay_ms = 100};
    struct machine_result result;
    struct net_pair pair;
    net_pair_init(&pair, &net_shared, &config, 7);
    pair.weather.delay_us = DELAY_US;
    net_pair_run(&pair, LIMIT_US);
    machine_result(pair.machine, pair.now_us, &result);
    assert_int_equal(result.state, MACHINE_ENDED);
    assert_int_equal(machine_harm(&result), 0);
    assert_int_equal(result.traps_again, 0);
    net_story(&pair, story);
    net_pair_clear(&pair);
    return result.requests;
}

static void a_kernel_that_was_read_before_costs_a_request_less_and_says_the_same(void **state)
{
    static const enum kdnet_machine machines[] = {KDNET_MACHINE_X64, KDNET_MACHINE_X86, KDNET_MACHINE_ARM64};
    static const char *const scenarios[] = {"bugcheck", "int3", "exception"};
    (void)state;
    for (size_t i = 0; i < COUNT(machines) * COUNT(scenarios); ++i) {
        char alone[NET_STORY_SIZE], first[NET_STORY_SIZE], second[NET_STORY_SIZE];
        const char *scenario = scenarios[i / COUNT(machines)];
        enum kdnet_machine machine = machines[i % COUNT(machines)];
        net_shared.layout_cache = NULL;
        uint32_t whole = live(scenario, machine, alone);
        net_shared.layout_cache = &layout_cache;
        memset(&layout_cache, 0, sizeof layout_cache);
        assert_int_equal(live(scenario, machine, first), whole);
        assert_int_equal(layout_cache.count, 1);
        assert_int_equal(live(scenario, machine, second), whole - SPARED);
        assert_string_equal(first, alone);
        assert_string_equal(second, alone);
    }
}

/* What a machine that lies, or another kernel that looks the same, has left. */
static void wrong_places_cost_a_read_once_and_are_forgotten(void **state)
{
    static const uint32_t wrong[] = {
        MACHINE_RVA_DEBUGGER_DATA + 8, /* no block: no tag */
        NOWHERE,                       /* unreadable */
        MACHINE_RVA_CODEVIEW,
        UINT32_MAX,
    };
    char whole[NET_STORY_SIZE], story[NET_STORY_SIZE];
    (void)state;
    net_shared.layout_cache = NULL;
    uint32_t requests = live("bugcheck", KDNET_MACHINE_X64, whole);
    net_shared.layout_cache = &layout_cache;
    for (size_t i = 0; i < COUNT(wrong); ++i) {
        memset(&layout_cache, 0, sizeof layout_cache);
        (void)live("bugcheck", KDNET_MACHINE_X64, story);
        assert_int_equal(layout_cache.count, 1);
        layout_cache.kernel[0].block_rva = wrong[i];
        assert_int_equal(live("bugcheck", KDNET_MACHINE_X64, story), requests + 1);
        assert_string_equal(story, whole);
        assert_int_equal(live("bugcheck", KDNET_MACHINE_X64, story), requests);
        assert_string_equal(story, whole);
        assert_int_equal(layout_cache.count, 1);
    }
}

#define DECOY 0x2180U /* RVA of another image's RSDS record, in the kernel's own memory */

/* In the memory of each machine there is a decoy; a machine with a context says in its debug directory that this is its
 * record. */
static bool put_decoy(struct net_pair *pair, bool to_host, struct net_packet *packet)
{
    static const uint8_t record[] = "RSDS0123456789abcdef\1\0\0\0other.pdb";
    struct kdnet_manipulate reply;
    if (!to_host || packet->control || packet->type != KDNET_PACKET_MANIPULATE ||
        kdnet_manipulate_decode(packet->payload, packet->length, &reply) != KDNET_OK ||
        reply.api != KDNET_API_READ_VIRTUAL_MEMORY || reply.return_status != 0)
        return true;
    uint8_t *data = packet->payload + (packet->length - reply.data_length);
    uint32_t rva = (uint32_t)reply.u.memory.address & 0xffff, at = MACHINE_RVA_DEBUG_DIRECTORY + 28 + 20 - rva;
    if (rva == DECOY && reply.data_length >= sizeof record)
        memcpy(data, record, sizeof record);
    if (rva == MACHINE_RVA_DEBUG_DIRECTORY && pair->context && at + 4 <= reply.data_length)
        kdnet_put_le32(data + at, DECOY);
    return true;
}

static struct kdnet_pdb told_pdb;

static void take_pdb(struct net_pair *pair, const struct kdnet_event *event)
{
    if (event->type == KDNET_EVENT_KERNEL && event->u.kernel.pdb_known)
        told_pdb = *kdnet_session_pdb(pair->session);
}

/* The identity that a machine with a decoy is found to have. */
static const char *identity_of(bool lies)
{
    static const struct machine_config config = {.scenario = "bugcheck", .status = 0xc0000185, .delay_ms = 100};
    struct net_pair pair;
    memset(&told_pdb, 0, sizeof told_pdb);
    net_pair_init(&pair, &net_shared, &config, 7);
    pair.weather.delay_us = DELAY_US;
    pair.tamper = put_decoy;
    pair.told = take_pdb;
    pair.context = lies ? &pair : NULL;
    net_pair_run(&pair, LIMIT_US);
    net_pair_clear(&pair);
    return told_pdb.name;
}

static void a_machine_that_lies_about_its_identity_spoils_nobody_elses(void **state)
{
    (void)state;
    net_shared.layout_cache = &layout_cache;
    assert_string_equal(identity_of(true), "other.pdb");
    for (unsigned i = 0; i < 3; ++i)
        assert_string_equal(identity_of(false), "ntkrnlmp.pdb");
    assert_string_equal(identity_of(true), "other.pdb");
    assert_string_equal(identity_of(false), "ntkrnlmp.pdb");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_kernel_that_was_read_before_costs_a_request_less_and_says_the_same, setup,
                                        net_teardown),
        cmocka_unit_test_setup_teardown(wrong_places_cost_a_read_once_and_are_forgotten, setup, net_teardown),
        cmocka_unit_test_setup_teardown(a_machine_that_lies_about_its_identity_spoils_nobody_elses, setup,
                                        net_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
