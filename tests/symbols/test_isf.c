/* SPDX-License-Identifier: Apache-2.0 */
/* Symbol tables of Volatility 3: small ones written here, and the real ones of six kernels. */
#include "service/symbols/identity.h"
#include "service/symbols/isf.h"
#include "tests/support/system.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define GUID "22597D0B40394E23936F6A24C6C52D5B"
#define META(age, machine)                                                                                             \
    "\"metadata\": {\"format\": \"6.1.0\", \"windows\": {\"pdb\": {\"GUID\": \"" GUID "\", \"age\": " age              \
    ", \"database\": \"ntkrnlmp.pdb\", \"machine_type\": " machine "}}}"
#define SYMBOLS                                                                                                        \
    "\"symbols\": {\"A\": {\"address\": 16}, \"_B\": {\"type\": {\"kind\": \"x\", \"l\": [1, {}, []]}, "               \
    "\"address\": 4294967295}, \"q\\u0041\\\"\": {\"address\": 5}}"

struct answer {
    enum symbol_answer answer;
    uint32_t rva;
    struct isf isf;
    char reason[SYMBOL_REASON_SIZE];
};

static struct answer find_bytes(const void *bytes, size_t length, const char *guidage, const char *name)
{
    struct answer a = {.rva = 0xdead};
    struct symbol_file file;
    struct kdnet_pdb wanted = {.age = 0};
    uint8_t *copy = malloc(length + 1);
    assert_non_null(copy);
    memcpy(copy, bytes, length);
    symbol_file_memory(&file, copy, length);
    if (guidage)
        assert_true(identity_parse(guidage, &wanted));
    a.answer = isf_find(&file, guidage ? &wanted : NULL, name, &a.rva, &a.isf, a.reason);
    assert_true(a.answer == SYMBOL_FOUND || a.rva == 0xdead);
    assert_true(a.answer != SYMBOL_NONE || a.reason[0] != 0);
    free(copy);
    return a;
}

static struct answer find(const char *text, const char *name)
{
    return find_bytes(text, strlen(text), GUID "1", name);
}

static void address_of_a_symbol_is_its_rva(void **state)
{
    static const char text[] = "{" META("1", "34404") ", " SYMBOLS "}";
    (void)state;
    struct answer a = find(text, "A");
    assert_int_equal(a.answer, SYMBOL_FOUND);
    assert_int_equal(a.rva, 16);
    assert_string_equal(a.isf.pdb.name, "ntkrnlmp.pdb");
    assert_int_equal(find(text, "_B").rva, UINT32_MAX);
    assert_int_equal(find(text, "qA\"").rva, 5);
    assert_int_equal(find(text, "a").answer, SYMBOL_ABSENT);
    assert_int_equal(find(text, "B").answer, SYMBOL_ABSENT);
}

static void order_of_members_does_not_matter(void **state)
{
    (void)state;
    assert_int_equal(find("{" SYMBOLS "," META("1", "34404") "}", "A").rva, 16);
    assert_int_equal(
        find(" { \"x\" : [ [ ] , -1.5e+3 , null, true, false ],\r\n" SYMBOLS "," META("1", "1") "}\n", "A").rva, 16);
}

static void underscore_is_tried_for_x86(void **state)
{
    (void)state;
    assert_int_equal(find("{" SYMBOLS "," META("1", "332") "}", "B").rva, UINT32_MAX);
}

static void table_of_another_kernel_is_refused(void **state)
{
    (void)state;
    struct answer a = find("{" META("2", "34404") ", " SYMBOLS "}", "A");
    assert_int_equal(a.answer, SYMBOL_NONE);
    assert_string_equal(a.reason, "it is of another image, " GUID "2");
    a = find("{" SYMBOLS "}", "A");
    assert_int_equal(a.answer, SYMBOL_NONE);
    assert_non_null(strstr(a.reason, "does not say"));
    assert_int_equal(find_bytes("{" SYMBOLS "}", strlen("{" SYMBOLS "}"), NULL, "A").answer, SYMBOL_FOUND);
}

static struct symbol_address find_address(const char *text, uint32_t rva)
{
    struct symbol_address address = {.rva = rva, .answer = SYMBOL_NONE};
    struct symbol_file file;
    struct isf isf;
    char reason[SYMBOL_REASON_SIZE] = "";
    symbol_file_memory(&file, text, strlen(text));
    bool read = isf_find_addresses(&file, NULL, &address, 1, &isf, reason);
    assert_true(read == (address.answer != SYMBOL_NONE) && read == (reason[0] == 0));
    return address;
}

static void address_has_the_name_of_the_nearest_symbol_before_it(void **state)
{
    static const char text[] =
        "{\"symbols\": {\"?cxx\": {\"address\": 16}, \"B\": {\"address\": 16}, \"A\": {\"address\": 32},"
        " \"C\": {\"type\": {}}, \"D\\u0001\": {\"address\": 48}}}";
    (void)state;
    struct symbol_address address = find_address(text, 31);
    assert_int_equal(address.answer, SYMBOL_FOUND);
    assert_string_equal(address.name, "B");
    assert_int_equal(address.offset, 15);
    assert_string_equal(find_address(text, 32).name, "A");
    assert_string_equal(find_address(text, 48).name, "D_");
    assert_int_equal(find_address(text, 15).answer, SYMBOL_ABSENT);
    assert_int_equal(find_address(text, 48 + SYMBOL_REACH).answer, SYMBOL_ABSENT);
    assert_int_equal(find_address("{\"symbols\": {", 48).answer, SYMBOL_NONE);
}

static void text_that_is_no_table_proves_nothing(void **state)
{
    static const char *const texts[] = {
        "",
        "      ",
        "nonsense",
        "{}",
        "[1,2,3]",
        "\"symbols\"",
        "{" META("1", "34404") "}",
        "{" META("1", "34404") ", " SYMBOLS,
        "{" META("1", "34404") ", " SYMBOLS "}}",
        "{" META("1", "34404") ", " SYMBOLS ",}",
        "{" META("1", "34404") " " SYMBOLS "}",
        "{" META("-1", "34404") ", " SYMBOLS "}",
        "{" META("01", "34404") ", " SYMBOLS "}",
        "{" META("4294967296", "34404") ", " SYMBOLS "}",
        "{" META("1", "34404") ", \"symbols\": {\"A\": {\"address\": 4294967296}}}",
        "{" META("1", "34404") ", \"symbols\": {\"A\": {\"address\": 1.5}}}",
        "{" META("1", "34404") ", \"symbols\": {\"A\": {\"address\": \"16\"}}}",
        "{" META("1", "34404") ", \"symbols\": {\"A\": 16}}",
        "{" META("1", "34404") ", \"symbols\": {\"A\" {\"address\": 16}}}",
        "{" META("1", "34404") ", \"symbols\": {\"\\x\": {\"address\": 16}}}",
        "{" META("1", "34404") ", \"symbols\": {\"\n\": {\"address\": 16}}}",
    };
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; ++i)
        if (find(texts[i], "A").answer != SYMBOL_NONE)
            fail_msg("answered from: %s", texts[i]);
}

static void nesting_is_bounded(void **state)
{
    char text[20000];
    (void)state;
    memset(text, '[', sizeof text - 1);
    text[sizeof text - 1] = 0;
    struct answer a = find(text, "A");
    assert_int_equal(a.answer, SYMBOL_NONE);
    memcpy(text, "{\"a\":", 5);
    a = find(text, "A");
    assert_string_equal(a.reason, "its JSON is nested too deeply");
}

static void every_truncation_proves_nothing(void **state)
{
    static const char text[] = "{" META("1", "34404") ", " SYMBOLS "}";
    (void)state;
    for (size_t length = 0; length < sizeof text - 1; ++length) {
        assert_int_equal(find_bytes(text, length, GUID "1", "A").answer, SYMBOL_NONE);
        assert_int_equal(find_bytes(text, length, GUID "1", "absent").answer, SYMBOL_NONE);
    }
}

struct real {
    const char *guid;
    uint32_t bugcheck, debugger, breakpoint; /* 0: not known from another source than the table */
};

static const struct real real_tables[] = {
    {"22597D0B40394E23936F6A24C6C52D5B", 0x2cc940, 0x292530, 0x148710},
    {"C2EADB24A615E9472CE47C8ADD31F130", 0xc35de0, 0xc00a30, 0x41e600},
    {"517E128F7B7C4EA79491DE6B9B9CE190", 0, 0, 0},
    {"A1E1C9A90091DA9805D0EBA0470BEC85", 0, 0, 0},
    {"BBED7C2955FBE4522AAA23F4B8677AD9", 0, 0, 0},
    {"32C1A669D5FFEFD41091F636CFDB6E99", 0, 0, 0},
};

/* What the table says in its text, found in quite another way: "NAME": { "address": N, as xz -dc shows it. */
static uint32_t address_in_text(const char *path, const char *name)
{
    char command[2048], line[256];
    unsigned long value = 0;
    (void)snprintf(command, sizeof command, "xz -dc '%s' | grep -A1 '^    \"%s\": {' | grep -o '[0-9]*$'", path, name);
    FILE *pipe = popen(command, "r"); // NOLINT(cert-env33-c)
    assert_non_null(pipe);
    if (fgets(line, sizeof line, pipe))
        value = strtoul(line, NULL, 10);
    (void)pclose(pipe);
    return (uint32_t)value;
}

static void check_real(const char *path, const struct real *real)
{
    static const char *const names[] = {"KiBugCheckData", "KdDebuggerDataBlock", "RtlpBreakWithStatusInstruction"};
    const uint32_t told[] = {real->bugcheck, real->debugger, real->breakpoint};
    char guidage[KDNET_GUIDAGE_SIZE], reason[SYMBOL_REASON_SIZE];
    struct symbol_file file;
    struct kdnet_pdb wanted = {.age = 0};
    struct isf isf;
    (void)snprintf(guidage, sizeof guidage, "%s1", real->guid);
    assert_true(identity_parse(guidage, &wanted));
    assert_int_equal(symbol_file_open(&file, path), 0);
    for (size_t i = 0; i < 3; ++i) {
        uint32_t rva = 0;
        assert_int_equal(isf_find(&file, &wanted, names[i], &rva, &isf, reason), SYMBOL_FOUND);
        assert_true(told[i] == 0 || rva == told[i]);
        if (system_is_posix()) /* has a shell, xz and grep */
            assert_int_equal(rva, address_in_text(path, names[i]));
    }
    uint32_t rva = 0;
    assert_int_equal(isf_find(&file, &wanted, "IopFinalCrashDumpStatus", &rva, &isf, reason), SYMBOL_ABSENT);
    symbol_file_close(&file);
}

static void real_kernels_have_what_they_have(void **state)
{
    const char *data = getenv("KDNETD_DATA");
    unsigned seen = 0;
    (void)state;
#ifndef KDNETD_XZ
    skip(); /* this build reads no .xz */
#endif
    for (size_t i = 0; i < sizeof real_tables / sizeof real_tables[0]; ++i) {
        char path[1024];
        (void)snprintf(path, sizeof path, "%s/isf/ntkrnlmp.pdb/%s-1.json.xz", data ? data : "../shared/data",
                       real_tables[i].guid);
        FILE *file = fopen(path, "rb");
        if (!file)
            continue;
        (void)fclose(file);
        check_real(path, &real_tables[i]);
        ++seen;
    }
    if (seen == 0) {
        print_message("KDNETD_DATA has no real symbol tables\n");
        skip();
    }
    assert_int_equal(seen, 6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(address_of_a_symbol_is_its_rva),
        cmocka_unit_test(order_of_members_does_not_matter),
        cmocka_unit_test(underscore_is_tried_for_x86),
        cmocka_unit_test(table_of_another_kernel_is_refused),
        cmocka_unit_test(text_that_is_no_table_proves_nothing),
        cmocka_unit_test(nesting_is_bounded),
        cmocka_unit_test(every_truncation_proves_nothing),
        cmocka_unit_test(address_has_the_name_of_the_nearest_symbol_before_it),
        cmocka_unit_test(real_kernels_have_what_they_have),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
