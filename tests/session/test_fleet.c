/* SPDX-License-Identifier: Apache-2.0 */
/* A fleet of four kernels and three drivers: each of 1,000 machines gets the group, the stack and the assessment that
 * its own truth says; with symbols, without, and with the images of half of them paged out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "kdnet/assessment.h"
#include "kdnet/crash/trace_search.h"
#include "service/kdnet-target/driver_image.h"
#include "tests/session/net.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define SECOND_US    UINT64_C(1000000)
#define MACHINES     1000U
#define KERNELS      4U
#define FRAMES       4U
#define IMAGES       40U /* besides: the list is longer than what is read of it at once */

struct fleet {
    bool symbols, half_paged_out;
};

/* One machine's truth. */
struct truth {
    struct machine_config config;
    unsigned fate;
    char bucket[KDNET_BUCKET_SIZE];
    unsigned first_frame; /* 3B has a record of the fault: its stack begins there */
};

static struct kdnet_session_shared shared;
static struct kdnet_reads reads;
static bool knows_symbols;

static struct {
    struct kdnet_event_crash_status status[2];
    struct kdnet_trace trace;
    unsigned results, traces;
} told;

/* --- the fleet ---------------------------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    enum kdnet_read_kind kind;
    uint32_t rva;
} symbols[] = {
    {KDNET_DUMP_BLOCK_SYMBOL, KDNET_READ_POINTER, MACHINE_RVA_DUMP_BLOCK},
    {KDNET_DUMP_DRIVER_SYMBOL, KDNET_READ_POINTER, MACHINE_RVA_DUMP_DRIVER},
    {KDNET_DUMP_PROGRESS_SYMBOL, KDNET_READ_U32, MACHINE_RVA_DUMP_PROGRESS},
};

static enum kdnet_rva_answer find_rva(void *user, const struct kdnet_pdb *pdb, const char *symbol, uint32_t *rva,
                                      enum kdnet_source *source)
{
    (void)user, (void)pdb;
    for (size_t i = 0; knows_symbols && i < COUNT(symbols); ++i)
        if (strcmp(symbol, symbols[i].name) == 0) {
            *rva = symbols[i].rva;
            *source = KDNET_SOURCE_PDB;
            return KDNET_RVA_FOUND;
        }
    return knows_symbols ? KDNET_RVA_ABSENT : KDNET_RVA_NO_SYMBOLS;
}

/* One public symbol each 256 bytes, named by its image's symbol file. */
static bool find_name(void *user, const struct kdnet_pdb *pdb, uint32_t rva, char *name, size_t size, uint32_t *offset)
{
    (void)user;
    *offset = rva % 0x100;
    (void)snprintf(name, size, "%.8s_%x", pdb->name, (unsigned)(rva / 0x100));
    return knows_symbols;
}

static void make_truth(struct truth *truth, struct test_random *random, const struct fleet *fleet)
{
    static const uint32_t causes[MACHINE_DRIVERS][2] = {{0x1234, 0x1678}, {0x19a8, 0x1dd4}, {0x1128, 0x1540}};
    static const uint32_t codes[] = {0xd1, 0x3b, 0x133, 0x0a};
    static const uint32_t statuses[] = {0, 0xc0000185U, 0xffffffffU, 0xffffffffU};
    uint32_t kernel = (uint32_t)test_random_below(random, KERNELS);
    uint32_t driver = (uint32_t)test_random_below(random, MACHINE_DRIVERS);
    uint32_t code = codes[test_random_below(random, COUNT(codes))];
    truth->fate = (unsigned)test_random_below(random, COUNT(statuses));
    truth->config = (struct machine_config){.scenario = "bugcheck",
                                            .machine = kernel == 3 && driver_images[0].bytes ? KDNET_MACHINE_ARM64
                                                                                             : KDNET_MACHINE_X64,
                                            .kernel = kernel,
                                            .driver = driver,
                                            .images = IMAGES,
                                            .bugcheck = code,
                                            .cause = causes[driver][test_random_below(random, 2)],
                                            .status = statuses[truth->fate],
                                            .no_dump = truth->fate == 3,
                                            .paged_out = fleet->half_paged_out && test_random_below(random, 2) == 0};
    truth->first_frame = code == 0x3b ? 2 : 0;
    (void)snprintf(truth->bucket, sizeof truth->bucket, "%X %s+0x%x@%08X", (unsigned)code, machine_driver_name(driver),
                   (unsigned)truth->config.cause, (unsigned)(MACHINE_DRIVER_STAMP + driver));
}

/* --- what it tells ------------------------------------------------------------------------------------------------ */

static void expect_frame(const struct truth *truth, unsigned i)
{
    const uint32_t offsets[FRAMES] = {MACHINE_RVA_BREAKPOINT, 0x1700, truth->config.cause, 0x1800};
    const struct kdnet_trace_frame *frame = &told.trace.frame[i];
    unsigned at = truth->first_frame + i;
    const char *image = at == 2 ? machine_driver_name(truth->config.driver) : "ntoskrnl.exe";
    assert_int_not_equal(frame->image, KDNET_TRACE_NO_IMAGE);
    assert_string_equal(told.trace.image[frame->image].name, image);
    assert_int_equal(frame->address - told.trace.image[frame->image].base, offsets[at]);
    if (!knows_symbols || at == 2) {
        assert_true(!knows_symbols || truth->config.paged_out || told.trace.frame_name[i].text[0] != '\0');
        return;
    }
    char name[KDNET_TRACE_NAME_SIZE];
    (void)snprintf(name, sizeof name, "ntkrnlmp_%x", (unsigned)(offsets[at] / 0x100));
    assert_string_equal(told.trace.frame_name[i].text, name);
    assert_int_equal(told.trace.frame_name[i].offset, offsets[at] % 0x100);
}

/* All of it; of a machine whose driver is paged out no more than its own memory and what others told can give. */
static bool expect_stack(const struct truth *truth)
{
    unsigned all = FRAMES - truth->first_frame;
    assert_in_range(told.trace.frame_count, truth->config.paged_out ? all - 1 : all, all);
    for (unsigned i = 0; i < told.trace.frame_count; ++i)
        expect_frame(truth, i);
    return told.trace.frame_count == all;
}

static void expect_assessment(const struct truth *truth)
{
    static const enum kdnet_likely likely[] = {KDNET_LIKELY_WRITTEN, KDNET_LIKELY_FAILED, KDNET_LIKELY_NOT_STARTED,
                                               KDNET_LIKELY_NONE};
    struct kdnet_assessment out;
    const struct kdnet_event_crash_status *last = &told.status[1];
    bool never = knows_symbols && truth->fate == 3;
    assert_int_equal(last->conclusion.verdict, never ? KDNET_VERDICT_NOT_STARTED : KDNET_VERDICT_UNKNOWN);
    assert_int_equal(last->conclusion.reason == KDNET_REASON_NO_SYMBOLS, !knows_symbols);
    kdnet_assess(&last->dump, &out);
    assert_int_equal(out.likely, knows_symbols ? likely[truth->fate] : KDNET_LIKELY_NONE);
    assert_int_equal(out.strong, knows_symbols && truth->fate == 0);
    kdnet_assess(&told.status[0].dump, &out);
    assert_int_equal(out.likely, KDNET_LIKELY_NONE);
}

static void on_told(struct net_pair *pair, const struct kdnet_event *event)
{
    (void)pair;
    if (event->type != KDNET_EVENT_CRASH_STATUS)
        return;
    assert_in_range(told.results, 0, 1);
    told.status[told.results++] = event->u.crash_status;
    if (!event->u.crash_status.trace)
        return;
    told.trace = *event->u.crash_status.trace;
    ++told.traces;
}

static void crash(const struct truth *truth, uint64_t seed)
{
    struct net_pair pair;
    struct machine_result result;
    memset(&told, 0, sizeof told);
    net_pair_init(&pair, &shared, &truth->config, seed);
    pair.weather.delay_us = 250;
    pair.told = on_told;
    net_pair_run(&pair, 3 * SECOND_US);
    machine_result(pair.machine, pair.now_us, &result);
    assert_int_equal(machine_harm(&result), 0);
    net_pair_clear(&pair);
}

/* --- tests -------------------------------------------------------------------------------------------------------- */

static void each_machine_tells_its_own_truth(void **state)
{
    const struct fleet *fleet = *state;
    struct test_random random;
    unsigned whole = 0, paged_out = 0;
    test_random_init(&random);
    knows_symbols = fleet->symbols;
    for (unsigned i = 0; i < MACHINES; ++i) {
        struct truth truth;
        make_truth(&truth, &random, fleet);
        crash(&truth, 1000 + i);
        assert_int_equal(told.results, 2);
        assert_int_equal(told.traces, 1);
        assert_string_equal(told.status[0].bucket, truth.bucket);
        assert_string_equal(told.status[1].bucket, truth.bucket);
        whole += expect_stack(&truth);
        expect_assessment(&truth);
        paged_out += truth.config.paged_out;
    }
    print_message("fleet: %u machines, %u of them paged out, %u whole stacks\n", MACHINES, paged_out, whole);
    assert_true(whole >= MACHINES - 3 * KERNELS * MACHINE_DRIVERS * 2);
}

static int set_up(void **state)
{
    (void)state;
    net_shared_init(&shared);
    shared.find_rva = find_rva;
    shared.find_name = find_name;
    shared.reads = &reads;
    shared.trace_cache = kdnet_trace_cache_new();
    reads = (struct kdnet_reads){.version = 1};
    for (size_t i = 0; i < COUNT(symbols); ++i) {
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

int main(void)
{
    static struct fleet with = {.symbols = true}, without = {.symbols = false},
                        paged_out = {.symbols = true, .half_paged_out = true};
#define TEST(fleet)                                                                                                    \
    {                                                                                                                  \
#fleet, each_machine_tells_its_own_truth, set_up, tear_down, &(fleet)                                          \
    }
    const struct CMUnitTest tests[] = {TEST(with), TEST(without), TEST(paged_out)};
#undef TEST
    return cmocka_run_group_tests(tests, NULL, NULL);
}
