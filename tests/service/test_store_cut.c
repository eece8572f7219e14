/* SPDX-License-Identifier: Apache-2.0 */
/* Cause and stack, cut out of a line as text: what is found is what a parser finds, in any line. */
#include "service/store/cut.h"
#include "service/store/json.h"
#include "tests/support/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define RANDOM_LINES 3000U
#define CHANGES      40U /* damaged copies of each */
#define TEXT_MAX     4096U

/* The value that was found, as text; "-": none. */
static const char *found(const struct store_span *span, char out[static TEXT_MAX])
{
    (void)snprintf(out, TEXT_MAX, "%.*s", span->text ? (int)span->length : 1, span->text ? span->text : "-");
    return out;
}

static void expect(const char *line, const char *cause, const char *stack)
{
    struct store_span spans[STORE_CUTS];
    char text[TEXT_MAX];
    bool any = strcmp(cause, "-") != 0 || strcmp(stack, "-") != 0;
    assert_int_equal(store_cut_find(line, strlen(line), spans), any);
    assert_string_equal(found(&spans[STORE_CUT_CAUSE], text), cause);
    assert_string_equal(found(&spans[STORE_CUT_STACK], text), stack);
}

static void test_values_are_found_where_they_are(void **state)
{
    (void)state;
    expect("{\"cause\":{\"a\":1},\"stack\":[\"f\"]}", "{\"a\":1}", "[\"f\"]");
    expect("{\"stack\":[],\"b\":2,\"cause\":null}", "null", "[]");
    expect(" { \"x\" : [ { \"cause\" : 1 } ] , \"cause\" : { \"a\" : [ 1 , -2.5 , true ] } , \"y\" : {} } ",
           "{ \"a\" : [ 1 , -2.5 , true ] }", "-");
    expect("{\"cause\":\"}],{\\\"stack\\\":[1]\",\"stack\":[\"]\",\"\\\\\"]}", "\"}],{\\\"stack\\\":[1]\"",
           "[\"]\",\"\\\\\"]");
    expect("{\"a\":\"\\\"cause\\\":1,\",\"stack\":[0]}", "-", "[0]");
    expect("{\"a\":\"\xc3\xa4 \\u0041\",\"b\":1e300,\"stack\":[{\"a\":{}},[]]}", "-", "[{\"a\":{}},[]]");
}

static void test_nothing_is_found_where_nothing_is(void **state)
{
    static const char *const lines[] = {
        "",
        "{",
        "{}",
        "[]",
        "null",
        "\"cause\"",
        "{\"causes\":1}",
        "{\"x\":{\"cause\":1,\"stack\":[1]}}",
        "[{\"cause\":1}]",
        "{\"caus\":1}",
        "{\"cause",
        "{\"cause\"",
        "{\"cause\":",
        "{\"cause\":{",
        "{\"cause\":{}",
        "{\"cause\":{},",
        "{\"cause\":{}}x",
        "{\"cause\":{}}}",
        "{\"cause\":{}},",
        "{cause:1}",
        "{,\"cause\":1}",
    };
    (void)state;
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; ++i)
        expect(lines[i], "-", "-");
}

/* Twice the same name, escapes in names, and what takes a parser to judge. */
static void test_doubtful_lines_are_left_to_the_parser(void **state)
{
    static const char *const values[] = {
        "1e5",
        "01",
        "1.",
        ".5",
        "-",
        "+1",
        "1234567890123456",
        "0.1234567890123456",
        "nul",
        "nulls",
        "truefalse",
        "\"\\u0000\"",
        "\"\\u0041\"",
        "\"\\ud800\"",
        "\"\\x\"",
        "\"\t\"",
        "\"\xc3\xa4\"",
        "\"\xff\"",
        "\"",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{a:1}",
        "{1:1}",
        "[1,]",
        "[,1]",
        "[1 2]",
        "[1}",
        "{\"a\":1]",
        "[[]",
        "1 2",
        "",
        "[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]", /* 17 deep */
    };
    char line[TEXT_MAX];
    (void)state;
    for (size_t i = 0; i < sizeof values / sizeof values[0]; ++i) {
        (void)snprintf(line, sizeof line, "{\"a\":1,\"cause\":%s,\"b\":2}", values[i]);
        expect(line, "-", "-");
    }
    expect("{\"cause\":1,\"cause\":1}", "-", "-");
    expect("{\"stack\":[],\"cause\":1,\"stack\":[]}", "-", "-");
    expect("{\"\\u0063ause\":2,\"cause\":1}", "-", "-");
    expect("{\"cause\":[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]}", "[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]", "-"); /* 16 deep */
}

static void test_bytes_behind_the_end_are_not_looked_at(void **state)
{
    static const char line[] = "{\"x\":\"a\\\\\",\"cause\":{\"a\":[\"b\\\"\",-1.5,false,null]},\"stack\":[\"c\"]}";
    (void)state;
    for (size_t length = 0; length < sizeof line - 1; ++length) {
        struct store_span spans[STORE_CUTS];
        char *own = malloc(length > 0 ? length : 1); /* with a sanitizer, nothing may be read behind it */
        assert_non_null(own);
        memcpy(own, line, length);
        assert_false(store_cut_find(own, length, spans));
        free(own);
    }
    expect(line, "{\"a\":[\"b\\\"\",-1.5,false,null]}", "[\"c\"]");
}

static void test_values_join_an_object_again(void **state)
{
    static char cause[] = "{\"a\":1}", stack[] = "[\"f\"]";
    char *const both[STORE_CUTS] = {cause, stack}, *const one[STORE_CUTS] = {NULL, stack},
                *const none[STORE_CUTS] = {NULL, NULL};
    char *const *const values[] = {both, one, none};
    static const char *const expected[] = {"{\"b\":2,\"cause\":{\"a\":1},\"stack\":[\"f\"]}",
                                           "{\"b\":2,\"stack\":[\"f\"]}", "{\"b\":2}"};
    (void)state;
    for (size_t i = 0; i < 3; ++i) {
        char *text = store_cut_join(strdup("{\"b\":2}"), values[i]);
        assert_string_equal(text, expected[i]);
        free(text);
    }
}

static void test_empty_values_do_not_count(void **state)
{
    static const struct {
        const char *text;
        bool counts;
    } rows[] = {{"null", false},  {"[]", false}, {"[ ]", false},      {"{}", false}, {"1", false},
                {"\"a\"", false}, {"[1]", true}, {"{\"a\":1}", true}, {"[[]]", true}};
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; ++i) {
        struct store_span span = {rows[i].text, strlen(rows[i].text)};
        assert_int_equal(store_cut_counts(&span), rows[i].counts);
    }
}

/* --- any line ----------------------------------------------------------------------------------------------------- */

static json_t *random_value(struct test_random *random, unsigned depth)
{
    static const char *const texts[] = {"",    "a",  "cause", "\"",        "\\",       "]}",
                                        "{\"", "\n", "\t",    "stack\":[", "\xc3\xa4", "a\x01"};
    uint64_t kind = test_random_below(random, depth > 0 ? 8 : 6);
    json_t *value = kind == 6 ? json_array() : json_object();
    switch (kind) {
    case 0:
        json_decref(value);
        return json_null();
    case 1:
        json_decref(value);
        return json_boolean(test_random_below(random, 2));
    case 2:
        json_decref(value);
        return json_integer((json_int_t)test_random_below(random, 100000) - 50000);
    case 3:
        json_decref(value);
        return json_real((double)test_random_below(random, 1000) / 8);
    case 4:
    case 5:
        json_decref(value);
        return json_string(texts[test_random_below(random, test_random_below(random, 8) == 0 ? 12 : 10)]);
    default:
        for (uint64_t i = test_random_below(random, 4); i > 0; --i) {
            char key[8];
            (void)snprintf(key, sizeof key, "k%u", (unsigned)i);
            if (kind == 6)
                (void)json_array_append_new(value, random_value(random, depth - 1));
            else
                (void)json_object_set_new(value,
                                          i == 1   ? "cause"
                                          : i == 2 ? "a\""
                                                   : key,
                                          random_value(random, depth - 1));
        }
        return value;
    }
}

static char *random_line(struct test_random *random)
{
    static const char *const names[] = {"a", "b", "cause", "c", "stack", "\"cause", "stack\\"};
    static const size_t flags[] = {JSON_COMPACT, 0, JSON_INDENT(2)};
    json_t *line = json_object();
    for (uint64_t i = 0; i < 6; ++i)
        (void)json_object_set_new(line, names[test_random_below(random, test_random_below(random, 16) == 0 ? 7 : 5)],
                                  random_value(random, 3));
    char *text = json_dumps(line, flags[test_random_below(random, 3)]);
    json_decref(line);
    return text;
}

/* What is found, together with the rest, is the line as the parser has it. Returns whether anything was found. */
static bool check_line(const char *line, size_t length)
{
    struct store_span spans[STORE_CUTS];
    json_t *rest, *whole = json_loadb(line, length, 0, NULL);
    assert_true(store_cut_load(line, length, 0, spans, &rest));
    bool any = spans[STORE_CUT_CAUSE].text || spans[STORE_CUT_STACK].text;
    for (size_t i = 0; i < STORE_CUTS && rest; ++i) {
        if (!spans[i].text)
            continue;
        json_t *value = json_loadb(spans[i].text, spans[i].length, JSON_DECODE_ANY, NULL);
        assert_non_null(value);
        assert_true(json_is_null(json_object_get(rest, store_cut_names[i])));
        assert_int_equal(json_object_set_new(rest, store_cut_names[i], value), 0);
    }
    assert_int_equal(rest == NULL, whole == NULL);
    assert_true(rest == whole || json_equal(rest, whole));
    json_decref(rest);
    json_decref(whole);
    return any;
}

static void test_random_lines_are_what_the_parser_says(void **state)
{
    struct test_random random;
    unsigned cut = 0, cut_damaged = 0;
    (void)state;
    test_random_init(&random);
    for (unsigned i = 0; i < RANDOM_LINES; ++i) {
        char *line = random_line(&random);
        size_t length = strlen(line);
        cut += check_line(line, length);
        for (unsigned n = 0; n < CHANGES && length > 0; ++n) {
            static const char bytes[] = "{}[]\",:\\ 0-.en\x01\xc3u";
            size_t at = (size_t)test_random_below(&random, length);
            char old = line[at];
            line[at] = bytes[test_random_below(&random, sizeof bytes)]; /* its NUL, too */
            cut_damaged += check_line(line, test_random_below(&random, 8) == 0 ? at : length);
            line[at] = old;
        }
        free(line);
    }
    print_message("cut: %u of %u lines, %u of the damaged ones\n", cut, RANDOM_LINES, cut_damaged);
    assert_in_range(cut, RANDOM_LINES / 4, RANDOM_LINES);
    assert_in_range(cut_damaged, RANDOM_LINES, RANDOM_LINES * CHANGES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values_are_found_where_they_are),
        cmocka_unit_test(test_nothing_is_found_where_nothing_is),
        cmocka_unit_test(test_doubtful_lines_are_left_to_the_parser),
        cmocka_unit_test(test_bytes_behind_the_end_are_not_looked_at),
        cmocka_unit_test(test_values_join_an_object_again),
        cmocka_unit_test(test_empty_values_do_not_count),
        cmocka_unit_test(test_random_lines_are_what_the_parser_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
