/* SPDX-License-Identifier: Apache-2.0 */
#include "service/store/line.h"
#include "service/store/store_read.h"

#include <inttypes.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <uv.h>

#include <cmocka.h>

#define PATIENCE_MS 30000 /* for what happens by itself; nothing waits so long when all is well */

/* A folder with a store in it, and what was told of. */
struct place {
    char folder[64], path[96], results[96];
    struct store *store;
    struct store_reader *reader;
    struct store_options options;
    uv_mutex_t lock;
    uint64_t told, caught_up, last_seq, overrun;
    char last_id[STORE_ID_SIZE];
    char targets[512];
};

static void on_committed(void *user, const struct store_event *events, size_t count)
{
    struct place *place = user;
    uv_mutex_lock(&place->lock);
    for (size_t i = 0; i < count; ++i) {
        assert_true(events[i].seq > place->last_seq);
        assert_int_equal(strlen(events[i].line), events[i].length);
        place->last_seq = events[i].seq;
        place->caught_up += events[i].caught_up;
        (void)snprintf(place->last_id, sizeof place->last_id, "%s", events[i].id);
    }
    place->told += count;
    uv_mutex_unlock(&place->lock);
}

static void on_target(void *user, const struct store_target *target)
{
    struct place *place = user;
    size_t used = strlen(place->targets);
    (void)snprintf(place->targets + used, sizeof place->targets - used, "%s=%s %s %s %s %s;", target->name,
                   target->state, target->address ? target->address : "-", target->kernel ? target->kernel : "-",
                   target->crash ? target->crash : "-", target->verdict ? target->verdict : "-");
}

static void on_overrun(void *user, const char *sink, uint64_t count)
{
    struct place *place = user;
    assert_string_equal(sink, "soc");
    uv_mutex_lock(&place->lock);
    place->overrun += count;
    uv_mutex_unlock(&place->lock);
}

static void open_store(struct place *place)
{
    const struct store_callbacks callbacks = {
        .user = place, .on_committed = on_committed, .on_target = on_target, .on_overrun = on_overrun};
    place->last_seq = 0;
    place->targets[0] = '\0';
    place->store = store_open(&place->options, &callbacks);
    assert_non_null(place->store);
    place->reader = store_reader_open(place->store);
    assert_non_null(place->reader);
}

static void close_store(struct place *place)
{
    store_reader_close(place->reader);
    assert_true(store_close(place->store, PATIENCE_MS));
}

static struct place *new_place(void)
{
    struct place *place = calloc(1, sizeof *place);
    assert_non_null(place);
    (void)snprintf(place->folder, sizeof place->folder, "/tmp/kdnetd-store.XXXXXX");
    assert_non_null(mkdtemp(place->folder));
    (void)snprintf(place->path, sizeof place->path, "%s/kdnetd.db", place->folder);
    (void)snprintf(place->results, sizeof place->results, "%s/events.jsonl", place->folder);
    place->options = (struct store_options){.path = place->path, .results = place->results};
    assert_int_equal(uv_mutex_init(&place->lock), 0);
    return place;
}

static void remove_place(struct place *place)
{
    char command[128];
    (void)snprintf(command, sizeof command, "rm -rf %s", place->folder);
    assert_int_equal(system(command), 0);
    uv_mutex_destroy(&place->lock);
    free(place);
}

static void add(struct place *place, const char *line)
{
    assert_true(store_add(place->store, line, strlen(line), NULL));
}

/* An event of its own: number n, at second n. */
static const char *event(unsigned n, char out[static 256])
{
    (void)snprintf(out, 256,
                   "{\"time\":\"2026-11-22T10:%02u:%02u.%06uZ\",\"event\":\"connected\",\"id\":\"c-s-%u\","
                   "\"collector\":\"c\",\"target\":\"web-%u\",\"boot\":null,\"crash\":null,\"labels\":{}}",
                   n / 60 % 60, n % 60, n / 3600, n, n % 7);
    return out;
}

static uint64_t told(struct place *place)
{
    uv_mutex_lock(&place->lock);
    uint64_t count = place->told;
    uv_mutex_unlock(&place->lock);
    return count;
}

static void await_told(struct place *place, uint64_t count)
{
    for (unsigned i = 0; i < PATIENCE_MS && told(place) < count; ++i)
        uv_sleep(1);
    assert_int_equal(told(place), count);
}

static enum store_state state_of(struct place *place, char error[static STORE_ERROR_SIZE])
{
    struct store_status *status = malloc(sizeof *status);
    assert_non_null(status);
    store_status(place->store, status);
    enum store_state state = status->state;
    (void)snprintf(error, STORE_ERROR_SIZE, "%s", status->error);
    free(status);
    return state;
}

static void await_state(struct place *place, enum store_state wanted)
{
    char error[STORE_ERROR_SIZE];
    for (unsigned i = 0; i < PATIENCE_MS && state_of(place, error) != wanted; ++i)
        uv_sleep(1);
    assert_int_equal(state_of(place, error), wanted);
    assert_int_equal(error[0] != '\0', wanted == STORE_DEGRADED);
}

struct listing {
    unsigned count;
    char ids[4096];
};

static bool list_event(void *user, const struct store_event *e)
{
    struct listing *listing = user;
    size_t used = strlen(listing->ids);
    ++listing->count;
    (void)snprintf(listing->ids + used, sizeof listing->ids - used, "%s ", e->id);
    return true;
}

static struct listing events(struct place *place, const struct store_event_query *query)
{
    struct listing listing = {0};
    assert_int_equal(store_events(place->reader, query, list_event, &listing), STORE_DONE);
    return listing;
}

static void test_keeps_events_by_id_in_order(void **state)
{
    char line[256];
    struct place *place = new_place();
    (void)state;
    open_store(place);
    for (unsigned n = 1; n <= 2500; ++n)
        add(place, event(n, line));
    add(place, event(7, line));                                                       /* the same fact again */
    add(place, "{\"time\":\"2026-11-22T10:00:00.000000Z\",\"event\":\"connected\"}"); /* no id: no event */
    add(place, "not JSON");
    add(place, event(2501, line));
    await_told(place, 2501);
    assert_string_equal(place->last_id, "c-s-2501");
    assert_int_equal(place->caught_up, 0);
    struct listing some = events(place, &(struct store_event_query){.limit = 3});
    assert_string_equal(some.ids, "c-s-1 c-s-2 c-s-3 ");
    some = events(place, &(struct store_event_query){.after_id = "c-s-2499"});
    assert_string_equal(some.ids, "c-s-2500 c-s-2501 ");
    some = events(place, &(struct store_event_query){.tail = 2});
    assert_string_equal(some.ids, "c-s-2500 c-s-2501 ");
    const char *const names[] = {"web-1", "web-2"};
    some = events(place, &(struct store_event_query){.targets = {names, 2}, .limit = 4});
    assert_string_equal(some.ids, "c-s-1 c-s-2 c-s-8 c-s-9 ");
    some = events(place, &(struct store_event_query){.types = {names, 1}});
    assert_int_equal(some.count, 0);
    some = events(place, &(struct store_event_query){.since_us = 1795341660000000U, .until_us = 1795341662000000U});
    assert_string_equal(some.ids, "c-s-60 c-s-61 ");
    struct listing none = {0};
    assert_int_equal(
        store_events(place->reader, &(struct store_event_query){.after_id = "c-s-9999"}, list_event, &none),
        STORE_GONE);
    struct store_bounds bounds;
    assert_int_equal(store_event_bounds(place->reader, &bounds), STORE_DONE);
    assert_string_equal(bounds.oldest, "c-s-1");
    assert_string_equal(bounds.newest, "c-s-2501");
    close_store(place);
    open_store(place); /* what was kept is there, and numbers go on */
    add(place, event(2502, line));
    await_told(place, 2502);
    some = events(place, &(struct store_event_query){.after_id = "c-s-2500"});
    assert_string_equal(some.ids, "c-s-2501 c-s-2502 ");
    close_store(place);
    remove_place(place);
}

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

static bool check_sink(void *user, const struct store_sink *sink)
{
    assert_string_equal(sink->name, "soc");
    *(uint64_t *)user = sink->behind_events;
    return true;
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

static void write_text(const char *path, const char *mode, const char *text)
{
    FILE *file = fopen(path, mode);
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static void write_results(struct place *place, unsigned from, unsigned to)
{
    char line[256];
    for (unsigned n = from; n <= to; ++n) {
        write_text(place->results, "a", event(n, line));
        write_text(place->results, "a", "\n");
    }
}

static void test_catches_up_from_the_result_file(void **state)
{
    char line[256], older[128];
    struct place *place = new_place();
    (void)state;
    write_results(place, 1, 3);
    (void)snprintf(older, sizeof older, "%s.1", place->results);
    assert_int_equal(rename(place->results, older), 0);
    write_text(place->results, "a", "garbage\n{\"id\":\"x\"}\n\n");
    write_results(place, 3, 6);
    write_text(place->results, "a", "{\"time\":\"2026"); /* is still being written */
    open_store(place);
    await_told(place, 6);
    assert_int_equal(place->caught_up, 6);
    add(place, event(6, line));
    add(place, event(7, line));
    await_told(place, 7);
    struct listing all = events(place, &(struct store_event_query){0});
    assert_string_equal(all.ids, "c-s-1 c-s-2 c-s-3 c-s-4 c-s-5 c-s-6 c-s-7 ");
    close_store(place);
    open_store(place); /* it lacks nothing now */
    await_state(place, STORE_OK);
    close_store(place);
    assert_int_equal(place->told, 7);
    remove_place(place);
}

static void damage(const char *path)
{
    struct stat file;
    FILE *to = fopen(path, "r+");
    assert_non_null(to);
    assert_int_equal(stat(path, &file), 0);
    for (long at = 0; at < file.st_size; at += 512) {
        assert_int_equal(fseek(to, at, SEEK_SET), 0);
        assert_true(fputs("damaged by a test", to) >= 0);
    }
    assert_int_equal(fclose(to), 0);
}

static unsigned count_files(struct place *place, const char *part)
{
    char command[160], answer[32] = "";
    (void)snprintf(command, sizeof command, "ls %s | grep -c -- '%s'", place->folder, part);
    FILE *pipe = popen(command, "r");
    assert_non_null(pipe);
    assert_non_null(fgets(answer, sizeof answer, pipe));
    (void)pclose(pipe);
    return (unsigned)strtoul(answer, NULL, 10);
}

/* What was told before this run is no news; what this run told before its store was open is. */
static void test_a_new_sink_begins_with_this_run(void **state)
{
    static const char *const sinks[] = {"soc"};
    struct place *place = new_place();
    uint64_t behind = 99;
    char line[256];
    (void)state;
    write_results(place, 1, 4);
    for (unsigned n = 10; n < 13; ++n) {
        char later[256];
        (void)snprintf(later, sizeof later, "{\"time\":\"2096%s", event(n, line) + strlen("{\"time\":\"2026"));
        write_text(place->results, "a", later);
        write_text(place->results, "a", "\n");
    }
    place->options.sinks = sinks;
    place->options.sink_count = 1;
    open_store(place);
    await_told(place, 7);
    assert_int_equal(store_sinks(place->reader, check_sink, &behind), STORE_DONE);
    assert_int_equal(behind, 3);
    close_store(place);
    remove_place(place);
}

static void test_sets_a_damaged_file_aside(void **state)
{
    struct place *place = new_place();
    (void)state;
    write_results(place, 1, 5);
    open_store(place);
    await_told(place, 5);
    close_store(place);
    damage(place->path);
    open_store(place);
    await_told(place, 10); /* a new one, with what the result file has */
    await_state(place, STORE_OK);
    assert_int_equal(count_files(place, "^kdnetd.db.damaged-"), 1);
    close_store(place);
    remove_place(place);
}

static void test_goes_on_when_its_file_is_damaged_or_replaced(void **state)
{
    char line[256];
    struct place *place = new_place();
    struct listing none = {0};
    (void)state;
    write_results(place, 1, 5);
    open_store(place);
    await_told(place, 5);
    assert_int_equal(unlink(place->path), 0); /* deleted */
    write_results(place, 6, 6);
    add(place, event(6, line));
    await_told(place, 11);
    struct listing all = events(place, &(struct store_event_query){0});
    assert_int_equal(all.count, 6);
    close_store(place);
    open_store(place);
    await_state(place, STORE_OK);
    write_text(place->path, "r+", "this is no database any more, from its first byte on .......................");
    for (unsigned i = 0; i < PATIENCE_MS / 10 && told(place) < 17; ++i) { /* found by who reads, too */
        (void)store_events(place->reader, &(struct store_event_query){0}, list_event, &none);
        store_reader_close(place->reader);
        place->reader = store_reader_open(place->store);
        uv_sleep(10);
    }
    await_told(place, 17);
    await_state(place, STORE_OK);
    close_store(place);
    remove_place(place);
}

static void test_waits_for_a_folder_that_is_missing(void **state)
{
    char line[256], moved[96];
    struct place *place = new_place();
    struct listing none = {0};
    (void)state;
    (void)snprintf(moved, sizeof moved, "%s/later/kdnetd.db", place->folder);
    place->options.path = moved;
    open_store(place);
    await_state(place, STORE_DEGRADED);
    add(place, event(1, line));
    assert_int_equal(store_events(place->reader, &(struct store_event_query){0}, list_event, &none), STORE_UNAVAILABLE);
    assert_int_equal(told(place), 0);
    (void)snprintf(moved, sizeof moved, "%s/later", place->folder);
    assert_int_equal(mkdir(moved, 0700), 0);
    await_told(place, 1);
    await_state(place, STORE_OK);
    close_store(place);
    remove_place(place);
}

/* No file may grow: what a full disk does to a store whose file and log are as large as they can be. */
static void test_outlives_a_full_disk(void **state)
{
    char line[256];
    struct place *place = new_place();
    struct rlimit limit, small;
    (void)state;
    (void)signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    open_store(place);
    add(place, event(1, line));
    await_told(place, 1);
    small = limit;
    small.rlim_cur = 4096;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    for (unsigned n = 2; n <= 3000; ++n)
        add(place, event(n, line));
    await_state(place, STORE_DEGRADED);
    assert_int_equal(told(place), 1);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    await_told(place, 3000);
    await_state(place, STORE_OK);
    close_store(place);
    remove_place(place);
}

static void test_lines_without_room_come_from_the_result_file(void **state)
{
    char line[256];
    struct place *place = new_place();
    char moved[96];
    (void)state;
    (void)snprintf(moved, sizeof moved, "%s/later/kdnetd.db", place->folder);
    place->options.path = moved;
    open_store(place);
    await_state(place, STORE_DEGRADED);
    char *huge = malloc(STORE_QUEUE_BYTES);
    assert_non_null(huge);
    memset(huge, ' ', STORE_QUEUE_BYTES);
    assert_true(store_add(place->store, huge, STORE_QUEUE_BYTES - 4096, NULL)); /* no event, but it takes the room */
    for (unsigned i = 0; i < 8; ++i)
        (void)store_add(place->store, huge, STORE_QUEUE_BYTES / 2, NULL);
    free(huge);
    write_results(place, 1, 4);
    (void)store_add(place->store, event(4, line), strlen(line), NULL);
    (void)snprintf(moved, sizeof moved, "%s/later", place->folder);
    assert_int_equal(mkdir(moved, 0700), 0);
    await_told(place, 4);
    close_store(place);
    remove_place(place);
}

static void test_retains_days_and_bytes(void **state)
{
    static const char *const sinks[] = {"soc"};
    char line[256];
    struct place *place = new_place();
    struct store_status *status = malloc(sizeof *status);
    (void)state;
    assert_non_null(status);
    place->options.sinks = sinks;
    place->options.sink_count = 1;
    place->options.retain_days = 36500; /* the test's events have a date of their own */
    place->options.retain_bytes = 200000;
    open_store(place);
    for (unsigned n = 1; n <= 3000; ++n)
        add(place, event(n, line));
    await_told(place, 3000);
    for (unsigned i = 0; i < PATIENCE_MS; ++i) {
        store_status(place->store, status);
        if (status->overrun > 0 && status->events < 1000)
            break;
        uv_sleep(1);
    }
    assert_in_range(status->events, 100, 1000);
    uv_mutex_lock(&place->lock);
    assert_int_equal(place->overrun, 3000 - status->events);
    uv_mutex_unlock(&place->lock);
    struct listing newest = events(place, &(struct store_event_query){.tail = 1});
    assert_string_equal(newest.ids, "c-s-3000 ");
    free(status);
    close_store(place);
    remove_place(place);
}

static void test_old_events_go(void **state)
{
    char line[256], now_text[32];
    struct place *place = new_place();
    time_t now = time(NULL);
    struct tm utc;
    (void)state;
    assert_non_null(gmtime_r(&now, &utc));
    (void)strftime(now_text, sizeof now_text, "%Y-%m-%dT%H:%M:%SZ", &utc);
    place->options.retain_days = 1;
    open_store(place);
    add(place, "{\"time\":\"2020-01-01T00:00:00.000000Z\",\"event\":\"lost\",\"id\":\"c-s-1\",\"target\":\"web-1\"}");
    (void)snprintf(line, sizeof line, "{\"time\":\"%s\",\"event\":\"lost\",\"id\":\"c-s-2\",\"target\":\"web-1\"}",
                   now_text);
    add(place, line);
    await_told(place, 2);
    struct listing left = {.count = 2};
    for (unsigned i = 0; i < PATIENCE_MS && left.count > 1; ++i) {
        left = events(place, &(struct store_event_query){0});
        uv_sleep(1);
    }
    assert_string_equal(left.ids, "c-s-2 ");
    close_store(place);
    remove_place(place);
}

/* As when the computer comes up with a clock that is years ahead. */
static void test_a_clock_that_is_ahead_empties_no_store(void **state)
{
    char line[256];
    struct place *place = new_place();
    (void)state;
    place->options.retain_days = 36500;
    open_store(place);
    for (unsigned n = 1; n <= 10; ++n)
        add(place, event(n, line));
    await_told(place, 10);
    close_store(place);
    place->options.retain_days = 2; /* the events are older, by the clock */
    open_store(place);
    await_state(place, STORE_OK);
    uv_sleep(2500); /* retain looks once a second */
    struct listing left = events(place, &(struct store_event_query){0});
    assert_int_equal(left.count, 10);
    close_store(place);
    remove_place(place);
}

static void test_copies_itself(void **state)
{
    char line[256], to[96], error[STORE_ERROR_SIZE];
    struct place *place = new_place();
    struct stat file;
    (void)state;
    open_store(place);
    for (unsigned n = 1; n <= 10; ++n)
        add(place, event(n, line));
    await_told(place, 10);
    (void)snprintf(to, sizeof to, "%s/copy.db", place->folder);
    assert_true(store_backup(place->path, to, error));
    assert_true(store_backup(place->path, to, error)); /* replaced */
    assert_int_equal(stat(to, &file), 0);
    assert_int_equal(file.st_mode & 0777, 0600);
    assert_int_equal(count_files(place, "^copy.db"), 1);
    (void)snprintf(to, sizeof to, "%s/none/copy.db", place->folder);
    assert_false(store_backup(place->path, to, error));
    assert_true(error[0] != '\0');
    close_store(place);
    (void)snprintf(place->path, sizeof place->path, "%s/copy.db", place->folder);
    open_store(place); /* it serves as a store */
    await_state(place, STORE_OK);
    struct listing all = events(place, &(struct store_event_query){0});
    assert_int_equal(all.count, 10);
    close_store(place);
    remove_place(place);
}

/* What was settled is in the file itself, and what came afterwards beside it. */
static void test_settled_it_ends_soon_and_keeps_all(void **state)
{
    char line[256], wal[128];
    struct stat status;
    struct place *place = new_place();
    (void)state;
    open_store(place);
    for (unsigned n = 1; n <= 500; ++n)
        add(place, event(n, line));
    store_settle(place->store, PATIENCE_MS);
    assert_int_equal(told(place), 500);
    assert_int_equal(stat(place->path, &status), 0);
    off_t settled = status.st_size;
    add(place, event(501, line));
    close_store(place);
    assert_int_equal(stat(place->path, &status), 0);
    assert_int_equal(status.st_size, settled); /* nothing was moved at the end */
    (void)snprintf(wal, sizeof wal, "%s-wal", place->path);
    assert_int_equal(stat(wal, &status), 0);
    open_store(place);
    add(place, event(501, line)); /* it has it */
    add(place, event(502, line));
    await_told(place, 502);
    close_store(place);
    remove_place(place);
}

static void test_no_file_is_no_store(void **state)
{
    char line[256], error[STORE_ERROR_SIZE];
    struct place *place = new_place();
    struct listing none = {0};
    (void)state;
    place->options.path = NULL;
    open_store(place);
    add(place, event(1, line));
    add(place, event(2, line));
    await_told(place, 2);
    assert_int_equal(state_of(place, error), STORE_OFF);
    assert_int_equal(store_events(place->reader, &(struct store_event_query){0}, list_event, &none), STORE_UNAVAILABLE);
    assert_false(store_acknowledge(place->store, "aaaaaaaaaaaaaaaa", "ann", NULL, NULL, NULL));
    place->options.path = place->path; /* a reload names one */
    assert_true(store_configure(place->store, &place->options));
    await_state(place, STORE_OK);
    add(place, event(3, line));
    await_told(place, 3);
    none = events(place, &(struct store_event_query){0});
    assert_string_equal(none.ids, "c-s-3 ");
    close_store(place);
    remove_place(place);
}

/* The child says the newest seq on the pipe after each commit. */
static void say_committed(void *user, const struct store_event *events_told, size_t count)
{
    uint64_t seq = events_told[count - 1].seq;
    assert_int_equal(write(*(int *)user, &seq, sizeof seq), sizeof seq);
}

static void store_for_ever(const struct store_options *options, int pipe_end, unsigned from)
{
    const struct store_callbacks callbacks = {.user = &pipe_end, .on_committed = say_committed};
    struct store *store = store_open(options, &callbacks);
    char line[256];
    for (unsigned n = from; store; ++n) {
        (void)store_add(store, event(n, line), strlen(line), NULL);
        if (n % 300 == 0)
            uv_sleep(1);
    }
    _exit(1);
}

static uint64_t kill_one(struct place *place, unsigned from, unsigned after_ms)
{
    int ends[2];
    uint64_t seq, newest = 0;
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        store_for_ever(&place->options, ends[1], from);
    (void)close(ends[1]);
    assert_int_equal(read(ends[0], &newest, sizeof newest), sizeof newest);
    uv_sleep(after_ms);
    assert_int_equal(kill(child, SIGKILL), 0);
    while (read(ends[0], &seq, sizeof seq) == sizeof seq)
        newest = seq;
    (void)close(ends[0]);
    assert_int_equal(waitpid(child, NULL, 0), child);
    return newest;
}

static void test_a_kill_loses_nothing_that_was_shown(void **state)
{
    struct place *place = new_place();
    char command[160];
    (void)state;
    for (unsigned i = 0; i < 6; ++i) {
        uint64_t shown = kill_one(place, 1 + i * 1000000, i * 17);
        (void)snprintf(command, sizeof command, "test \"$(sqlite3 %s 'PRAGMA integrity_check')\" = ok", place->path);
        if (system("command -v sqlite3 >/dev/null") == 0)
            assert_int_equal(system(command), 0);
        open_store(place);
        await_state(place, STORE_OK);
        struct store_bounds bounds;
        assert_int_equal(store_event_bounds(place->reader, &bounds), STORE_DONE);
        assert_true(bounds.newest_seq >= shown);
        close_store(place);
    }
    remove_place(place);
}

static void test_refuses_the_file_of_another_program(void **state)
{
    char command[200], error[STORE_ERROR_SIZE];
    struct place *place = new_place();
    (void)state;
    if (system("command -v sqlite3 >/dev/null") != 0) {
        remove_place(place);
        skip();
    }
    (void)snprintf(command, sizeof command, "sqlite3 %s 'CREATE TABLE theirs(x); INSERT INTO theirs VALUES(7)'",
                   place->path);
    assert_int_equal(system(command), 0);
    open_store(place);
    for (unsigned i = 0; i < PATIENCE_MS; ++i) {
        (void)state_of(place, error);
        if (strstr(error, "another program"))
            break;
        uv_sleep(1);
    }
    assert_non_null(strstr(error, "another program"));
    close_store(place);
    (void)snprintf(command, sizeof command, "test \"$(sqlite3 %s 'SELECT x FROM theirs')\" = 7", place->path);
    assert_int_equal(system(command), 0);
    remove_place(place);
}

static void test_reads_times(void **state)
{
    uint64_t us;
    (void)state;
    assert_true(store_time_parse("1970-01-01T00:00:00Z", &us));
    assert_int_equal(us, 0);
    assert_true(store_time_parse("2026-11-22T10:00:00.123456Z", &us));
    assert_true(us == 1795341600123456U);
    assert_true(store_time_parse("2024-02-29T23:59:59.9Z", &us));
    assert_true(us == 1709251199900000U);
    static const char *const wrong[] = {"",
                                        "2026",
                                        "2026-13-01T00:00:00Z",
                                        "2026-11-22 10:00:00Z",
                                        "2026-11-22T10:00:00",
                                        "2026-11-22T10:00:00.Z",
                                        "2026-11-22T10:00:00.1234567890Z",
                                        "2026-11-22T25:00:00Z",
                                        "2026-11-22T10:00:00+01:00"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; ++i)
        assert_false(store_time_parse(wrong[i], &us));
}

#ifdef KDNETD_STORE
#define HAS_STORE true
#else
#define HAS_STORE false
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keeps_events_by_id_in_order),
        cmocka_unit_test(test_keeps_a_row_a_crash),
        cmocka_unit_test(test_needs_no_text_of_known_facts),
        cmocka_unit_test(test_finds_crashes),
        cmocka_unit_test(test_acknowledges),
        cmocka_unit_test(test_catches_up_from_the_result_file),
        cmocka_unit_test(test_a_new_sink_begins_with_this_run),
        cmocka_unit_test(test_sets_a_damaged_file_aside),
        cmocka_unit_test(test_goes_on_when_its_file_is_damaged_or_replaced),
        cmocka_unit_test(test_waits_for_a_folder_that_is_missing),
        cmocka_unit_test(test_outlives_a_full_disk),
        cmocka_unit_test(test_lines_without_room_come_from_the_result_file),
        cmocka_unit_test(test_retains_days_and_bytes),
        cmocka_unit_test(test_old_events_go),
        cmocka_unit_test(test_a_clock_that_is_ahead_empties_no_store),
        cmocka_unit_test(test_copies_itself),
        cmocka_unit_test(test_settled_it_ends_soon_and_keeps_all),
        cmocka_unit_test(test_no_file_is_no_store),
        cmocka_unit_test(test_a_kill_loses_nothing_that_was_shown),
        cmocka_unit_test(test_refuses_the_file_of_another_program),
        cmocka_unit_test(test_reads_times),
    };
    if (!HAS_STORE) {
        (void)puts("skipped: this build has no SQLite");
        return 0;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
