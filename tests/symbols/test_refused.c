/* SPDX-License-Identifier: Apache-2.0 */
/* Files, locks and threads that are refused once each, and memory that runs out at any one allocation, where symbols
 * are looked up: the answer is the right one, or none, and never "absent"; the cache file is the old one or the new
 * one. */
#include "service/symbols/cache.h"
#include "service/symbols/connect.h"
#include "service/symbols/path.h"
#include "service/symbols/server.h"

#include "tests/support/refused.h"
#include "tests/support/scarce.h"
#include "tests/symbols/front.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#define MOST 600U
#define TABLE                                                                                                          \
    "{\"metadata\":{\"windows\":{\"pdb\":{\"GUID\":\"8E3373D6124E747F0E72EF8E02E676B3\",\"age\":1,"                    \
    "\"database\":\"ntkrnlmp.pdb\",\"machine_type\":34404}}},\"symbols\":{\"Public\":{\"address\":4112}},"             \
    "\"user_types\":{},\"enums\":{},\"base_types\":{}}"

static bool is_short(void)
{
    return refused_call() != NULL || scarce_failed();
}

/* `work` with each call refused, then with each allocation failing; at least so many of both. */
static void starve(void (*work)(void *user), void *user, size_t calls, size_t allocations)
{
    work(user); /* what is made once is there then */
    size_t refusals = refused_each(EIO, work, user);
    size_t failures = scarce_each(work, user);
    assert_in_range(refusals, calls, MOST);
    assert_in_range(failures, allocations, MOST);
}

/* --- places ------------------------------------------------------------------------------------------------------- */

static void look(void *user)
{
    const char *places = user;
    char reason[SYMBOL_REASON_SIZE] = "";
    struct symbol_path_options none = {.cache_directory = NULL};
    struct symbol_result result = {.extra_count = 0};
    struct symbol_path path;
    symbol_path_init(&path);
    if (!symbol_path_add(&path, places, &none, reason))
        assert_true(is_short() && reason[0] != '\0');
    symbol_path_find(&path, &kernel, "Public", &result);
    if (result.answer == SYMBOL_FOUND)
        assert_int_equal(result.rva, 0x1010);
    else if (!is_short())
        fail_msg("%s", result.trail.text);
    else
        assert_int_not_equal(result.answer, SYMBOL_ABSENT);
    symbol_path_clear(&path);
}

static void look_in(const char *folder, size_t calls, size_t allocations)
{
    char places[FOLDER_PATH];
    (void)snprintf(places, sizeof places, "%s", folder_path(folder));
    starve(look, places, calls, allocations);
}

static void a_symbol_file_is_read_or_the_answer_is_none(void **state)
{
    (void)state;
    look_in("store", 3, 3);
}

static void a_compressed_symbol_file_is_read_or_the_answer_is_none(void **state)
{
    static uint8_t cabinet[TINY_SIZE];
    struct tiny_pdb pdb = {.info_age = 1, .dbi_age = 1, .machine = 0x8664, .publics = publics, .sections = {0x1000}};
    (void)state;
#ifndef KDNETD_CAB
    skip();
#endif
    memcpy(pdb.guid, kernel.guid, sizeof pdb.guid);
    size_t length = tiny_cab_build("ntkrnlmp.pdb", image, tiny_pdb_build(&pdb, image, NULL), cabinet);
    folder_write("a/ntkrnlmp.pdb/" GUIDAGE "/ntkrnlmp.pd_", cabinet, length);
    look_in("a", 5, 5);
}

/* Without its OMAP stream it would have another address. */
static void a_symbol_of_a_rearranged_image_has_its_address_or_the_answer_is_none(void **state)
{
    static const uint32_t omap[][2] = {{0x5000, 0x1000}, {0, 0}}, omap_back[][2] = {{0x1000, 0x5000}, {0, 0}};
    struct tiny_pdb pdb = {.info_age = 1,
                           .dbi_age = 1,
                           .machine = 0x8664,
                           .publics = publics,
                           .sections = {0x3000},
                           .sections_before = {0x5000},
                           .omap = omap,
                           .omap_back = omap_back};
    (void)state;
    memcpy(pdb.guid, kernel.guid, sizeof pdb.guid);
    size_t length = tiny_pdb_build(&pdb, image, NULL);
    folder_write("a/ntkrnlmp.pdb/" GUIDAGE "/ntkrnlmp.pdb", image, length);
    look_in("a", 3, 3);
}

/* The table as it is, and compressed by the program. */
static void look_in_table(const char *program)
{
    static const char name[] = "a/ntkrnlmp.pdb/8E3373D6124E747F0E72EF8E02E676B3-1.json";
    char command[FOLDER_PATH + 32];
    folder_write(name, TABLE, strlen(TABLE));
    (void)snprintf(command, sizeof command, "%s '%s'", program, folder_path(name));
    if (system(command) != 0) // NOLINT(cert-env33-c)
        skip();
    look_in("a", 3, 2);
}

static void a_symbol_table_is_read_or_the_answer_is_none(void **state)
{
    (void)state;
    look_in_table("true");
}

static void so_is_one_that_xz_compressed(void **state)
{
    (void)state;
#ifndef KDNETD_XZ
    skip();
#endif
    look_in_table("xz");
}

static void so_is_one_that_gzip_compressed(void **state)
{
    (void)state;
#ifndef KDNETD_ZLIB
    skip();
#endif
    look_in_table("gzip");
}

/* --- the cache file ----------------------------------------------------------------------------------------------- */

static struct remembered remembered;

static void remember(const char *symbol, uint32_t rva)
{
    struct remembered_key key = remembered_key(&remembered, &kernel, remembered_name(&remembered, symbol), true);
    uint32_t entry = remembered_insert(&remembered, &key);
    assert_int_not_equal(entry, REMEMBERED_NONE);
    remembered.entries[entry].state = REMEMBERED_FOUND;
    remembered.entries[entry].rva = rva;
    remembered.entries[entry].source = KDNET_SOURCE_PDB;
}

/* Replaces the file, which has one name, by one with two. */
static void write_cache(void *user)
{
    const char *path = user;
    struct cache_lock lock = {.descriptor = -1};
    struct cache_image few;
    char text[200];
    struct cache_image all = {.count = 0};
    bool taken = cache_image_take(&all, &remembered);
    if (!taken)
        assert_true(is_short());
    few = all;
    few.count = 1;
    (void)remove(path);

    int locked = cache_lock(path, &lock);
    int first = taken && locked == 0 ? cache_write(path, &few) : UV_EIO;
    int second = first == 0 ? cache_write(path, &all) : UV_EIO;
    if (second != 0)
        assert_true(is_short());
    if (locked == 0)
        cache_unlock(&lock);
    cache_image_clear(&all);
    FILE *file = fopen(path, "r");
    size_t lines = 0;
    while (file && fgets(text, sizeof text, file))
        ++lines;
    if (file)
        (void)fclose(file);
    assert_int_equal(lines, second == 0 ? 2 : first == 0 ? 1 : 0);
}

static void read_cache(void *user)
{
    struct remembered read;
    struct cache_counts counts;
    remembered_init(&read, 100, 7);
    int error = cache_read(user, &read, &counts);
    if (error != 0 || read.count != 2)
        assert_true(is_short());
    assert_int_equal(counts.damaged, 0);
    for (uint32_t i = 0; i < read.count; ++i)
        assert_true(read.entries[i].rva == 0x1010 || read.entries[i].rva == 0x1020);
    remembered_clear(&read);
}

static void the_cache_file_is_the_old_or_the_new_one(void **state)
{
    char path[FOLDER_PATH];
    (void)state;
    (void)snprintf(path, sizeof path, "%s", folder_path("cache.txt"));
    remembered_init(&remembered, 100, 7);
    remember("Public", 0x1010);
    remember("Other", 0x1020);
    starve(write_cache, path, 4, 3);
    starve(read_cache, path, 2, 3);
    remembered_clear(&remembered);
}

/* --- the front ---------------------------------------------------------------------------------------------------- */

static unsigned places_told;

static void on_place(void *user, const char *label, const char *reason)
{
    (void)user;
    assert_true(label[0] != '\0' && reason[0] != '\0');
    ++places_told;
}

/* Opens the front, asks it, and closes it. `question` is told whether the front has its place. */
static void ask_the_front(void (*question)(bool placed))
{
    struct symbol_path path;
    struct symbol_path_options none = {.cache_directory = NULL};
    char reason[SYMBOL_REASON_SIZE];
    symbol_path_init(&path);
    if (symbol_path_add(&path, folder_path("store"), &none, reason) && symbols_open(&symbols, &loop, &options) == 0) {
        question(symbols_set_places(symbols, &path) == 0);
        close_symbols();
    } else {
        assert_true(is_short());
    }
    symbol_path_clear(&path);
    symbols = NULL;
    (void)uv_run(&loop, UV_RUN_DEFAULT);
}

static void find_with_a_cache(bool placed)
{
    uint32_t rva = 0;
    enum kdnet_source source;
    while (stats().opening)
        (void)uv_run(&loop, UV_RUN_ONCE);
    enum symbols_answer answer = symbols_find(symbols, 0, &kernel, "Public", &rva, &source);
    while (answer == SYMBOLS_PENDING && ended_count == 0)
        (void)uv_run(&loop, UV_RUN_ONCE);
    if (answer == SYMBOLS_PENDING)
        answer = symbols_find(symbols, 0, &kernel, "Public", &rva, &source);
    if (answer == SYMBOLS_FOUND)
        assert_int_equal(rva, 0x1010);
    else
        assert_true(is_short() && answer != SYMBOLS_ABSENT);
    if (!placed)
        assert_true(is_short());
}

static void ask(void *user)
{
    (void)user;
    (void)remove(options.cache_file);
    ended_count = 0;
    ask_the_front(find_with_a_cache);
}

static void the_front_answers_rightly_or_has_no_symbols(void **state)
{
    char cache[FOLDER_PATH];
    (void)state;
    (void)snprintf(cache, sizeof cache, "%s", folder_path("cache.txt"));
    options.cache_file = cache;
    options.place = on_place;
    starve(ask, NULL, 10, 10);
}

static void name_an_address(bool placed)
{
    struct symbol_address out = {.rva = 0};
    enum symbols_answer answer = SYMBOLS_PENDING;
    while (placed && (answer = symbols_name(symbols, &kernel, 0x1014, &out)) == SYMBOLS_PENDING)
        (void)uv_run(&loop, UV_RUN_ONCE);
    if (answer == SYMBOLS_FOUND)
        assert_true(strcmp(out.name, "Public") == 0 && out.offset == 4);
    else
        assert_true(is_short() && answer != SYMBOLS_ABSENT);
}

static void name(void *user)
{
    (void)user;
    ask_the_front(name_an_address);
}

static void an_address_has_its_name_or_none_for_now(void **state)
{
    (void)state;
    starve(name, NULL, 8, 8);
}

/* --- a symbol server's store -------------------------------------------------------------------------------------- */

static void fetch(void *user)
{
    char reason[SYMBOL_SERVER_REASON_SIZE] = "", path[FOLDER_PATH];
    struct symbol_server server = {.directory = folder_path("store"), .url = "http://127.0.0.1:9/"};
    (void)user;
    if (!symbol_server_init(&server, reason, sizeof reason)) {
        assert_true(is_short() && reason[0] != '\0');
        return;
    }
    enum symbol_fetch result = symbol_server_fetch(&server, "ntkrnlmp.pdb", GUIDAGE, path, sizeof path, reason,
                                                   sizeof reason);
    if (result == SYMBOL_FETCH_OK)
        assert_non_null(strstr(path, "/ntkrnlmp.pdb/" GUIDAGE "/ntkrnlmp.pdb"));
    else
        assert_true(is_short() && reason[0] != '\0');
    symbol_server_clear(&server);
}

static void what_the_store_of_a_server_has_is_found_or_the_reason_is_said(void **state)
{
    (void)state;
    starve(fetch, NULL, 5, 3);
}

static void connect_and_clear(void *user)
{
    struct symbol_source source = {.label = NULL};
    struct symbol_server settings = {.ca_file = "/nowhere"};
    char reason[SYMBOL_REASON_SIZE] = "";
    (void)user;
    if (symbol_connect_server(&settings, folder_path("c"), "http://127.0.0.1:9/", &source, reason)) {
        if (!source.prepare(source.context, reason))
            assert_true(is_short() && reason[0] != '\0');
        source.clear(source.context);
    } else {
        assert_true(is_short() && reason[0] != '\0');
    }
}

static void a_server_is_connected_or_the_reason_is_said(void **state)
{
    (void)state;
    starve(connect_and_clear, NULL, 3, 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_LOOP(a_symbol_file_is_read_or_the_answer_is_none),
        WITH_LOOP(a_compressed_symbol_file_is_read_or_the_answer_is_none),
        WITH_LOOP(a_symbol_of_a_rearranged_image_has_its_address_or_the_answer_is_none),
        WITH_LOOP(a_symbol_table_is_read_or_the_answer_is_none),
        WITH_LOOP(so_is_one_that_xz_compressed),
        WITH_LOOP(so_is_one_that_gzip_compressed),
        WITH_LOOP(the_cache_file_is_the_old_or_the_new_one),
        WITH_LOOP(the_front_answers_rightly_or_has_no_symbols),
        WITH_LOOP(an_address_has_its_name_or_none_for_now),
        WITH_LOOP(what_the_store_of_a_server_has_is_found_or_the_reason_is_said),
        WITH_LOOP(a_server_is_connected_or_the_reason_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
