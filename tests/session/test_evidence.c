/* SPDX-License-Identifier: Apache-2.0 */
/* Further values that are read at a break: what they cost, what stands for those that cannot be had, and that no
 * machine waits for them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "kdnet/session/probes/evidence_state_internal.h"
#include "kdnet/session/state_internal.h"
#include "kdnet/base/wire.h"
#include "service/kdnet-target/machine_internal.h"
#include "tests/session/net.h"
#include "tests/session/puppet.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define DELAY_US     250U
#define CRASH_US     100000U
#define SECOND_US    UINT64_C(1000000)

/* --- symbols ------------------------------------------------------------------------------------------------------ */

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
static struct kdnet_image_print print;
static bool vouches;

static enum kdnet_rva_answer find_rva(void *user, const struct kdnet_pdb *pdb, const char *symbol, uint32_t *rva,
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

static void want_rvas(void *user, const struct kdnet_pdb *pdb, const char *const *names, size_t count)
{
    (void)user;
    (void)pdb;
    assert_string_equal(names[0], KDNET_STATUS_SYMBOL);
    assert_in_range(count, 1, KDNET_READS_MAX + KDNET_PRINT_SYMBOLS + 1);
    ++wants;
}

static bool recall_image(void *user, const struct kdnet_image_print *asked, struct kdnet_pdb *pdb)
{
    (void)user;
    ++recalls;
    if (!vouches || memcmp(asked, &print, sizeof print) != 0)
        return false;
    machine_default_pdb(pdb);
    return true;
}

static void remember_image(void *user, const struct kdnet_image_print *seen, const struct kdnet_pdb *pdb)
{
    struct kdnet_pdb expected;
    (void)user;
    machine_default_pdb(&expected);
    assert_memory_equal(pdb->guid, expected.guid, sizeof expected.guid);
    print = *seen;
    ++remembered;
}

/* --- reads -------------------------------------------------------------------------------------------------------- */

static struct kdnet_reads reads;

static struct kdnet_read *add(const char *name, const char *module, const char *symbol, enum kdnet_read_kind kind)
{
    struct kdnet_read *read = &reads.read[reads.count++];
    (void)snprintf(read->name, sizeof read->name, "%s", name);
    (void)snprintf(read->module, sizeof read->module, "%s", module);
    (void)snprintf(read->symbol, sizeof read->symbol, "%s", symbol);
    read->kind = (uint8_t)kind;
    return read;
}

static void add_usual(void)
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

/* --- a crash ------------------------------------------------------------------------------------------------------ */

static struct {
    unsigned count; /* results */
    struct kdnet_event_crash_status status[4];
    bool have[4];
    struct kdnet_evidence evidence[4];
    uint32_t requests[4]; /* that the machine had done by then */
} told;

static void on_told(struct net_pair *pair, const struct kdnet_event *event)
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

static int set_up(void **state)
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

static int tear_down(void **state)
{
    (void)state;
    net_shared_clear(&shared);
    return 0;
}

static void run(const char *scenario, enum kdnet_machine kind, net_tamper *tamper)
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

static const struct kdnet_value *value(unsigned n, const char *name)
{
    for (size_t i = 0; i < reads.count; ++i)
        if (strcmp(reads.read[i].name, name) == 0)
            return &told.evidence[n].value[i];
    fail();
    return NULL;
}

static void expect_number(unsigned n, const char *name, uint64_t number)
{
    assert_int_equal(value(n, name)->state, KDNET_VALUE_KNOWN);
    assert_int_equal(value(n, name)->number, number);
}

static void expect_text(unsigned n, const char *name, const char *text)
{
    const struct kdnet_value *v = value(n, name);
    assert_int_equal(v->state, KDNET_VALUE_KNOWN);
    assert_int_equal(v->text_length, strlen(text));
    assert_memory_equal(told.evidence[n].texts + v->text_at, text, v->text_length);
}

static void expect_state(unsigned n, const char *name, enum kdnet_value_state state)
{
    assert_string_equal(kdnet_value_state_name((enum kdnet_value_state)value(n, name)->state),
                        kdnet_value_state_name(state));
}

static void each_machine_gives_its_evidence_behind_the_status(void **state)
{
    static const enum kdnet_machine kinds[] = {KDNET_MACHINE_X64, KDNET_MACHINE_X86, KDNET_MACHINE_ARM64};
    static const char *const labs[] = {"amd64fre", "x86fre", "arm64fre"};
    for (size_t i = 0; i < COUNT(kinds); ++i) {
        char lab[KDNET_BUILD_LAB_SIZE];
        tear_down(state);
        set_up(state);
        add_usual();
        run("bugcheck", kinds[i], NULL);
        assert_int_equal(told.count, 2);
        (void)snprintf(lab, sizeof lab, "20348.288.%s.fe_release.210507-1500-ex", labs[i]);
        for (unsigned n = 0; n < 2; ++n) {
            assert_true(told.have[n]);
            assert_true(told.status[n].status_known);
            expect_number(n, "auto_reboot", 1);
            expect_number(n, "initialized", 1);
            assert_int_equal(value(n, "block")->state, KDNET_VALUE_KNOWN);
            assert_int_not_equal(value(n, "block")->number, 0);
            expect_number(n, "active", 1);
            expect_text(n, "driver", "faulty.sys");
            expect_text(n, "lab", lab);
            expect_number(n, "boot_time", MACHINE_BOOT_TIME);
            expect_number(n, "processors", 4);
        }
    }
}

/* The figures of the table in README.md. */
static void neighbours_come_together_and_constants_once(void **state)
{
    uint32_t bare[2], with[2];
    (void)state;
    run("bugcheck", KDNET_MACHINE_X64, NULL);
    memcpy(bare, told.requests, sizeof bare);
    assert_false(told.have[0]);
    memset(&told, 0, sizeof told);
    add_usual();
    run("bugcheck", KDNET_MACHINE_X64, NULL);
    memcpy(with, told.requests, sizeof with);
    print_message("evidence: %u requests at the first break, %u at the last\n", with[0] - bare[0],
                  with[1] - bare[1] - (with[0] - bare[0]));
    /* the build string; all the rest in one; the driver's UNICODE_STRING; its text */
    assert_int_equal(with[0] - bare[0], 4);
    assert_int_equal(with[1] - bare[1] - 4, 3);
}

static void image_found_in_the_list_is_read_by_its_own_symbols(void **state)
{
    (void)state;
    (void)add("state", "FAULTY", "FaultyState", KDNET_READ_U32);
    (void)add("absent", "faulty", "NotThere", KDNET_READ_U32);
    (void)add("nowhere", "missing", "Anything", KDNET_READ_U32);
    (void)add("auto_reboot", "nt", "IopAutoReboot", KDNET_READ_U32);
    run("bugcheck", KDNET_MACHINE_X64, NULL);
    for (unsigned n = 0; n < 2; ++n) {
        expect_number(n, "state", MACHINE_DRIVER_STATE);
        expect_state(n, "absent", KDNET_VALUE_SYMBOL_ABSENT);
        expect_state(n, "nowhere", KDNET_VALUE_NO_MODULE);
        expect_number(n, "auto_reboot", 1);
    }
    memset(&told, 0, sizeof told);
    run("bugcheck", KDNET_MACHINE_X86, NULL);
    expect_number(1, "state", MACHINE_DRIVER_STATE);
}

static void what_cannot_be_had_says_why(void **state)
{
    (void)state;
    (void)add("known", "nt", "IopAutoReboot", KDNET_READ_U32);
    (void)add("gone", "nt", "Gone", KDNET_READ_U32);
    (void)add("last", "nt", "Last", KDNET_READ_U64);
    (void)add("beyond", "nt", "Beyond", KDNET_READ_U32);
    (void)add("cut", "nt", "Last", KDNET_READ_STRING);
    add("offset", "nt", "Last", KDNET_READ_U8)->offset[0] = 0x1000;
    add("nowhere", "nt", "KeBootTime", KDNET_READ_U8)->steps = 1; /* its time is no address */
    (void)add("late", "nt", "CrashdmpInitialized", KDNET_READ_U8);
    pending = "CrashdmpInitialized";
    run("bugcheck", KDNET_MACHINE_X64, NULL);
    expect_number(0, "known", 1);
    expect_state(0, "gone", KDNET_VALUE_SYMBOL_ABSENT);
    expect_number(0, "last", 0);
    expect_state(0, "beyond", KDNET_VALUE_UNREADABLE);
    expect_text(0, "cut", "");
    expect_state(0, "offset", KDNET_VALUE_UNREADABLE);
    expect_state(0, "nowhere", KDNET_VALUE_UNREADABLE);
    expect_state(0, "late", KDNET_VALUE_PENDING); /* nothing waits for its look-up */
    assert_true(told.status[0].read_us < KDNET_READ_DEADLINE_US / 4);
}

static struct kdnet_session_shared other_shared;
static struct kdnet_reads other_reads;

/* In the middle of its evidence the session goes to another worker, with reads of its own. */
static bool move_away(struct net_pair *pair, bool to_host, struct net_packet *packet)
{
    (void)packet;
    if (!to_host && pair->session->active && pair->session->active->evidence_probe &&
        pair->session->shared == &shared) {
        other_reads = reads;
        other_shared = shared;
        other_shared.reads = &other_reads;
        kdnet_session_move(pair->session, &other_shared);
    }
    return true;
}

static void evidence_of_a_session_that_moved_is_of_the_reads_where_it_is(void **state)
{
    (void)state;
    add_usual();
    other_shared.reads = NULL;
    run("bugcheck", KDNET_MACHINE_X64, move_away);
    assert_ptr_equal(other_shared.reads, &other_reads); /* it moved */
    assert_true(told.have[0] && told.have[1]);
    for (unsigned n = 0; n < 2; ++n)
        assert_ptr_equal(told.evidence[n].reads, &other_reads);
    expect_number(0, "auto_reboot", 1);
}

static void without_symbols_every_value_says_so(void **state)
{
    (void)state;
    add_usual();
    none = true;
    run("bugcheck", KDNET_MACHINE_X64, NULL);
    assert_int_equal(told.status[0].conclusion.reason, KDNET_REASON_NO_SYMBOLS);
    for (size_t i = 0; i < reads.count; ++i)
        expect_state(0, reads.read[i].name, KDNET_VALUE_NO_SYMBOLS);
}

static void break_that_is_no_crash_is_asked_only_what_is_always_wanted(void **state)
{
    (void)state;
    add_usual();
    run("int3", KDNET_MACHINE_X64, NULL);
    assert_int_equal(told.count, 1);
    assert_false(told.have[0]);
    struct kdnet_read *driver = add("always", "nt", "KiBugCheckDriver", KDNET_READ_UNICODE);
    driver->steps = 1;
    driver->always = true;
    ++reads.version;
    memset(&told, 0, sizeof told);
    run("int3", KDNET_MACHINE_X64, NULL);
    assert_true(told.have[0]);
    expect_state(0, "always", KDNET_VALUE_NULL_POINTER); /* no driver is to blame */
    expect_state(0, "auto_reboot", KDNET_VALUE_NOT_ASKED);
}

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

static void reads_that_change_meanwhile_are_those_of_the_next_break(void **state)
{
    struct machine_config config = {.scenario = "bugcheck", .delay_ms = CRASH_US / 1000};
    struct net_pair pair;
    (void)state;
    add_usual();
    net_pair_init(&pair, &shared, &config, 7);
    pair.weather.delay_us = DELAY_US;
    pair.told = on_told;
    unsigned changes = 0;
    for (uint64_t until_us = CRASH_US; until_us < 10 * SECOND_US; until_us += 700) {
        net_pair_run(&pair, until_us);
        if (!kdnet_session_is_halted(pair.session) || ++changes > 40)
            continue;
        reads.count = changes % 2 == 0 ? 8 : 3;
        ++reads.version;
    }
    assert_true(machine_is_ended(pair.machine, pair.now_us));
    assert_int_equal(told.count, 2);
    net_pair_clear(&pair);
}

/* --- known again -------------------------------------------------------------------------------------------------- */

static void kernel_that_is_known_costs_no_identity_reads(void **state)
{
    uint32_t first;
    (void)state;
    shared.recall_image = recall_image;
    shared.remember_image = remember_image;
    run("bugcheck", KDNET_MACHINE_X64, NULL);
    assert_int_equal(remembered, 1);
    assert_int_equal(recalls, 1); /* once a boot */
    assert_int_equal(print.rva[1], MACHINE_RVA_BREAKPOINT);
    assert_int_equal(print.rva[3], MACHINE_RVA_BUGCHECK_DATA);
    assert_string_equal(print.build_lab, "20348.288.amd64fre.fe_release.210507-1500");
    assert_true(wants >= 2);
    first = told.requests[0];
    memset(&told, 0, sizeof told);
    vouches = true;
    run("bugcheck", KDNET_MACHINE_X64, NULL);
    assert_int_equal(first - told.requests[0], 3);
    assert_int_equal(remembered, 1); /* nothing new was read */
    assert_true(told.status[1].status_known);
}

static void kernel_of_another_print_is_read(void **state)
{
    (void)state;
    shared.recall_image = recall_image;
    shared.remember_image = remember_image;
    vouches = true;
    memset(&print, 0, sizeof print);
    run("bugcheck", KDNET_MACHINE_X64, NULL);
    assert_int_equal(remembered, 1);
    assert_true(told.status[0].status_known);
}

/* --- at boot ------------------------------------------------------------------------------------------------------ */

static unsigned kernels;

static void on_boot(struct net_pair *pair, const struct kdnet_event *event)
{
    if (event->type != KDNET_EVENT_KERNEL || event->u.kernel.who != KDNET_WHO_NT)
        return;
    ++kernels;
    (void)pair;
    assert_true(event->u.kernel.pdb_known);
    assert_true(event->u.kernel.build_lab_known);
}

static void boot(net_tamper *tamper, struct machine_result *result)
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

static void kernel_that_starts_is_identified_and_its_symbols_are_wanted(void **state)
{
    struct machine_result result;
    uint32_t first;
    (void)state;
    shared.recall_image = recall_image;
    shared.remember_image = remember_image;
    boot(NULL, &result);
    assert_int_equal(kernels, 1);
    assert_int_equal(wants, 1);
    assert_int_equal(remembered, 1);
    first = result.requests;
    vouches = true;
    boot(NULL, &result);
    assert_int_equal(first - result.requests, 3);
    shared.want_rvas = NULL; /* nobody minds: it goes on at once */
    boot(NULL, &result);
    assert_int_equal(kernels, 0);
    print_message("boot: %u requests more to know the kernel, %u when it is known again\n", first - result.requests,
                  first - result.requests - 3);
}

static bool answers_nothing(struct net_pair *pair, bool to_host, struct net_packet *packet)
{
    struct kdnet_manipulate request;
    (void)pair;
    return to_host || packet->control || packet->type != KDNET_PACKET_MANIPULATE ||
           kdnet_manipulate_decode(packet->payload, packet->length, &request) != KDNET_OK ||
           request.api != KDNET_API_READ_VIRTUAL_MEMORY;
}

static void kernel_that_starts_and_cannot_be_read_goes_on(void **state)
{
    struct machine_result result;
    (void)state;
    boot(answers_nothing, &result);
    assert_int_equal(kernels, 0);
    assert_in_range(result.longest_halt_us, KDNET_READ_DEADLINE_US / 8, KDNET_READ_DEADLINE_US / 4);
}

static unsigned versions_asked;

static bool count_versions(struct puppet *p, struct kdnet_manipulate *reply, uint8_t *data)
{
    (void)p;
    (void)data;
    if (puppet_version(reply))
        ++versions_asked;
    else
        reply->return_status = KDNET_STATUS_UNSUCCESSFUL;
    return reply->api != KDNET_API_CONTINUE && reply->api != KDNET_API_CONTINUE2;
}

static void load_kernel(struct puppet *p)
{
    static const char path[] = "\\SystemRoot\\system32\\NTOSKRNL.EXE";
    uint8_t report[48 + sizeof path] = {0}, payload[KDNET_STATE_CHANGE_SIZE + sizeof path];
    size_t length;
    struct kdnet_state_change change = {.new_state = KDNET_STATE_LOAD_SYMBOLS, .report = report};
    memcpy(report + 48, path, sizeof path); /* behind the control report */
    change.report_length = sizeof report;
    change.load_symbols = (struct kdnet_load_symbols){.base = 0xfffff80012340000U, .path_length = sizeof path};
    assert_int_equal(kdnet_state_change_encode(&change, payload, sizeof payload, &length), KDNET_OK);
    (void)puppet_data(p, KDNET_PACKET_STATE_CHANGE64, payload, length);
}

/* Each would be looked for in symbol stores and on servers, if its identity were read. */
static void machine_that_starts_a_kernel_all_the_time_is_not_asked_all_the_time(void **state)
{
    struct puppet *p = puppet_new();
    (void)state;
    p->shared.want_rvas = want_rvas;
    p->answer = count_versions;
    versions_asked = 0;
    for (unsigned i = 0; i < 200; ++i) {
        puppet_new_boot(p, (uint8_t)(i * 7 + 3));
        puppet_connect(p);
        load_kernel(p);
        p->now_us += SECOND_US / 10;
    }
    print_message("200 starts: %u times asked\n", versions_asked);
    assert_in_range(versions_asked, KDNET_BREAKS_AT_ONCE, 2 * KDNET_BREAKS_AT_ONCE);
    assert_false(kdnet_session_is_halted(p->session));
    puppet_free(p);
}

/* --- bad networks ------------------------------------------------------------------------------------------------- */

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

/* --- lists that lie ----------------------------------------------------------------------------------------------- */

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

#define WITH_SHARED(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_SHARED(each_machine_gives_its_evidence_behind_the_status),
        WITH_SHARED(neighbours_come_together_and_constants_once),
        WITH_SHARED(image_found_in_the_list_is_read_by_its_own_symbols),
        WITH_SHARED(what_cannot_be_had_says_why),
        WITH_SHARED(evidence_of_a_session_that_moved_is_of_the_reads_where_it_is),
        WITH_SHARED(without_symbols_every_value_says_so),
        WITH_SHARED(break_that_is_no_crash_is_asked_only_what_is_always_wanted),
        WITH_SHARED(evidence_that_does_not_come_delays_no_machine_and_spoils_no_result),
        WITH_SHARED(reads_that_change_meanwhile_are_those_of_the_next_break),
        WITH_SHARED(kernel_that_is_known_costs_no_identity_reads),
        WITH_SHARED(kernel_of_another_print_is_read),
        WITH_SHARED(kernel_that_starts_is_identified_and_its_symbols_are_wanted),
        WITH_SHARED(kernel_that_starts_and_cannot_be_read_goes_on),
        WITH_SHARED(machine_that_starts_a_kernel_all_the_time_is_not_asked_all_the_time),
        WITH_SHARED(bad_network_costs_evidence_and_nothing_else),
        WITH_SHARED(list_that_lies_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
