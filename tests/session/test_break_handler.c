/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a halted machine may answer wrong: give less, give rubbish, start anew, be no crash at all. There is always one
 * result, and the machine always goes on.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "kdnet/session/state_internal.h"
#include "service/kdnet-target/machine_internal.h"
#include "tests/session/net.h"
#include "tests/session/puppet.h"
#include "tests/session/late_answers.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define DELAY_US     250U
#define LIMIT_US     (10 * SECOND_US)

static void a_machine_that_reboots_in_the_middle_has_one_result_lost(void **state)
{
    struct puppet *p = puppet_new();
    (void)state;
    puppet_connect(p);
    p->replies = false;
    puppet_break(p, KDNET_EXCEPTION_BREAKPOINT, ADDRESS);
    puppet_wait(p, SECOND_US, false);
    puppet_new_boot(p, 99);
    p->replies = true;
    p->answer = answers_all;
    puppet_connect(p);
    puppet_wait(p, 10 * SECOND_US, false);
    assert_int_equal(puppet_events(p, KDNET_EVENT_CRASH_STATUS), 1);
    assert_int_equal(puppet_event(p, KDNET_EVENT_CRASH_STATUS, 0)->u.crash_status.conclusion.reason, KDNET_REASON_LOST);
    assert_true(puppet_event(p, KDNET_EVENT_CONNECTED, 1)->u.connected.rebooted);
    assert_int_equal(p->continue_count, 0); /* a Continue to a machine that runs would be wrong */
    assert_false(kdnet_session_is_halted(p->session));
    puppet_break(p, 0xc0000005, ADDRESS);
    assert_int_equal(puppet_events(p, KDNET_EVENT_CRASH_STATUS), 2);
    assert_true(p->continue_count > 0);
    puppet_free(p);
}

/* Somebody else continued it: it prints. */
static void a_machine_that_runs_on_by_itself_has_one_result_lost(void **state)
{
    struct puppet *p = puppet_new();
    (void)state;
    puppet_connect(p);
    p->replies = false;
    puppet_break(p, KDNET_EXCEPTION_BREAKPOINT, ADDRESS);
    puppet_wait(p, SECOND_US, false);
    puppet_print(p, "hello\n");
    puppet_wait(p, 10 * SECOND_US, true);
    assert_int_equal(puppet_events(p, KDNET_EVENT_CRASH_STATUS), 1);
    assert_int_equal(puppet_event(p, KDNET_EVENT_CRASH_STATUS, 0)->u.crash_status.conclusion.reason, KDNET_REASON_LOST);
    assert_int_equal(p->continue_count, 0);
    puppet_free(p);
}

enum spoil_way { SPOIL_SHORT, SPOIL_REFUSE, SPOIL_EMPTY, SPOIL_NOISE, SPOIL_ONES, SPOIL_DROP, SPOIL_LIE, SPOIL_OTHER };

/* What a tamperer does with the replies to reads of a range of the kernel. */
struct spoil {
    uint32_t from, to; /* RVAs */
    enum spoil_way how;
    struct test_random random;
    unsigned spoiled;
};

static void spoil_reply(struct spoil *spoil, struct kdnet_manipulate *reply, uint8_t *data)
{
    uint32_t keep = 7;
    switch (spoil->how) {
    case SPOIL_SHORT: /* seven bytes at a time */
        reply->u.memory.actual = reply->u.memory.actual < keep ? reply->u.memory.actual : keep;
        reply->data_length = reply->u.memory.actual;
        break;
    case SPOIL_REFUSE:
        reply->return_status = KDNET_STATUS_UNSUCCESSFUL;
        reply->u.memory.actual = 0;
        reply->data_length = 0;
        break;
    case SPOIL_EMPTY: /* success, and nothing */
        reply->u.memory.actual = 0;
        reply->data_length = 0;
        break;
    case SPOIL_NOISE:
        test_random_fill(&spoil->random, data, reply->data_length);
        break;
    case SPOIL_ONES:
        memset(data, 0xff, reply->data_length);
        break;
    case SPOIL_LIE: /* says more than there is */
        reply->u.memory.actual = UINT32_MAX;
        reply->data_length = reply->data_length / 2;
        break;
    case SPOIL_OTHER: /* of another address */
        reply->u.memory.address ^= 0x1000;
        break;
    case SPOIL_DROP:
        break;
    }
}

static bool spoil(struct net_pair *pair, bool to_host, struct net_packet *packet)
{
    struct spoil *spoil = pair->context;
    struct kdnet_manipulate reply;
    uint8_t data[KDNET_PACKET_PAYLOAD_MAX];
    if (!to_host || packet->control || packet->type != KDNET_PACKET_MANIPULATE ||
        kdnet_manipulate_decode(packet->payload, packet->length, &reply) != KDNET_OK ||
        reply.api != KDNET_API_READ_VIRTUAL_MEMORY)
        return true;
    uint64_t rva = reply.u.memory.address - pair->machine->kernel_base;
    if (rva < spoil->from || rva >= spoil->to)
        return true;
    ++spoil->spoiled;
    if (spoil->how == SPOIL_DROP)
        return false;
    if (reply.data_length > 0)
        memcpy(data, reply.data, reply.data_length);
    reply.data = data;
    spoil_reply(spoil, &reply, data);
    return kdnet_manipulate_encode(&reply, packet->payload, sizeof packet->payload, &packet->length) == KDNET_OK;
}

static void play(struct net_pair *pair, const char *scenario, bool no_reboot, struct spoil *how)
{
    struct machine_config config = {.scenario = scenario, .no_reboot = no_reboot, .status = 0xc000007f};
    how->random.state = 77;
    net_pair_init(pair, &net_shared, &config, 13);
    pair->weather.delay_us = DELAY_US;
    pair->tamper = spoil;
    pair->context = how;
    net_pair_run(pair, LIMIT_US);
}

static void expect_unharmed(const struct net_pair *pair)
{
    struct machine_result result;
    machine_result(pair->machine, pair->now_us, &result);
    assert_int_equal(result.state, MACHINE_ENDED);
    assert_int_equal(machine_harm(&result), 0);
    assert_int_equal(result.traps_again, 0);
    assert_true(((const struct spoil *)pair->context)->spoiled > 0);
}

static void short_reads_are_completed(void **state)
{
    struct spoil how = {.from = 0, .to = MACHINE_RVA_END, .how = SPOIL_SHORT};
    struct net_pair pair;
    char story[NET_STORY_SIZE];
    (void)state;
    play(&pair, "bugcheck", false, &how);
    net_story(&pair, story);
    assert_string_equal(story,
                        "connected v5; connected v5; bugcheck print; break_in bugcheck_first 80000003; kernel nt "
                        "x64 lab pdb; crash_status bugcheck_first not_started ffffffff from rva; released "
                        "continue; break_in shutdown; crash_status shutdown failed c000007f from rva since; "
                        "released continue; connected v5 rebooted");
    expect_unharmed(&pair);
    net_pair_clear(&pair);
}

static void an_unreadable_status_is_said_to_be_unreadable(void **state)
{
    static const enum spoil_way ways[] = {SPOIL_REFUSE, SPOIL_EMPTY};
    (void)state;
    for (size_t i = 0; i < COUNT(ways); ++i) {
        struct spoil how = {.from = MACHINE_RVA_DUMP_STATUS, .to = MACHINE_RVA_DUMP_STATUS + 4};
        struct net_pair pair;
        how.how = ways[i];
        play(&pair, "bugcheck", true, &how);
        const struct kdnet_event *first = net_event(&pair, KDNET_EVENT_CRASH_STATUS, 0);
        const struct kdnet_event *second = net_event(&pair, KDNET_EVENT_CRASH_STATUS, 1);
        assert_int_equal(first->u.crash_status.conclusion.verdict, KDNET_VERDICT_NOT_STARTED);
        assert_int_equal(first->u.crash_status.conclusion.source, KDNET_SOURCE_PHASE);
        assert_int_equal(first->u.crash_status.conclusion.reason, KDNET_REASON_UNREADABLE);
        assert_int_equal(second->u.crash_status.conclusion.verdict, KDNET_VERDICT_UNKNOWN);
        assert_int_equal(second->u.crash_status.conclusion.reason, KDNET_REASON_UNREADABLE);
        assert_true(second->u.crash_status.address_known);
        net_pair_clear(&pair);
    }
}

/* Whatever a read gives: no status that was not read whole, a result for each break, and the machine goes on. */
static void no_rubbish_in_memory_hangs_or_harms_the_machine(void **state)
{
    static const struct {
        uint32_t from, to;
    } places[] = {
        {0, 0x1000}, /* PE headers */
        {MACHINE_RVA_DEBUG_DIRECTORY, MACHINE_RVA_DEBUG_DIRECTORY + 56},
        {MACHINE_RVA_CODEVIEW, MACHINE_RVA_CODEVIEW + 0x100},
        {MACHINE_RVA_BUILD_LAB, MACHINE_RVA_BUILD_LAB + 128},
        {MACHINE_RVA_DATA_LIST, MACHINE_RVA_DATA_LIST + 16},
        {MACHINE_RVA_DEBUGGER_DATA, MACHINE_RVA_DEBUGGER_DATA + 0x340},
        {MACHINE_RVA_BUGCHECK_DATA, MACHINE_RVA_BUGCHECK_DATA + 40},
        {MACHINE_RVA_DUMP_STATUS, MACHINE_RVA_DUMP_STATUS + 4},
        {0, UINT32_MAX},
    };
    static const char *const scenarios[] = {"bugcheck", "int3", "exception"};
    (void)state;
    for (size_t i = 0; i < COUNT(places); ++i)
        for (int way = SPOIL_REFUSE; way <= SPOIL_OTHER; ++way)
            for (size_t j = 0; j < COUNT(scenarios); ++j) {
                struct spoil how = {.from = places[i].from, .to = places[i].to};
                struct machine_expectation expected;
                struct net_pair pair;
                how.how = (enum spoil_way)way;
                play(&pair, scenarios[j], false, &how);
                machine_expectation(pair.machine, &expected);
                unsigned results = net_count(&pair, KDNET_EVENT_CRASH_STATUS);
                if (results != expected.breaks || !machine_is_ended(pair.machine, pair.now_us))
                    fail_msg("place %zu, way %d, %s: %u results", i, way, scenarios[j], results);
                struct machine_result result;
                machine_result(pair.machine, pair.now_us, &result);
                assert_int_equal(machine_harm(&result), 0);
                assert_true(result.longest_halt_us <= KDNET_READ_DEADLINE_US + SECOND_US);
                net_pair_clear(&pair);
            }
}

/* Replies of other requests, doubled, cut and mixed up, all with the right key. */
static bool garble(struct net_pair *pair, bool to_host, struct net_packet *packet)
{
    struct spoil *spoil = pair->context;
    /* who answers is believed once for each boot: a lie about the registers' layout would make it trap for ever */
    if (!to_host || packet->control || packet->type != KDNET_PACKET_MANIPULATE ||
        kdnet_get_le32(packet->payload) == KDNET_API_GET_VERSION)
        return true;
    ++spoil->spoiled;
    for (size_t n = test_random_below(&spoil->random, 4); n > 0; --n)
        packet->payload[test_random_below(&spoil->random, packet->length)] = (uint8_t)test_random_next(&spoil->random);
    if (test_random_below(&spoil->random, 4) == 0)
        packet->length = test_random_below(&spoil->random, packet->length + 1);
    return true;
}

static void garbled_replies_never_hang_the_machine(void **state)
{
    struct test_random random;
    (void)state;
    test_random_init(&random);
    for (unsigned i = 0; i < 200; ++i) {
        struct machine_config config = {.scenario = i % 2 == 0 ? "bugcheck" : "int3"};
        struct spoil how = {.random = {.state = test_random_next(&random) | 1}};
        struct machine_result result;
        struct net_pair pair;
        net_pair_init(&pair, &net_shared, &config, i);
        pair.weather.delay_us = DELAY_US;
        pair.tamper = garble;
        pair.context = &how;
        net_pair_run(&pair, 30 * SECOND_US);
        pair.tamper = NULL; /* a context that was garbled on its way made it trap again and again */
        net_pair_run(&pair, 40 * SECOND_US);
        machine_result(pair.machine, pair.now_us, &result);
        assert_true(result.longest_halt_us <= 2 * THINKS_MAX_US + 8 * SECOND_US);
        if (result.state != MACHINE_ENDED)
            fail_msg("machine %u: halted for %llu us", i, (unsigned long long)result.longest_halt_us);
        net_pair_clear(&pair);
    }
}

static bool boot_loader(struct puppet *p, struct kdnet_manipulate *reply, uint8_t *data)
{
    (void)p;
    (void)data;
    if (!puppet_version(reply))
        reply->return_status = KDNET_STATUS_UNSUCCESSFUL;
    else
        reply->u.version.major = 0x040f;
    return true;
}

static void a_break_in_the_boot_loader_has_no_kernel(void **state)
{
    struct puppet *p = puppet_new();
    (void)state;
    p->answer = boot_loader;
    puppet_connect(p);
    puppet_break(p, KDNET_EXCEPTION_BREAKPOINT, ADDRESS);
    puppet_wait(p, SECOND_US, false);
    const struct kdnet_event *status = puppet_event(p, KDNET_EVENT_CRASH_STATUS, 0);
    assert_int_equal(puppet_events(p, KDNET_EVENT_CRASH_STATUS), 1);
    assert_int_equal(status->u.crash_status.phase, KDNET_PHASE_BOOT);
    assert_int_equal(status->u.crash_status.conclusion.verdict, KDNET_VERDICT_UNKNOWN);
    assert_int_equal(status->u.crash_status.conclusion.reason, KDNET_REASON_NO_KERNEL);
    assert_true(p->continue_count > 0);
    puppet_free(p);
}

static bool quiet_nt(struct puppet *p, struct kdnet_manipulate *reply, uint8_t *data)
{
    (void)p;
    if (puppet_version(reply)) {
        reply->u.version.debugger_data_list = 0xfffff80012350000U;
        return true;
    }
    if (reply->api != KDNET_API_READ_VIRTUAL_MEMORY) {
        reply->return_status = KDNET_STATUS_UNSUCCESSFUL;
        return true;
    }
    /* the data list points to a block that is all zero but for its tag; so is KiBugCheckData */
    memset(data, 0, KDNET_PACKET_PAYLOAD_MAX);
    kdnet_put_le32(data + 0x10, 0x4742444b);
    kdnet_put_le32(data + 0x14, 0x340);
    kdnet_put_le64(data + 0x88, 0xfffff80012360000U);
    if (reply->u.memory.address == 0xfffff80012350000U)
        kdnet_put_le64(data, 0xfffff80012350100U);
    if (reply->u.memory.address == 0xfffff80012360000U)
        memset(data, 0, 40);
    reply->u.memory.actual = reply->u.memory.count;
    reply->data_length = reply->u.memory.count;
    return true;
}

/* Updates are installed, the machine reboots: no crash, no result, nobody is woken. */
static void shut_down_without_a_crash(bool hurried)
{
    struct puppet *p = puppet_new();
    p->answer = quiet_nt;
    puppet_connect(p);
    p->shared.breaks_pass = hurried;
    puppet_shutdown(p);
    puppet_wait(p, SECOND_US, false);
    assert_true(p->continue_count > 0);
    assert_int_equal(p->continue_status, KDNET_DBG_CONTINUE);
    assert_int_equal(puppet_events(p, KDNET_EVENT_CRASH_STATUS), 0);
    assert_int_equal(puppet_events(p, KDNET_EVENT_BREAK_IN), 0);
    assert_int_equal(puppet_events(p, KDNET_EVENT_RELEASED), 0);
    puppet_free(p);
}

static void an_ordinary_shutdown_is_no_crash(void **state)
{
    (void)state;
    shut_down_without_a_crash(false);
    shut_down_without_a_crash(true);
}

/* The policy holds it all the same: then somebody has to know that it stands still. */
static void an_ordinary_shutdown_that_is_held_is_told(void **state)
{
    struct puppet *p = puppet_new();
    (void)state;
    p->answer = quiet_nt;
    p->policy.action[KDNET_BREAK_KIND_SHUTDOWN] = KDNET_ACTION_HOLD;
    p->policy.hold_for_us = 5 * SECOND_US;
    puppet_connect(p);
    puppet_shutdown(p);
    puppet_wait(p, SECOND_US, false);
    assert_int_equal(p->continue_count, 0);
    assert_int_equal(puppet_events(p, KDNET_EVENT_HELD), 1);
    assert_int_equal(puppet_event(p, KDNET_EVENT_HELD, 0)->u.held.why, KDNET_BREAK_KIND_SHUTDOWN);
    assert_int_equal(puppet_event(p, KDNET_EVENT_HELD, 0)->u.held.hold_for_us, 5 * SECOND_US);
    puppet_wait(p, 5 * SECOND_US, false);
    assert_true(p->continue_count > 0);
    assert_int_equal(puppet_events(p, KDNET_EVENT_RELEASED), 1);
    assert_int_equal(puppet_events(p, KDNET_EVENT_CRASH_STATUS), 0);
    puppet_free(p);
}

/* A crash is printed, the machine is reset, and much later the next boot has an ordinary break, in a kernel that is at
 * the same place (no KASLR). The bug check is of the life before. */
static void a_break_of_the_next_boot_does_not_inherit_the_crash(void **state)
{
    struct puppet *p = puppet_new();
    (void)state;
    p->answer = quiet_nt;
    puppet_connect(p);
    puppet_print(p, "\n*** Fatal System Error: 0x000000d1\n                       "
                    "(0x0000000000000001,0x0000000000000002,0x0000000000000003,0x0000000000000004)\n\n");
    puppet_break(p, KDNET_EXCEPTION_BREAKPOINT, ADDRESS);
    assert_int_equal(puppet_event(p, KDNET_EVENT_CRASH_STATUS, 0)->u.crash_status.phase, KDNET_PHASE_BUGCHECK_FIRST);
    assert_true(puppet_event(p, KDNET_EVENT_CRASH_STATUS, 0)->u.crash_status.bugcheck.known);
    puppet_wait(p, 60 * SECOND_US, false);
    puppet_new_boot(p, 99);
    puppet_connect(p);
    puppet_wait(p, 3600 * SECOND_US, true);
    puppet_break(p, 0xc0000005, ADDRESS);
    assert_int_equal(puppet_events(p, KDNET_EVENT_CRASH_STATUS), 2);
    const struct kdnet_event_crash_status *status = &puppet_event(p, KDNET_EVENT_CRASH_STATUS, 1)->u.crash_status;
    assert_int_equal(status->phase, KDNET_PHASE_BREAK);
    assert_false(status->bugcheck.known);
    assert_false(status->since_first_known);
    puppet_free(p);
}

/* The policy reboots a machine at its first break: it writes no dump, so its silence is a loss as any other. */
static void a_machine_that_was_rebooted_by_us_is_not_dumping(void **state)
{
    struct puppet *p = puppet_new();
    (void)state;
    p->answer = answers_all;
    p->policy.action[KDNET_BREAK_KIND_BUGCHECK_FIRST] = KDNET_ACTION_REBOOT;
    puppet_connect(p);
    puppet_print(p, "\n*** Fatal System Error: 0x000000d1\n                       "
                    "(0x0000000000000001,0x0000000000000002,0x0000000000000003,0x0000000000000004)\n\n");
    puppet_break(p, KDNET_EXCEPTION_BREAKPOINT, ADDRESS);
    assert_int_equal(puppet_event(p, KDNET_EVENT_RELEASED, 0)->u.released.action, KDNET_ACTION_REBOOT);
    puppet_wait(p, KDNET_LOST_AFTER_US + SECOND_US, false);
    assert_int_equal(puppet_events(p, KDNET_EVENT_LOST), 1);
    puppet_free(p);
}

/* Its break was not taken when it came, for want of time; RESEND makes it say it again. */
static void a_machine_that_had_to_wait_is_recalled_by_resend(void **state)
{
    struct puppet *p = puppet_new();
    (void)state;
    kdnet_session_admit(p->session, p->now_us); /* without a key: nothing */
    puppet_drain(p);
    assert_int_equal(p->sent_count, 0);
    puppet_connect(p);
    unsigned packets = p->packet_count;
    assert_false(kdnet_session_awaits(p->session));
    kdnet_session_admit(p->session, p->now_us);
    puppet_drain(p);
    assert_int_equal(p->packet_count, packets + 1);
    assert_true(p->packet[packets].control);
    assert_int_equal(p->packet[packets].type, KDNET_PACKET_RESEND);
    assert_false(kdnet_session_awaits(p->session)); /* a running machine has no answer to it */
    p->replies = p->acks = false;
    (void)puppet_break(p, 0xc0000005, 0x1000);
    assert_true(kdnet_session_awaits(p->session));
    packets = p->packet_count;
    kdnet_session_admit(p->session, p->now_us); /* it is being asked already */
    puppet_drain(p);
    assert_int_equal(p->packet_count, packets);
    puppet_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_machine_that_had_to_wait_is_recalled_by_resend),
        cmocka_unit_test(a_machine_that_reboots_in_the_middle_has_one_result_lost),
        cmocka_unit_test(a_machine_that_runs_on_by_itself_has_one_result_lost),
        cmocka_unit_test(short_reads_are_completed),
        cmocka_unit_test(an_unreadable_status_is_said_to_be_unreadable),
        cmocka_unit_test(no_rubbish_in_memory_hangs_or_harms_the_machine),
        cmocka_unit_test(garbled_replies_never_hang_the_machine),
        cmocka_unit_test(a_break_in_the_boot_loader_has_no_kernel),
        cmocka_unit_test(an_ordinary_shutdown_is_no_crash),
        cmocka_unit_test(an_ordinary_shutdown_that_is_held_is_told),
        cmocka_unit_test(a_break_of_the_next_boot_does_not_inherit_the_crash),
        cmocka_unit_test(a_machine_that_was_rebooted_by_us_is_not_dumping),
    };
    return cmocka_run_group_tests(tests, net_setup, net_teardown);
}
