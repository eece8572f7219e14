/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "kdnet/error.h"
#include "kdnet/kernel/debugger_data.h"
#include "kdnet/kernel/bugcheck.h"
#include "kdnet/kernel/pe.h"
#include "kdnet/kernel/pdb.h"
#include "kdnet/base/wire.h"
#include "tests/support/bytes.h"
#include "tests/support/random.h"
#include "tests/support/vectors.h"

#define WINLOAD_BASE 0x96f000U
#define LAST_FRAME   955
#define LFANEW       0x40 /* of built headers */
#define DEBUG_AT     48   /* of the debug directory among the directories, 8 bytes each */
#define DIRECTORIES  56   /* seven of them, up to and with the debug directory */

/* --- PE image and PDB identity --- */

/* Headers as small as they can be: DOS header, PE signature at 0x40, seven directories. */
struct built_pe {
    uint8_t bytes[LFANEW + 24 + 112 + DIRECTORIES];
    size_t length;
};

static void build_pe(struct built_pe *pe, uint16_t magic)
{
    size_t optional = LFANEW + 24, directories = optional + (magic == 0x10b ? 96 : 112);
    memset(pe, 0, sizeof *pe);
    pe->length = directories + DIRECTORIES;
    pe->bytes[0] = 'M';
    pe->bytes[1] = 'Z';
    kdnet_put_le32(pe->bytes + 0x3c, LFANEW);
    pe->bytes[LFANEW] = 'P';
    pe->bytes[LFANEW + 1] = 'E';
    kdnet_put_le16(pe->bytes + optional, magic);
    kdnet_put_le32(pe->bytes + directories - 4, 7);
    kdnet_put_le32(pe->bytes + directories + DEBUG_AT, 0x1234);
    kdnet_put_le32(pe->bytes + directories + DEBUG_AT + 4, 56);
}

static int find_directory(const struct built_pe *pe, uint32_t *rva, uint32_t *size)
{
    uint8_t *copy = bytes_copy(pe->bytes, pe->length);
    int error = kdnet_pe_debug_directory(copy, pe->length, rva, size);
    free(copy);
    return error;
}

static void debug_directory_is_found_in_pe32_and_pe32_plus(void **state)
{
    (void)state;
    static const uint16_t magics[] = {0x10b, 0x20b};
    for (size_t i = 0; i < 2; ++i) {
        struct built_pe pe;
        uint32_t rva = 0, size = 0;
        build_pe(&pe, magics[i]);
        assert_int_equal(find_directory(&pe, &rva, &size), KDNET_OK);
        assert_int_equal(rva, 0x1234);
        assert_int_equal(size, 56);
    }
}

static void cut_headers_are_refused(const uint8_t *bytes, size_t length, size_t at, void *context)
{
    (void)at;
    (void)context;
    uint32_t rva, size;
    assert_int_equal(kdnet_pe_debug_directory(bytes, length, &rva, &size), KDNET_ERR_FORMAT);
}

static void each_truncation_of_pe_headers_is_refused(void **state)
{
    (void)state;
    struct built_pe pe;
    build_pe(&pe, 0x10b);
    bytes_each_truncation(pe.bytes, pe.length, cut_headers_are_refused, NULL);
    build_pe(&pe, 0x20b);
    bytes_each_truncation(pe.bytes, pe.length, cut_headers_are_refused, NULL);
}

static void hostile_pe_headers_are_refused(void **state)
{
    (void)state;
    static const struct {
        size_t at, width;
        uint32_t value;
    } cases[] = {
        {0, 2, 0x4d5a},                             /* ZM */
        {0x3c, 4, UINT32_MAX},                      /* e_lfanew far away */
        {0x3c, 4, 0x7fffffff},                      /* the same, positive when signed */
        {0x3c, 4, LFANEW + 24 + 112 + DIRECTORIES}, /* at the very end */
        {0x3c, 4, LFANEW + 1},                      /* off by one */
        {LFANEW, 4, 0x4550 + 1},                    /* no signature */
        {LFANEW + 24, 2, 0x107},                    /* a ROM image */
        {LFANEW + 24, 2, 0},                        /* no magic */
        {LFANEW + 24 + 108, 4, 0},                  /* NumberOfRvaAndSizes: no directories */
        {LFANEW + 24 + 108, 4, 6},                  /* one too few */
        {LFANEW + 24 + 112 + 48, 4, 0},             /* debug directory: address 0 */
        {LFANEW + 24 + 112 + 52, 4, 0},             /* debug directory: size 0 */
        {LFANEW + 24 + 112 + 52, 4, 27},            /* debug directory: less than an entry */
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; ++i) {
        struct built_pe pe;
        uint32_t rva = 99, size = 99;
        build_pe(&pe, 0x20b);
        if (cases[i].width == 2)
            kdnet_put_le16(pe.bytes + cases[i].at, (uint16_t)cases[i].value);
        else
            kdnet_put_le32(pe.bytes + cases[i].at, cases[i].value);
        assert_int_equal(find_directory(&pe, &rva, &size), KDNET_ERR_FORMAT);
        assert_true(rva == 99 && size == 99);
    }
}

static void codeview_entry_is_found_among_others(void **state)
{
    (void)state;
    uint8_t directory[3 * 28] = {0};
    uint32_t rva = 0, size = 0;
    kdnet_put_le32(directory + 12, 13); /* POGO */
    kdnet_put_le32(directory + 28 + 12, 2);
    kdnet_put_le32(directory + 28 + 16, 37);
    kdnet_put_le32(directory + 28 + 20, 0x5678);
    kdnet_put_le32(directory + 56 + 12, 2);
    assert_int_equal(kdnet_pe_codeview(directory, sizeof directory, &rva, &size), KDNET_OK);
    assert_int_equal(rva, 0x5678);
    assert_int_equal(size, 37);
    for (size_t length = 0; length < 56; ++length) {
        uint8_t *copy = bytes_copy(directory, length);
        assert_int_equal(kdnet_pe_codeview(copy, length, &rva, &size), KDNET_ERR_FORMAT);
        free(copy);
    }
}

static void codeview_record_without_place_for_a_name_is_refused(void **state)
{
    (void)state;
    uint8_t directory[28] = {[12] = 2, [16] = 24, [20] = 1};
    uint32_t rva = 99, size = 99;
    assert_int_equal(kdnet_pe_codeview(directory, sizeof directory, &rva, &size), KDNET_ERR_FORMAT);
    assert_true(rva == 99 && size == 99);
    directory[16] = 25;
    assert_int_equal(kdnet_pe_codeview(directory, sizeof directory, &rva, &size), KDNET_OK);
    directory[20] = 0;
    assert_int_equal(kdnet_pe_codeview(directory, sizeof directory, &rva, &size), KDNET_ERR_FORMAT);
}

static void endless_debug_directory_is_given_up(void **state)
{
    (void)state;
    const size_t length = (size_t)10000 * 28;
    uint8_t *directory = calloc(1, length);
    uint32_t rva, size;
    assert_non_null(directory);
    directory[length - 28 + 12] = 2;
    directory[length - 28 + 16] = 25;
    directory[length - 28 + 20] = 1;
    assert_int_equal(kdnet_pe_codeview(directory, length, &rva, &size), KDNET_ERR_FORMAT);
    free(directory);
}

/* RSDS record of the kernel 9600.19913, as symbol stores name it: 22597D0B40394E23936F6A24C6C52D5B, age 1. */
static void build_record(uint8_t record[static 24 + 13])
{
    bytes_from_hex("52534453 0b7d5922 3940 234e 936f6a24c6c52d5b 01000000 6e746b726e6c6d702e70646200", record, 37);
}

static void guid_and_age_are_written_as_symbol_stores_do(void **state)
{
    (void)state;
    uint8_t record[37];
    struct kdnet_pdb pdb;
    char text[KDNET_GUIDAGE_SIZE];
    build_record(record);
    assert_int_equal(kdnet_pdb_decode(record, sizeof record, &pdb), KDNET_OK);
    assert_string_equal(pdb.name, "ntkrnlmp.pdb");
    assert_int_equal(pdb.age, 1);
    kdnet_pdb_guidage(&pdb, text);
    assert_string_equal(text, "22597D0B40394E23936F6A24C6C52D5B1");
    pdb.age = 0xabcdef12;
    kdnet_pdb_guidage(&pdb, text);
    assert_string_equal(text, "22597D0B40394E23936F6A24C6C52D5BABCDEF12");
    memset(&pdb, 0, sizeof pdb);
    kdnet_pdb_guidage(&pdb, text);
    assert_string_equal(text, "000000000000000000000000000000000");
}

static void cut_record_is_short_or_has_a_shorter_name(const uint8_t *bytes, size_t length, size_t at, void *context)
{
    (void)at;
    (void)context;
    struct kdnet_pdb pdb = {.age = 99};
    int error = kdnet_pdb_decode(bytes, length, &pdb);
    if (length <= 24) {
        assert_int_equal(error, KDNET_ERR_SHORT);
        assert_int_equal(pdb.age, 99);
        return;
    }
    assert_int_equal(error, KDNET_OK);
    assert_int_equal(strlen(pdb.name), length - 24);
}

static void each_truncation_of_a_record_is_short_or_has_a_shorter_name(void **state)
{
    (void)state;
    uint8_t record[37];
    build_record(record);
    bytes_each_truncation(record, 36, cut_record_is_short_or_has_a_shorter_name, NULL);
}

static void hostile_records_are_refused(void **state)
{
    (void)state;
    static const uint8_t bad[] = {0, '\n', 0x1b, 0x7f, 0x80, 0xff};
    uint8_t record[37];
    struct kdnet_pdb pdb = {.age = 99};
    for (size_t i = 0; i < sizeof bad; ++i) {
        build_record(record);
        record[24] = bad[i];
        assert_int_equal(kdnet_pdb_decode(record, sizeof record, &pdb), KDNET_ERR_FORMAT);
    }
    build_record(record);
    record[3] = '0'; /* RSD0 */
    assert_int_equal(kdnet_pdb_decode(record, sizeof record, &pdb), KDNET_ERR_FORMAT);
    assert_int_equal(pdb.age, 99);
}

static void long_pdb_name_is_cut(void **state)
{
    (void)state;
    uint8_t record[24 + 200];
    struct kdnet_pdb pdb;
    build_record(record);
    memset(record + 24, 'x', 200);
    assert_int_equal(kdnet_pdb_decode(record, sizeof record, &pdb), KDNET_OK);
    assert_int_equal(strlen(pdb.name), KDNET_PDB_NAME_SIZE - 1);
}

/* The headers that WinDbg read in frames 28 to 44, then the directory and the record that they lead to. */
static void real_headers_of_winload_lead_to_its_pdb(void **state)
{
    (void)state;
    const struct vectors *vectors = vectors_or_skip();
    uint8_t header[KDNET_PE_HEADER_SIZE] = {0}, directory[28 * 4], record[KDNET_CODEVIEW_SIZE];
    uint32_t rva = 0, size = 0;
    struct kdnet_pdb pdb;
    char text[KDNET_GUIDAGE_SIZE];
    assert_in_range(vectors_memory(vectors, LAST_FRAME, WINLOAD_BASE, header, sizeof header), 64 + 128, sizeof header);
    assert_int_equal(kdnet_get_le32(header + 0x3c), 0xe8);
    assert_int_equal(kdnet_pe_debug_directory(header, sizeof header, &rva, &size), KDNET_OK);
    assert_in_range(size, 28, sizeof directory);
    assert_int_equal(vectors_memory(vectors, LAST_FRAME, WINLOAD_BASE + rva, directory, size), size);
    assert_int_equal(kdnet_pe_codeview(directory, size, &rva, &size), KDNET_OK);
    assert_int_equal(WINLOAD_BASE + rva, 0xa97c48);
    assert_in_range(size, 25, sizeof record);
    assert_int_equal(vectors_memory(vectors, LAST_FRAME, WINLOAD_BASE + rva, record, size), size);
    assert_int_equal(kdnet_pdb_decode(record, size, &pdb), KDNET_OK);
    assert_string_equal(pdb.name, "winload_prod.pdb");
    kdnet_pdb_guidage(&pdb, text);
    assert_string_equal(text, "81C7BC3D14CA4ADFABFAA8830FE750392");
}

static void real_headers_can_be_cut_and_damaged(void **state)
{
    (void)state;
    const struct vectors *vectors = vectors_or_skip();
    uint8_t header[KDNET_PE_HEADER_SIZE] = {0};
    uint32_t rva, size;
    struct test_random random;
    test_random_init(&random);
    assert_true(vectors_memory(vectors, LAST_FRAME, WINLOAD_BASE, header, sizeof header) > 0);
    bytes_each_truncation(header, 0xe8 + 24 + 112 + 56, cut_headers_are_refused, NULL);
    for (size_t i = 0; i < 20000; ++i) {
        size_t length = test_random_below(&random, sizeof header) + 1;
        uint8_t *copy = bytes_copy(header, length);
        for (size_t j = test_random_below(&random, 8); j > 0; --j)
            copy[test_random_below(&random, length)] = (uint8_t)test_random_next(&random);
        int error = kdnet_pe_debug_directory(copy, length, &rva, &size);
        assert_true(error == KDNET_OK || error == KDNET_ERR_FORMAT);
        free(copy);
    }
}

/* --- debugger data block, bug check data --- */

static void build_kdbg(uint8_t block[static KDNET_DEBUGGER_DATA_SIZE])
{
    memset(block, 0xee, KDNET_DEBUGGER_DATA_SIZE);
    kdnet_put_le32(block + 0x10, 0x4742444b); /* KDBG */
    kdnet_put_le32(block + 0x14, 0x368);
    kdnet_put_le64(block + 0x18, 0xfffff80000000018U);
    kdnet_put_le64(block + 0x20, 0xfffff80000000020U);
    kdnet_put_le64(block + 0x48, 0xfffff80000000048U);
    kdnet_put_le64(block + 0x88, 0xfffff80000000088U);
    kdnet_put_le64(block + 0x208, 0xfffff80000000208U);
}

static void debugger_data_block_is_read_at_its_documented_offsets(void **state)
{
    (void)state;
    uint8_t block[KDNET_DEBUGGER_DATA_SIZE];
    struct kdnet_debugger_data data;
    build_kdbg(block);
    assert_int_equal(kdnet_debugger_data_decode(block, sizeof block, &data), KDNET_OK);
    assert_true(data.kernel_base == 0xfffff80000000018U);
    assert_true(data.breakpoint_with_status == 0xfffff80000000020U);
    assert_true(data.loaded_module_list == 0xfffff80000000048U);
    assert_true(data.bugcheck_data == 0xfffff80000000088U);
    assert_true(data.build_lab == 0xfffff80000000208U);
}

static void cut_block_is_short(const uint8_t *bytes, size_t length, size_t at, void *context)
{
    (void)at;
    (void)context;
    struct kdnet_debugger_data data = {.build_lab = 99};
    assert_int_equal(kdnet_debugger_data_decode(bytes, length, &data), KDNET_ERR_SHORT);
    assert_true(data.build_lab == 99);
}

static void damaged_debugger_data_block_is_refused(void **state)
{
    (void)state;
    uint8_t block[KDNET_DEBUGGER_DATA_SIZE];
    struct kdnet_debugger_data data = {.build_lab = 99};
    build_kdbg(block);
    bytes_each_truncation(block, sizeof block, cut_block_is_short, NULL);
    for (size_t i = 0x10; i < 0x14; ++i) {
        block[i] ^= 0x20;
        assert_int_equal(kdnet_debugger_data_decode(block, sizeof block, &data), KDNET_ERR_FORMAT);
        block[i] ^= 0x20;
    }
    kdnet_put_le32(block + 0x14, KDNET_DEBUGGER_DATA_SIZE - 1);
    assert_int_equal(kdnet_debugger_data_decode(block, sizeof block, &data), KDNET_ERR_FORMAT);
    assert_true(data.build_lab == 99);
    kdnet_put_le32(block + 0x14, KDNET_DEBUGGER_DATA_SIZE);
    assert_int_equal(kdnet_debugger_data_decode(block, sizeof block, &data), KDNET_OK);
}

static void bugcheck_data_has_five_values_of_pointer_size(void **state)
{
    (void)state;
    static const enum kdnet_machine machines[] = {KDNET_MACHINE_X64, KDNET_MACHINE_X86, KDNET_MACHINE_ARM64};
    uint8_t data[40];
    for (size_t i = 0; i < sizeof data; ++i)
        data[i] = (uint8_t)(i + 1);
    for (size_t m = 0; m < 3; ++m) {
        const struct kdnet_machine_layout *layout = kdnet_machine_layout(machines[m]);
        size_t whole = 5 * layout->pointer_size;
        for (size_t length = 0; length <= whole; ++length) {
            struct kdnet_bugcheck bugcheck = {.code = 99};
            uint8_t *copy = bytes_copy(data, length);
            assert_int_equal(kdnet_bugcheck_decode(layout, copy, length, &bugcheck),
                             length < whole ? KDNET_ERR_SHORT : KDNET_OK);
            assert_int_equal(bugcheck.code, length < whole ? 99 : 0x04030201);
            free(copy);
            if (length == whole)
                assert_true(bugcheck.parameters[3] == (whole == 20 ? 0x14131211U : 0x2827262524232221U));
        }
    }
}

/* --- bug check text --- */

static bool from_text(const char *text, size_t length, struct kdnet_bugcheck *out)
{
    char *copy = (char *)bytes_copy(text, length);
    bool found = kdnet_bugcheck_from_text(copy, length, out);
    free(copy);
    return found;
}

static const char x64_text[] = "\n*** Fatal System Error: 0x000000d1\n                       "
                               "(0xFFFFF80012345678,0x0000000000000002,0x0000000000000000,0xfffff801abcdef01)\n\n";
static const char x86_text[] = "\n*** Fatal System Error: 0x0000000a\n                       "
                               "(0x00000016,0x0000001C,0x00000000,0x8082DDF0)\n\n";

static void bugcheck_of_x64_is_read_from_its_text(void **state)
{
    (void)state;
    struct kdnet_bugcheck bugcheck;
    assert_true(from_text(x64_text, sizeof x64_text - 1, &bugcheck));
    assert_int_equal(bugcheck.code, 0xd1);
    assert_true(bugcheck.parameters[0] == 0xfffff80012345678U);
    assert_true(bugcheck.parameters[1] == 2);
    assert_true(bugcheck.parameters[2] == 0);
    assert_true(bugcheck.parameters[3] == 0xfffff801abcdef01U);
}

static void bugcheck_of_x86_is_read_from_its_text(void **state)
{
    (void)state;
    struct kdnet_bugcheck bugcheck;
    assert_true(from_text(x86_text, sizeof x86_text - 1, &bugcheck));
    assert_int_equal(bugcheck.code, 0x0a);
    assert_true(bugcheck.parameters[0] == 0x16);
    assert_true(bugcheck.parameters[1] == 0x1c);
    assert_true(bugcheck.parameters[3] == 0x8082ddf0U);
}

static void bugcheck_is_found_amid_other_text_and_behind_a_nul(void **state)
{
    (void)state;
    char text[512] = "KDTARGET: Refreshing KD connection\n\0";
    struct kdnet_bugcheck bugcheck = {0};
    size_t at = strlen(text) + 1;
    memcpy(text + at, x86_text, sizeof x86_text);
    text[at + sizeof x86_text] = 'x';
    assert_true(from_text(text, at + sizeof x86_text + 1, &bugcheck));
    assert_int_equal(bugcheck.code, 0x0a);
}

static void text_that_is_not_there_whole_is_no_bugcheck(void **state)
{
    (void)state;
    size_t whole = (size_t)(strchr(x64_text, ')') - x64_text) + 1;
    for (size_t length = 0; length <= whole; ++length) {
        struct kdnet_bugcheck bugcheck = {.code = 99};
        assert_int_equal(from_text(x64_text, length, &bugcheck), length == whole);
        assert_int_equal(bugcheck.code, length == whole ? 0xd1 : 99);
    }
}

static void hostile_text_is_no_bugcheck(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        "*** Fatal System Error: ",
        "*** Fatal System Error: 0x",
        "*** Fatal System Error: d1 (0x1,0x2,0x3,0x4)",
        "*** Fatal System Error: 0xg (0x1,0x2,0x3,0x4)",
        "*** Fatal System Error: 0x1 (1,2,3,4)",
        "*** Fatal System Error: 0x1 (0x1,0x2,0x3)",
        "*** Fatal System Error: 0x1 (0x1,0x2,0x3,)",
        "*** Fatal System Error: 0x1 (0x1,0x2,0x3,0x4",
        "*** Fatal System Error: 0x1 (0x1,0x2,0x3,0x12345678901234567)",
        "*** Fatal System Error: 0x123456789 (0x1,0x2,0x3,0x4)",
        "*** Fatal System Error: 0x1 (0x1,0x2,0x12345678901234567,0x4)",
        "*** Fatal System Error: 0x1 (0x1,0x2;0x3,0x4)",
        "*** Fatal Syst\tem Error: 0x1 (0x1,0x2,0x3,0x4)",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; ++i) {
        struct kdnet_bugcheck bugcheck = {.code = 99};
        assert_false(from_text(texts[i], strlen(texts[i]), &bugcheck));
        assert_int_equal(bugcheck.code, 99);
    }
    char nul[sizeof x64_text];
    struct kdnet_bugcheck bugcheck;
    for (const char *p = strstr(x64_text, "0x"); *p != ')'; ++p) {
        memcpy(nul, x64_text, sizeof nul);
        nul[p - x64_text] = '\0';
        assert_false(from_text(nul, sizeof nul - 1, &bugcheck));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(debug_directory_is_found_in_pe32_and_pe32_plus),
        cmocka_unit_test(each_truncation_of_pe_headers_is_refused),
        cmocka_unit_test(hostile_pe_headers_are_refused),
        cmocka_unit_test(codeview_entry_is_found_among_others),
        cmocka_unit_test(codeview_record_without_place_for_a_name_is_refused),
        cmocka_unit_test(endless_debug_directory_is_given_up),
        cmocka_unit_test(guid_and_age_are_written_as_symbol_stores_do),
        cmocka_unit_test(each_truncation_of_a_record_is_short_or_has_a_shorter_name),
        cmocka_unit_test(hostile_records_are_refused),
        cmocka_unit_test(long_pdb_name_is_cut),
        cmocka_unit_test(real_headers_of_winload_lead_to_its_pdb),
        cmocka_unit_test(real_headers_can_be_cut_and_damaged),
        cmocka_unit_test(debugger_data_block_is_read_at_its_documented_offsets),
        cmocka_unit_test(damaged_debugger_data_block_is_refused),
        cmocka_unit_test(bugcheck_data_has_five_values_of_pointer_size),
        cmocka_unit_test(bugcheck_of_x64_is_read_from_its_text),
        cmocka_unit_test(bugcheck_of_x86_is_read_from_its_text),
        cmocka_unit_test(bugcheck_is_found_amid_other_text_and_behind_a_nul),
        cmocka_unit_test(text_that_is_not_there_whole_is_no_bugcheck),
        cmocka_unit_test(hostile_text_is_no_bugcheck),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
