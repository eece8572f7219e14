/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "service/log.h"

#include <cmocka.h>

static void expect(const char *value, size_t length, size_t size, const char *wanted)
{
    char out[64];
    size_t used = 0;
    memset(out, '#', sizeof out);
    log_quote(out, size, &used, value, length);
    assert_int_equal(used, strlen(wanted));
    assert_memory_equal(out, wanted, used);
    assert_int_equal(out[used], '#');
}

static void plain_text_stays_as_it_is(void **state)
{
    (void)state;
    expect("192.0.2.7:51111", 15, 64, "192.0.2.7:51111");
    expect("[fe80::1%2]:50000", 17, 64, "[fe80::1%2]:50000");
}

static void other_text_is_quoted(void **state)
{
    (void)state;
    expect("", 0, 64, "\"\"");
    expect("two words", 9, 64, "\"two words\"");
    expect("a=b", 3, 64, "\"a=b\"");
    expect("a\"b\\c", 5, 64, "\"a\\\"b\\\\c\"");
    expect("\n\r\t\x1b\x7f\xff\0", 7, 64, "\"\\n\\r\\t\\x1B\\x7F\\xFF\\x00\"");
}

static void a_forged_line_stays_within_its_value(void **state)
{
    (void)state;
    static const char forged[] = "x\nlevel=error msg=\"all is lost\"";
    expect(forged, sizeof forged - 1, 64, "\"x\\nlevel=error msg=\\\"all is lost\\\"\"");
}

static void what_does_not_fit_is_left_out_and_quotes_close(void **state)
{
    (void)state;
    expect("abcdef", 6, 4, "abcd");
    expect("a b c d", 7, 6, "\"a b \"");
    expect("a\nbc", 4, 4, "\"a\"");
    expect("a b", 3, 1, "");
}

static void lines_below_the_level_are_not_built(void **state)
{
    (void)state;
    struct log_line line;
    log_set_level(CONFIG_LOG_WARNING);
    log_begin(&line, CONFIG_LOG_NOTICE, "hello");
    log_number(&line, "n", 1);
    assert_true(line.off);
    assert_int_equal(line.length, 0);
    log_set_level(CONFIG_LOG_NOTICE);
    log_begin(&line, CONFIG_LOG_NOTICE, "hello");
    assert_false(line.off);
}

static void a_line_has_its_keys_in_order(void **state)
{
    (void)state;
    static const char wanted[] =
        "level=notice msg=\"target connected\" target=web-17 status=0xC000007F read_ms=1.023 n=18446744073709551615";
    struct log_line line;
    log_begin(&line, CONFIG_LOG_NOTICE, "target connected");
    log_text(&line, "target", "web-17");
    log_text(&line, "nothing", NULL);
    log_hex(&line, "status", 0xC000007F, 8);
    log_milliseconds(&line, "read_ms", 1023);
    log_number(&line, "n", UINT64_MAX);
    assert_int_equal(line.length, sizeof wanted - 1);
    assert_memory_equal(line.text, wanted, line.length);
}

static void a_long_line_is_cut(void **state)
{
    (void)state;
    static char text[2 * LOG_LINE_SIZE];
    struct log_line line;
    memset(text, ' ', sizeof text);
    log_begin(&line, CONFIG_LOG_NOTICE, "hello");
    for (int i = 0; i < 3; ++i)
        log_bytes(&line, "text", text, sizeof text);
    assert_true(line.length < LOG_LINE_SIZE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_text_stays_as_it_is),
        cmocka_unit_test(other_text_is_quoted),
        cmocka_unit_test(a_forged_line_stays_within_its_value),
        cmocka_unit_test(what_does_not_fit_is_left_out_and_quotes_close),
        cmocka_unit_test(lines_below_the_level_are_not_built),
        cmocka_unit_test(a_line_has_its_keys_in_order),
        cmocka_unit_test(a_long_line_is_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
