/* SPDX-License-Identifier: Apache-2.0 */
/* Texts that are cut to a size, and texts that are no UTF-8. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "config/characters.h"
#include "config/config.h"

#include <cmocka.h>

/* A character of each length. */
#define ALL "a\xc3\xa4\xe2\x82\xac\xf0\x9f\x92\xa5"

static void a_cut_lies_between_two_characters(void **state)
{
    static const size_t fits[] = {0, 1, 1, 3, 3, 3, 6, 6, 6, 6, 10, 10};
    (void)state;
    for (size_t room = 0; room < sizeof fits / sizeof fits[0]; ++room) {
        char text[32];
        assert_int_equal(characters_fit(ALL, strlen(ALL), room), fits[room]);
        (void)snprintf(text, sizeof text, "%.*s", CHARACTERS(ALL, room));
        assert_int_equal(strlen(text), fits[room]);
        (void)snprintf(text, sizeof text, "%.*s", (int)room, ALL);
        characters_mend(text);
        assert_int_equal(strlen(text), fits[room]);
        assert_memory_equal(text, ALL, fits[room]);
    }
}

static void what_is_no_utf_8_is_cut_anywhere(void **state)
{
    (void)state;
    assert_int_equal(characters_fit("\x80\x80\x80\x80\x80\x80", 6, 5), 5);
    assert_int_equal(characters_fit("\xe4\xf6\xfc", 3, 2), 2);
    assert_int_equal(characters_fit("\x80\x80", 2, 0), 0);
}

static void what_is_no_utf_8_is_mended(void **state)
{
    static const char *const pairs[][2] = {
        {"", ""},
        {ALL, ALL},
        {"B\xfcro", "B?ro"},                        /* Latin-1 */
        {"B\xfc", "B?"},                            /* begins no character */
        {"\xc0\xaf", "??"},                         /* overlong */
        {"\xed\xa0\x80.", "???."},                  /* a surrogate */
        {"\xf4\x90\x80\x80", "????"},               /* behind the last */
        {"\xe2\x82x", "??x"},                       /* ends early */
        {"x\xe2\x82", "x"},                         /* cut */
        {"\xf0\x9f\x92", ""},                       /* cut, and nothing before it */
        {"\x80\xe2\x82\xac\xbf", "?\xe2\x82\xac?"}, /* begins and ends in nothing */
        {"a\xc2\x85\x7f\n", "a\xc2\x85\x7f\n"},     /* control characters are others' affair */
    };
    (void)state;
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; ++i) {
        char text[32];
        (void)snprintf(text, sizeof text, "%s", pairs[i][0]);
        characters_mend(text);
        assert_string_equal(text, pairs[i][1]);
    }
}

static bool is_utf8(const char *text)
{
    size_t left = strlen(text);
    for (size_t count; left > 0; text += count, left -= count)
        if ((count = characters_take(text, left)) == 0)
            return false;
    return true;
}

/* Each mistake is valid text, whatever the value is and wherever it is cut: the API and kdnetctl write it as JSON. */
static void mistakes_are_utf_8(void **state)
{
    static const char *const forms[][2] = {{"no", ": 1"},
                                           {"workers: x", ""},
                                           {"listen: \"x", "\""},
                                           {"read_deadline: x", ""},
                                           {"http: \"x", "\""},
                                           {"log_level: x", ""},
                                           {"retain: {size: x", "}"},
                                           {"reads: [{name: x", "}]"},
                                           {"include: /nowhere/x", ""},
                                           {"targets: [{name: x", ", key: 1.2.3.4}]"}};
    char value[512] = "", text[1024];
    (void)state;
    for (size_t i = 0; i < 4 * sizeof forms / sizeof forms[0]; ++i) {
        struct kdnetd_config config;
        struct config_report report;
        const char *const *form = forms[i % (sizeof forms / sizeof forms[0])];
        size_t at = i / (sizeof forms / sizeof forms[0]);
        value[0] = '\0';
        for (size_t n = 0; n < 100; ++n)
            (void)snprintf(value + at + 3 * n, sizeof value - at - 3 * n, "\xe2\x82\xac");
        memset(value, 'y', at);
        int length = snprintf(text, sizeof text, "%s%s%s", form[0], value, form[1]);
        config_init(&config);
        config_report_init(&report);
        assert_false(config_load_text(text, (size_t)length, "a.yaml", &config, &report) &&
                     config_check(&config, &report));
        for (size_t n = 0; n < config_report_count(&report); ++n) {
            assert_true(is_utf8(config_report_line(&report, n)));
            assert_null(strchr(config_report_line(&report, n), '?'));
        }
        config_report_clear(&report);
        config_clear(&config);
    }
}

static void a_mistake_of_a_text_in_latin_1_is_utf_8(void **state)
{
    struct config_report report;
    const struct config_spot spot = {.file = "B\xfcro.yaml", .line = 1, .column = 1, .field = "name"};
    (void)state;
    config_report_init(&report);
    config_report_add(&report, &spot, "\"%s\" is wrong",
                      "S\xfc"
                      "d");
    assert_string_equal(config_report_line(&report, 0), "B?ro.yaml:1:1: name: \"S?d\" is wrong");
    config_report_clear(&report);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_cut_lies_between_two_characters),
        cmocka_unit_test(what_is_no_utf_8_is_cut_anywhere),
        cmocka_unit_test(what_is_no_utf_8_is_mended),
        cmocka_unit_test(mistakes_are_utf_8),
        cmocka_unit_test(a_mistake_of_a_text_in_latin_1_is_utf_8),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
