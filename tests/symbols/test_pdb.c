/* SPDX-License-Identifier: Apache-2.0 */
/* PDBs built byte by byte: what is found, and that nothing hostile is believed. Real ones are in check_symbols.py. */
#include "service/symbols/identity.h"
#include "service/symbols/pdb.h"

#include "kdnet/base/wire.h"
#include "tests/support/bytes.h"
#include "tests/symbols/tiny.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define PUBLIC 0x110e
#define GLOBAL 0x110d
#define STATIC 0x110c

static const struct tiny_symbol publics[] = {
    {"IopFinalCrashDumpStatus", PUBLIC, 2, 0x10},
    {"KiBugCheckData", PUBLIC, 2, 0x20},
    {"KiEntry", PUBLIC, 1, 0},
    {"kibugcheckdata", PUBLIC, 1, 0x30},
    {"_Decorated", PUBLIC, 2, 0x40},
    {"Absolute", PUBLIC, 9, 0x5},
    {"Nowhere", PUBLIC, 0, 0x5},
    {"Beyond", PUBLIC, 2, 0xfffffff0},
    {NULL, 0, 0, 0},
};
static const struct tiny_symbol globals[] = {
    {"Private", GLOBAL, 1, 0x8},   {"Hidden", STATIC, 2, 0x18},   {"Twice", STATIC, 1, 0x1},
    {"Twice", STATIC, 2, 0x1},     {"Same", STATIC, 1, 0x7},      {"Same", STATIC, 1, 0x7},
    {"Function", 0x1125, 1, 0x40}, {"KiEntry", STATIC, 2, 0x123}, {NULL, 0, 0, 0},
};

static const struct tiny_pdb plain = {
    .guid = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16},
    .info_age = 7,
    .dbi_age = 2,
    .machine = 0x8664,
    .publics = publics,
    .globals = globals,
    .sections = {0x1000, 0x20000},
};

static uint8_t image[TINY_SIZE];

static enum symbol_answer find(const uint8_t *bytes, size_t length, const char *name, uint32_t *rva)
{
    struct symbol_file file;
    struct pdb pdb;
    char reason[SYMBOL_REASON_SIZE] = "";
    symbol_file_memory(&file, bytes, length);
    const char *mistake = pdb_open(&pdb, &file);
    enum symbol_answer answer = mistake ? SYMBOL_NONE : pdb_find(&pdb, name, rva, reason);
    assert_true(answer != SYMBOL_NONE || mistake || reason[0] != 0);
    pdb_close(&pdb);
    return answer;
}

static void assert_found(size_t length, const char *name, uint32_t expected)
{
    uint32_t rva = 0;
    assert_int_equal(find(image, length, name, &rva), SYMBOL_FOUND);
    assert_int_equal(rva, expected);
}

static void assert_answer(size_t length, const char *name, enum symbol_answer expected)
{
    uint32_t rva = 0xdead;
    assert_int_equal(find(image, length, name, &rva), expected);
    assert_int_equal(rva, 0xdead);
}

static void public_symbol_is_found_in_its_section(void **state)
{
    (void)state;
    size_t length = tiny_pdb_build(&plain, image, NULL);
    assert_found(length, "IopFinalCrashDumpStatus", 0x20010);
    assert_found(length, "KiBugCheckData", 0x20020);
    assert_found(length, "KiEntry", 0x1000);
    assert_found(length, "kibugcheckdata", 0x1030);
}

static void name_that_is_not_there_is_absent(void **state)
{
    (void)state;
    size_t length = tiny_pdb_build(&plain, image, NULL);
    assert_answer(length, "KiBugCheckDat", SYMBOL_ABSENT);
    assert_answer(length, "KiBugCheckDataX", SYMBOL_ABSENT);
    assert_answer(length, "KIBUGCHECKDATA", SYMBOL_ABSENT);
    assert_answer(length, "Function", SYMBOL_ABSENT);
    assert_answer(length, "", SYMBOL_NONE);
}

static void underscore_is_tried_for_x86_only(void **state)
{
    (void)state;
    struct tiny_pdb x86 = plain;
    size_t length = tiny_pdb_build(&plain, image, NULL);
    assert_answer(length, "Decorated", SYMBOL_ABSENT);
    x86.machine = 0x14c;
    length = tiny_pdb_build(&x86, image, NULL);
    assert_found(length, "Decorated", 0x20040);
    assert_found(length, "KiEntry", 0x1000);
}

static void variables_of_private_symbols_are_found_after_public_ones(void **state)
{
    (void)state;
    size_t length = tiny_pdb_build(&plain, image, NULL);
    assert_found(length, "Private", 0x1008);
    assert_found(length, "Hidden", 0x20018);
    assert_found(length, "Same", 0x1007);
    assert_answer(length, "Twice", SYMBOL_NONE);
}

static void symbol_outside_the_image_has_no_address(void **state)
{
    (void)state;
    size_t length = tiny_pdb_build(&plain, image, NULL);
    assert_answer(length, "Absolute", SYMBOL_NONE);
    assert_answer(length, "Nowhere", SYMBOL_NONE);
    assert_answer(length, "Beyond", SYMBOL_NONE);
}

static void addresses_of_a_rearranged_image_go_through_omap(void **state)
{
    static const uint32_t omap[][2] = {{0x5000, 0x70000}, {0x6010, 0x90000}, {0x6020, 0}, {0x6030, 0x100}, {0, 0}};
    (void)state;
    struct tiny_pdb moved = plain;
    moved.omap = omap;
    moved.sections_before[0] = 0x5000;
    moved.sections_before[1] = 0x6000;
    size_t length = tiny_pdb_build(&moved, image, NULL);
    assert_found(length, "IopFinalCrashDumpStatus", 0x90000);
    assert_answer(length, "KiBugCheckData", SYMBOL_NONE); /* left out of the image */
    assert_found(length, "KiEntry", 0x70000);
    assert_found(length, "kibugcheckdata", 0x70030);
}

static struct symbol_address find_address(size_t length, uint32_t rva)
{
    struct symbol_address address = {.rva = rva, .answer = SYMBOL_NONE};
    struct symbol_file file;
    struct pdb pdb;
    char reason[SYMBOL_REASON_SIZE] = "";
    symbol_file_memory(&file, image, length);
    if (!pdb_open(&pdb, &file))
        pdb_find_address(&pdb, &address, reason);
    pdb_close(&pdb);
    return address;
}

static void assert_name(size_t length, uint32_t rva, const char *name, uint32_t offset)
{
    struct symbol_address address = find_address(length, rva);
    assert_int_equal(address.answer, SYMBOL_FOUND);
    assert_string_equal(address.name, name);
    assert_int_equal(address.offset, offset);
}

static void address_has_the_name_of_the_nearest_symbol_before_it(void **state)
{
    (void)state;
    size_t length = tiny_pdb_build(&plain, image, NULL);
    assert_name(length, 0x1000, "KiEntry", 0);
    assert_name(length, 0x102f, "KiEntry", 0x2f);
    assert_name(length, 0x1030, "kibugcheckdata", 0);
    assert_name(length, 0x20fff, "_Decorated", 0xfbf);
    assert_int_equal(find_address(length, 0xfff).answer, SYMBOL_ABSENT);
    assert_int_equal(find_address(length, 0x2000).answer, SYMBOL_ABSENT);  /* between sections */
    assert_int_equal(find_address(length, 0x2000f).answer, SYMBOL_ABSENT); /* before the first of its section */
    assert_int_equal(find_address(length, UINT32_MAX).answer, SYMBOL_ABSENT);
}

static void address_of_a_rearranged_image_is_looked_up_where_it_was(void **state)
{
    static const uint32_t omap[][2] = {{0x5000, 0x70000}, {0, 0}};
    static const uint32_t back[][2] = {{0x70000, 0x5000}, {0x70040, 0}, {0x90000, 0x6010}, {0, 0}};
    (void)state;
    struct tiny_pdb moved = plain;
    moved.omap = omap;
    moved.omap_back = back;
    moved.sections_before[0] = 0x5000;
    moved.sections_before[1] = 0x6000;
    size_t length = tiny_pdb_build(&moved, image, NULL);
    assert_name(length, 0x70004, "KiEntry", 4);
    assert_name(length, 0x70031, "kibugcheckdata", 1);
    assert_name(length, 0x90003, "IopFinalCrashDumpStatus", 3);
    assert_int_equal(find_address(length, 0x70040).answer, SYMBOL_ABSENT); /* was in nothing */
    assert_int_equal(find_address(length, 0x1000).answer, SYMBOL_ABSENT);
}

static void damaged_address_map_is_no_answer(void **state)
{
    struct tiny_places places;
    (void)state;
    size_t length = tiny_pdb_build(&plain, image, &places);
    kdnet_put_le32(image + places.publics + 4, 0x7fffffff);
    assert_int_equal(find_address(length, 0x1000).answer, SYMBOL_NONE);
    (void)tiny_pdb_build(&plain, image, &places);
    kdnet_put_le32(image + places.publics, 4); /* the map would be the hash table */
    assert_int_equal(find_address(length, 0x1000).answer, SYMBOL_NONE);
    (void)tiny_pdb_build(&plain, image, &places);
    kdnet_put_le32(image + places.publics + 4, 0);
    assert_int_equal(find_address(length, 0x1000).answer, SYMBOL_ABSENT);
}

static void identity_is_guid_and_the_age_of_the_dbi_stream(void **state)
{
    (void)state;
    struct symbol_file file;
    struct pdb pdb;
    struct kdnet_pdb wanted = {.age = 2};
    size_t length = tiny_pdb_build(&plain, image, NULL);
    symbol_file_memory(&file, image, length);
    memcpy(wanted.guid, plain.guid, sizeof wanted.guid);
    assert_null(pdb_open(&pdb, &file));
    assert_true(pdb_is(&pdb, &wanted));
    wanted.age = 7;
    assert_false(pdb_is(&pdb, &wanted));
    wanted.age = 2;
    wanted.guid[15] ^= 1;
    assert_false(pdb_is(&pdb, &wanted));
    pdb_close(&pdb);
}

static void check_truncation(const uint8_t *bytes, size_t length, size_t at, void *context)
{
    uint32_t rva;
    (void)at;
    (void)context;
    assert_int_equal(find(bytes, length, "IopFinalCrashDumpStatus", &rva), SYMBOL_NONE); /* never absent */
}

static void file_that_is_cut_short_proves_nothing(void **state)
{
    (void)state;
    size_t length = tiny_pdb_build(&plain, image, NULL);
    for (size_t cut = 0; cut < length - TINY_BLOCK; cut += 7) { /* the last block has the directory's block numbers */
        uint8_t *copy = bytes_copy(image, cut);
        check_truncation(copy, cut, cut, NULL);
        free(copy);
    }
}

/* Sets a number and expects the file to be refused. */
static void assert_refused(size_t at, uint32_t value)
{
    uint8_t saved[4];
    size_t length = tiny_pdb_build(&plain, image, NULL);
    memcpy(saved, image + at, sizeof saved);
    kdnet_put_le32(image + at, value);
    assert_answer(length, "KiBugCheckData", SYMBOL_NONE);
    assert_answer(length, "NotThere", SYMBOL_NONE);
    memcpy(image + at, saved, sizeof saved);
}

static void impossible_numbers_are_refused(void **state)
{
    static const uint32_t sizes[] = {0, 1, 511, 513, 131072, 0x80000000, 0xffffffff};
    struct tiny_places places;
    (void)state;
    (void)tiny_pdb_build(&plain, image, &places);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; ++i)
        assert_refused(32, sizes[i]);
    assert_refused(44, 0);
    assert_refused(44, 0xffffffff);
    assert_refused(52, 0xffffffff);
    assert_refused(places.directory, 0xffffffff);
    assert_refused(places.directory, 3);
    assert_refused(places.directory + 16, 0xffffffff); /* no DBI stream */
    assert_refused(places.directory + 16, 0xfffffffe);
    assert_refused(places.dbi, 0);
    assert_refused(places.dbi + 16, 0xffff); /* no publics */
    assert_refused(places.dbi + 16, 2);
    assert_refused(places.publics + 28 + 8, 0xfffffff8); /* bytes of hash records */
    assert_refused(places.publics + 28 + 12, 0xfffffffc);
    assert_refused(places.publics + 28 + 12, 4);
}

static void bucket_of_too_many_records_is_refused(void **state)
{
    struct tiny_places places;
    uint32_t rva;
    (void)state;
    size_t length = tiny_pdb_build(&plain, image, &places);
    for (size_t i = 0; i < 7; ++i) /* seven buckets: two of the eight names share one */
        kdnet_put_le32(image + places.publics + 28 + 16 + 64 + 516 + i * 4, (uint32_t)(6 - i) * 12);
    unsigned refused = 0;
    for (size_t i = 0; publics[i].name; ++i)
        refused += find(image, length, publics[i].name, &rva) == SYMBOL_NONE;
    assert_true(refused >= 6);
}

static void flipped_bit_never_harms(const uint8_t *bytes, size_t length, size_t at, void *context)
{
    uint32_t rva;
    (void)at;
    (void)context;
    (void)find(bytes, length, "IopFinalCrashDumpStatus", &rva);
}

static void every_flipped_bit_is_survived(void **state)
{
    (void)state;
    static const struct tiny_symbol few[] = {{"IopFinalCrashDumpStatus", PUBLIC, 1, 4}, {NULL, 0, 0, 0}};
    struct tiny_pdb small = plain;
    small.publics = small.globals = few;
    size_t length = tiny_pdb_build(&small, image, NULL);
    bytes_each_bit_flip(image, length, flipped_bit_never_harms, NULL);
}

static void guidage_is_read_as_stores_write_it(void **state)
{
    struct kdnet_pdb pdb = {.age = 0};
    char text[KDNET_GUIDAGE_SIZE];
    (void)state;
    assert_true(identity_parse("8e3373d6124E747F0E72EF8E02E676B3ab", &pdb));
    assert_int_equal(pdb.age, 0xab);
    kdnet_pdb_guidage(&pdb, text);
    assert_string_equal(text, "8E3373D6124E747F0E72EF8E02E676B3AB");
    assert_false(identity_parse("8E3373D6124E747F0E72EF8E02E676B3", &pdb));
    assert_false(identity_parse("8E3373D6124E747F0E72EF8E02E676B3123456789", &pdb));
    assert_false(identity_parse("8E3373D6124E747F0E72EF8E02E676BG1", &pdb));
    assert_false(identity_parse("", &pdb));
}

static void name_that_could_leave_a_folder_is_unsafe(void **state)
{
    static const char *const unsafe[] = {"",     ".",    "..",      "../x.pdb", "a/b",  "a\\b",        "x..pdb",
                                         ".pdb", "pdb.", "C:x.pdb", "a b",      "a\nb", "\xc3\xa4.pdb"};
    char longest[KDNET_PDB_NAME_SIZE];
    (void)state;
    for (size_t i = 0; i < sizeof unsafe / sizeof unsafe[0]; ++i)
        assert_false(identity_name_is_safe(unsafe[i]));
    assert_true(identity_name_is_safe("ntkrnlmp.pdb"));
    assert_true(identity_name_is_safe("my_driver-2.x.pdb"));
    memset(longest, 'a', sizeof longest);
    assert_false(identity_name_is_safe(longest)); /* no NUL */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(public_symbol_is_found_in_its_section),
        cmocka_unit_test(name_that_is_not_there_is_absent),
        cmocka_unit_test(underscore_is_tried_for_x86_only),
        cmocka_unit_test(variables_of_private_symbols_are_found_after_public_ones),
        cmocka_unit_test(symbol_outside_the_image_has_no_address),
        cmocka_unit_test(addresses_of_a_rearranged_image_go_through_omap),
        cmocka_unit_test(address_has_the_name_of_the_nearest_symbol_before_it),
        cmocka_unit_test(address_of_a_rearranged_image_is_looked_up_where_it_was),
        cmocka_unit_test(damaged_address_map_is_no_answer),
        cmocka_unit_test(identity_is_guid_and_the_age_of_the_dbi_stream),
        cmocka_unit_test(file_that_is_cut_short_proves_nothing),
        cmocka_unit_test(impossible_numbers_are_refused),
        cmocka_unit_test(bucket_of_too_many_records_is_refused),
        cmocka_unit_test(every_flipped_bit_is_survived),
        cmocka_unit_test(guidage_is_read_as_stores_write_it),
        cmocka_unit_test(name_that_could_leave_a_folder_is_unsafe),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
