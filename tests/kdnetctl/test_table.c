/* SPDX-License-Identifier: Apache-2.0 */
/* Tables at the widths of terminals; text of others on a terminal; times. */
#include "service/kdnetctl/printable.h"
#include "service/kdnetctl/table.h"
#include "service/kdnetctl/times.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

static const struct table_column columns[] = {
    {"NAME", 12, false}, {"STATE", 9, false}, {"COUNT", 5, true}, {"TEXT", 4, false}};

static char *print(const struct table *table, unsigned width, bool colours, size_t rows)
{
    char *text = NULL;
    size_t length = 0;
    const struct screen screen = {.width = width, .colours = colours};
    FILE *out = open_memstream(&text, &length);
    assert_non_null(out);
    table_print(table, &screen, rows, out);
    assert_int_equal(fclose(out), 0);
    return text;
}

static struct table *example(void)
{
    struct table *table = table_new(columns, 4);
    const char *const first[] = {"web-01", "connected", "7", "short"};
    const char *const second[] = {
        "a-machine-with-a-rather-long-name.example.org", "held", "12345",
        "a text that is longer than what an ordinary terminal has room for in one line, by far"};
    const char *const third[] = {"x", NULL, "1", NULL};
    assert_non_null(table);
    assert_true(table_add(table, first));
    assert_true(table_add(table, second));
    assert_true(table_add(table, third));
    return table;
}

static void assert_printed(unsigned width, const char *expected)
{
    struct table *table = example();
    char *text = print(table, width, false, 10);
    assert_string_equal(text, expected);
    free(text);
    table_free(table);
}

static void at_80_columns_the_widest_columns_are_cut(void **state)
{
    (void)state;
    assert_printed(80, "NAME                            STATE      COUNT  TEXT\n"
                       "web-01                          connected      7  short\n"
                       "a-machine-with-a-rather-long-…  held       12345  a text that is longer than wh…\n"
                       "x                               -              1  -\n");
}

static void at_160_columns_nothing_is_cut_that_fits(void **state)
{
    (void)state;
    assert_printed(
        160, "NAME                                           STATE      COUNT  TEXT\n"
             "web-01                                         connected      7  short\n"
             "a-machine-with-a-rather-long-name.example.org  held       12345  a text that is longer than what an "
             "ordinary terminal has room for in one line, by far\n"
             "x                                              -              1  -\n");
}

static void without_a_terminal_it_is_as_wide_as_needed(void **state)
{
    struct table *table = example();
    char *text = print(table, 0, false, 10), *wide = print(table, 160, false, 10);
    (void)state;
    assert_string_equal(text, wide);
    free(text);
    free(wide);
    table_free(table);
}

static void times_lose_year_and_seconds_before_others_are_cut(void **state)
{
    static const struct table_column timed[] = {{"TIME", 12, false}, {"TARGET", 8, false}, {"CRASH", 16, false}};
    const char *const first[] = {"2026-11-26 20:58:39+01:00", "web-17", "15519032be73d58a"};
    const char *const second[] = {"2026-11-26 20:58:39Z", "2026-11-26 20:58", "6ae1abbada9a679d"};
    struct table *table = table_new(timed, 3);
    (void)state;
    assert_true(table_add(table, first) && table_add(table, second));
    static const struct {
        unsigned width;
        const char *text;
    } cases[] = {{61, "TIME                       TARGET            CRASH\n"
                      "2026-11-26 20:58:39+01:00  web-17            15519032be73d58a\n"
                      "2026-11-26 20:58:39Z       2026-11-26 20:58  6ae1abbada9a679d\n"},
                 {60, "TIME               TARGET            CRASH\n"
                      "11-26 20:58+01:00  web-17            15519032be73d58a\n"
                      "11-26 20:58Z       2026-11-26 20:58  6ae1abbada9a679d\n"},
                 {42, "TIME          TARGET      CRASH\n"
                      "11-26 20:58…  web-17      15519032be73d58a\n"
                      "11-26 20:58Z  2026-11-2…  6ae1abbada9a679d\n"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; ++i) {
        char *text = print(table, cases[i].width, false, 10);
        assert_string_equal(text, cases[i].text);
        free(text);
    }
    table_free(table);
}

/* Bytes that begin a character. */
static size_t longest_line(const char *text)
{
    size_t longest = 0, length = 0;
    for (; *text; ++text) {
        length = *text == '\n' ? 0 : length + (((unsigned char)*text & 0xc0U) != 0x80);
        longest = length > longest ? length : longest;
    }
    return longest;
}

static void no_terminal_is_too_narrow(void **state)
{
    struct table *table = example();
    (void)state;
    for (unsigned width = 1; width < 200; ++width) {
        char *text = print(table, width, false, 10);
        assert_true(longest_line(text) <= width);
        free(text);
    }
    table_free(table);
}

static void rows_beyond_those_wanted_are_left_out(void **state)
{
    struct table *table = example();
    char *text = print(table, 80, false, 1);
    (void)state;
    assert_null(strstr(text, "held"));
    assert_int_equal(table_rows(table), 3);
    free(text);
    table_free(table);
}

static void colours_take_no_room(void **state)
{
    struct table *table = example();
    (void)state;
    table_colour(table, 0, COLOUR_BAD);
    char *text = print(table, 0, true, 10), *plain = print(table, 0, false, 10);
    assert_non_null(strstr(text, "\033[31mx\033[0m"));
    assert_null(strchr(plain, '\033'));
    free(text);
    free(plain);
    table_free(table);
}

static void assert_cut(const char *text, unsigned width, const char *expected, unsigned columns_used)
{
    char *out = NULL;
    size_t length = 0;
    FILE *stream = open_memstream(&out, &length);
    char *copy = printable_copy(text, strlen(text), NULL);
    assert_int_equal(printable_print_cut(stream, copy, width), columns_used);
    assert_int_equal(fclose(stream), 0);
    assert_string_equal(out, expected);
    free(out);
    free(copy);
}

static void wide_characters_and_marks_are_measured(void **state)
{
    (void)state;
    assert_cut("\xe6\xa9\x9f\xe6\xa9\x9f", 4, "\xe6\xa9\x9f\xe6\xa9\x9f", 4);
    assert_cut("\xe6\xa9\x9f\xe6\xa9\x9f", 3, "\xe6\xa9\x9f\xe2\x80\xa6", 3);
    assert_cut("\xe6\xa9\x9f\xe6\xa9\x9f", 2, "\xe2\x80\xa6", 1);
    assert_cut("e\xcc\x81"
               "e\xcc\x81",
               2,
               "e\xcc\x81"
               "e\xcc\x81",
               2);
    assert_cut("abc", 3, "abc", 3);
    assert_cut("abcd", 3, "ab\xe2\x80\xa6", 3);
    assert_cut("abcd", 0, "", 0);
    assert_cut("", 5, "", 0);
}

static void assert_copy(const char *text, size_t length, const char *expected, unsigned expected_width)
{
    unsigned width = 0;
    char *copy = printable_copy(text, length, &width);
    assert_string_equal(copy, expected);
    assert_int_equal(width, expected_width);
    free(copy);
}

static void what_could_harm_a_terminal_is_written_out(void **state)
{
    (void)state;
    assert_copy("a\033[2J", 5, "a\\x1b[2J", 8);
    assert_copy("\xe2\x80\xae"
                "b",
                4, "\\u{202e}b", 9);
    assert_copy("\xc2\x9b", 2, "\\x9b", 4);
    assert_copy("\n\r\t\177\0", 5, "\\n\\r\\t\\x7f\\x00", 14);
    assert_copy("\xff\xc0\xaf", 3, "\\xff\\xc0\\xaf", 12);
    assert_copy("C:\\x", 4, "C:\\x", 4);
}

static void times_are_local_with_their_zone_or_utc(void **state)
{
    char text[TIMES_SIZE];
    int64_t us = 0;
    (void)state;
    assert_int_equal(setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3", 1), 0);
    tzset();
    assert_string_equal(times_local("2026-11-26T08:14:03.123456Z", false, text), "2026-11-26 09:14:03+01:00");
    assert_string_equal(times_local("2026-07-26T08:14:03Z", false, text), "2026-07-26 10:14:03+02:00");
    assert_string_equal(times_local("2026-11-26T08:14:03.5Z", true, text), "2026-11-26 08:14:03Z");
    for (const char *const *bad = (const char *const[]){"", "2026-11-26", "2026-13-26T08:14:03Z", "2026-11-26T08:14:03",
                                                        "2026-11-26T08:14:03Zx", "2026-11-26 08:14:03Z", NULL};
         *bad; ++bad)
        assert_string_equal(times_local(*bad, true, text), "-");
    assert_string_equal(times_local(NULL, true, text), "-");
    assert_true(times_parse("1970-01-01T00:00:01.25Z", &us));
    assert_int_equal(us, 1250000);
}

static void durations(void **state)
{
    char text[TIMES_SIZE];
    int64_t ms = 0;
    (void)state;
    assert_true(times_parse_duration("10m", &ms));
    assert_int_equal(ms, 600000);
    assert_true(times_parse_duration("500ms", &ms));
    assert_int_equal(ms, 500);
    for (const char *const *bad = (const char *const[]){"", "m", "10", "-1s", "1.5s", "9999999999s", "1 s", NULL}; *bad;
         ++bad)
        assert_false(times_parse_duration(*bad, &ms));
    assert_string_equal(times_duration(0.41, text), "0.4 ms");
    assert_string_equal(times_duration(5012.25, text), "5.0 s");
    assert_string_equal(times_duration(3600e3, text), "60 min");
    assert_string_equal(times_duration(90000e3, text), "25 h");
    assert_string_equal(times_duration(864000e3, text), "10 d");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(at_80_columns_the_widest_columns_are_cut),
        cmocka_unit_test(at_160_columns_nothing_is_cut_that_fits),
        cmocka_unit_test(without_a_terminal_it_is_as_wide_as_needed),
        cmocka_unit_test(times_lose_year_and_seconds_before_others_are_cut),
        cmocka_unit_test(no_terminal_is_too_narrow),
        cmocka_unit_test(rows_beyond_those_wanted_are_left_out),
        cmocka_unit_test(colours_take_no_room),
        cmocka_unit_test(wide_characters_and_marks_are_measured),
        cmocka_unit_test(what_could_harm_a_terminal_is_written_out),
        cmocka_unit_test(times_are_local_with_their_zone_or_utc),
        cmocka_unit_test(durations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
