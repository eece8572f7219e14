/* SPDX-License-Identifier: Apache-2.0 */
/* evidence_reads: reads that are configured, symbols for them, and what was told of them. Only for tests. */
#ifndef TESTS_SESSION_EVIDENCE_READS_H
#define TESTS_SESSION_EVIDENCE_READS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "kdnet/session/state_internal.h"
#include "kdnet/base/wire.h"
#include "service/kdnet-target/machine_internal.h"
#include "tests/session/net.h"
#include "tests/session/puppet.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define DELAY_US     250U
#define CRASH_US     100000U
#define SECOND_US    UINT64_C(1000000)

static const struct {
    const char *guidage, *name;
    uint32_t rva;
} symbols[] = {
    {MACHINE_GUIDAGE, "IopFinalCrashDumpStatus", MACHINE_RVA_DUMP_STATUS},
    {MACHINE_GUIDAGE, "IopAutoReboot", MACHINE_RVA_AUTO_REBOOT},
    {MACHINE_GUIDAGE, "CrashdmpInitialized", MACHINE_RVA_DUMP_INITIALIZED},
    {MACHINE_GUIDAGE, "CrashdmpDumpBlock", MACHINE_RVA_DUMP_BLOCK},
    {MACHINE_GUIDAGE, "KiBugCheckActive", MACHINE_RVA_BUGCHECK_ACTIVE},
    {MACHINE_GUIDAGE, "KiBugCheckDriver", MACHINE_RVA_BUGCHECK_DRIVER},
    {MACHINE_GUIDAGE, "NtBuildLabEx", MACHINE_RVA_BUILD_LAB_EX},
    {MACHINE_GUIDAGE, "KeBootTime", MACHINE_RVA_BOOT_TIME},
    {MACHINE_GUIDAGE, "KeNumberProcessors", MACHINE_RVA_PROCESSORS},
    {MACHINE_GUIDAGE, "Last", MACHINE_RVA_END - 8},
    {MACHINE_GUIDAGE, "Beyond", MACHINE_RVA_END + 4},
    {MACHINE_DRIVER_GUIDAGE, "FaultyState", MACHINE_DRIVER_RVA_STATE},
};

static const char *pending; /* a symbol whose look-up does not end */
static bool none;           /* no image has symbols */
static unsigned wants, recalls, remembered;
static struct kdnet_fingerprint fingerprint;
static bool vouches;

static inline enum kdnet_rva_answer find_rva(void *user, const struct kdnet_pdb *pdb, const char *symbol, uint32_t *rva,
                                             enum kdnet_source *source)
{
    char guidage[KDNET_GUIDAGE_SIZE];
    (void)user;
    kdnet_pdb_guidage(pdb, guidage);
    if (pending && strcmp(symbol, pending) == 0)
        return KDNET_RVA_PENDING;
    for (size_t i = 0; i < COUNT(symbols) && !none; ++i) {
        if (strcmp(guidage, symbols[i].guidage) != 0 || strcmp(symbol, symbols[i].name) != 0)
            continue;
        *rva = symbols[i].rva;
        *source = KDNET_SOURCE_PDB;
        return KDNET_RVA_FOUND;
    }
    return none ? KDNET_RVA_NO_SYMBOLS : KDNET_RVA_ABSENT;
}

static inline void want_rvas(void *user, const struct kdnet_pdb *pdb, const char *const *names, size_t count)
{
    (void)user;
    (void)pdb;
    assert_string_equal(names[0], KDNET_STATUS_SYMBOL);
    assert_in_range(count, 1, KDNET_READS_MAX + KDNET_FINGERPRINT_SYMBOLS + 1);
    ++wants;
}

static inline bool recall_image(void *user, const struct kdnet_fingerprint *asked, struct kdnet_pdb *pdb)
{
    (void)user;
    ++recalls;
    if (!vouches || memcmp(asked, &fingerprint, sizeof fingerprint) != 0)
        return false;
    machine_default_pdb(pdb);
    return true;
}

static inline void remember_image(void *user, const struct kdnet_fingerprint *seen, const struct kdnet_pdb *pdb)
{
    struct kdnet_pdb expected;
    (void)user;
    machine_default_pdb(&expected);
    assert_memory_equal(pdb->guid, expected.guid, sizeof expected.guid);
    fingerprint = *seen;
    ++remembered;
}

static struct kdnet_reads reads;

static inline struct kdnet_read *add(const char *name, const char *module, const char *symbol,
                                     enum kdnet_read_kind kind)
{
    struct kdnet_read *read = &reads.read[reads.count++];
    (void)snprintf(read->name, sizeof read->name, "%s", name);
    (void)snprintf(read->module, sizeof read->module, "%s", module);
    (void)snprintf(read->symbol, sizeof read->symbol, "%s", symbol);
    read->kind = (uint8_t)kind;
    return read;
}

static inline void add_usual(void)
{
    (void)add("auto_reboot", "nt", "IopAutoReboot", KDNET_READ_U32);
    (void)add("initialized", "nt", "CrashdmpInitialized", KDNET_READ_U8);
    (void)add("block", "nt", "CrashdmpDumpBlock", KDNET_READ_POINTER);
    (void)add("active", "nt", "KiBugCheckActive", KDNET_READ_U32);
    add("driver", "nt", "KiBugCheckDriver", KDNET_READ_UNICODE)->steps = 1;
    add("lab", "nt", "NtBuildLabEx", KDNET_READ_STRING)->once = true;
    (void)add("boot_time", "nt", "KeBootTime", KDNET_READ_U64);
    add("processors", "nt", "KeNumberProcessors", KDNET_READ_U8)->once = true;
}

static struct {
    unsigned count; /* results */
    struct kdnet_event_crash_status status[4];
    bool have[4];
    struct kdnet_evidence evidence[4];
    uint32_t requests[4]; /* that the machine had done by then */
} told;

static inline void on_told(struct net_pair *pair, const struct kdnet_event *event)
{
    struct machine_result result;
    if (event->type != KDNET_EVENT_CRASH_STATUS || told.count == COUNT(told.status))
        return;
    machine_result(pair->machine, pair->now_us, &result);
    told.status[told.count] = event->u.crash_status;
    told.requests[told.count] = result.requests;
    told.have[told.count] = event->u.crash_status.evidence != NULL;
    if (told.have[told.count])
        told.evidence[told.count] = *event->u.crash_status.evidence;
    ++told.count;
}

static struct kdnet_session_shared shared;

static inline int set_up(void **state)
{
    (void)state;
    net_shared_init(&shared);
    shared.find_rva = find_rva;
    shared.want_rvas = want_rvas;
    shared.reads = &reads;
    reads = (struct kdnet_reads){.version = 1};
    memset(&told, 0, sizeof told);
    pending = NULL;
    none = vouches = false;
    wants = recalls = remembered = 0;
    return 0;
}

static inline int tear_down(void **state)
{
    (void)state;
    net_shared_clear(&shared);
    return 0;
}

static inline void run(const char *scenario, enum kdnet_machine kind, net_tamper *tamper)
{
    struct machine_config config = {.scenario = scenario, .delay_ms = CRASH_US / 1000, .machine = kind};
    struct net_pair pair;
    net_pair_init(&pair, &shared, &config, 7);
    pair.weather.delay_us = DELAY_US;
    pair.told = on_told;
    pair.tamper = tamper;
    net_pair_run(&pair, 20 * SECOND_US);
    assert_true(machine_is_ended(pair.machine, pair.now_us));
    struct machine_result result;
    machine_result(pair.machine, pair.now_us, &result);
    assert_int_equal(machine_harm(&result), 0);
    net_pair_clear(&pair);
}

static inline const struct kdnet_value *value(unsigned n, const char *name)
{
    for (size_t i = 0; i < reads.count; ++i)
        if (strcmp(reads.read[i].name, name) == 0)
            return &told.evidence[n].value[i];
    fail();
    return NULL;
}

static inline void expect_state(unsigned n, const char *name, enum kdnet_value_state state)
{
    assert_string_equal(kdnet_value_state_name((enum kdnet_value_state)value(n, name)->state),
                        kdnet_value_state_name(state));
}

static unsigned kernels;

static inline void on_boot(struct net_pair *pair, const struct kdnet_event *event)
{
    if (event->type != KDNET_EVENT_KERNEL || event->u.kernel.who != KDNET_WHO_NT)
        return;
    ++kernels;
    (void)pair;
    assert_true(event->u.kernel.pdb_known);
    assert_true(event->u.kernel.build_lab_known);
}

static inline void boot(net_tamper *tamper, struct machine_result *result)
{
    struct machine_config config = {.scenario = "boot", .delay_ms = 100};
    struct net_pair pair;
    kernels = wants = 0;
    net_pair_init(&pair, &shared, &config, 7);
    pair.weather.delay_us = DELAY_US;
    pair.told = on_boot;
    pair.tamper = tamper;
    net_pair_run(&pair, 20 * SECOND_US);
    assert_true(machine_is_ended(pair.machine, pair.now_us));
    machine_result(pair.machine, pair.now_us, result);
    assert_int_equal(machine_harm(result), 0);
    assert_int_equal(net_count(&pair, KDNET_EVENT_CRASH_STATUS), 0);
    assert_int_equal(net_count(&pair, KDNET_EVENT_BREAK_IN), 0);
    net_pair_clear(&pair);
}

#define WITH_SHARED(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

#endif
