/* SPDX-License-Identifier: Apache-2.0 */
/* The front: nothing waits, one look-up for all, and what is remembered. */
#include "kdnet/crypto/crypto.h"
#include "service/symbols/cache.h"
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

static struct symbols_stats stats(void)
{
    struct symbols_stats out;
    symbols_stats(symbols, &out);
    return out;
}

static void open_symbols(void)
{
    struct symbol_path path;
    struct symbol_path_options none = {.cache_directory = NULL};
    char reason[SYMBOL_REASON_SIZE];
    symbol_path_init(&path);
    assert_true(symbol_path_add(&path, folder_path("store"), &none, reason));
    assert_int_equal(symbols_open(&symbols, &loop, &options), 0);
    assert_int_equal(symbols_set_places(symbols, &path), 0);
    assert_int_equal(path.count, 0);
    while (stats().opening)
        (void)uv_run(&loop, UV_RUN_ONCE);
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
    enum symbols_answer answer = symbols_find(symbols, 0, &kernel, symbol, rva, &source);
    assert_true((answer == SYMBOLS_FOUND) == (source == KDNET_SOURCE_PDB));
    return answer;
}

/* Runs the loop until as many look-ups have ended. */
static void run_until(unsigned count)
{
    while (ended_count < count)
        (void)uv_run(&loop, UV_RUN_ONCE);
}

/* A line of the cache file, with its checksum; in one of eight buffers that are used in turn. */
static const char *line_of(const char *text)
{
    static const char what[] = "kdnetd symbols.cache ";
    static char buffers[8][256];
    static unsigned next;
    char *out = buffers[next++ % 8];
    uint8_t hash[32];
    int length = snprintf(out, sizeof buffers[0], GUIDAGE " %s", text);
    kdnet_sha256_pair((const uint8_t *)what, sizeof what - 1, (const uint8_t *)out, (size_t)length, hash);
    length += snprintf(out + length, sizeof buffers[0] - (size_t)length, " ");
    for (size_t i = 0; i < 8; ++i)
        length += snprintf(out + length, sizeof buffers[0] - (size_t)length, "%02x", hash[i]);
    (void)snprintf(out + length, sizeof buffers[0] - (size_t)length, "\n");
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
        symbols_want(symbols, 0, &kernel, names, 4);
    assert_int_equal(find("Public", &rva), SYMBOLS_PENDING);
    run_until(1);
    assert_int_equal(ended_answer, SYMBOLS_ABSENT); /* of the first */
    assert_int_equal(find("Gone", &rva), SYMBOLS_ABSENT);
    assert_int_equal(find("Other", &rva), SYMBOLS_ABSENT);
    assert_int_equal(find("Public", &rva), SYMBOLS_FOUND);
    assert_int_equal(rva, 0x1010);
    symbols_want(symbols, 0, &kernel, names, 4); /* all are known */
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
    symbols_want(symbols, 0, &kernel, names, 3);
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
        answer = symbols_find(symbols, 0, &kernel, "Public", &rva, &source);
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
    assert_non_null(strstr(text, line_of("Public 0x1010 pdb")));
    assert_non_null(strstr(text, line_of("Gone absent pdb")));
    assert_int_equal(remove(folder_path("store/ntkrnlmp.pdb/" GUIDAGE "/ntkrnlmp.pdb")), 0);
    open_symbols();
    assert_int_equal(find("Public", &rva), SYMBOLS_PENDING); /* is there a file that says otherwise? */
    assert_int_equal(find("Gone", &rva), SYMBOLS_PENDING);
    run_until(4);
    assert_int_equal(find("Public", &rva), SYMBOLS_FOUND);
    assert_int_equal(rva, 0x1010);
    assert_int_equal(find("Gone", &rva), SYMBOLS_ABSENT);
    char told[SYMBOL_TRAIL_SIZE];
    symbols_explain(symbols, &kernel, "Gone", told, sizeof told);
    assert_non_null(strstr(told, "has no file for this image"));
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

static void write_cache(const char *const *lines, size_t count)
{
    char text[2048] = "";
    for (size_t i = 0; i < count; ++i)
        (void)strcat(text, lines[i]);
    folder_write("cache.txt", text, strlen(text));
}

static char cache[FOLDER_PATH];

/* Opens with a cache file of these lines. */
static void open_with(const char *const *lines, size_t count)
{
    (void)snprintf(cache, sizeof cache, "%s", folder_path("cache.txt"));
    options.cache_file = cache;
    write_cache(lines, count);
    open_symbols();
}

static void lines_that_kdnetd_did_not_write_are_counted_and_ignored(void **state)
{
    (void)state;
    const char *lines[] = {line_of("Good 0x10 pdb"),        line_of("NoSource 0x10"),   line_of("Wrong 10 pdb"),
                           line_of("Long 0x123456789 pdb"), line_of("Rva 0x10 rva"),    line_of(" Blanks 0x10 pdb"),
                           line_of("More 0x10 pdb x"),      line_of("Table absent isf")};
    open_with(lines, sizeof lines / sizeof lines[0]);
    assert_int_equal(stats().cache_ignored, 6);
    assert_int_equal(stats().cache_damaged, 0);
    assert_int_equal(stats().remembered, 2);
    close_symbols();
    static const char *const junk[] = {GUIDAGE " Old 0x10 pdb\n", "\n", "\x01\x02\xff\n", GUIDAGE " Cut 0x1 pdb"};
    open_with(junk, sizeof junk / sizeof junk[0]);
    assert_int_equal(stats().cache_ignored, 3);
    assert_int_equal(stats().cache_damaged, 1);
    assert_int_equal(stats().remembered, 0);
    close_symbols();
}

static void no_flipped_bit_of_a_line_is_believed(void **state)
{
    char line[256];
    (void)state;
    (void)snprintf(line, sizeof line, "%s", line_of("Public 0x1010 pdb"));
    size_t length = strlen(line);
    for (size_t bit = 0; bit < 8 * length; ++bit) {
        char text[256];
        struct remembered remembered;
        struct cache_counts counts = {0};
        memcpy(text, line, length + 1);
        text[bit / 8] ^= (char)(1 << bit % 8);
        remembered_init(&remembered, 10, 1);
        cache_parse(text, length, &remembered, &counts);
        assert_int_equal(remembered.count, 0);
        assert_true(counts.damaged + counts.unknown > 0);
        remembered_clear(&remembered);
    }
}

static unsigned corrections;

static void on_corrected(void *user, const struct kdnet_pdb *pdb, const char *symbol)
{
    (void)user;
    (void)pdb;
    (void)symbol;
    ++corrections;
}

/* The line is whole, and wrong: the PDB is there and says otherwise. */
static void a_symbol_file_goes_before_what_was_remembered(void **state)
{
    uint32_t rva = 0;
    (void)state;
    const char *lines[] = {line_of("Public 0x2020 pdb"), line_of("Gone 0x10 pdb")};
    corrections = 0;
    options.corrected = on_corrected;
    open_with(lines, 2);
    assert_int_equal(find("Public", &rva), SYMBOLS_PENDING);
    run_until(1);
    assert_int_equal(find("Public", &rva), SYMBOLS_FOUND);
    assert_int_equal(rva, 0x1010);
    assert_int_equal(find("Gone", &rva), SYMBOLS_PENDING);
    run_until(2);
    assert_int_equal(find("Gone", &rva), SYMBOLS_ABSENT);
    assert_int_equal(corrections, 2);
    close_symbols();
    assert_non_null(strstr(folder_read("cache.txt"), line_of("Public 0x1010 pdb")));
}

/* A second kdnetd with the same folder: it reads the file, and leaves it alone. */
static void one_of_two_writes_the_cache_file(void **state)
{
    struct symbols *first, *second;
    uint32_t rva = 0;
    (void)state;
    const char *lines[] = {line_of("Known 0x30 pdb")};
    open_with(lines, 1);
    first = symbols;
    open_symbols();
    second = symbols;
    assert_int_equal(stats().cache_error, UV_EBUSY);
    assert_int_equal(stats().remembered, 1);
    assert_int_equal(find("Public", &rva), SYMBOLS_PENDING);
    run_until(1);
    symbols_close(second);
    for (unsigned i = 0; i < 40; ++i) { /* the first keeps the loop alive */
        (void)uv_run(&loop, UV_RUN_NOWAIT);
        uv_sleep(5);
    }
    assert_null(strstr(folder_read("cache.txt"), "Public"));
    symbols = first;
    assert_int_equal(find("Public", &rva), SYMBOLS_PENDING);
    run_until(2);
    close_symbols();
    assert_non_null(strstr(folder_read("cache.txt"), line_of("Public 0x1010 pdb")));
}

static void flood_of_unknown_kernels_pushes_out_no_proof(void **state)
{
    struct remembered remembered;
    struct kdnet_pdb pdb = {.name = "x.pdb", .age = 5};
    (void)state;
    remembered_init(&remembered, 100, 42);
    uint32_t name = remembered_name(&remembered, "A");
    for (uint32_t i = 0; i < 50; ++i) {
        pdb.age = i;
        struct remembered_key key = remembered_key(&remembered, &pdb, name, true);
        uint32_t entry = remembered_insert(&remembered, &key);
        remembered.entries[entry].state = REMEMBERED_FOUND;
    }
    for (uint32_t i = 1000; i < 3000; ++i) {
        pdb.age = i;
        struct remembered_key key = remembered_key(&remembered, &pdb, name, false);
        remembered_none(&remembered, remembered_insert(&remembered, &key), 60);
    }
    for (uint32_t i = 0; i < 50; ++i) {
        pdb.age = i;
        struct remembered_key key = remembered_key(&remembered, &pdb, name, true);
        assert_int_not_equal(remembered_find(&remembered, &key), REMEMBERED_NONE);
    }
    remembered_clear(&remembered);
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
        WITH_LOOP(lines_that_kdnetd_did_not_write_are_counted_and_ignored),
        WITH_LOOP(a_symbol_file_goes_before_what_was_remembered),
        WITH_LOOP(one_of_two_writes_the_cache_file),
        cmocka_unit_test(no_flipped_bit_of_a_line_is_believed),
        cmocka_unit_test(flood_of_unknown_kernels_pushes_out_no_proof),
        WITH_LOOP(cache_that_cannot_be_written_is_told),
        WITH_LOOP(storm_of_kernels_is_bounded),
        WITH_LOOP(closing_forgets_what_waits),
        WITH_LOOP(question_that_nobody_may_ask_is_no_symbols),
        cmocka_unit_test(memory_of_answers_stays_within_its_capacity),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
