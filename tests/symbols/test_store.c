/* SPDX-License-Identifier: Apache-2.0 */
/* Folders as symbol stores, and how lists of them are written. */
#include "service/symbols/identity.h"
#include "service/symbols/path.h"

#include "tests/support/system.h"
#include "tests/symbols/folder.h"
#include "tests/symbols/tiny.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define GUIDAGE "8E3373D6124E747F0E72EF8E02E676B31"
#define TABLE                                                                                                          \
    "{\"metadata\": {\"windows\": {\"pdb\": {\"GUID\": \"8E3373D6124E747F0E72EF8E02E676B3\", \"age\": 1, "             \
    "\"database\": \"ntkrnlmp.pdb\"}}}, \"symbols\": {\"OnlyTable\": {\"address\": 77}}}"

static const struct tiny_symbol publics[] = {{"Public", 0x110e, 1, 0x10}, {NULL, 0, 0, 0}};
static const struct tiny_symbol privates[] = {
    {"Public", 0x110e, 1, 0x10}, {"Private", 0x110e, 1, 0x20}, {NULL, 0, 0, 0}};

static uint8_t image[TINY_SIZE], cabinet[TINY_SIZE + 4096];
static struct kdnet_pdb kernel = {.name = "ntkrnlmp.pdb"};

static size_t build(const struct tiny_symbol *symbols, uint32_t age)
{
    struct tiny_pdb pdb = {
        .info_age = age, .dbi_age = age, .machine = 0x8664, .publics = symbols, .sections = {0x1000}};
    memcpy(pdb.guid, kernel.guid, sizeof pdb.guid);
    return tiny_pdb_build(&pdb, image, NULL);
}

static int set_up(void **state)
{
    (void)state;
    assert_true(identity_parse(GUIDAGE, &kernel));
    (void)snprintf(kernel.name, sizeof kernel.name, "ntkrnlmp.pdb");
    (void)folder_make();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    folder_remove();
    return 0;
}

static struct symbol_result look(const char *folder, const char *symbol)
{
    struct symbol_result result = {.answer = SYMBOL_NONE};
    symbol_trail_init(&result.trail);
    store_find(folder_path(folder), &kernel, symbol, &result);
    return result;
}

static void assert_found_at(const char *path)
{
    size_t length = build(publics, 1);
    folder_write(path, image, length);
    struct symbol_result result = look("store", "Public");
    if (result.answer != SYMBOL_FOUND)
        fail_msg("%s: %s", path, result.trail.text);
    assert_int_equal(result.rva, 0x1010);
    assert_int_equal(result.source, KDNET_SOURCE_PDB);
    assert_int_equal(look("store", "Private").answer, SYMBOL_ABSENT);
}

static void file_is_found_in_the_standard_layout(void **state)
{
    (void)state;
    assert_found_at("store/ntkrnlmp.pdb/" GUIDAGE "/ntkrnlmp.pdb");
}

static void file_is_found_whatever_its_case(void **state)
{
    (void)state;
    assert_found_at("store/NTKrnlMP.PDB/8e3373d6124e747f0e72ef8e02e676b31/ntKRNLmp.pdb");
}

static void file_is_found_in_two_tiers(void **state)
{
    (void)state;
    folder_write("store/index2.txt", "", 0);
    assert_found_at("store/nt/ntkrnlmp.pdb/" GUIDAGE "/ntkrnlmp.pdb");
}

static void second_tier_needs_index2_txt(void **state)
{
    (void)state;
    size_t length = build(publics, 1);
    folder_write("store/nt/ntkrnlmp.pdb/" GUIDAGE "/ntkrnlmp.pdb", image, length);
    assert_int_equal(look("store", "Public").answer, SYMBOL_NONE);
}

static void plain_file_is_found(void **state)
{
    (void)state;
    assert_found_at("store/ntkrnlmp.pdb");
}

static void compressed_file_is_found(void **state)
{
    (void)state;
#ifndef KDNETD_CAB
    skip();
#endif
    size_t length = tiny_cab_build("ntkrnlmp.pdb", image, build(publics, 1), cabinet);
    folder_write("store/ntkrnlmp.pdb/" GUIDAGE "/ntkrnlmp.pd_", cabinet, length);
    assert_int_equal(look("store", "Public").answer, SYMBOL_FOUND);
}

static void table_is_found_beside_the_pdb(void **state)
{
    (void)state;
    folder_write("store/ntkrnlmp.pdb/8E3373D6124E747F0E72EF8E02E676B3-1.json", TABLE, strlen(TABLE));
    struct symbol_result result = look("store", "OnlyTable");
    assert_int_equal(result.answer, SYMBOL_FOUND);
    assert_int_equal(result.rva, 77);
    assert_int_equal(result.source, KDNET_SOURCE_ISF);
    assert_int_equal(look("store", "Public").answer, SYMBOL_ABSENT);
    size_t length = build(publics, 1);
    folder_write("store/ntkrnlmp.pdb/" GUIDAGE "/ntkrnlmp.pdb", image, length);
    assert_int_equal(look("store", "Public").source, KDNET_SOURCE_PDB);
    assert_int_equal(look("store", "OnlyTable").source, KDNET_SOURCE_ISF);
}

static void file_of_another_kernel_proves_nothing(void **state)
{
    (void)state;
    size_t length = build(publics, 2);
    folder_write("store/ntkrnlmp.pdb/" GUIDAGE "/ntkrnlmp.pdb", image, length);
    struct symbol_result result = look("store", "Private");
    assert_int_equal(result.answer, SYMBOL_NONE);
    assert_non_null(
        strstr(result.trail.text, "ntkrnlmp.pdb: it is of another image, 8E3373D6124E747F0E72EF8E02E676B32"));
}

static void pointer_to_another_place_is_refused_with_a_reason(void **state)
{
    (void)state;
    folder_write("store/ntkrnlmp.pdb/" GUIDAGE "/file.ptr", "PATH:/etc/passwd", 16);
    struct symbol_result result = look("store", "Public");
    assert_int_equal(result.answer, SYMBOL_NONE);
    assert_non_null(strstr(result.trail.text, "file.ptr: points to a file elsewhere"));
}

static void damaged_and_strange_files_say_why(void **state)
{
    (void)state;
    size_t length = build(publics, 1);
    folder_write("store/ntkrnlmp.pdb/" GUIDAGE "/ntkrnlmp.pdb", image, length / 2);
    assert_non_null(strstr(look("store", "Public").trail.text, "damaged or cut short"));
    assert_int_equal(unlink(folder_path("store/ntkrnlmp.pdb/" GUIDAGE "/ntkrnlmp.pdb")), 0);
    if (!system_is_posix())
        skip();
    assert_int_equal(mkfifo(folder_path("store/ntkrnlmp.pdb/" GUIDAGE "/ntkrnlmp.pdb"), 0644), 0);
    struct symbol_result result = look("store", "Public"); /* and does not wait for a writer */
    assert_int_equal(result.answer, SYMBOL_NONE);
    assert_non_null(strstr(result.trail.text, "not a regular file"));
}

static void missing_folder_and_missing_file_are_told_apart(void **state)
{
    (void)state;
    assert_non_null(strstr(look("nowhere", "Public").trail.text, "nowhere: no such folder"));
    folder_write("store/other.pdb", "", 0);
    assert_non_null(strstr(look("store/other.pdb", "Public").trail.text, "other.pdb: not a folder"));
    assert_non_null(strstr(look("store", "Public").trail.text, "store: has no file for this image"));
}

static void name_from_a_machine_does_not_leave_the_folder(void **state)
{
    static const char *const names[] = {"../secret.pdb",  "..", "/etc/passwd", "a/../../secret.pdb",
                                        "..\\secret.pdb", ""};
    (void)state;
    size_t length = build(publics, 1);
    folder_write("secret.pdb", image, length);
    folder_write("store/a/x", "", 0);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; ++i) {
        (void)snprintf(kernel.name, sizeof kernel.name, "%s", names[i]);
        struct symbol_result result = look("store", "Public");
        assert_int_equal(result.answer, SYMBOL_NONE);
        assert_non_null(strstr(result.trail.text, "not asked"));
    }
}

static void one_file_of_ten_thousand_is_found(void **state)
{
    (void)state;
    char path[256];
    for (unsigned i = 0; i < (system_is_posix() ? 10000U : 500U); ++i) {
        (void)snprintf(path, sizeof path, "store/m%u.pdb/%032X1/m%u.pdb", i % 100, i, i % 100);
        folder_write(path, "x", 1);
    }
    assert_found_at("store/NTKRNLMP.pdb/" GUIDAGE "/ntkrnlmp.pdb");
}

/* -------------------------------------------------------------------------------------------- lists of places */

static struct symbol_path path;
static char opened[4][256];
static size_t opened_count, asked;

static int fake_fetch(void *context, const char *name, const char *guidage, char *out, size_t size, char *reason,
                      size_t reason_size)
{
    (void)context;
    ++asked;
    if (strcmp(name, "ntkrnlmp.pdb") == 0 && strcmp(guidage, GUIDAGE) == 0) {
        (void)snprintf(out, size, "%s", folder_path("fetched.pdb"));
        return 0;
    }
    (void)snprintf(reason, reason_size, "404");
    return 1;
}

static bool fake_open(void *user, const char *directory, const char *url, struct symbol_source *out,
                      char reason[static SYMBOL_REASON_SIZE])
{
    (void)user;
    if (strstr(url, "bad")) {
        (void)symbol_reason(reason, "no good");
        return false;
    }
    (void)snprintf(opened[opened_count++ % 4], sizeof opened[0], "%s<-%s", directory, url);
    out->fetch = fake_fetch;
    return true;
}

static const struct symbol_path_options with_server = {.cache_directory = "/cache", .open_server = fake_open};

static void assert_places(const char *text, size_t count, ...)
{
    char reason[SYMBOL_REASON_SIZE] = "";
    va_list labels;
    symbol_path_init(&path);
    opened_count = 0;
    if (!symbol_path_add(&path, text, &with_server, reason))
        fail_msg("%s: %s", text, reason);
    assert_int_equal(path.count, count);
    va_start(labels, count);
    for (size_t i = 0; i < count; ++i)
        assert_string_equal(path.sources[i].label, va_arg(labels, const char *));
    va_end(labels);
    symbol_path_clear(&path);
}

static void places_are_written_as_for_windbg(void **state)
{
    (void)state;
    assert_places("", 0);
    assert_places("/a", 1, "/a");
    assert_places("/a;/b;;/c;", 3, "/a", "/b", "/c");
    assert_places("srv*/a", 1, "/a");
    assert_places("SRV*/a*https://s/x", 2, "/a", "https://s/x");
    assert_string_equal(opened[0], "/a<-https://s/x");
    assert_places("srv*/a*/b*http://s", 3, "/a", "/b", "http://s");
    assert_string_equal(opened[0], "/b<-http://s");
    assert_places("srv*http://s", 1, "http://s");
    assert_string_equal(opened[0], "/cache<-http://s");
    assert_places("srv**http://s", 1, "http://s");
    assert_places("cache*/c;srv*http://s", 2, "/c", "http://s");
    assert_string_equal(opened[0], "/c<-http://s");
    assert_places("symsrv*symsrv.dll*/a*http://s", 2, "/a", "http://s");
    assert_places("/d;srv*/a*http://s;/e", 4, "/d", "/a", "http://s", "/e");
}

static void assert_refused(const char *text, const char *expected)
{
    char reason[SYMBOL_REASON_SIZE] = "";
    symbol_path_init(&path);
    assert_false(symbol_path_add(&path, text, &with_server, reason));
    assert_string_equal(reason, expected);
    symbol_path_clear(&path);
}

static void mistakes_in_places_name_the_remedy(void **state)
{
    static const struct symbol_path_options alone = {.cache_directory = NULL};
    char reason[SYMBOL_REASON_SIZE] = "", many[300];
    (void)state;
    symbol_path_init(&path);
    assert_false(symbol_path_add(&path, "srv*http://s", &alone, reason));
    assert_string_equal(reason, "'http://s': no folder to keep its files in: write srv*DIR*URL");
    assert_false(symbol_path_add(&path, "srv*/a*http://bad", &with_server, reason));
    assert_string_equal(reason, "'http://bad': no good");
    assert_false(symbol_path_add(&path, "symsrv*x.dll", &alone, reason));
    assert_string_equal(reason, "'symsrv*x.dll': write srv*DIR*URL");
    symbol_path_clear(&path);
    assert_refused("SRV*/a*HTTPS://s/x", "'HTTPS://s/x': write http:// and https:// in small letters");
    assert_refused("srv*/a*https://s/x y", "'https://s/x y': spaces and non-ASCII characters in a URL must be "
                                           "percent-encoded, as %20");
    if (system_is_posix())
        assert_refused("srv*C:\\Symbols*https://s",
                       "'C:\\Symbols': a folder of Windows; name one of this computer, such as "
                       "/srv/symbols");
    assert_refused("srv* /a*https://s", "' /a': there are spaces around it; take them away");
    assert_refused(
        "srv*/a*https://user:pass/word@s/x?y",
        "'https://***@s/x?y': a URL with a user or password is not taken; use a server that needs none, or a "
        "folder");
    symbol_path_clear(&path);
    for (size_t i = 0; i < 65; ++i)
        memcpy(many + 2 * i, "a;", 3);
    assert_false(symbol_path_add(&path, many, &alone, reason));
    assert_non_null(strstr(reason, "more than 64"));
    symbol_path_clear(&path);
}

static struct symbol_result look_along(const char *text, const char *symbol)
{
    struct symbol_result result = {.extra_count = 0};
    char reason[SYMBOL_REASON_SIZE];
    symbol_path_init(&path);
    assert_true(symbol_path_add(&path, text, &with_server, reason));
    symbol_path_find(&path, &kernel, symbol, &result);
    symbol_path_clear(&path);
    return result;
}

static void private_symbols_behind_public_ones_are_found(void **state)
{
    char text[1200];
    (void)state;
    size_t length = build(publics, 1);
    folder_write("one/ntkrnlmp.pdb", image, length);
    length = build(privates, 1);
    folder_write("two/ntkrnlmp.pdb", image, length);
    (void)snprintf(text, sizeof text, "%s;%s", folder_path("one"), folder_path("two"));
    assert_int_equal(look_along(text, "Private").rva, 0x1020);
    struct symbol_result result = look_along(text, "Neither");
    assert_int_equal(result.answer, SYMBOL_ABSENT);
    assert_non_null(strstr(result.trail.text, "one/ntkrnlmp.pdb: has no such name; "));
}

static void path_in_an_image_means_its_last_part(void **state)
{
    (void)state;
    size_t length = build(publics, 1);
    folder_write("one/ntkrnlmp.pdb", image, length);
    folder_write("ntkrnlmp.pdb", image, length);
    (void)snprintf(kernel.name, sizeof kernel.name, "d:\\build\\..\\ntkrnlmp.pdb");
    assert_int_equal(look_along(folder_path("one"), "Public").answer, SYMBOL_FOUND);
    (void)snprintf(kernel.name, sizeof kernel.name, "../ntkrnlmp.pdb");
    assert_int_equal(look_along(folder_path("one"), "Public").answer, SYMBOL_FOUND);
    folder_write("two/x", "", 0);
    assert_int_equal(look_along(folder_path("two"), "Public").answer, SYMBOL_NONE);
    (void)snprintf(kernel.name, sizeof kernel.name, "d:\\build\\..");
    assert_int_equal(look_along(folder_path("one"), "Public").answer, SYMBOL_NONE);
}

static void server_is_asked_only_without_a_file(void **state)
{
    char text[1200];
    (void)state;
    size_t length = build(privates, 1);
    folder_write("fetched.pdb", image, length);
    folder_write("one/x", "", 0);
    (void)snprintf(text, sizeof text, "srv*%s*http://s", folder_path("one"));
    asked = 0;
    assert_int_equal(look_along(text, "Private").answer, SYMBOL_FOUND);
    assert_int_equal(asked, 1);
    length = build(publics, 1);
    folder_write("one/ntkrnlmp.pdb/" GUIDAGE "/ntkrnlmp.pdb", image, length);
    assert_int_equal(look_along(text, "Private").answer, SYMBOL_ABSENT);
    assert_int_equal(asked, 1);
    kernel.age = 5;
    struct symbol_result result = look_along(text, "Private");
    assert_int_equal(result.answer, SYMBOL_NONE);
    assert_non_null(strstr(result.trail.text, "http://s: 404"));
}

static void trail_is_cut_and_printable(void **state)
{
    struct symbol_trail trail;
    (void)state;
    symbol_trail_init(&trail);
    symbol_trail_add(&trail, "a\nb", "\x1b[31m");
    assert_string_equal(trail.text, "a?b: ?[31m");
    for (int i = 0; i < 500; ++i)
        symbol_trail_add(&trail, "somewhere", "nothing");
    assert_true(strlen(trail.text) < sizeof trail.text);
    assert_string_equal(trail.text + strlen(trail.text) - 3, "...");
}

#define WITH_FOLDER(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_FOLDER(file_is_found_in_the_standard_layout),
        WITH_FOLDER(file_is_found_whatever_its_case),
        WITH_FOLDER(file_is_found_in_two_tiers),
        WITH_FOLDER(second_tier_needs_index2_txt),
        WITH_FOLDER(plain_file_is_found),
        WITH_FOLDER(compressed_file_is_found),
        WITH_FOLDER(table_is_found_beside_the_pdb),
        WITH_FOLDER(file_of_another_kernel_proves_nothing),
        WITH_FOLDER(pointer_to_another_place_is_refused_with_a_reason),
        WITH_FOLDER(damaged_and_strange_files_say_why),
        WITH_FOLDER(missing_folder_and_missing_file_are_told_apart),
        WITH_FOLDER(name_from_a_machine_does_not_leave_the_folder),
        WITH_FOLDER(one_file_of_ten_thousand_is_found),
        cmocka_unit_test(places_are_written_as_for_windbg),
        cmocka_unit_test(mistakes_in_places_name_the_remedy),
        WITH_FOLDER(private_symbols_behind_public_ones_are_found),
        WITH_FOLDER(path_in_an_image_means_its_last_part),
        WITH_FOLDER(server_is_asked_only_without_a_file),
        cmocka_unit_test(trail_is_cut_and_printable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
