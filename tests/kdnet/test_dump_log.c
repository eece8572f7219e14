/* SPDX-License-Identifier: Apache-2.0 */
/* The dump log: only that of this very crash, with its last line, is proof; and the search never costs more than it
 * may.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "kdnet/base/wire.h"
#include "kdnet/crash/dump_log.h"
#include "tests/support/random.h"

#define BASE      0xfffff80092340000U
#define SIZE      0x10000U
#define BLOCK     (BASE + 0x1000) /* dump block */
#define DRIVER    (BASE + 0x4000)
#define LOG       (BASE + 0x8010)
#define HEADER_AT 0x80U

#define INIT "DLOGFILE \r\nDump stack initialized at UTC: 2024/05/06 07:08:09\r\n"
#define NAMES                                                                                                          \
    "#BugCheckCode 0x00000000000000D1\r\n#BugCheckP1 0xFFFFF80012345678\r\n"                                           \
    "#BugCheckP2 0x0000000000000002\r\n#BugCheckP3 0x0000000000000000\r\n#BugCheckP4 0xFFFFF88000001234\r\n"
#define OTHER "#BugCheckCode 0x000000000000001E\r\n"
#define PROGRESS                                                                                                       \
    "Progress 0x00000022\r\nElapsed BugCheck duration 00001234ms\r\nDump Type: 5, Total Dump Size: 123456789\r\n"      \
    "Dumping physical memory to disk:  37%\r\nTotal pages:1000 Pages written:370\r\n"
#define FINAL "Dump ended at UTC: 2024/05/06 07:09:09\r\nDump completed successfully.\r\n"

static const struct kdnet_bugcheck crash = {0xd1, {0xfffff80012345678U, 2, 0, 0xfffff88000001234U}};
static uint8_t memory[SIZE];
static struct kdnet_dump_log_search search;

static void put_pointer(uint64_t at, uint64_t to)
{
    kdnet_put_le64(memory + (at - BASE), to);
}

static void put_text(uint64_t at, const char *text, bool wide)
{
    for (size_t i = 0; text[i] != '\0'; ++i)
        memory[at - BASE + i * (wide ? 2 : 1)] = (uint8_t)text[i];
}

/* The dump driver: a header, and one writable section of two pages' reads from 0x1000 on. */
static void put_driver(void)
{
    uint8_t *bytes = memory + (DRIVER - BASE), *nt = bytes + HEADER_AT, *section = nt + 24 + 240;
    memcpy(bytes, "MZ", 2);
    kdnet_put_le32(bytes + 0x3c, HEADER_AT);
    memcpy(nt, "PE", 2);
    kdnet_put_le16(nt + 6, 1);
    kdnet_put_le16(nt + 20, 240);
    kdnet_put_le32(section + 8, 0x800);
    kdnet_put_le32(section + 12, 0x1000);
    kdnet_put_le32(section + 36, 0xc0000040);
}

static void run(const struct kdnet_dump_log_start *start)
{
    uint64_t address;
    uint32_t length;
    unsigned asked = 0;
    kdnet_dump_log_begin(&search, start);
    while (kdnet_dump_log_next(&search, &address, &length)) {
        assert_in_range(++asked, 1, KDNET_DUMP_LOG_READS);
        assert_in_range(length, 1, KDNET_DUMP_LOG_READ);
        assert_true(address >> 47 == 0x1ffff); /* the kernel's */
        bool there = address - BASE < SIZE && length <= SIZE - (address - BASE);
        kdnet_dump_log_take(&search, there ? memory + (address - BASE) : NULL, there ? length : 0);
    }
    assert_false(kdnet_dump_log_next(&search, &address, &length));
}

static struct kdnet_dump_log_start start_with(uint64_t block, uint64_t driver)
{
    return (struct kdnet_dump_log_start){
        .machine = KDNET_MACHINE_X64, .bugcheck = crash, .block = block, .driver = driver};
}

/* A log that the dump block points to. */
static void run_text(const char *text, bool wide)
{
    struct kdnet_dump_log_start start = start_with(BLOCK, 0);
    memset(memory, 0, sizeof memory);
    put_pointer(BLOCK + 0x48, LOG);
    put_text(LOG, text, wide);
    run(&start);
}

static bool is_written(void)
{
    return search.found && kdnet_dump_log_text_completed(&search.text);
}

static void completed_log_of_this_crash_is_proof(void **state)
{
    (void)state;
    for (int wide = 0; wide < 2; ++wide) {
        run_text(INIT NAMES PROGRESS FINAL, wide);
        assert_true(is_written());
        const struct kdnet_dump_log_facts *facts = &search.text.facts;
        assert_string_equal(facts->last_line, "Dump completed successfully.");
        assert_int_equal(facts->percent, 37);
        assert_int_equal(facts->pages, 1000);
        assert_int_equal(facts->pages_written, 370);
        assert_int_equal(facts->type, 5);
        assert_int_equal(facts->size, 123456789);
    }
}

static void what_is_not_completed_is_evidence(void **state)
{
    (void)state;
    run_text(INIT NAMES PROGRESS, false);
    assert_true(search.found);
    assert_false(is_written());
    assert_string_equal(search.text.facts.last_line, "Total pages:1000 Pages written:370");
}

/* Logs that look like proof and are none. */
static void foreign_and_hostile_logs_prove_nothing(void **state)
{
    static const char *const texts[] = {
        "",
        "DLOGFILE",
        INIT FINAL,
        NAMES FINAL,
        INIT OTHER FINAL,
        INIT NAMES OTHER FINAL,
        INIT OTHER NAMES FINAL,
        INIT NAMES FINAL INIT,
        INIT NAMES FINAL "more\r\n",
        INIT NAMES FINAL "x",
        INIT NAMES "Dump completed successfully",
        INIT NAMES "Dump completed successfully.!\r\n",
        INIT NAMES "not: Dump completed successfully.\r\n",
        INIT NAMES "Dump completed success\xff"
                   "fully.\r\n",
        INIT NAMES "Dump completed successfully.\xff",
        INIT "#BugCheckCode 0x00000000000000D1\r\n#BugCheckP1 0xFFFFF80012345678\r\n" FINAL,
        INIT "#BugCheckCode 0x000000000000000000D1\r\n" NAMES FINAL,
        INIT "#BugCheckCode D1\r\n" NAMES FINAL,
        INIT NAMES "Dump stack initialized at UTC: 2024/05/06 08:08:09\r\n" FINAL,
        "DLOGFIL\r\n" NAMES FINAL,
    };
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; ++i)
        for (int wide = 0; wide < 2; ++wide) {
            run_text(texts[i], wide);
            if (is_written())
                fail_msg("believed: %s", texts[i]);
        }
}

/* A signature alone, or another crash's log, may stand before the log in the same read; in another encoding, too. */
static void log_is_found_behind_decoys(void **state)
{
    static const char *const decoys[] = {"DLOGFILE", INIT OTHER FINAL, "DLOGFILE\r\n\x01 DLOGFILE\x02", "DDLOGFIL"};
    (void)state;
    for (size_t i = 0; i < sizeof decoys / sizeof decoys[0]; ++i)
        for (unsigned how = 0; how < 4; ++how) {
            struct kdnet_dump_log_start start = start_with(BLOCK, 0);
            memset(memory, 0, sizeof memory);
            put_pointer(BLOCK + 0x48, LOG);
            put_text(LOG, decoys[i], how % 2 == 1);
            put_text(LOG + 0x1f3, INIT NAMES FINAL, how / 2 == 1);
            run(&start);
            assert_true(is_written());
            start.path = search.path;
            start.path.known = true;
            run(&start); /* the next machine goes there at once */
            assert_true(is_written());
            assert_in_range(search.asked, 1, 3);
        }
}

/* What stands before the log's own beginning is another dump's. */
static void facts_are_those_of_the_last_dump(void **state)
{
    (void)state;
    run_text("DLOGFILE\r\n" PROGRESS "Dump stack initialized at UTC: 2024/05/06 08:08:09\r\n" NAMES, false);
    assert_true(search.found);
    const struct kdnet_dump_log_facts *facts = &search.text.facts;
    assert_false(facts->percent_known || facts->pages_known || facts->size_known);
}

/* The header of this crash's dump on the way is noticed, and proves nothing; another crash's is not. */
static void header_of_the_dump_is_noticed(void **state)
{
    (void)state;
    for (unsigned narrow = 0; narrow < 2; ++narrow)
        for (unsigned wrong = 0; wrong <= 6; ++wrong) {
            struct kdnet_dump_log_start start = start_with(BLOCK, 0);
            uint8_t *header = memory + (LOG - BASE);
            memset(memory, 0, sizeof memory);
            start.machine = narrow ? KDNET_MACHINE_X86 : KDNET_MACHINE_X64;
            start.block = BLOCK;
            kdnet_put_le64(memory + (BLOCK - BASE) + 0x48, LOG);
            memcpy(header, wrong == 6 ? "PAGEDUXX" : narrow ? "PAGEDUMP" : "PAGEDU64", 8);
            kdnet_put_le32(header + (narrow ? 0x28 : 0x38), crash.code + (wrong == 5));
            for (unsigned i = 0; i < 4; ++i) {
                uint64_t value = crash.parameters[i] + (wrong == i + 1);
                if (narrow)
                    kdnet_put_le32(header + 0x2c + (size_t)4 * i, (uint32_t)value);
                else
                    kdnet_put_le64(header + 0x40 + (size_t)8 * i, value);
            }
            uint64_t address;
            uint32_t length;
            kdnet_dump_log_begin(&search, &start);
            while (kdnet_dump_log_next(&search, &address, &length)) {
                uint64_t at = (narrow ? (address & UINT32_MAX) - (BASE & UINT32_MAX) : address - BASE);
                kdnet_dump_log_take(&search, at < SIZE ? memory + at : NULL, at < SIZE ? length : 0);
            }
            assert_int_equal(search.header, wrong == 0);
            assert_false(is_written());
        }
}

/* Addresses that wrap around, and sections behind any image, are not read; nor from a remembered path. */
static void addresses_stay_in_the_kernels_half(void **state)
{
    static const enum kdnet_machine kinds[] = {KDNET_MACHINE_X64, KDNET_MACHINE_X86};
    uint64_t address;
    uint32_t length;
    (void)state;
    for (size_t i = 0; i < 2; ++i)
        for (unsigned levels = 0; levels <= KDNET_DUMP_LOG_LEVELS; ++levels) {
            struct kdnet_dump_log_start start = start_with(0xffffffffffffff00U, 0xfffffffffffff000U);
            uint8_t data[KDNET_DUMP_LOG_READ];
            start.machine = kinds[i];
            start.path = (struct kdnet_dump_log_path){
                .known = true, .levels = (uint8_t)levels, .offset = {0x20, 0xfffffff0U, 0xfffffff0U}};
            memset(data, 0xff, sizeof data);
            kdnet_dump_log_begin(&search, &start);
            while (kdnet_dump_log_next(&search, &address, &length)) {
                assert_false(kdnet_machine_is_user_address(kinds[i], address));
                kdnet_dump_log_take(&search, data, length);
            }
        }
    struct kdnet_dump_log_start start = start_with(0, DRIVER);
    memset(memory, 0, sizeof memory);
    put_driver();
    kdnet_put_le32(memory + (DRIVER - BASE) + HEADER_AT + 24 + 240 + 12, 0xf0000000U); /* the section's place */
    run(&start);
    assert_int_equal(search.asked, 1);
}

static void another_value_in_any_name_is_another_crash(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 5; ++i) {
        struct kdnet_dump_log_start start = start_with(BLOCK, 0);
        run_text(INIT NAMES FINAL, false);
        if (i == 4)
            ++start.bugcheck.code;
        else
            ++start.bugcheck.parameters[i];
        run(&start);
        assert_false(search.found);
    }
}

/* Zeros everywhere are what a log that was only prepared has, too. */
static void zeros_name_no_crash(void **state)
{
    struct kdnet_dump_log_start start = start_with(BLOCK, 0);
    (void)state;
    run_text(INIT
             "#BugCheckCode 0x0000000000000000\r\n#BugCheckP1 0x0000000000000000\r\n#BugCheckP2 0x0000000000000000\r\n"
             "#BugCheckP3 0x0000000000000000\r\n#BugCheckP4 0x0000000000000000\r\n" FINAL,
             false);
    memset(&start.bugcheck, 0, sizeof start.bugcheck);
    run(&start);
    assert_false(search.found);
}

/* A log that ends with its memory, or that is cut anywhere, has no last line. */
static void cut_log_proves_nothing(void **state)
{
    char text[sizeof INIT NAMES FINAL];
    (void)state;
    memcpy(text, INIT NAMES FINAL, sizeof text);
    for (size_t length = sizeof text - 4; length > 0; --length) {
        text[length] = '\0';
        run_text(text, false);
        assert_false(is_written());
    }
    struct kdnet_dump_log_start start = start_with(BLOCK, 0);
    memset(memory, 0, sizeof memory);
    uint64_t at = BASE + SIZE - (sizeof INIT NAMES FINAL - 1);
    put_pointer(BLOCK, at);
    put_text(at, INIT NAMES FINAL, false);
    run(&start);
    assert_true(search.found);
    assert_false(is_written()); /* nobody saw its end */
}

static void endless_log_is_read_within_bounds(void **state)
{
    struct kdnet_dump_log_start start = start_with(BLOCK, 0);
    (void)state;
    memset(memory, 0, sizeof memory);
    put_pointer(BLOCK, LOG);
    memset(memory + (LOG - BASE), 'x', SIZE - (LOG - BASE));
    put_text(LOG, INIT NAMES FINAL, false);
    run(&start);
    assert_true(search.found);
    assert_false(is_written());
    assert_in_range(search.asked, 1, KDNET_DUMP_LOG_READS);
}

/* In the driver's data, behind one pointer, behind two; a third is not followed. */
static void log_is_found_behind_two_pointers(void **state)
{
    (void)state;
    for (unsigned pointers = 0; pointers <= 3; ++pointers) {
        struct kdnet_dump_log_start start = start_with(0, DRIVER);
        memset(memory, 0, sizeof memory);
        put_driver();
        uint64_t at = DRIVER + 0x1000 + 0x430;
        for (unsigned i = 0; i < pointers; ++i) {
            put_pointer(at, BASE + 0x6000 + 0x800 * i);
            at = BASE + 0x6000 + 0x800 * i + 0x118;
        }
        put_text(at, INIT NAMES FINAL, false);
        run(&start);
        assert_int_equal(is_written(), pointers <= 2);
        if (!search.found)
            continue;
        unsigned asked = search.asked;
        start.path = search.path;
        start.path.known = true;
        run(&start); /* the next machine */
        assert_true(is_written());
        assert_in_range(search.asked, 1, pointers + 1);
        assert_true(search.asked < asked);
        memset(memory + (at - BASE), 'y', 8); /* it is not there any more, but at another place */
        put_text(LOG, INIT NAMES FINAL, false);
        put_pointer(DRIVER + 0x1000 + 0x10, LOG);
        run(&start);
        assert_true(is_written());
    }
}

static void places_are_remembered_by_image(void **state)
{
    static struct kdnet_dump_log_paths paths;
    struct kdnet_pdb one = {.guid = {1}, .age = 1}, other = {.guid = {2}, .age = 1};
    struct kdnet_dump_log_path path = {.levels = 1, .offset = {8, 16}};
    (void)state;
    assert_null(kdnet_dump_log_recall(&paths, &one));
    kdnet_dump_log_remember(&paths, &one, &path);
    assert_non_null(kdnet_dump_log_recall(&paths, &one));
    assert_null(kdnet_dump_log_recall(&paths, &other));
    for (unsigned i = 0; i < 3 * KDNET_DUMP_LOG_PATHS; ++i) {
        other.guid[1] = (uint8_t)i;
        kdnet_dump_log_remember(&paths, &other, &path);
        assert_int_equal(kdnet_dump_log_recall(&paths, &other)->offset[1], 16);
    }
}

static void hostile_memory_costs_no_more_than_the_budget(void **state)
{
    struct test_random random;
    (void)state;
    test_random_init(&random);
    for (unsigned i = 0; i < 2000; ++i) {
        struct kdnet_dump_log_start start = start_with(BLOCK, DRIVER);
        for (size_t n = 0; n + 8 <= SIZE; n += 8)
            kdnet_put_le64(memory + n,
                           i % 4 == 0 ? test_random_next(&random) : BASE + test_random_below(&random, SIZE));
        if (i % 2 == 0)
            put_driver();
        for (unsigned n = 0; n < 20; ++n)
            put_text(BASE + test_random_below(&random, SIZE - 1024), i % 3 == 0 ? INIT FINAL : "DLOGFILE", n % 2 == 0);
        start.path = (struct kdnet_dump_log_path){.known = true,
                                                  .in_driver = i % 5 == 0,
                                                  .levels = (uint8_t)(i % 3),
                                                  .offset = {(uint32_t)test_random_below(&random, 64), UINT32_MAX, 3}};
        run(&start);
        assert_false(is_written());
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(completed_log_of_this_crash_is_proof),
        cmocka_unit_test(what_is_not_completed_is_evidence),
        cmocka_unit_test(foreign_and_hostile_logs_prove_nothing),
        cmocka_unit_test(log_is_found_behind_decoys),
        cmocka_unit_test(facts_are_those_of_the_last_dump),
        cmocka_unit_test(header_of_the_dump_is_noticed),
        cmocka_unit_test(addresses_stay_in_the_kernels_half),
        cmocka_unit_test(another_value_in_any_name_is_another_crash),
        cmocka_unit_test(zeros_name_no_crash),
        cmocka_unit_test(cut_log_proves_nothing),
        cmocka_unit_test(endless_log_is_read_within_bounds),
        cmocka_unit_test(log_is_found_behind_two_pointers),
        cmocka_unit_test(places_are_remembered_by_image),
        cmocka_unit_test(hostile_memory_costs_no_more_than_the_budget),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
