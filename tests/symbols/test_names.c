/* SPDX-License-Identifier: Apache-2.0 */
/* Names of addresses: nobody waits, one task for all who ask, and what is kept of its answers. */
#include "service/symbols/identity.h"
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

#define GUIDAGE   "8E3373D6124E747F0E72EF8E02E676B31"
#define SECTION   0x1000U
#define ASKERS    4U
#define ADDRESSES 3000U /* more than are kept */
#define PATIENCE  20000U

static const struct tiny_symbol publics[] = {
    {"First", 0x110e, 1, 0x10}, {"Second", 0x110e, 1, 0x80}, {"Third", 0x110e, 1, 0x200}, {NULL, 0, 0, 0}};
static uint8_t image[TINY_SIZE];
static size_t image_length;
static struct kdnet_pdb kernel;
static uv_loop_t loop;
static struct symbols *symbols;
static struct symbols_options options;

static void add_folder(struct symbol_path *path, const char *name)
{
    struct symbol_path_options none = {.cache_directory = NULL};
    char reason[SYMBOL_REASON_SIZE];
    assert_true(symbol_path_add(path, folder_path(name), &none, reason));
}

static void use_folder(const char *name)
{
    struct symbol_path path;
    symbol_path_init(&path);
    add_folder(&path, name);
    assert_int_equal(symbols_set_places(symbols, &path), 0);
}

static int set_up(void **state)
{
    (void)state;
    struct tiny_pdb pdb = {.info_age = 1, .dbi_age = 1, .machine = 0x8664, .publics = publics, .sections = {SECTION}};
    kernel = (struct kdnet_pdb){.name = "ntkrnlmp.pdb"};
    assert_true(identity_parse(GUIDAGE, &kernel));
    memcpy(pdb.guid, kernel.guid, sizeof pdb.guid);
    image_length = tiny_pdb_build(&pdb, image, NULL);
    (void)folder_make();
    folder_write("store/ntkrnlmp.pdb/" GUIDAGE "/ntkrnlmp.pdb", image, image_length);
    options = (struct symbols_options){.retry_s = 60};
    assert_int_equal(uv_loop_init(&loop), 0);
    assert_int_equal(symbols_open(&symbols, &loop, &options), 0);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    symbols_close(symbols);
    assert_int_equal(uv_run(&loop, UV_RUN_DEFAULT), 0);
    assert_int_equal(uv_loop_close(&loop), 0);
    folder_remove();
    return 0;
}

/* The answer of an address, once it is known. */
static enum symbols_answer name_of(uint32_t rva, struct symbol_address *out)
{
    enum symbols_answer answer;
    for (unsigned n = 0; (answer = symbols_name(symbols, &kernel, rva, out)) == SYMBOLS_PENDING && n < PATIENCE; ++n) {
        (void)uv_run(&loop, UV_RUN_NOWAIT);
        uv_sleep(1);
    }
    return answer;
}

static void expect_name(uint32_t rva, const char *name, uint32_t offset)
{
    struct symbol_address out;
    assert_int_equal(name_of(rva, &out), SYMBOLS_FOUND);
    assert_string_equal(out.name, name);
    assert_int_equal(out.offset, offset);
    assert_int_equal(out.rva, rva);
}

static void addresses_have_the_name_that_they_lie_behind(void **state)
{
    (void)state;
    struct symbol_address out;
    use_folder("store");
    assert_int_equal(symbols_name(symbols, &kernel, SECTION + 0x10, &out), SYMBOLS_PENDING); /* nobody waits */
    expect_name(SECTION + 0x10, "First", 0);
    expect_name(SECTION + 0x7f, "First", 0x6f);
    expect_name(SECTION + 0x80, "Second", 0);
    expect_name(SECTION + 0x234, "Third", 0x34);
    assert_int_equal(name_of(SECTION + 4, &out), SYMBOLS_ABSENT); /* before the first */
    assert_int_equal(name_of(4, &out), SYMBOLS_ABSENT);           /* in no section */
}

/* Without a file there is no name, for as long as that is believed, or until there are other places. */
static void other_places_are_asked_again(void **state)
{
    (void)state;
    struct symbol_address out;
    assert_int_equal(symbols_name(symbols, &kernel, SECTION + 0x10, &out), SYMBOLS_PENDING); /* no places at all yet */
    use_folder("empty");
    assert_int_equal(name_of(SECTION + 0x10, &out), SYMBOLS_NO_SYMBOLS);
    folder_write("empty/ntkrnlmp.pdb/" GUIDAGE "/ntkrnlmp.pdb", image, image_length);
    assert_int_equal(symbols_name(symbols, &kernel, SECTION + 0x10, &out), SYMBOLS_NO_SYMBOLS);
    use_folder("empty");
    expect_name(SECTION + 0x10, "First", 0);
}

/* Without other places, too, after a while. */
static void what_no_file_names_is_looked_for_again(void **state)
{
    (void)state;
    struct symbol_address out;
    enum symbols_answer answer = SYMBOLS_NO_SYMBOLS;
    symbols_close(symbols);
    assert_int_equal(uv_run(&loop, UV_RUN_DEFAULT), 0);
    options.retry_s = 1;
    assert_int_equal(symbols_open(&symbols, &loop, &options), 0);
    use_folder("empty");
    assert_int_equal(name_of(SECTION + 0x10, &out), SYMBOLS_NO_SYMBOLS);
    folder_write("empty/ntkrnlmp.pdb/" GUIDAGE "/ntkrnlmp.pdb", image, image_length);
    for (unsigned n = 0; n < PATIENCE && answer != SYMBOLS_FOUND; ++n) {
        uv_sleep(1);
        answer = name_of(SECTION + 0x10, &out);
    }
    assert_int_equal(answer, SYMBOLS_FOUND);
    assert_string_equal(out.name, "First");
}

static void file_of_another_image_names_nothing(void **state)
{
    (void)state;
    struct symbol_address out;
    use_folder("store");
    kernel.age = 2;
    assert_int_equal(name_of(SECTION + 0x10, &out), SYMBOLS_NO_SYMBOLS);
    kernel.age = 1;
    memcpy(kernel.name, "../../x.pdb", sizeof "../../x.pdb"); /* nor is one looked for outside of the folder */
    kernel.guid[0] ^= 1;
    assert_int_equal(name_of(SECTION + 0x10, &out), SYMBOLS_NO_SYMBOLS);
    memcpy(kernel.name, "..", sizeof ".."); /* no file has such a name */
    kernel.guid[0] ^= 2;
    assert_int_equal(name_of(SECTION + 0x10, &out), SYMBOLS_NO_SYMBOLS);
}

/* More addresses than are kept: each is answered in the end, and rightly. */
static void any_number_of_addresses_is_answered(void **state)
{
    (void)state;
    struct symbol_address out;
    use_folder("store");
    for (uint32_t i = 0; i < ADDRESSES; ++i)
        (void)symbols_name(symbols, &kernel, SECTION + 0x200 + i, &out);
    for (uint32_t i = 0; i < ADDRESSES; i += 97)
        expect_name(SECTION + 0x200 + i, "Third", i);
}

static void ask_on(void *wrong)
{
    struct symbol_address out;
    for (uint32_t i = 0; i < 200; ++i) {
        enum symbols_answer answer;
        while ((answer = symbols_name(symbols, &kernel, SECTION + 0x80 + i, &out)) == SYMBOLS_PENDING)
            uv_sleep(1);
        *(unsigned *)wrong += answer != SYMBOLS_FOUND || strcmp(out.name, "Second") != 0 || out.offset != i;
    }
    *(unsigned *)wrong |= 1U << 31; /* done */
}

static void any_thread_may_ask(void **state)
{
    (void)state;
    uv_thread_t threads[ASKERS];
    unsigned wrong[ASKERS] = {0};
    struct symbol_address out;
    use_folder("store");
    for (size_t i = 0; i < ASKERS; ++i)
        assert_int_equal(uv_thread_create(&threads[i], ask_on, &wrong[i]), 0);
    for (uint32_t i = 0; i < 200; ++i) /* the loop answers all of them */
        assert_int_equal(name_of(SECTION + 0x80 + i, &out), SYMBOLS_FOUND);
    for (size_t i = 0; i < ASKERS; ++i) {
        assert_int_equal(uv_thread_join(&threads[i]), 0);
        assert_int_equal(wrong[i], 1U << 31);
    }
}

/* What is asked for at the end is not waited for. */
static void end_comes_while_names_are_looked_up(void **state)
{
    (void)state;
    struct symbol_address out;
    use_folder("store");
    for (uint32_t i = 0; i < 64; ++i)
        assert_int_equal(symbols_name(symbols, &kernel, SECTION + 0x10 + i, &out), SYMBOLS_PENDING);
    (void)uv_run(&loop, UV_RUN_NOWAIT);
}

int main(void)
{
#define WITH_LOOP(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        WITH_LOOP(addresses_have_the_name_that_they_lie_behind), WITH_LOOP(other_places_are_asked_again),
        WITH_LOOP(what_no_file_names_is_looked_for_again),       WITH_LOOP(file_of_another_image_names_nothing),
        WITH_LOOP(any_number_of_addresses_is_answered),          WITH_LOOP(any_thread_may_ask),
        WITH_LOOP(end_comes_while_names_are_looked_up),
    };
#undef WITH_LOOP
    return cmocka_run_group_tests(tests, NULL, NULL);
}
