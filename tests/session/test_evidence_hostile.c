/* SPDX-License-Identifier: Apache-2.0 */
/* Networks that lose and machines that lie cost evidence and nothing else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "kdnet/crash/trace_cache.h"
#include "kdnet/kernel/loaded_image.h"
#include "kdnet/session/evidence.h"
#include "kdnet/session/state_internal.h"
#include "kdnet/base/wire.h"
#include "service/kdnet-target/machine_internal.h"
#include "tests/session/net.h"
#include "tests/session/puppet.h"
#include "tests/session/evidence_reads.h"

/* Requests for evidence never arrive: the one for IopAutoReboot and its neighbours is the first of them. */
static bool lose_evidence(struct net_pair *pair, bool to_host, struct net_packet *packet)
{
    struct kdnet_manipulate request;
    struct machine_result result;
    machine_result(pair->machine, pair->now_us, &result);
    uint64_t first = result.kernel_base + MACHINE_RVA_AUTO_REBOOT, lab = result.kernel_base + MACHINE_RVA_BUILD_LAB_EX;
    if (to_host || packet->control || packet->type != KDNET_PACKET_MANIPULATE ||
        kdnet_manipulate_decode(packet->payload, packet->length, &request) != KDNET_OK)
        return true;
    return request.api != KDNET_API_READ_VIRTUAL_MEMORY ||
           (request.u.memory.address != first && request.u.memory.address != lab);
}

static void evidence_that_does_not_come_delays_no_machine_and_spoils_no_result(void **state)
{
    (void)state;
    add_usual();
    run("bugcheck", KDNET_MACHINE_X64, lose_evidence);
    assert_int_equal(told.count, 2);
    for (unsigned n = 0; n < 2; ++n) {
        assert_true(told.status[n].status_known);
        assert_int_equal(told.status[n].conclusion.reason, KDNET_REASON_NONE);
        assert_in_range(told.status[n].read_us, KDNET_READ_DEADLINE_US / 4, KDNET_READ_DEADLINE_US / 3);
        for (size_t i = 0; i < reads.count; ++i)
            expect_state(n, reads.read[i].name, KDNET_VALUE_TIMEOUT);
    }
    assert_int_equal(told.status[0].conclusion.verdict, KDNET_VERDICT_NOT_STARTED);
    assert_int_equal(told.status[1].conclusion.verdict, KDNET_VERDICT_WRITTEN);
}

static unsigned answers_left;

/* The machine acknowledges all requests, and answers so many of those for memory. */
static bool fall_mute(struct net_pair *pair, bool to_host, struct net_packet *packet)
{
    (void)pair;
    if (!to_host || packet->control || packet->type != KDNET_PACKET_MANIPULATE ||
        kdnet_get_le32(packet->payload) != KDNET_API_READ_VIRTUAL_MEMORY)
        return true;
    if (answers_left == 0)
        return false;
    --answers_left;
    return true;
}

/* Whichever question it is that a machine leaves without an answer: there is one result for each break, and the machine
 * goes on at the deadline. */
static void fall_mute_at(unsigned question)
{
    struct net_pair pair;
    struct machine_result result;
    struct machine_config config = {.scenario = "bugcheck", .cause = 0x1234};
    shared.trace_cache = kdnet_trace_cache_new(); /* so that each run asks the same questions */
    assert_non_null(shared.trace_cache);
    answers_left = question;
    memset(&told, 0, sizeof told);
    net_pair_init(&pair, &shared, &config, 5);
    pair.weather.delay_us = DELAY_US;
    pair.told = on_told;
    pair.tamper = fall_mute;
    net_pair_run(&pair, 300 * SECOND_US);
    machine_result(pair.machine, pair.now_us, &result);
    assert_int_equal(result.state, MACHINE_ENDED);
    assert_int_equal(machine_harm(&result), 0);
    assert_in_range(result.longest_halt_us, 1, KDNET_READ_DEADLINE_US + SECOND_US / 10);
    assert_int_equal(told.count, 2);
    for (unsigned n = 0; n < 2; ++n)
        assert_int_equal(told.status[n].status_known, told.status[n].conclusion.reason == KDNET_REASON_NONE);
    net_pair_clear(&pair);
    kdnet_trace_cache_free(shared.trace_cache);
    shared.trace_cache = NULL;
}

static void a_machine_that_falls_mute_at_any_question_goes_on(void **state)
{
    unsigned known_at = 0, count = 0;
    (void)state;
    add_usual();
    for (answers_left = 0; answers_left == 0; ++count) {
        fall_mute_at(count);
        if (known_at == 0 && told.status[0].status_known)
            known_at = count;
    }
    assert_in_range(known_at, 3, 12); /* the status is one of the first questions */
    assert_in_range(count, 20, 100);
}

static unsigned known_count, timeout_count;

/* What is known is right, whatever the network did to it. */
static void on_lossy(struct net_pair *pair, const struct kdnet_event *event)
{
    if (event->type != KDNET_EVENT_CRASH_STATUS || !event->u.crash_status.evidence)
        return;
    const struct kdnet_evidence *evidence = event->u.crash_status.evidence;
    static const uint64_t numbers[] = {0, 1, 0, 1, 0, 0, MACHINE_BOOT_TIME, 4, MACHINE_DRIVER_STATE}; /* 0: any */
    for (size_t i = 0; i < reads.count; ++i) {
        const struct kdnet_value *v = &evidence->value[i];
        if (v->state == KDNET_VALUE_TIMEOUT) {
            ++timeout_count;
            continue;
        }
        if (v->state != KDNET_VALUE_KNOWN)
            fail_msg("%s is %s", reads.read[i].name, kdnet_value_state_name((enum kdnet_value_state)v->state));
        ++known_count;
        if (strcmp(reads.read[i].name, "driver") == 0)
            assert_memory_equal(evidence->texts + v->text_at, "faulty.sys", 10);
        else if (numbers[i] != 0)
            assert_int_equal(v->number, numbers[i]);
    }
    (void)pair;
}

static void run_lossy(struct machine_config *config, uint64_t seed)
{
    struct net_pair pair;
    struct machine_expectation expected;
    struct machine_result result;
    net_pair_init(&pair, &shared, config, seed);
    pair.weather = (struct net_weather){.loss_percent = 20, .repeat_percent = 10, .delay_us = 300, .jitter_us = 3000};
    pair.told = on_lossy;
    net_pair_run(&pair, 90 * SECOND_US);
    machine_expectation(pair.machine, &expected);
    machine_result(pair.machine, pair.now_us, &result);
    if (!machine_is_ended(pair.machine, pair.now_us) || result.released_wrongly || result.traps_again)
        fail_msg("seed %llu, %s: state %d, wrong %u, traps %u", (unsigned long long)seed, config->scenario,
                 (int)result.state, result.released_wrongly, result.traps_again);
    assert_int_equal(net_count(&pair, KDNET_EVENT_CRASH_STATUS), expected.crash ? 2 : 0);
    if (expected.crash) {
        const struct kdnet_event_crash_status *last = &net_event(&pair, KDNET_EVENT_CRASH_STATUS, 1)->u.crash_status;
        assert_true(last->status_known);
        assert_int_equal(last->status, expected.status);
    }
    net_pair_clear(&pair);
}

static void bad_network_costs_evidence_and_nothing_else(void **state)
{
    static const enum kdnet_machine kinds[] = {KDNET_MACHINE_X64, KDNET_MACHINE_X86, KDNET_MACHINE_ARM64};
    struct test_random random;
    (void)state;
    test_random_init(&random);
    add_usual();
    (void)add("state", "faulty", "FaultyState", KDNET_READ_U32);
    shared.read_deadline_us = 20 * SECOND_US; /* of which a quarter is for evidence */
    shared.lost_after_us = 120 * SECOND_US;
    shared.recall_image = recall_image;
    shared.remember_image = remember_image;
    known_count = timeout_count = 0;
    for (unsigned i = 0; i < 900; ++i) {
        struct machine_config config = {.scenario = i % 3 == 0 ? "boot" : "bugcheck",
                                        .machine = kinds[i / 3 % 3],
                                        .status = i % 2 == 0 ? 0xc000007fU : 0,
                                        .no_reboot = i % 7 == 0,
                                        .delay_ms = 50 + i % 400};
        vouches = i % 2 == 0 && remembered > 0;
        run_lossy(&config, test_random_next(&random));
    }
    print_message("evidence behind a bad network: %u values known, %u out of time\n", known_count, timeout_count);
    assert_true(known_count > timeout_count);
}

enum lie {
    LOOPS,   /* and never comes back to its head */
    ENDLESS, /* each entry is a new one */
    ITSELF,  /* one entry, for ever */
    PAGED_OUT,
    NAMELESS, /* all of the right length, no name can be read */
};

static struct machine *memory;
static enum lie lie;
static unsigned entries; /* that were read */

#define ENTRIES UINT64_C(0xffffe00000000000)

static void put_entry(uint64_t at, uint8_t *data)
{
    uint64_t next = at + 0x100;
    if (lie == ITSELF)
        next = at;
    if (lie == LOOPS && at >= ENTRIES + 0x700)
        next = ENTRIES + 0x300;
    memset(data, 0, KDNET_LOADED_IMAGE_SIZE);
    kdnet_put_le64(data, next);
    kdnet_put_le64(data + 0x30, 0xfffff80077770000U);
    kdnet_put_le16(data + 0x58, lie == NAMELESS ? 20 : 8);
    kdnet_put_le64(data + 0x60, 0xffffd00000000000U);
}

static bool lie_answer(struct puppet *p, struct kdnet_manipulate *reply, uint8_t *data)
{
    uint64_t at = reply->u.memory.address, head = memory_address(memory, MACHINE_RVA_LOADED_MODULES);
    size_t given = 0;
    (void)p;
    if (puppet_version(reply)) {
        reply->u.version.kernel_base = memory->kernel_base;
        reply->u.version.debugger_data_list = memory_address(memory, MACHINE_RVA_DATA_LIST);
        return true;
    }
    if (reply->api != KDNET_API_READ_VIRTUAL_MEMORY) {
        reply->return_status = KDNET_STATUS_UNSUCCESSFUL;
        return true;
    }
    if (at == head && lie != PAGED_OUT) {
        kdnet_put_le64(data, ENTRIES);
        given = 8;
    } else if (at >= ENTRIES && at < ENTRIES + 0x1000000) {
        put_entry(at, data);
        given = KDNET_LOADED_IMAGE_SIZE;
        ++entries;
    } else if (at != head) {
        given = memory_read(memory, at, data, reply->u.memory.count);
    }
    reply->u.memory.actual = (uint32_t)given;
    reply->return_status = given > 0 ? 0 : KDNET_STATUS_UNSUCCESSFUL;
    reply->data_length = given;
    return true;
}

static void list_that_lies_ends(void **state)
{
    static const unsigned most[] = {[LOOPS] = 16, [ENDLESS] = 512, [ITSELF] = 1, [PAGED_OUT] = 0, [NAMELESS] = 512};
    struct kdnet_crypto *crypto = kdnet_crypto_new();
    const struct machine_config config = {.crypto = crypto, .scenario = "int3"};
    (void)state;
    memory = machine_new(&config);
    for (lie = LOOPS; lie <= NAMELESS; ++lie) {
        struct puppet *p = puppet_new();
        reads.count = 0;
        add("state", "faulty", "FaultyState", KDNET_READ_U32)->always = true;
        p->shared.reads = &reads;
        p->knows_rva = true;
        p->answer = lie_answer;
        entries = 0;
        puppet_connect(p);
        puppet_break(p, 0xc0000005U, 0xfffff80011112222U);
        assert_int_equal(puppet_events(p, KDNET_EVENT_CRASH_STATUS), 1);
        assert_int_equal(p->continue_count, 1);
        assert_true(entries <= most[lie]);
        print_message("list %d: %u entries were read\n", (int)lie, entries);
        puppet_free(p);
    }
    machine_free(memory);
    kdnet_crypto_free(crypto);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_SHARED(evidence_that_does_not_come_delays_no_machine_and_spoils_no_result),
        WITH_SHARED(a_machine_that_falls_mute_at_any_question_goes_on),
        WITH_SHARED(bad_network_costs_evidence_and_nothing_else),
        WITH_SHARED(list_that_lies_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
