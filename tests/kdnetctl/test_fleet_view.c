/* SPDX-License-Identifier: Apache-2.0 */
#include "service/kdnetctl/fleet_view.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SECOND_US UINT64_C(1000000)
#define START_US  (UINT64_C(1700000000) * SECOND_US)

static int set_up(void **state)
{
    *state = fleet_view_new();
    return *state ? 0 : -1;
}

static int tear_down(void **state)
{
    fleet_view_free(*state);
    return 0;
}

/* A result of a crash: its number names crash and machine. */
static void tell(struct fleet_view *view, const char *collector, unsigned crash, const char *verdict, unsigned second)
{
    char text[512];
    int length =
        snprintf(text, sizeof text,
                 "{\"event\":\"crash_status\",\"id\":\"%016x-shutdown-%s\",\"collector\":\"%s\",\"crash\":"
                 "\"%016x\",\"target\":\"web-%u\",\"verdict\":\"%s\",\"time\":\"2026-11-25T10:00:%02u.000000Z\"}",
                 crash, verdict, collector, crash, crash, verdict, second);
    fleet_view_event(view, text, (size_t)length, START_US + second * SECOND_US);
}

static const char *member(const json_t *list, size_t row, const char *name)
{
    return json_string_value(json_object_get(json_array_get(list, row), name));
}

static void the_best_verdict_of_a_crash_counts(void **state)
{
    struct fleet_view *view = *state;
    tell(view, "c1", 1, "failed", 5);
    tell(view, "c2", 1, "not_started", 9);
    tell(view, "c2", 1, "written", 3); /* as good, and earlier */
    tell(view, "c1", 2, "unknown", 1);
    tell(view, "c1", 2, "not_started", 1);
    json_t *crashes = fleet_view_crashes(view);
    assert_int_equal(json_array_size(crashes), 2);
    assert_string_equal(member(crashes, 0, "verdict"), "failed");
    assert_string_equal(member(crashes, 0, "time"), "2026-11-25T10:00:03.000000Z");
    assert_string_equal(member(crashes, 1, "verdict"), "not_started");
    json_decref(crashes);
}

static void doubles_count_once(void **state)
{
    struct fleet_view *view = *state;
    for (unsigned i = 0; i < 5000; ++i)
        tell(view, i % 2 ? "c1" : "c2", i / 2, "written", 1);
    struct fleet_view_counts counts = fleet_view_counts(view);
    assert_int_equal(counts.events, 5000);
    assert_int_equal(counts.doubles, 2500);
    json_t *crashes = fleet_view_crashes(view);
    assert_int_equal(json_array_size(crashes), 2500);
    json_decref(crashes);
}

static void who_is_silent_for_30_seconds_is_named(void **state)
{
    struct fleet_view *view = *state;
    static const char beat[] = "{\"collector\":\"c2\",\"version\":\"0.2.0\"}";
    tell(view, "c1", 1, "written", 0);
    tell(view, "c2", 1, "written", 0);
    fleet_view_heartbeat(view, beat, strlen(beat), START_US + 10 * SECOND_US);
    json_t *early = fleet_view_collectors(view, START_US + 30 * SECOND_US);
    json_t *late = fleet_view_collectors(view, START_US + 31 * SECOND_US);
    assert_string_equal(member(early, 0, "state"), "ok");
    assert_string_equal(member(late, 0, "state"), "silent");
    assert_int_equal(json_integer_value(json_object_get(json_array_get(late, 0), "silent_seconds")), 31);
    assert_string_equal(member(late, 1, "state"), "ok");
    assert_string_equal(member(late, 1, "version"), "0.2.0");
    json_decref(early);
    json_decref(late);
}

static void anything_may_be_in_the_stream(void **state)
{
    struct fleet_view *view = *state;
    static const char *const strange[] = {
        "",
        "x",
        "[]",
        "{\"collector\":1}",
        "{\"event\":\"x\",\"id\":\"1\",\"collector\":\"a b\",\"time\":\"2026-11-25T10:00:00.000000Z\"}",
        "{\"event\":\"x\",\"id\":\"\",\"collector\":\"c1\",\"time\":\"2026-11-25T10:00:00.000000Z\"}",
        "{\"event\":\"x\",\"id\":\"1\",\"collector\":\"c1\",\"time\":\"never\"}",
        "{\"event\":\"x\",\"id\":\"1\",\"collector\":\"c1\",\"target\":\"\\u001b\",\"time\":\"2026-11-25T10:00:00."
        "000000Z\"}",
    };
    size_t count = sizeof strange / sizeof strange[0];
    for (size_t i = 0; i < count; ++i)
        fleet_view_event(view, strange[i], strlen(strange[i]), START_US);
    char *large = malloc(FLEET_EVENT_MAX + 1);
    assert_non_null(large);
    memset(large, ' ', FLEET_EVENT_MAX + 1);
    fleet_view_event(view, large, FLEET_EVENT_MAX + 1, START_US);
    fleet_view_heartbeat(view, "{}", 2, START_US);
    free(large);
    assert_int_equal(fleet_view_counts(view).strange, count + 2);
    assert_int_equal(fleet_view_counts(view).events, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_best_verdict_of_a_crash_counts, set_up, tear_down),
        cmocka_unit_test_setup_teardown(doubles_count_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(who_is_silent_for_30_seconds_is_named, set_up, tear_down),
        cmocka_unit_test_setup_teardown(anything_may_be_in_the_stream, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
