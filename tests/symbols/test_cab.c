/* SPDX-License-Identifier: Apache-2.0 */
/* Cabinets built byte by byte. Those of gcab are in check_symbols.py. */
#include "service/symbols/cab.h"

#include "kdnet/base/wire.h"
#include "tests/symbols/tiny.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static uint8_t content[40000], cabinet[48000], back[40000];

static size_t build(const char *name)
{
    for (size_t i = 0; i < sizeof content; ++i)
        content[i] = (uint8_t)(i * 7 + i / 251);
    return tiny_cab_build(name, content, sizeof content, cabinet);
}

static bool extract(size_t length, const char *name, struct symbol_file *out, char *reason)
{
    struct symbol_file file;
    symbol_file_memory(&file, cabinet, length);
    reason[0] = 0;
    bool good = cab_extract(&file, name, out, reason);
    assert_true(good || reason[0] != 0);
    return good;
}

static void file_comes_out_as_it_went_in(void **state)
{
    struct symbol_file file, out;
    char reason[SYMBOL_REASON_SIZE];
    (void)state;
    size_t length = build("NTKRNLMP.PDB");
    symbol_file_memory(&file, cabinet, length);
    assert_true(cab_is(&file));
    assert_true(extract(length, "ntkrnlmp.pdb", &out, reason));
    assert_int_equal(out.size, sizeof content);
    assert_true(symbol_file_read(&out, 0, back, sizeof back));
    assert_memory_equal(back, content, sizeof content);
    symbol_file_close(&out);
}

static void only_file_is_taken_whatever_its_name(void **state)
{
    struct symbol_file out;
    char reason[SYMBOL_REASON_SIZE];
    (void)state;
    size_t length = build("other.pdb");
    assert_true(extract(length, "ntkrnlmp.pdb", &out, reason));
    symbol_file_close(&out);
}

static void cabinet_that_is_cut_short_is_refused(void **state)
{
    (void)state;
    size_t length = build("x.pdb");
    for (size_t cut = 0; cut < length; cut += cut < 128 ? 1 : 997) {
        struct symbol_file out;
        char reason[SYMBOL_REASON_SIZE];
        assert_false(extract(cut, "x.pdb", &out, reason));
        symbol_file_close(&out);
    }
}

static void file_of_impossible_size_is_refused(void **state)
{
    struct symbol_file out;
    char reason[SYMBOL_REASON_SIZE];
    (void)state;
    size_t length = build("x.pdb");
    kdnet_put_le32(cabinet + 44, 0x7fffffff); /* bytes of the file inside */
    assert_false(extract(length, "x.pdb", &out, reason));
    symbol_file_close(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(file_comes_out_as_it_went_in),
        cmocka_unit_test(only_file_is_taken_whatever_its_name),
        cmocka_unit_test(cabinet_that_is_cut_short_is_refused),
        cmocka_unit_test(file_of_impossible_size_is_refused),
    };
#ifndef KDNETD_CAB
    print_message("this build reads no cabinets\n");
    return 0;
#endif
    return cmocka_run_group_tests(tests, NULL, NULL);
}
