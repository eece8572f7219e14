/* SPDX-License-Identifier: Apache-2.0 */
/* The front: nothing waits, one look-up for all, and what is remembered. */
#include "service/symbols/identity.h"
#include "service/symbols/remembered.h"
#include "service/symbols/symbols.h"

#include "tests/symbols/folder.h"
#include "tests/symbols/tiny.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define GUIDAGE "8E3373D6124E747F0E72EF8E02E676B31"

static const struct tiny_symbol publics[] = {{"Public", 0x110e, 1, 0x10}, {NULL, 0, 0, 0}};

static uint8_t image[TINY_SIZE];
static struct kdnet_pdb kernel;
static uv_loop_t loop;
static struct symbols *symbols;
static struct symbols_options options;
static unsigned ended_count;
static enum symbols_answer ended_answer;
static char ended_trail[SYMBOL_TRAIL_SIZE];

static void on_ended(void *user, const struct kdnet_pdb *pdb, const char *symbol, enum symbols_answer answer,
                     const char *trail)
{
    (void)user;
    (void)pdb;
    assert_non_null(symbol);
    ++ended_count;
    ended_answer = answer;
    (void)snprintf(ended_trail, sizeof ended_trail, "%s", trail);
}

static void open_symbols(void)
{
    struct symbol_path path;
    struct symbol_path_options none = {.cache_directory = NULL};
    char reason[SYMBOL_REASON_SIZE];
    symbol_path_init(&path);
    assert_true(symbol_path_add(&path, folder_path("store"), &none, reason));
    assert_int_equal(symbols_open(&symbols, &loop, &path, &options), 0);
    assert_int_equal(path.count, 0);
}

static void close_symbols(void)
{
    symbols_close(symbols);
    assert_int_equal(uv_run(&loop, UV_RUN_DEFAULT), 0);
    symbols = NULL;
}

static int set_up(void **state)
{
    (void)state;
    struct tiny_pdb pdb = {.info_age = 1, .dbi_age = 1, .machine = 0x8664, .publics = publics, .sections = {0x1000}};
    kernel = (struct kdnet_pdb){.name = "ntkrnlmp.pdb"};
    assert_true(identity_parse(GUIDAGE, &kernel));
    memcpy(pdb.guid, kernel.guid, sizeof pdb.guid);
    (void)folder_make();
    size_t length = tiny_pdb_build(&pdb, image, NULL);
    folder_write("store/ntkrnlmp.pdb/" GUIDAGE "/ntkrnlmp.pdb", image, length);
    assert_int_equal(uv_loop_init(&loop), 0);
    options = (struct symbols_options){.ended = on_ended};
    ended_count = 0;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    assert_int_equal(uv_loop_close(&loop), 0);
    folder_remove();
    return 0;
}

static enum symbols_answer find(const char *symbol, uint32_t *rva)
{
    enum kdnet_source source = KDNET_SOURCE_NONE;
    enum symbols_answer answer = symbols_find(symbols, &kernel, symbol, rva, &source);
    assert_true((answer == SYMBOLS_FOUND) == (source == KDNET_SOURCE_PDB));
    return answer;
}

/* Runs the loop until as many look-ups have ended. */
static void run_until(unsigned count)
{
    while (ended_count < count)
        (void)uv_run(&loop, UV_RUN_ONCE);
}

static struct symbols_stats stats(void)
{
    struct symbols_stats out;
    symbols_stats(symbols, &out);
    return out;
}

static void first_question_is_pending_and_the_next_has_the_answer(void **state)
{
    uint32_t rva = 0;
    (void)state;
    open_symbols();
    assert_int_equal(find("nt!Public", &rva), SYMBOLS_PENDING);
    run_until(1);
    assert_int_equal(ended_answer, SYMBOLS_FOUND);
    assert_int_equal(find("Public", &rva), SYMBOLS_FOUND);
    assert_int_equal(rva, 0x1010);
    assert_int_equal(find("Gone", &rva), SYMBOLS_PENDING);
    run_until(2);
    assert_int_equal(find("Gone", &rva), SYMBOLS_ABSENT);
    assert_int_equal(ended_count, 2);
    close_symbols();
}

static void ten_thousand_machines_cause_one_lookup(void **state)
{
    uint32_t rva = 0;
    (void)state;
    open_symbols();
    for (int i = 0; i < 10000; ++i)
        assert_int_equal(find("Public", &rva), SYMBOLS_PENDING);
    run_until(1);
    for (int i = 0; i < 10000; ++i)
        assert_int_equal(find("Public", &rva), SYMBOLS_FOUND);
    assert_int_equal(stats().lookups, 1);
    close_symbols();
    assert_int_equal(ended_count, 1);
}

static void names_that_are_wanted_are_looked_up_together(void **state)
{
    static const char *const names[] = {"Gone", "nt!Public", "Public", "Other"};
    uint32_t rva = 0;
    (void)state;
    open_symbols();
    for (int i = 0; i < 1000; ++i)
        symbols_want(symbols, &kernel, names, 4);
    assert_int_equal(find("Public", &rva), SYMBOLS_PENDING);
    run_until(1);
    assert_int_equal(ended_answer, SYMBOLS_ABSENT); /* of the first */
    assert_int_equal(find("Gone", &rva), SYMBOLS_ABSENT);
    assert_int_equal(find("Other", &rva), SYMBOLS_ABSENT);
    assert_int_equal(find("Public", &rva), SYMBOLS_FOUND);
    assert_int_equal(rva, 0x1010);
    symbols_want(symbols, &kernel, names, 4); /* all are known */
    close_symbols();
    assert_int_equal(ended_count, 1);
}

static void names_of_an_image_without_a_file_have_no_symbols(void **state)
{
    static const char *const names[] = {"Gone", "Public", "a b"};
    uint32_t rva = 0;
    (void)state;
    open_symbols();
    kernel.age = 9;
    symbols_want(symbols, &kernel, names, 3);
    run_until(1);
    assert_int_equal(ended_answer, SYMBOLS_NO_SYMBOLS);
    for (size_t i = 0; i < 3; ++i)
        assert_int_equal(find(names[i], &rva), SYMBOLS_NO_SYMBOLS);
    close_symbols();
    assert_int_equal(ended_count, 1);
}

#define ASKERS 4

static void ask_for_ever(void *done)
{
    enum symbols_answer answer = SYMBOLS_PENDING;
    uint32_t rva = 0;
    while (answer == SYMBOLS_PENDING) {
        enum kdnet_source source;
        char text[SYMBOL_TRAIL_SIZE];
        answer = symbols_find(symbols, &kernel, "Public", &rva, &source);
        symbols_explain(symbols, &kernel, "Public", text, sizeof text);
        uv_sleep(1);
    }
    *(unsigned *)done = answer == SYMBOLS_FOUND && rva == 0x1010;
}

static void any_thread_may_ask(void **state)
{
    uv_thread_t threads[ASKERS];
    unsigned done[ASKERS] = {0};
    (void)state;
    open_symbols();
    for (size_t i = 0; i < ASKERS; ++i)
        assert_int_equal(uv_thread_create(&threads[i], ask_for_ever, &done[i]), 0);
    run_until(1);
    for (size_t i = 0; i < ASKERS; ++i) {
        assert_int_equal(uv_thread_join(&threads[i]), 0);
        assert_int_equal(done[i], 1);
    }
    close_symbols();
    assert_int_equal(ended_count, 1);
}

static void without_a_file_there_are_no_symbols_and_it_is_told_why(void **state)
{
    uint32_t rva = 0;
    char text[SYMBOL_TRAIL_SIZE];
    (void)state;
    open_symbols();
    kernel.age = 9;
    assert_int_equal(find("Public", &rva), SYMBOLS_PENDING);
    symbols_explain(symbols, &kernel, "nt!Public", text, sizeof text);
    assert_string_equal(text, "a look-up is under way");
    run_until(1);
    assert_int_equal(ended_answer, SYMBOLS_NO_SYMBOLS);
    assert_non_null(strstr(ended_trail, "has no file for this image"));
    assert_int_equal(find("Public", &rva), SYMBOLS_NO_SYMBOLS);
    symbols_explain(symbols, &kernel, "nt!Public", text, sizeof text);
    assert_string_equal(text, ended_trail);
    assert_int_equal(stats().lookups, 1);
    close_symbols();
}

static void no_symbols_is_asked_again_after_a_while(void **state)
{
    uint32_t rva = 0;
    (void)state;
    options.retry_s = 1;
    open_symbols();
    kernel.age = 9;
    assert_int_equal(find("Public", &rva), SYMBOLS_PENDING);
    run_until(1);
    uint64_t start = uv_hrtime();
    while (find("Public", &rva) == SYMBOLS_NO_SYMBOLS) {
        uv_sleep(20);
        assert_true(uv_hrtime() - start < 60000000000U);
    }
    run_until(2);
    close_symbols();
}

static void strange_name_of_a_file_does_not_spoil_a_kernel(void **state)
{
    uint32_t rva = 0;
    (void)state;
    open_symbols();
    (void)snprintf(kernel.name, sizeof kernel.name, "liar.pdb");
    assert_int_equal(find("Public", &rva), SYMBOLS_PENDING);
    run_until(1);
    assert_int_equal(find("Public", &rva), SYMBOLS_NO_SYMBOLS);
    (void)snprintf(kernel.name, sizeof kernel.name, "ntkrnlmp.pdb");
    assert_int_equal(find("Public", &rva), SYMBOLS_PENDING);
    run_until(2);
    assert_int_equal(find("Public", &rva), SYMBOLS_FOUND);
    (void)snprintf(kernel.name, sizeof kernel.name, "liar.pdb");
    assert_int_equal(find("Public", &rva), SYMBOLS_FOUND); /* the GUID is what counts */
    close_symbols();
}

static void results_survive_a_restart_without_the_store(void **state)
{
    uint32_t rva = 0;
    (void)state;
    char cache[FOLDER_PATH];
    (void)snprintf(cache, sizeof cache, "%s", folder_path("cache.txt"));
    options.cache_file = cache;
    open_symbols();
    assert_int_equal(find("Public", &rva), SYMBOLS_PENDING);
    assert_int_equal(find("Gone", &rva), SYMBOLS_PENDING);
    run_until(2);
    close_symbols();
    const char *text = folder_read("cache.txt");
    assert_non_null(strstr(text, GUIDAGE " Public 0x1010 pdb\n"));
    assert_non_null(strstr(text, GUIDAGE " Gone absent pdb\n"));
    assert_int_equal(remove(folder_path("store/ntkrnlmp.pdb/" GUIDAGE "/ntkrnlmp.pdb")), 0);
    open_symbols();
    assert_int_equal(find("Public", &rva), SYMBOLS_FOUND);
    assert_int_equal(rva, 0x1010);
    assert_int_equal(find("Gone", &rva), SYMBOLS_ABSENT);
    char told[64];
    symbols_explain(symbols, &kernel, "Gone", told, sizeof told);
    assert_string_equal(told, "remembered from an earlier look-up");
    assert_int_equal(stats().lookups, 0);
    close_symbols();
}

static void cache_file_is_written_while_running(void **state)
{
    uint32_t rva = 0;
    (void)state;
    char cache[FOLDER_PATH];
    (void)snprintf(cache, sizeof cache, "%s", folder_path("cache.txt"));
    options.cache_file = cache;
    open_symbols();
    (void)find("Public", &rva);
    uint64_t start = uv_hrtime();
    while (folder_read("cache.txt")[0] == 0) {
        (void)uv_run(&loop, UV_RUN_ONCE);
        assert_true(uv_hrtime() - start < 10000000000U);
    }
    close_symbols();
}

static void corrupt_lines_of_the_cache_are_counted_and_ignored(void **state)
{
    static const char text[] = GUIDAGE " Good 0x10 pdb\n" GUIDAGE " NoSource 0x10\n" GUIDAGE " Wrong 10 pdb\n" GUIDAGE
                                       " Long 0x123456789 pdb\n" GUIDAGE " Rva 0x10 rva\n"
                                       "xyz Guid 0x10 pdb\n"
                                       "\n"
                                       "\x01\x02\xff\n" GUIDAGE "  Blanks 0x10 pdb\n" GUIDAGE
                                       " More 0x10 pdb x\n" GUIDAGE " Table absent isf\n" GUIDAGE " Cut 0x1 pdb";
    uint32_t rva = 0;
    (void)state;
    char cache[FOLDER_PATH];
    (void)snprintf(cache, sizeof cache, "%s", folder_path("cache.txt"));
    options.cache_file = cache;
    folder_write("cache.txt", text, sizeof text - 1);
    open_symbols();
    assert_int_equal(stats().cache_ignored, 10);
    assert_int_equal(stats().remembered, 2);
    assert_int_equal(find("Good", &rva), SYMBOLS_FOUND);
    assert_int_equal(rva, 0x10);
    assert_int_equal(find("Table", &rva), SYMBOLS_ABSENT);
    close_symbols();
}

static void cache_that_cannot_be_written_is_told(void **state)
{
    uint32_t rva = 0;
    (void)state;
    options.cache_file = "/nonexistent/folder/cache.txt";
    open_symbols();
    (void)find("Public", &rva);
    run_until(1);
    uint64_t start = uv_hrtime();
    while (stats().cache_error == 0) {
        (void)uv_run(&loop, UV_RUN_ONCE);
        assert_true(uv_hrtime() - start < 10000000000U);
    }
    assert_int_equal(stats().cache_error, UV_ENOENT);
    assert_int_equal(find("Public", &rva), SYMBOLS_FOUND);
    close_symbols();
}

static void storm_of_kernels_is_bounded(void **state)
{
    uint32_t rva = 0;
    unsigned pending = 0;
    (void)state;
    open_symbols();
    for (uint32_t i = 0; i < 5000; ++i) {
        kernel.age = i + 100;
        pending += find("Public", &rva) == SYMBOLS_PENDING;
    }
    assert_int_equal(pending, SYMBOLS_WAITING_MAX);
    assert_int_equal(stats().turned_away, 5000 - pending);
    run_until(pending);
    close_symbols();
}

static void closing_forgets_what_waits(void **state)
{
    uint32_t rva = 0;
    (void)state;
    open_symbols();
    for (uint32_t i = 0; i < 100; ++i) {
        kernel.age = i + 100;
        (void)find("Public", &rva);
    }
    close_symbols();
    assert_int_equal(ended_count, 0);
}

static void question_that_nobody_may_ask_is_no_symbols(void **state)
{
    uint32_t rva = 0;
    char longest[REMEMBERED_NAME_SIZE + 1];
    (void)state;
    open_symbols();
    memset(longest, 'x', sizeof longest - 1);
    longest[sizeof longest - 1] = 0;
    assert_int_equal(find("", &rva), SYMBOLS_NO_SYMBOLS);
    assert_int_equal(find("nt!", &rva), SYMBOLS_NO_SYMBOLS);
    assert_int_equal(find("a b", &rva), SYMBOLS_NO_SYMBOLS);
    assert_int_equal(find("a\nb", &rva), SYMBOLS_NO_SYMBOLS);
    assert_int_equal(find(longest, &rva), SYMBOLS_NO_SYMBOLS);
    close_symbols();
}

static void memory_of_answers_stays_within_its_capacity(void **state)
{
    struct remembered remembered;
    struct kdnet_pdb pdb = {.name = "x.pdb"};
    (void)state;
    remembered_init(&remembered, 1000, 42);
    uint32_t name = remembered_name(&remembered, "A");
    assert_int_equal(remembered_name(&remembered, "A"), name);
    pdb.age = 77777;
    struct remembered_key kept = remembered_key(&remembered, &pdb, name, true);
    uint32_t pending = remembered_insert(&remembered, &kept); /* never makes room */
    for (uint32_t i = 0; i < 20000; ++i) {
        pdb.age = i;
        struct remembered_key key = remembered_key(&remembered, &pdb, name, true);
        uint32_t entry = remembered_insert(&remembered, &key);
        assert_int_not_equal(entry, REMEMBERED_NONE);
        remembered.entries[entry].state = REMEMBERED_FOUND;
        remembered.entries[entry].rva = i;
        assert_int_equal(remembered_find(&remembered, &key), entry);
        assert_true(remembered.count <= 1000);
    }
    assert_int_equal(remembered_find(&remembered, &kept), pending);
    unsigned known = 0;
    for (uint32_t i = 0; i < 20000; ++i) {
        pdb.age = i;
        struct remembered_key key = remembered_key(&remembered, &pdb, name, true);
        uint32_t entry = remembered_find(&remembered, &key);
        known += entry != REMEMBERED_NONE;
        assert_true(entry == REMEMBERED_NONE || remembered.entries[entry].rva == i);
    }
    assert_int_equal(known, 999);
    remembered_clear(&remembered);
}

#define WITH_LOOP(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_LOOP(first_question_is_pending_and_the_next_has_the_answer),
        WITH_LOOP(ten_thousand_machines_cause_one_lookup),
        WITH_LOOP(names_that_are_wanted_are_looked_up_together),
        WITH_LOOP(names_of_an_image_without_a_file_have_no_symbols),
        WITH_LOOP(any_thread_may_ask),
        WITH_LOOP(without_a_file_there_are_no_symbols_and_it_is_told_why),
        WITH_LOOP(no_symbols_is_asked_again_after_a_while),
        WITH_LOOP(strange_name_of_a_file_does_not_spoil_a_kernel),
        WITH_LOOP(results_survive_a_restart_without_the_store),
        WITH_LOOP(cache_file_is_written_while_running),
        WITH_LOOP(corrupt_lines_of_the_cache_are_counted_and_ignored),
        WITH_LOOP(cache_that_cannot_be_written_is_told),
        WITH_LOOP(storm_of_kernels_is_bounded),
        WITH_LOOP(closing_forgets_what_waits),
        WITH_LOOP(question_that_nobody_may_ask_is_no_symbols),
        cmocka_unit_test(memory_of_answers_stays_within_its_capacity),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
