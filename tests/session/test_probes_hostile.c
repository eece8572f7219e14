/* SPDX-License-Identifier: Apache-2.0 */
/* Machines that answer the questions about a crash's cause and dump log in every wrong way: not at all, late, something
 * else each time. Status and release are as without these questions, and no machine halts for more than their share. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "kdnet/error.h"
#include "kdnet/session/halt_internal.h"
#include "kdnet/session/probes/probe_internal.h"
#include "kdnet/wire/manipulate.h"
#include "tests/session/net.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define SECOND_US    UINT64_C(1000000)
#define SHARE_US     (KDNET_READ_DEADLINE_US / 4)
#define SLACK_US     UINT64_C(150000) /* a lost packet is sent again, and the link is proven before the release */
#define RUNS         400U
#define BREAKS       3U

/* What becomes of the probes' questions and answers, from the n-th on or of the n-th alone. */
enum way {
    LOSE_QUESTIONS,
    LOSE_ANSWERS,
    LOSE_ALL,
    REFUSE, /* each read fails */
    CHANGE, /* some bytes, anew each time that the answer is sent */
    CUT,
    FILL, /* with kernel addresses of the machine's own */
    WAYS
};

static struct kdnet_session_shared shared;
static struct kdnet_reads reads;
static struct test_random noise;
static bool lacks_status; /* as the kernels of today's Windows do: the dump log is looked for */

static struct {
    enum way way;
    unsigned from; /* the question to begin with */
    bool alone;
    unsigned asked;
    bool ours; /* the question under way is a probe's */
} harm;

static struct story {
    unsigned count, buckets;
    struct kdnet_event_crash_status status[BREAKS];
    uint64_t halted_us;
} told;

/* --- the session -------------------------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    enum kdnet_read_kind kind;
    uint32_t rva;
} symbols[] = {
    {"IopFinalCrashDumpStatus", KDNET_READ_U32, MACHINE_RVA_DUMP_STATUS},
    {KDNET_DUMP_BLOCK_SYMBOL, KDNET_READ_POINTER, MACHINE_RVA_DUMP_BLOCK},
    {KDNET_DUMP_DRIVER_SYMBOL, KDNET_READ_POINTER, MACHINE_RVA_DUMP_DRIVER},
    {KDNET_DUMP_PROGRESS_SYMBOL, KDNET_READ_U32, MACHINE_RVA_DUMP_PROGRESS},
};

static enum kdnet_rva_answer find_rva(void *user, const struct kdnet_pdb *pdb, const char *symbol, uint32_t *rva,
                                      enum kdnet_source *source)
{
    (void)user, (void)pdb;
    for (size_t i = lacks_status; i < COUNT(symbols); ++i)
        if (strcmp(symbol, symbols[i].name) == 0) {
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
    shared.trace_cache = kdnet_trace_cache_new();
    reads = (struct kdnet_reads){.version = 1};
    for (size_t i = 1; i < COUNT(symbols); ++i) {
        struct kdnet_read *read = &reads.read[reads.count++];
        read->kind = (uint8_t)symbols[i].kind;
        (void)snprintf(read->name, sizeof read->name, "read_%zu", i);
        (void)snprintf(read->module, sizeof read->module, "nt");
        (void)snprintf(read->symbol, sizeof read->symbol, "%s", symbols[i].name);
    }
    return shared.trace_cache ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    kdnet_trace_cache_free(shared.trace_cache);
    net_shared_clear(&shared);
    return 0;
}

/* --- harm --------------------------------------------------------------------------------------------------------- */

static bool is_the_probes(const struct net_pair *pair)
{
    const struct kdnet_active *active = pair->session->active;
    return active && (kdnet_halt_asks(&active->halt, &kdnet_probe_cause) ||
                      kdnet_halt_asks(&active->halt, &kdnet_probe_dump_log));
}

static bool is_harmed(void)
{
    return harm.ours && (harm.alone ? harm.asked == harm.from : harm.asked >= harm.from);
}

static void put_pointers(uint8_t *data, size_t length, uint64_t near)
{
    for (size_t i = 0; i + 8 <= length; i += 8) {
        uint64_t value = near - near % 0x10000 + test_random_below(&noise, 0x20000);
        for (size_t n = 0; n < 8; ++n)
            data[i + n] = (uint8_t)(value >> 8 * n);
    }
}

static void change(struct net_packet *packet)
{
    struct kdnet_manipulate reply;
    uint8_t *data = packet->payload + KDNET_MANIPULATE_SIZE;
    size_t length = packet->length - KDNET_MANIPULATE_SIZE;
    if (kdnet_manipulate_decode(packet->payload, packet->length, &reply) != KDNET_OK || length == 0)
        return;
    if (harm.way == FILL)
        put_pointers(data, length, reply.u.memory.address);
    else if (harm.way == CUT)
        packet->length -= test_random_below(&noise, length + 1);
    else if (harm.way == REFUSE)
        memset(packet->payload + 8, 0xc0, 4); /* ReturnStatus */
    else
        for (size_t n = 0; n < 1 + length / 16; ++n)
            data[test_random_below(&noise, length)] = (uint8_t)test_random_next(&noise);
}

static bool tamper(struct net_pair *pair, bool to_host, struct net_packet *packet)
{
    if (packet->control || packet->type != KDNET_PACKET_MANIPULATE || packet->length < KDNET_MANIPULATE_SIZE)
        return harm.way != LOSE_ALL || !is_harmed() || !is_the_probes(pair);
    if (!to_host) {
        harm.ours = is_the_probes(pair);
        harm.asked += harm.ours;
    }
    if (!is_harmed())
        return true;
    if (to_host && harm.way >= REFUSE)
        change(packet);
    return harm.way >= REFUSE || (harm.way == LOSE_ANSWERS && !to_host) || (harm.way == LOSE_QUESTIONS && to_host);
}

static void on_told(struct net_pair *pair, const struct kdnet_event *event)
{
    struct machine_result result;
    machine_result(pair->machine, pair->now_us, &result);
    told.halted_us = result.longest_halt_us;
    if (event->type != KDNET_EVENT_CRASH_STATUS)
        return;
    assert_in_range(told.count, 0, BREAKS - 1);
    told.status[told.count++] = event->u.crash_status;
    for (const char *c = event->u.crash_status.bucket; *c != '\0'; ++c)
        assert_in_range(*c, ' ', '~');
}

static void run(const struct machine_config *config, uint64_t seed, bool tampers)
{
    struct net_pair pair;
    struct machine_result result;
    memset(&told, 0, sizeof told);
    harm.asked = 0;
    harm.ours = false;
    net_pair_init(&pair, &shared, config, seed);
    pair.weather.delay_us = 250;
    pair.told = on_told;
    pair.tamper = tampers ? tamper : NULL;
    net_pair_run(&pair, 12 * SECOND_US);
    machine_result(pair.machine, pair.now_us, &result);
    assert_int_equal(machine_harm(&result), 0);
    net_pair_clear(&pair);
}

/* --- tests -------------------------------------------------------------------------------------------------------- */

static void draw_machine(struct test_random *random, struct machine_config *config)
{
    static const enum kdnet_machine kinds[] = {KDNET_MACHINE_X64, KDNET_MACHINE_X86, KDNET_MACHINE_ARM64};
    static const uint32_t codes[] = {0xd1, 0x3b, 0x139, 0x133, 0x8e};
    static const uint32_t statuses[] = {0, 0xc0000185U, 0xffffffffU};
    *config = (struct machine_config){.scenario = "bugcheck",
                                      .machine = kinds[test_random_below(random, COUNT(kinds))],
                                      .bugcheck = codes[test_random_below(random, COUNT(codes))],
                                      .status = statuses[test_random_below(random, COUNT(statuses))],
                                      .cause = 0x1234,
                                      .images = (uint32_t)test_random_below(random, 60),
                                      .no_reboot = test_random_below(random, 2) == 0,
                                      .dump_log = test_random_below(random, 2) == 0,
                                      .paged_out = test_random_below(random, 3) == 0};
}

static void draw_harm(struct test_random *random)
{
    harm.way = (enum way)test_random_below(random, WAYS);
    harm.from = 1 + (unsigned)test_random_below(random, test_random_below(random, 2) == 0 ? 4 : 40);
    harm.alone = test_random_below(random, 2) == 0;
}

/* The same results; a log that is completed may prove that the dump was written, and nothing else may. */
static void expect_the_same(const struct story *without, const struct machine_config *config)
{
    assert_int_equal(told.count, without->count);
    for (unsigned i = 0; i < told.count; ++i) {
        const struct kdnet_event_crash_status *is = &told.status[i], *was = &without->status[i];
        assert_int_equal(is->phase, was->phase);
        assert_int_equal(is->status_known, was->status_known);
        assert_int_equal(is->status, was->status);
        if (is->conclusion.source == KDNET_SOURCE_DUMP_LOG)
            assert_true(config->dump_log && config->status == 0 && i > 0);
        else
            assert_int_equal(is->conclusion.verdict, was->conclusion.verdict);
        if (is->conclusion.verdict == KDNET_VERDICT_UNKNOWN)
            assert_int_equal(is->conclusion.reason, was->conclusion.reason);
    }
}

static void harmed_questions_change_no_result_and_hold_no_machine(void **state)
{
    (void)state;
    struct test_random random;
    uint64_t longest_us = 0;
    test_random_init(&random);
    noise = random;
    for (unsigned i = 0; i < RUNS; ++i) {
        struct machine_config config;
        struct kdnet_trace_cache *cache = shared.trace_cache;
        uint64_t seed = 1 + test_random_below(&random, 1U << 30);
        draw_machine(&random, &config);
        draw_harm(&random);
        shared.reads = test_random_below(&random, 3) > 0 ? &reads : NULL;
        lacks_status = test_random_below(&random, 3) > 0;
        shared.trace_cache = NULL;
        run(&config, seed, false);
        const struct story without = told;
        shared.trace_cache = cache;
        run(&config, seed, true);
        expect_the_same(&without, &config);
        uint64_t more_us = told.halted_us > without.halted_us ? told.halted_us - without.halted_us : 0;
        longest_us = more_us > longest_us ? more_us : longest_us;
        if (more_us > SHARE_US + SLACK_US)
            fail_msg("run %u, way %d from %u%s: halted for %u ms more", i, (int)harm.way, harm.from,
                     harm.alone ? " alone" : "", (unsigned)(more_us / 1000));
    }
    print_message("harmed probes held a machine for %u ms more at most\n", (unsigned)(longest_us / 1000));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(harmed_questions_change_no_result_and_hold_no_machine, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
