/* SPDX-License-Identifier: Apache-2.0 */
/* A row for each crash: what it has of its events, how it is found, and who has acknowledged it. */
#include "service/store/line.h"
#include "service/store/store_read.h"
#include "tests/service/store_place.h"

#include <setjmp.h>
#ifdef KDNETD_STORE
#include <sqlite3.h>
#endif
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <uv.h>

#include <cmocka.h>

#define CRASH_LINE(time, phase, verdict, status, extra)                                                                \
    "{\"time\":\"2026-11-22T10:00:" time "Z\",\"event\":\"crash_status\",\"id\":\"aaaaaaaaaaaaaaaa-" phase "-" verdict \
    "\",\"collector\":\"c\",\"target\":\"web-1\",\"boot\":\"bbbbbbbbbbbbbbbb\",\"crash\":\"aaaaaaaaaaaaaaaa\","        \
    "\"labels\":{\"rack\":\"b4\"},\"phase\":\"" phase "\",\"status\":" status ",\"verdict\":\"" verdict                \
    "\",\"reason\":null,\"bugcheck\":{\"code\":\"0x000000D1\",\"name\":\"DRIVER_IRQL_NOT_LESS_OR_EQUAL\"},"            \
    "\"build_lab\":\"26100.ge\",\"read_ms\":1.5,\"evidence\":{},\"since_first_ms\":" extra "}"

static bool copy_crash(void *user, const struct store_crash *crash)
{
    json_t **out = user;
    assert_int_equal(strlen(crash->json), crash->length);
    if (!*out)
        *out = json_loads(crash->json, 0, NULL);
    assert_non_null(*out);
    return true;
}

static json_t *get_crash(struct place *place, const char *id)
{
    json_t *crash = NULL;
    assert_int_equal(store_crashes(place->reader, &(struct store_crash_query){.crash = id}, copy_crash, &crash, NULL),
                     STORE_DONE);
    assert_non_null(crash);
    return crash;
}

static void add_crash(struct place *place)
{
    add(place, "{\"time\":\"2026-11-22T09:00:00.000000Z\",\"event\":\"kernel\",\"id\":\"c-s-1\",\"target\":\"web-1\","
               "\"boot\":\"bbbbbbbbbbbbbbbb\",\"crash\":null,\"labels\":{},\"build_lab\":null,\"machine\":\"x64\","
               "\"pdb\":{\"name\":\"ntkrnlmp.pdb\"}}");
    add(place, "{\"time\":\"2026-11-22T10:00:01.000000Z\",\"event\":\"break_in\",\"id\":\"c-s-2\",\"target\":\"web-1\","
               "\"boot\":\"bbbbbbbbbbbbbbbb\",\"crash\":\"aaaaaaaaaaaaaaaa\",\"labels\":{}}");
    add(place, CRASH_LINE("02.000000", "bugcheck_first", "not_started", "\"0xFFFFFFFF\"", "null"));
    add(place, "{\"time\":\"2026-11-22T10:00:03.000000Z\",\"event\":\"released\",\"id\":\"c-s-3\",\"target\":\"web-1\","
               "\"crash\":\"aaaaaaaaaaaaaaaa\",\"labels\":{},\"action\":\"continue\",\"halted_ms\":2.5}");
    add(place, CRASH_LINE("09.000000", "shutdown", "failed", "\"0xC000007F\"", "5000.25"));
    add(place, CRASH_LINE("10.000000", "bugcheck_second", "unknown", "null", "6000"));
    add(place, "{\"time\":\"2026-11-22T10:00:11.000000Z\",\"event\":\"released\",\"id\":\"c-s-4\",\"target\":\"web-1\","
               "\"crash\":\"aaaaaaaaaaaaaaaa\",\"labels\":{},\"action\":\"continue\",\"halted_ms\":1.25}");
}

static void test_keeps_a_row_a_crash(void **state)
{
    struct place *place = new_place();
    (void)state;
    open_store(place);
    add_crash(place);
    await_told(place, 7);
    json_t *crash = get_crash(place, "aaaaaaaaaaaaaaaa");
    assert_string_equal(store_json_text(crash, "verdict"), "failed");
    assert_string_equal(store_json_text(crash, "status"), "0xC000007F");
    assert_string_equal(store_json_text(crash, "time"), "2026-11-22T10:00:01.000000Z");
    assert_int_equal(json_array_size(json_object_get(crash, "phases")), 3);
    assert_true(json_number_value(json_object_get(crash, "dump_ms")) == 6000);
    assert_true(json_number_value(json_object_get(crash, "halted_ms")) == 3.75);
    assert_string_equal(store_json_text(json_object_get(crash, "kernel"), "machine"), "x64");
    assert_string_equal(store_json_text(json_object_get(crash, "kernel"), "build_lab"), "26100.ge");
    assert_true(json_is_null(json_object_get(crash, "acknowledged")));
    assert_true(json_is_null(json_object_get(crash, "assessment")));
    json_decref(crash);
    add(place, CRASH_LINE("12.000000", "break", "written", "\"0x00000000\"", "null"));
    await_told(place, 8);
    crash = get_crash(place, "aaaaaaaaaaaaaaaa");
    assert_string_equal(store_json_text(crash, "verdict"), "written"); /* worth the same, and later */
    json_decref(crash);
    json_t *none = NULL;
    assert_int_equal(
        store_crashes(place->reader, &(struct store_crash_query){.crash = "cccccccccccccccc"}, copy_crash, &none, NULL),
        STORE_MISSING);
    close_store(place);
    open_store(place);
    await_state(place, STORE_OK);
    /* The kernel is of a boot that the state does not name. */
    assert_string_equal(place->targets, "web-1=connected - - aaaaaaaaaaaaaaaa written;");
    close_store(place);
    remove_place(place);
}

/* Phase n of a crash, at second n. */
static void add_phase(struct place *place, unsigned n)
{
    char line[512];
    (void)snprintf(line, sizeof line,
                   "{\"time\":\"2026-11-22T10:%02u:%02u.000000Z\",\"event\":\"crash_status\",\"id\":\"c-p-%u\","
                   "\"target\":\"web-1\",\"crash\":\"aaaaaaaaaaaaaaaa\",\"labels\":{},\"phase\":\"break\","
                   "\"status\":null,\"reason\":null}",
                   n / 60, n % 60, n);
    add(place, line);
}

static void add_release(struct place *place, unsigned n, double halted_ms)
{
    char line[512];
    (void)snprintf(line, sizeof line,
                   "{\"time\":\"2026-11-22T10:%02u:%02u.500000Z\",\"event\":\"released\",\"id\":\"c-r-%u\","
                   "\"target\":\"web-1\",\"crash\":\"aaaaaaaaaaaaaaaa\",\"labels\":{},\"halted_ms\":%.1f}",
                   n / 60, n % 60, n, halted_ms);
    add(place, line);
}

static void expect_phase(const json_t *crash, size_t at, const char *id, double halted_ms)
{
    const json_t *phase = json_array_get(json_object_get(crash, "phases"), at);
    assert_string_equal(store_json_text(phase, "id"), id);
    assert_true(json_number_value(json_object_get(phase, "halted_ms")) == halted_ms);
}

/* As when two collectors tell of a crash, or its results are read again. */
static void test_phases_that_come_late_stand_where_they_belong(void **state)
{
    struct place *place = new_place();
    (void)state;
    open_store(place);
    add_phase(place, 3);
    add_phase(place, 5);
    add_phase(place, 1);
    add_release(place, 3, 2.5);
    add_release(place, 1, 0.5);
    add_release(place, 0, 8); /* of no phase that is known */
    await_told(place, 6);
    json_t *crash = get_crash(place, "aaaaaaaaaaaaaaaa");
    assert_string_equal(store_json_text(crash, "time"), "2026-11-22T10:00:01.000000Z");
    assert_string_equal(store_json_text(crash, "verdict"), "unknown"); /* no event has any */
    assert_int_equal(json_array_size(json_object_get(crash, "phases")), 3);
    expect_phase(crash, 0, "c-p-1", 0.5);
    expect_phase(crash, 1, "c-p-3", 2.5);
    expect_phase(crash, 2, "c-p-5", 0);
    assert_true(json_number_value(json_object_get(crash, "halted_ms")) == 3);
    json_decref(crash);
    close_store(place);
    remove_place(place);
}

static void test_of_many_phases_the_first_and_the_newest_stay(void **state)
{
    struct place *place = new_place();
    (void)state;
    open_store(place);
    for (unsigned n = 1; n <= 100; ++n)
        add_phase(place, n);
    await_told(place, 100);
    json_t *crash = get_crash(place, "aaaaaaaaaaaaaaaa");
    assert_int_equal(json_array_size(json_object_get(crash, "phases")), 64);
    expect_phase(crash, 0, "c-p-1", 0);
    expect_phase(crash, 31, "c-p-32", 0);
    expect_phase(crash, 32, "c-p-69", 0);
    expect_phase(crash, 63, "c-p-100", 0);
    json_decref(crash);
    close_store(place);
    remove_place(place);
}

/* A kernel that was known stays, when a later phase comes without its boot. */
static void test_a_phase_of_an_unknown_boot_takes_no_kernel_away(void **state)
{
    struct place *place = new_place();
    (void)state;
    open_store(place);
    add_crash(place);
    add_phase(place, 20);
    await_told(place, 8);
    json_t *crash = get_crash(place, "aaaaaaaaaaaaaaaa");
    assert_int_equal(json_array_size(json_object_get(crash, "phases")), 4);
    assert_string_equal(store_json_text(json_object_get(crash, "kernel"), "machine"), "x64");
    json_decref(crash);
    close_store(place);
    remove_place(place);
}

/* A row that a hand has spoilt is made anew by the next phase. */
static void test_a_row_that_is_no_object_is_made_anew(void **state)
{
#ifdef KDNETD_STORE
    struct place *place = new_place();
    sqlite3 *db;
    open_store(place);
    add_phase(place, 1);
    await_told(place, 1);
    close_store(place);
    assert_int_equal(sqlite3_open(place->path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "UPDATE crashes SET json='[]'", NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
    open_store(place);
    await_state(place, STORE_OK);
    add_phase(place, 2);
    await_told(place, 2);
    json_t *crash = get_crash(place, "aaaaaaaaaaaaaaaa");
    assert_int_equal(json_array_size(json_object_get(crash, "phases")), 1);
    expect_phase(crash, 0, "c-p-2", 0);
    assert_string_equal(store_json_text(crash, "time"), "2026-11-22T10:00:01.000000Z");
    json_decref(crash);
    close_store(place);
    remove_place(place);
#endif
    (void)state;
}

/* An event of crash aaaa..., whose facts are known. */
static void add_known(struct place *place, const char *line, const char *id, const char *type, uint64_t time_us)
{
    const struct store_facts facts = {
        .time_us = time_us, .id = id, .type = type, .target = "web-1", .crash = "aaaaaaaaaaaaaaaa"};
    assert_true(store_add(place->store, line, strlen(line), &facts));
}

static void test_needs_no_text_of_known_facts(void **state)
{
    static const char first[] = CRASH_LINE("02.000000", "bugcheck_first", "not_started", "\"0xFFFFFFFF\"", "null");
    static const char released[] =
        "{\"time\":\"2026-11-22T10:00:03.000000Z\",\"event\":\"released\",\"id\":\"c-s-3\",\"target\":\"web-1\","
        "\"crash\":\"aaaaaaaaaaaaaaaa\",\"labels\":{},\"action\":\"continue\",\"halted_ms\":2.5}";
    struct place *place = new_place();
    char endless[2 * STORE_TEXT_SIZE];
    (void)state;
    open_store(place);
    add_known(place, "{}", "c-s-2", "break_in", 1795341601000000U); /* its text is not looked at */
    add_known(place, first, "aaaaaaaaaaaaaaaa-bugcheck_first-not_started", "crash_status", 1795341602000000U);
    add_known(place, released, "c-s-3", "released", 1795341603000000U);
    add_known(place, "{}", "c-s-2", "break_in", 1795341604000000U); /* the same fact again */
    memset(endless, 'x', sizeof endless - 1);
    endless[sizeof endless - 1] = '\0';
    add_known(place, released, endless, "released", 1795341603000000U); /* its text decides: it is there already */
    await_told(place, 3);
    json_t *crash = get_crash(place, "aaaaaaaaaaaaaaaa");
    assert_string_equal(store_json_text(crash, "verdict"), "not_started");
    assert_string_equal(store_json_text(crash, "time"), "2026-11-22T10:00:01.000000Z");
    assert_int_equal(json_array_size(json_object_get(crash, "phases")), 1);
    assert_true(json_number_value(json_object_get(crash, "halted_ms")) == 2.5);
    json_decref(crash);
    const char *const targets[] = {"web-1"}, *const types[] = {"break_in"};
    struct listing some = events(place,
                                 &(struct store_event_query){.targets = {targets, 1}, .types = {types, 1}, .limit = 9});
    assert_string_equal(some.ids, "c-s-2 ");
    close_store(place);
    remove_place(place);
}

static uint64_t count_crashes(struct place *place, const struct store_crash_query *query)
{
    uint64_t total = 0;
    json_t *first = NULL;
    assert_int_equal(store_crashes(place->reader, query, copy_crash, &first, &total), STORE_DONE);
    json_decref(first);
    return total;
}

static void test_finds_crashes(void **state)
{
    const char *const verdicts[] = {"written", "unknown"}, *const failed[] = {"failed"}, *const d1[] = {"0x000000D1"},
                      *const other[] = {"0x0000007E"}, *const web[] = {"web-1"};
    const struct store_label rack = {"rack", "b4"}, wrong = {"rack", "b5"}, odd = {"rack'", "b4"};
    struct place *place = new_place();
    (void)state;
    open_store(place);
    add_crash(place);
    /* Its bug check could not be read: the event's id stands in for the crash's name. */
    add(place, "{\"time\":\"2026-11-23T10:00:00.000000Z\",\"event\":\"crash_status\",\"id\":\"c-s-9\",\"target\":"
               "\"web-2\",\"crash\":null,\"labels\":{},\"phase\":\"bugcheck_first\",\"verdict\":\"unknown\"}");
    add(place, "{\"time\":\"2026-11-23T10:00:00.000000Z\",\"event\":\"crash_status\",\"id\":\"c-s-10\",\"target\":"
               "\"web-2\",\"crash\":null,\"labels\":{},\"phase\":\"break\",\"verdict\":\"written\"}");
    await_told(place, 9);
    assert_int_equal(count_crashes(place, &(struct store_crash_query){.limit = 1}), 2);
    assert_int_equal(count_crashes(place, &(struct store_crash_query){.verdicts = {verdicts, 2}}), 1);
    assert_int_equal(count_crashes(place, &(struct store_crash_query){.verdicts = {failed, 1}}), 1);
    assert_int_equal(count_crashes(place, &(struct store_crash_query){.codes = {d1, 1}, .targets = {web, 1}}), 1);
    assert_int_equal(count_crashes(place, &(struct store_crash_query){.codes = {other, 1}}), 0);
    assert_int_equal(count_crashes(place, &(struct store_crash_query){.labels = &rack, .label_count = 1}), 1);
    assert_int_equal(count_crashes(place, &(struct store_crash_query){.labels = &wrong, .label_count = 1}), 0);
    assert_int_equal(count_crashes(place, &(struct store_crash_query){.labels = &odd, .label_count = 1}), 0);
    assert_int_equal(count_crashes(place, &(struct store_crash_query){.since_us = 1795392000000000U}), 1);
    json_t *behind = NULL;
    const struct store_crash_query page = {.before_us = 1795428000000000U, .before_crash = "c-s-9"};
    assert_int_equal(store_crashes(place->reader, &page, copy_crash, &behind, NULL), STORE_DONE);
    assert_string_equal(store_json_text(behind, "crash"), "aaaaaaaaaaaaaaaa");
    json_decref(behind);
    close_store(place);
    remove_place(place);
}

static atomic_int acknowledged;

static void on_acknowledged(void *user, enum store_result result)
{
    (void)user;
    atomic_store(&acknowledged, (int)result + 1);
}

static void acknowledge(struct place *place, const char *crash, enum store_result wanted)
{
    atomic_store(&acknowledged, 0);
    assert_true(store_acknowledge(place->store, crash, "ann", "seen \"it\"", on_acknowledged, NULL));
    for (unsigned i = 0; i < PATIENCE_MS && atomic_load(&acknowledged) == 0; ++i)
        uv_sleep(1);
    assert_int_equal(atomic_load(&acknowledged), (int)wanted + 1);
}

static void test_acknowledges(void **state)
{
    static const char *const sinks[] = {"soc"};
    struct place *place = new_place();
    uint64_t behind = 99, seq = 0;
    (void)state;
    place->options.sinks = sinks;
    place->options.sink_count = 1;
    open_store(place);
    add_crash(place);
    await_told(place, 7);
    acknowledge(place, "aaaaaaaaaaaaaaaa", STORE_DONE);
    acknowledge(place, "cccccccccccccccc", STORE_MISSING);
    json_t *crash = get_crash(place, "aaaaaaaaaaaaaaaa"), *by = json_object_get(crash, "acknowledged");
    assert_string_equal(store_json_text(by, "by"), "ann");
    assert_string_equal(store_json_text(by, "note"), "seen \"it\"");
    json_decref(crash);
    assert_int_equal(store_sinks(place->reader, check_sink, &behind), STORE_DONE);
    assert_int_equal(behind, 7);
    assert_true(store_sink_ack(place->store, "soc", 5));
    acknowledge(place, "aaaaaaaaaaaaaaaa", STORE_DONE); /* notes are committed in order */
    assert_int_equal(store_sinks(place->reader, check_sink, &behind), STORE_DONE);
    assert_int_equal(behind, 2);
    assert_int_equal(store_sink_cursor(place->reader, "soc", &seq), STORE_DONE);
    assert_int_equal(seq, 5);
    place->options.sink_count = 0; /* it is no longer configured */
    assert_true(store_configure(place->store, &place->options));
    for (unsigned i = 0; i < PATIENCE_MS && store_sink_cursor(place->reader, "soc", &seq) != STORE_MISSING; ++i)
        uv_sleep(1);
    assert_int_equal(store_sink_cursor(place->reader, "soc", &seq), STORE_MISSING);
    close_store(place);
    remove_place(place);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keeps_a_row_a_crash),
        cmocka_unit_test(test_phases_that_come_late_stand_where_they_belong),
        cmocka_unit_test(test_of_many_phases_the_first_and_the_newest_stay),
        cmocka_unit_test(test_a_phase_of_an_unknown_boot_takes_no_kernel_away),
        cmocka_unit_test(test_a_row_that_is_no_object_is_made_anew),
        cmocka_unit_test(test_needs_no_text_of_known_facts),
        cmocka_unit_test(test_finds_crashes),
        cmocka_unit_test(test_acknowledges),
    };
    if (!HAS_STORE) {
        (void)puts("skipped: this build has no SQLite");
        return 0;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
