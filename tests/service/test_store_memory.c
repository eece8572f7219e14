/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory that cannot be had, and steps of SQLite that fail: whichever of them it is, a transaction is kept whole or not
 * at all, and done again it gives the same rows as without a fault.
 */
#ifdef KDNETD_STORE
#include "service/runtime/json_memory.h"
#include "service/store/database_internal.h"
#include "service/store/store_internal.h"
#include "tests/service/store_place.h"
#include "tests/support/random.h"
#include "tests/support/scarce.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define ID_LENGTH 16U

int __real_sqlite3_step(sqlite3_stmt *statement);
int __wrap_sqlite3_step(sqlite3_stmt *statement);

static unsigned steps_left; /* the step after so many fails; 0: none */

int __wrap_sqlite3_step(sqlite3_stmt *statement)
{
    return steps_left > 0 && --steps_left == 0 ? SQLITE_IOERR : __real_sqlite3_step(statement);
}

/* A crash of 16 digits, @, with all that a row keeps. */
static const char *const crash_lines[] = {
    "{\"time\":\"2026-11-22T09:00:00.000000Z\",\"event\":\"kernel\",\"id\":\"@-k\",\"target\":\"web-1\",\"boot\":\"@\","
    "\"crash\":null,\"labels\":{},\"build_lab\":null,\"machine\":\"x64\",\"pdb\":{\"name\":\"ntkrnlmp.pdb\"}}",
    "{\"time\":\"2026-11-22T10:00:01.000000Z\",\"event\":\"crash_status\",\"id\":\"@-1\",\"collector\":\"c\","
    "\"target\":"
    "\"web-1\",\"boot\":\"@\",\"crash\":\"@\",\"labels\":{\"rack\":\"b4\"},\"phase\":\"bugcheck_first\",\"status\":"
    "null,"
    "\"verdict\":\"not_started\",\"reason\":null,\"bugcheck\":{\"code\":\"0x000000D1\"},\"build_lab\":\"26100.ge\","
    "\"read_ms\":1.5,\"evidence\":{\"a\":1},\"since_first_ms\":null,\"bucket\":\"b\",\"cause\":{\"module\":\"m\"},"
    "\"stack\":[\"f\"]}",
    "{\"time\":\"2026-11-22T10:00:02.000000Z\",\"event\":\"released\",\"id\":\"@-2\",\"target\":\"web-1\",\"crash\":\"@"
    "\","
    "\"labels\":{},\"action\":\"continue\",\"halted_ms\":2.5}",
    "{\"time\":\"2026-11-22T10:00:09.000000Z\",\"event\":\"crash_status\",\"id\":\"@-3\",\"collector\":\"c\","
    "\"target\":"
    "\"web-1\",\"boot\":\"@\",\"crash\":\"@\",\"labels\":{},\"phase\":\"shutdown\",\"status\":\"0xC000007F\","
    "\"verdict\":"
    "\"failed\",\"reason\":null,\"bugcheck\":{\"code\":\"0x000000D1\"},\"build_lab\":null,\"read_ms\":1.5,"
    "\"evidence\":{\"b\":2},\"since_first_ms\":8000}",
};
#define LINES (sizeof crash_lines / sizeof crash_lines[0])
#define FIRST 2U /* lines of the first of two transactions */

/* Replaces each `from` by `to`; both have ID_LENGTH digits, or `from` is "@". */
static void replace(const char *text, const char *from, const char *to, char out[static 2048])
{
    size_t used = 0;
    while (*text != '\0') {
        bool is = strncmp(text, from, strlen(from)) == 0;
        assert_true(used + ID_LENGTH < 2048);
        memcpy(out + used, is ? to : text, is ? ID_LENGTH : 1);
        used += is ? ID_LENGTH : 1;
        text += is ? strlen(from) : 1;
    }
    out[used] = '\0';
}

struct world {
    struct place *place;
    struct database *database;
    struct store_group group;
    unsigned crash;
    bool with_facts;     /* lines are those of this process, parsed no further than needed */
    char expected[2048]; /* the row of a crash without a fault, its id 0 */
};

static void id_of(unsigned number, char out[static ID_LENGTH + 1])
{
    (void)snprintf(out, ID_LENGTH + 1, "%016x", number);
}

/* The line, with its facts if it is to have some: then it is parsed no further than needed. */
static struct store_queued *queue_line(const struct world *world, const char *text, const char *crash, size_t which)
{
    static const char *const types[LINES] = {"kernel", "crash_status", "released", "crash_status"};
    static const char *const ids[LINES] = {"k", "1", "2", "3"};
    char id[ID_LENGTH + 3], time_text[28] = {0};
    (void)snprintf(id, sizeof id, "%s-%s", crash, ids[which]);
    memcpy(time_text, text + strlen("{\"time\":\""), sizeof time_text - 1);
    struct store_facts facts = {.id = id, .type = types[which], .target = "web-1", .crash = which > 0 ? crash : NULL};
    assert_true(store_time_parse(time_text, &facts.time_us));
    return store_queued_new(text, strlen(text), world->with_facts ? &facts : NULL);
}

/* One transaction, as the writer does it. Returns its code; then nothing of it is kept. */
static int store_lines(struct world *world, size_t from, size_t to)
{
    struct store_queued *queued[LINES] = {NULL};
    char id[ID_LENGTH + 1], text[2048];
    id_of(world->crash, id);
    int code = database_begin(world->database);
    for (size_t i = from; i < to && code == 0; ++i) {
        replace(crash_lines[i], "@", id, text);
        queued[i] = queue_line(world, text, id, i);
        code = queued[i] ? store_group_add(&world->group, world->database, queued[i], false) : SQLITE_NOMEM;
    }
    if (code == 0)
        code = database_commit(world->database);
    if (code != 0)
        database_rollback(world->database);
    store_group_clear(&world->group);
    for (size_t i = from; i < to; ++i)
        free(queued[i]);
    return code;
}

static void read_row(struct world *world, char out[static 2048])
{
    static const char zeros[] = "0000000000000000";
    char id[ID_LENGTH + 1];
    sqlite3_stmt *statement = database_statement(world->database, STATEMENT_GET_CRASH);
    id_of(world->crash, id);
    database_bind_text(statement, 1, id);
    assert_int_equal(database_step_row(world->database, statement), SQLITE_ROW);
    replace((const char *)sqlite3_column_text(statement, 2), id, zeros, out);
    database_reset(statement);
}

static bool is_never_hurried(void *user)
{
    (void)user;
    return false;
}

static void open_world(struct world *world, bool with_facts)
{
    static const struct database_patience patience = {.is_hurried = is_never_hurried};
    char error[STORE_ERROR_SIZE];
    bool damaged;
    *world = (struct world){.place = new_place(), .crash = 1, .with_facts = with_facts};
    world->database = database_open(world->place->path, &patience, error, &damaged);
    assert_non_null(world->database);
    assert_true(store_group_init(&world->group));
    assert_int_equal(sqlite3_exec(world->database->db, "PRAGMA synchronous=OFF", NULL, NULL, NULL), 0);
    assert_int_equal(store_lines(world, 0, FIRST), 0);
    assert_int_equal(store_lines(world, FIRST, LINES), 0);
    read_row(world, world->expected);
    assert_non_null(strstr(world->expected, "\"ntkrnlmp.pdb\""));
    assert_non_null(strstr(world->expected, "\"halted_ms\":2.5"));
    assert_non_null(strstr(world->expected, "\"cause\":{\"module\":\"m\"},\"stack\":[\"f\"]}"));
}

static void close_world(struct world *world)
{
    database_close(world->database);
    store_group_free(&world->group);
    remove_place(world->place);
}

/* The next crash, with a fault in one of its transactions: it fails whole, or there is nothing amiss. */
static bool play(struct world *world, void (*begin)(unsigned number), bool (*end)(void), unsigned number, bool first)
{
    char row[2048];
    size_t from = first ? 0 : FIRST, to = first ? FIRST : LINES;
    ++world->crash;
    if (!first)
        assert_int_equal(store_lines(world, 0, FIRST), 0);
    uint64_t before = database_newest(world->database);
    begin(number);
    int code = store_lines(world, from, to);
    bool failed = end();
    assert_int_equal(database_newest(world->database) - before, code == 0 ? to - from : 0);
    assert_true(failed || code == 0);
    if (code != 0)
        assert_int_equal(store_lines(world, from, to), 0);
    if (first)
        assert_int_equal(store_lines(world, FIRST, LINES), 0);
    read_row(world, row);
    assert_string_equal(row, world->expected);
    return failed;
}

static unsigned play_all(void (*begin)(unsigned number), bool (*end)(void), bool with_facts)
{
    struct world world;
    unsigned faults = 0;
    open_world(&world, with_facts);
    for (int first = 0; first < 2; ++first)
        for (unsigned number = 0; play(&world, begin, end, number, first == 1); ++number)
            ++faults;
    close_world(&world);
    return faults;
}

static void begin_scarce(unsigned number)
{
    scarce_begin(number, 0);
}

static void begin_scarce_for_long(unsigned number)
{
    scarce_begin(number, 1000000);
}

static void test_memory_that_is_scarce_loses_nothing_of_a_crash(void **state)
{
    (void)state;
    for (int with_facts = 0; with_facts < 2; ++with_facts) {
        assert_in_range(play_all(begin_scarce, scarce_end, with_facts), 100, 10000);
        assert_in_range(play_all(begin_scarce_for_long, scarce_end, with_facts), 100, 10000);
    }
}

static void begin_steps(unsigned number)
{
    steps_left = number + 1;
}

static bool end_steps(void)
{
    bool failed = steps_left == 0;
    steps_left = 0;
    return failed;
}

static void test_a_step_that_fails_loses_nothing_of_a_crash(void **state)
{
    (void)state;
    for (int with_facts = 0; with_facts < 2; ++with_facts)
        assert_in_range(play_all(begin_steps, end_steps, with_facts), 10, 1000);
}

/* A sink that lost its place would begin with what comes next, and never have what waits for it. */
static void test_sinks_keep_their_places(void **state)
{
    static const char *const names[] = {"siem", "chat", "pager"};
    struct world world;
    int64_t count = 0;
    (void)state;
    open_world(&world, false);
    assert_int_equal(database_keep_sinks(world.database, names, 3), 0);
    for (size_t i = 0; i < 3; ++i)
        assert_int_equal(database_sink_ack(world.database, names[i], 77, false), 0);
    for (bool failed = true; failed; ++count) {
        scarce_begin((size_t)count, 0);
        (void)database_keep_sinks(world.database, names, 3);
        failed = scarce_end();
        sqlite3_stmt *statement = NULL;
        assert_int_equal(
            sqlite3_prepare_v2(world.database->db, "SELECT count(*) FROM sinks WHERE seq=77", -1, &statement, NULL), 0);
        assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
        assert_int_equal(sqlite3_column_int(statement, 0), 3);
        (void)sqlite3_finalize(statement);
    }
    assert_true(count > 3);
    close_world(&world);
}

static void remove_database(const struct place *place)
{
    char path[sizeof place->path + 4];
    (void)remove(place->path);
    (void)snprintf(path, sizeof path, "%s-wal", place->path);
    (void)remove(path);
    (void)snprintf(path, sizeof path, "%s-shm", place->path);
    (void)remove(path);
}

/* The result file has four events: they come into the store however short memory was at first. The store tries again
 * after a second, so only some of the allocations fail. */
static void test_catching_up_goes_on_when_there_is_memory(void **state)
{
    struct place *place = new_place();
    struct test_random random;
    bool failed = true;
    (void)state;
    test_random_init(&random);
    write_results(place, 1, 4);
    for (size_t number = 0; failed; number += 1 + (size_t)test_random_below(&random, 31)) {
        const struct store_callbacks callbacks = {.user = place, .on_committed = on_committed};
        place->told = place->last_seq = 0;
        remove_database(place);
        scarce_begin(number, 0);
        place->store = store_open(&place->options, &callbacks);
        if (place->store)
            store_settle(place->store, PATIENCE_MS);
        failed = scarce_end();
        assert_true(failed || place->store);
        if (!place->store)
            continue;
        if (told(place) < 4)
            store_settle(place->store, PATIENCE_MS);
        await_told(place, 4);
        assert_true(store_configure(place->store, &place->options));
        assert_true(store_close(place->store, PATIENCE_MS));
    }
    remove_place(place);
}

/* A reload that finds no memory leaves the store as it is. */
static void configure_store(void *user)
{
    static const char *const names[] = {"soc", "chat"};
    struct place *place = user;
    place->options.sinks = names;
    place->options.sink_count = 2;
    assert_true(store_configure(place->store, &place->options) || scarce_failed());
}

static void test_a_store_is_configured_or_it_is_told(void **state)
{
    struct place *place = new_place();
    char line[256];
    uint64_t seq;
    (void)state;
    open_store(place);
    assert_in_range(scarce_each(configure_store, place), 4, 100);
    add(place, event(1, line));
    await_told(place, 1);
    for (unsigned i = 0; i < PATIENCE_MS && store_sink_cursor(place->reader, "chat", &seq) != STORE_DONE; ++i)
        uv_sleep(1);
    assert_int_equal(store_sink_cursor(place->reader, "soc", &seq), STORE_DONE);
    close_store(place);
    remove_place(place);
}

/* Memory is short for all of it, so nothing is made, or the database is whole. */
static void open_database(void *user)
{
    static const struct database_patience patience = {.is_hurried = is_never_hurried};
    const struct place *place = user;
    char error[STORE_ERROR_SIZE] = "";
    bool damaged = true;
    struct database *database = database_open(place->path, &patience, error, &damaged);
    if (database)
        database_close(database);
    else
        assert_true(scarce_failed() && error[0] != '\0');
    assert_false(damaged && !database); /* the file is not to blame, and is not set aside */
    remove_database(place);
}

static void test_a_database_is_open_or_it_is_told(void **state)
{
    struct place *place = new_place();
    (void)state;
    assert_in_range(scarce_each(open_database, place), 2, 10000);
    remove_place(place);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_store_is_configured_or_it_is_told),
        cmocka_unit_test(test_a_database_is_open_or_it_is_told),
        cmocka_unit_test(test_memory_that_is_scarce_loses_nothing_of_a_crash),
        cmocka_unit_test(test_a_step_that_fails_loses_nothing_of_a_crash),
        cmocka_unit_test(test_sinks_keep_their_places),
        cmocka_unit_test(test_catching_up_goes_on_when_there_is_memory),
    };
    json_memory_watch(); /* its failures count, too */
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#else
#include <stdio.h>

int main(void)
{
    (void)puts("skipped: this build has no SQLite");
    return 0;
}
#endif
