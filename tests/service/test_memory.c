/* SPDX-License-Identifier: Apache-2.0 */
/* Memory that runs out at any one allocation of what kdnetd sets up: each part is told to be out of memory, and what
 * works of it answers rightly. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "service/sinks/sinks.h"
#include "service/symbols/identity.h"
#include "service/symbols/lookup.h"
#include "service/targets/policies.h"
#include "service/targets/snapshots.h"
#include "service/targets/targets.h"
#include "tests/service/captured_log.h"
#include "tests/support/scarce.h"

#include <cmocka.h>

#define GUIDAGE "8E3373D6124E747F0E72EF8E02E676B31"
#define MOST    500U
#define WAIT_MS 60000U

/* --- look-ups ----------------------------------------------------------------------------------------------------- */

struct service {
    uv_loop_t loop;
    struct kdnetd_config config;
    struct kdnet_pdb kernel;
};

static void came(void *user)
{
    (void)user;
}

/* Sets the look-ups of kdnetd up, with a table of its own, and asks them. */
static void look_up(void *user)
{
    struct service *service = user;
    enum kdnet_source source;
    uint32_t rva = 0;
    captured_begin();
    struct lookup *lookup = lookup_new(&service->loop);
    bool configured = lookup && lookup_configure(lookup, &service->config);
    struct lookup_asker *asker = lookup ? lookup_join(lookup, &service->loop, came, NULL) : NULL;
    bool found = asker && lookup_find(asker, &service->kernel, "Known", &rva, &source) == KDNET_RVA_FOUND;
    lookup_leave(asker);
    lookup_close(lookup);
    (void)uv_run(&service->loop, UV_RUN_DEFAULT);
    const char *said = captured_end();
    if (!scarce_failed())
        assert_true(configured && found);
    if (found)
        assert_int_equal(rva, 0x77);
    if (lookup && !configured && !strstr(said, "out of memory"))
        fail_msg("nothing is told: %s", said);
}

static void kdnetd_goes_on_without_the_symbols_that_found_no_memory(void **state)
{
    static struct service service;
    char error[CONFIG_ERROR_SIZE];
    (void)state;
    assert_int_equal(uv_loop_init(&service.loop), 0);
    config_init(&service.config);
    assert_true(identity_parse(GUIDAGE, &service.kernel));
    (void)snprintf(service.kernel.name, sizeof service.kernel.name, "ntkrnlmp.pdb");
    assert_true(config_add(&service.config, "symbols", "/nowhere/at/all", error));
    assert_true(config_add(&service.config, "rva", GUIDAGE ":Known=0x77", error));
    assert_in_range(scarce_each(look_up, &service), 3, MOST);
    config_clear(&service.config);
    assert_int_equal(uv_loop_close(&service.loop), 0);
}

/* --- sinks -------------------------------------------------------------------------------------------------------- */

static const char sinks_of[] = "targets: [{name: a, key: 1.2.3.4}]\n"
                               "sinks: [{name: web, type: http, url: \"http://127.0.0.1:9\", label: [site=a]},\n"
                               "  {name: log, type: syslog, address: \"127.0.0.1:9\"}]\n";

static void count_sink(void *user, const struct sinks_status *status)
{
    (void)status;
    ++*(unsigned *)user;
}

static void open_sinks(void *user)
{
    unsigned count = 0;
    captured_begin();
    struct sinks *sinks = sinks_open();
    bool good = sinks && sinks_configure(sinks, NULL, user);
    if (sinks)
        sinks_each(sinks, count_sink, &count);
    bool closed = !sinks || sinks_close(sinks, WAIT_MS);
    const char *said = captured_end();
    assert_true(closed);
    if (!scarce_failed())
        assert_true(good);
    if (good)
        assert_int_equal(count, 2);
    if (sinks && !good && !strstr(said, "a sink cannot be started: out of memory or threads"))
        fail_msg("nothing is told: %s", said);
}

static void sinks_that_find_no_memory_are_told_and_the_others_run(void **state)
{
    struct kdnetd_config config;
    struct config_report report;
    (void)state;
    config_init(&config);
    config_report_init(&report);
    (void)config_load_text(sinks_of, sizeof sinks_of - 1, "a.yaml", &config, &report);
    (void)config_check(&config, &report);
    config_report_print(&report, stderr);
    assert_int_equal(config_report_count(&report), 0);
    assert_in_range(scarce_each(open_sinks, &config), 3, MOST);
    config_report_clear(&report);
    config_clear(&config);
}

/* --- targets ------------------------------------------------------------------------------------------------------ */

static bool see_name(void *user, const struct snapshot_view *view)
{
    assert_string_equal(view->name, user);
    return true;
}

/* Four targets with an address, a policy and a published state each: whoever was taken is found by all of them. */
static void take_targets(void *user)
{
    static struct targets targets;
    struct policies policies;
    struct kdnetd_config config;
    struct target *rows[TARGETS_SHARE_MAX];
    struct listener *listener = (struct listener *)(void *)&rows; /* this room only compares listeners */
    char name[CONFIG_NAME_SIZE];
    (void)user;
    config_init(&config);
    policies_init(&policies);
    targets_init(&targets, 42);
    struct snapshots *snapshots = snapshots_new();
    bool good = snapshots && targets_reserve(&targets, 4) && snapshots_reserve(snapshots, 4);
    for (unsigned i = 0; good && i < 4; ++i) {
        struct config_target wanted;
        memset(&wanted, 0, sizeof wanted);
        (void)snprintf(name, sizeof name, "web-%u-with-a-name-that-takes-memory-of-its-own", i);
        (void)snprintf(wanted.name, sizeof wanted.name, "%s", name);
        wanted.key.bytes[0] = (uint8_t)(i + 1);
        wanted.policy.hold_for_ms = 1000 + i;
        struct address address = {.ip = {[10] = 0xff, [11] = 0xff, [12] = 10, [15] = (uint8_t)i}, .port = 50001};
        struct target *target = targets_add(&targets, &wanted, false);
        const struct kdnet_policy *policy = policies_of(&policies, &config, &wanted);
        uint32_t slot = snapshots_slot(snapshots, name, NULL);
        good = target && policy && slot != 0 && targets_index(&targets) &&
               targets_set_live(&targets, target, &address, listener, 50000);
        if (policy)
            assert_int_equal(policy->hold_for_us, (1000 + i) * 1000);
        if (slot != 0)
            assert_true(snapshots_look(snapshots, name, see_name, name));
        if (!good)
            break;
        size_t count = targets_at(&targets, &address, 50000, rows); /* else it is known by its key again */
        assert_true(count == 1 || scarce_failed());
        if (count == 1)
            assert_string_equal(targets_name(rows[0]), name);
    }
    assert_true(good || scarce_failed());
    targets_clear(&targets);
    policies_clear(&policies);
    if (snapshots)
        snapshots_free(snapshots);
    config_clear(&config);
}

static void targets_are_taken_whole_or_it_is_told(void **state)
{
    (void)state;
    assert_in_range(scarce_each(take_targets, NULL), 5, MOST);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kdnetd_goes_on_without_the_symbols_that_found_no_memory),
        cmocka_unit_test(sinks_that_find_no_memory_are_told_and_the_others_run),
        cmocka_unit_test(targets_are_taken_whole_or_it_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
