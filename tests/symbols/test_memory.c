/* SPDX-License-Identifier: Apache-2.0 */
/* Memory that runs out at any one allocation of a look-up: the answer is the right one, or none. It is never "absent",
 * which says that the symbol file was read and does not have the name. */
#include "service/symbols/identity.h"
#include "service/symbols/path.h"

#include "tests/support/scarce.h"
#include "tests/symbols/folder.h"
#include "tests/symbols/tiny.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define GUIDAGE "8E3373D6124E747F0E72EF8E02E676B31"
#define TABLE                                                                                                          \
    "{\"metadata\":{\"windows\":{\"pdb\":{\"GUID\":\"8E3373D6124E747F0E72EF8E02E676B3\",\"age\":1,"                    \
    "\"database\":\"ntkrnlmp.pdb\",\"machine_type\":34404}}},\"symbols\":{\"Public\":{\"address\":4112}},"             \
    "\"user_types\":{},\"enums\":{},\"base_types\":{}}"

static const struct tiny_symbol publics[] = {
    {"Public", 0x110e, 1, 0x10}, {"_Other@8", 0x110e, 1, 0x20}, {NULL, 0, 0, 0}};

static uint8_t image[TINY_SIZE], cabinet[TINY_SIZE];
static struct kdnet_pdb kernel;

static int set_up(void **state)
{
    (void)state;
    (void)folder_make();
    (void)snprintf(kernel.name, sizeof kernel.name, "ntkrnlmp.pdb");
    return identity_parse(GUIDAGE, &kernel) ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    folder_remove();
    return 0;
}

static size_t build_pdb(void)
{
    struct tiny_pdb pdb = {.info_age = 1, .dbi_age = 1, .machine = 0x8664, .publics = publics, .sections = {0x1000}};
    memcpy(pdb.guid, kernel.guid, sizeof pdb.guid);
    return tiny_pdb_build(&pdb, image, NULL);
}

/* Opens the places, and looks a name, a further one and an address up. */
static void look(void *user)
{
    const char *places = user;
    char reason[SYMBOL_REASON_SIZE] = "";
    struct symbol_path_options options = {.cache_directory = NULL};
    struct symbol_extra extra = {.symbol = "Nowhere"};
    struct symbol_result result = {.extras = &extra, .extra_count = 1};
    struct symbol_path path;
    symbol_path_init(&path);
    bool good = symbol_path_add(&path, places, &options, reason);
    if (!good) {
        assert_true(scarce_failed());
        assert_non_null(strstr(reason, "memory"));
    }
    symbol_path_find(&path, &kernel, "Public", &result);
    if (result.answer == SYMBOL_FOUND)
        assert_int_equal(result.rva, 0x1010);
    else if (!scarce_failed())
        fail_msg("%s", result.trail.text);
    else
        assert_int_not_equal(result.answer, SYMBOL_ABSENT);
    assert_int_not_equal(extra.answer, SYMBOL_FOUND);
    symbol_path_clear(&path);
}

static void expect_never_wrong(const char *folder)
{
    char places[FOLDER_PATH];
    (void)snprintf(places, sizeof places, "%s", folder_path(folder));
    assert_in_range(scarce_each(look, places), 1, 500);
}

static void a_symbol_file_is_read_or_the_answer_is_none(void **state)
{
    (void)state;
    folder_write("a/ntkrnlmp.pdb/" GUIDAGE "/ntkrnlmp.pdb", image, build_pdb());
    expect_never_wrong("a");
}

static void a_compressed_symbol_file_is_read_or_the_answer_is_none(void **state)
{
    (void)state;
#ifndef KDNETD_CAB
    skip();
#endif
    size_t length = tiny_cab_build("ntkrnlmp.pdb", image, build_pdb(), cabinet);
    folder_write("a/ntkrnlmp.pdb/" GUIDAGE "/ntkrnlmp.pd_", cabinet, length);
    expect_never_wrong("a");
}

static void a_symbol_table_is_read_or_the_answer_is_none(void **state)
{
    (void)state;
    folder_write("a/ntkrnlmp.pdb/8E3373D6124E747F0E72EF8E02E676B3-1.json", TABLE, strlen(TABLE));
    expect_never_wrong("a");
}

static void several_places_are_all_opened_or_it_is_told(void **state)
{
    char places[4 * FOLDER_PATH];
    (void)state;
    folder_write("b/ntkrnlmp.pdb", image, build_pdb());
    (void)snprintf(places, sizeof places, "%s;srv*%s*https://symbols.example/;%s", folder_path("a"), folder_path("c"),
                   folder_path("b"));
    assert_in_range(scarce_each(look, places), 3, 500);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_symbol_file_is_read_or_the_answer_is_none),
        TEST(a_compressed_symbol_file_is_read_or_the_answer_is_none),
        TEST(a_symbol_table_is_read_or_the_answer_is_none),
        TEST(several_places_are_all_opened_or_it_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
