/* SPDX-License-Identifier: Apache-2.0 */
/* The same bytes as jansson writes, whatever the value. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "service/output/json_text.h"
#include "tests/support/random.h"

#include <cmocka.h>

#define VALUES 3000U
#define DEEP   5U

static struct test_random source;

/* Text with all that needs an escape, and characters of one to four bytes. */
static json_t *random_text(void)
{
    static const char *const pieces[] = {"\"",
                                         "\\",
                                         "/",
                                         "\b",
                                         "\f",
                                         "\n",
                                         "\r",
                                         "\t",
                                         "\x01",
                                         "\x1f",
                                         "\x7f",
                                         "a",
                                         "+",
                                         " ",
                                         "\xc3\xa9",
                                         "\xe2\x82\xac",
                                         "\xf0\x9f\x98\x80"};
    char text[128] = "";
    for (uint64_t left = test_random_below(&source, 24); left > 0; --left)
        strcat(text, pieces[test_random_below(&source, sizeof pieces / sizeof pieces[0])]);
    return json_string(text);
}

static double random_real(void)
{
    static const double odd[] = {0, 1, -1, 0.001, 12.345, 1e15, 1e16, 1e20, 1e-7, -2.5e-20, 1.8446744073709552e16};
    double number = (double)(test_random_next(&source) >> test_random_below(&source, 64)) / 1000;
    return test_random_below(&source, 2) == 0 ? number : odd[test_random_below(&source, sizeof odd / sizeof odd[0])];
}

static json_t *random_value(unsigned depth)
{
    switch (test_random_below(&source, depth == 0 ? 6 : 8)) {
    case 0:
        return json_null();
    case 1:
        return json_boolean(test_random_below(&source, 2));
    case 2:
        return json_integer((json_int_t)(test_random_next(&source) >> test_random_below(&source, 64)));
    case 3:
        return json_real(random_real());
    case 4:
    case 5:
        return random_text();
    case 6: {
        json_t *array = json_array();
        for (uint64_t left = test_random_below(&source, 4); left > 0; --left)
            json_array_append_new(array, random_value(depth - 1));
        return array;
    }
    default: {
        json_t *object = json_object();
        for (uint64_t left = test_random_below(&source, 5); left > 0; --left) {
            json_t *key = random_text();
            json_object_set_new(object, json_string_value(key), random_value(depth - 1));
            json_decref(key);
        }
        return object;
    }
    }
}

static void text_is_that_of_jansson(void **state)
{
    (void)state;
    test_random_init(&source);
    for (unsigned i = 0; i < VALUES; ++i) {
        struct json_text out = {.size = 0};
        json_t *value = random_value(DEEP);
        char *expected = json_dumps(value, JSON_COMPACT | JSON_REAL_PRECISION(15) | JSON_ENCODE_ANY);
        assert_true(json_text_add_value(&out, value) && json_text_add(&out, "", 1));
        assert_string_equal(out.text, expected);
        free(out.text);
        free(expected);
        json_decref(value);
    }
}

static void value_that_is_too_deep_is_refused(void **state)
{
    (void)state;
    struct json_text out = {.size = 0};
    json_t *value = json_array();
    for (unsigned i = 0; i < JSON_TEXT_DEPTH_MAX; ++i) {
        json_t *outer = json_array();
        json_array_append_new(outer, value);
        value = outer;
    }
    assert_false(json_text_add_value(&out, value));
    free(out.text);
    json_decref(value);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_is_that_of_jansson),
        cmocka_unit_test(value_that_is_too_deep_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
