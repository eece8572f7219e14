/* SPDX-License-Identifier: Apache-2.0 */
/* front: the front of the symbols with a loop that a test turns. Only for tests. */
#ifndef TESTS_SYMBOLS_FRONT_H
#define TESTS_SYMBOLS_FRONT_H

#include "service/symbols/identity.h"
#include "service/symbols/symbols.h"

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

static const struct tiny_symbol publics[] = {{"Public", 0x110e, 1, 0x10}, {NULL, 0, 0, 0}};

static uint8_t image[TINY_SIZE];
static struct kdnet_pdb kernel;
static uv_loop_t loop;
static struct symbols *symbols;
static struct symbols_options options;
static unsigned ended_count;
static enum symbols_answer ended_answer;
static char ended_trail[SYMBOL_TRAIL_SIZE];

static inline void on_ended(void *user, const struct kdnet_pdb *pdb, const char *symbol, enum symbols_answer answer,
                            const char *trail)
{
    (void)user;
    (void)pdb;
    assert_non_null(symbol);
    ++ended_count;
    ended_answer = answer;
    (void)snprintf(ended_trail, sizeof ended_trail, "%s", trail);
}

static inline struct symbols_stats stats(void)
{
    struct symbols_stats out;
    symbols_stats(symbols, &out);
    return out;
}

static inline void open_symbols(void)
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

static inline void close_symbols(void)
{
    symbols_close(symbols);
    assert_int_equal(uv_run(&loop, UV_RUN_DEFAULT), 0);
    symbols = NULL;
}

static inline int set_up(void **state)
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

static inline int tear_down(void **state)
{
    (void)state;
    assert_int_equal(uv_loop_close(&loop), 0);
    folder_remove();
    return 0;
}

static inline enum symbols_answer find(const char *symbol, uint32_t *rva)
{
    enum kdnet_source source = KDNET_SOURCE_NONE;
    enum symbols_answer answer = symbols_find(symbols, 0, &kernel, symbol, rva, &source);
    assert_true((answer == SYMBOLS_FOUND) == (source == KDNET_SOURCE_PDB));
    return answer;
}

/* Runs the loop until as many look-ups have ended. */
static inline void run_until(unsigned count)
{
    while (ended_count < count)
        (void)uv_run(&loop, UV_RUN_ONCE);
}

#define WITH_LOOP(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

#endif
