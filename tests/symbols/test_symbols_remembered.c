/* SPDX-License-Identifier: Apache-2.0 */
/* What the front remembers: in its cache file, over restarts, within its capacity, and only what kdnetd wrote. */
#include "kdnet/crypto/crypto.h"
#include "service/symbols/cache.h"
#include "service/symbols/remembered.h"
#include "service/symbols/symbols.h"

#include "tests/symbols/folder.h"
#include "tests/symbols/front.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

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

static void count_handle(uv_handle_t *handle, void *count)
{
    (void)handle;
    ++*(unsigned *)count;
}

static unsigned handles(void)
{
    unsigned count = 0;
    uv_walk(&loop, count_handle, &count);
    return count;
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
    unsigned of_first = handles();
    open_symbols();
    second = symbols;
    assert_int_equal(stats().cache_error, UV_EBUSY);
    assert_int_equal(stats().remembered, 1);
    assert_int_equal(find("Public", &rva), SYMBOLS_PENDING);
    run_until(1);
    symbols_close(second);
    while (handles() > of_first) /* the first keeps the loop alive */
        (void)uv_run(&loop, UV_RUN_ONCE);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_LOOP(results_survive_a_restart_without_the_store),
        WITH_LOOP(cache_file_is_written_while_running),
        WITH_LOOP(lines_that_kdnetd_did_not_write_are_counted_and_ignored),
        WITH_LOOP(a_symbol_file_goes_before_what_was_remembered),
        WITH_LOOP(one_of_two_writes_the_cache_file),
        cmocka_unit_test(no_flipped_bit_of_a_line_is_believed),
        cmocka_unit_test(flood_of_unknown_kernels_pushes_out_no_proof),
        WITH_LOOP(cache_that_cannot_be_written_is_told),
        cmocka_unit_test(memory_of_answers_stays_within_its_capacity),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
