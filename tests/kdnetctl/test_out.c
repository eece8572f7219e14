/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "service/kdnetctl/out.h"
#include "tests/kdnetctl/frames.h"

static struct out out;
static char *written;
static size_t written_length;

static void start(bool json)
{
    FILE *stream = open_memstream(&written, &written_length);
    assert_non_null(stream);
    out_init(&out, stream, json);
}

static void assert_written(const char *expected)
{
    assert_true(out_flush(&out));
    (void)fclose(out.file);
    assert_string_equal(written, expected);
    free(written);
}

static void untrusted(bool json, const char *text, size_t length, const char *expected)
{
    start(json);
    out_untrusted(&out, text, length);
    assert_written(expected);
}

static void control_characters_never_come_out_as_they_are(void **state)
{
    (void)state;
    untrusted(false, "a\x1b[31mred\a\n\r\t\x7f\0z", 16, "a\\x1b[31mred\\x07\\n\\r\\t\\x7f\\x00z");
    untrusted(true, "a\x1b[31mred\a\n\x7f\0z", 14, "a\\u001b[31mred\\u0007\\u000a\\u007f\\ufffdz");
    untrusted(false,
              "\xc2\x9b"
              "31m",
              5, "\\x9b31m"); /* CSI as one C1 character */
    untrusted(true, "\xc2\x9b", 2, "\\u009b");
}

static void bytes_that_are_not_utf8_never_come_out_as_they_are(void **state)
{
    (void)state;
    untrusted(false, "caf\xe9!", 5, "caf\\xe9!");
    untrusted(true, "caf\xe9!", 5, "caf\\ufffd!");
    untrusted(false, "\xc0\x80", 2, "\\xc0\\x80");                   /* overlong NUL */
    untrusted(false, "\xe0\x80\x9b", 3, "\\xe0\\x80\\x9b");          /* overlong CSI */
    untrusted(false, "\xed\xa0\x80", 3, "\\xed\\xa0\\x80");          /* surrogate */
    untrusted(false, "\xf4\x90\x80\x80", 4, "\\xf4\\x90\\x80\\x80"); /* beyond Unicode */
    untrusted(false, "\xe2\x82", 2, "\\xe2\\x82");                   /* cut */
    untrusted(false, "\x9b", 1, "\\x9b");                            /* CSI as one byte */
}

static void good_utf8_stays(void **state)
{
    (void)state;
    untrusted(false, "Grüße, 日本, 😀", strlen("Grüße, 日本, 😀"), "Grüße, 日本, 😀");
    untrusted(true, "Grüße, 日本, 😀", strlen("Grüße, 日本, 😀"), "Grüße, 日本, 😀");
}

static void characters_that_turn_or_hide_text_are_escaped(void **state)
{
    (void)state;
    untrusted(false,
              "\xe2\x80\xae"
              "gpj.exe",
              10, "\\u{202e}gpj.exe");
    untrusted(true, "\xe2\x80\xae\xe2\x81\xa6", 6, "\\u202e\\u2066");
    untrusted(true, "\xf3\xa0\x81\x81", 4, "\\udb40\\udc41"); /* a tag character, as a pair */
    untrusted(false, "\xf3\xa0\x81\x81", 4, "\\u{e0041}");
}

static void quotes_are_escaped_and_backslashes_where_they_must(void **state)
{
    (void)state;
    untrusted(false, "\"\\Windows\"", 10, "\\\"\\Windows\\\"");
    untrusted(true, "\"\\Windows\"", 10, "\\\"\\\\Windows\\\"");
}

static void utf16_becomes_utf8(void **state)
{
    (void)state;
    static const uint8_t text[] = {'\\', 0, 0xe4, 0, 0x3d, 0xd8, 0x00, 0xde, 0x1b, 0, 0x00, 0xd8, 'x', 0, 0xff};
    start(false);
    out_untrusted_utf16(&out, text, sizeof text); /* the odd byte at the end is left out */
    assert_written("\\ä😀\\x1b\\u{d800}x");
    start(true);
    out_untrusted_utf16(&out, text, sizeof text);
    assert_written("\\\\ä😀\\u001b\\ufffdx");
}

static void numbers_have_their_digits(void **state)
{
    (void)state;
    start(false);
    out_decimal(&out, 0);
    out_char(&out, ' ');
    out_decimal(&out, UINT64_MAX);
    out_decimal_padded(&out, 42, 6);
    out_char(&out, ' ');
    out_hex(&out, 0);
    out_char(&out, ' ');
    out_hex(&out, UINT64_MAX);
    out_char(&out, ' ');
    out_hex_padded(&out, 0xc000000f, 8);
    out_char(&out, ' ');
    out_hex_padded(&out, 1, 16);
    assert_written("0 18446744073709551615    42 0x0 0xffffffffffffffff 0xc000000f 0x0000000000000001");
}

static void times_are_rfc_3339(void **state)
{
    (void)state;
    start(false);
    out_time(&out, 0);
    out_char(&out, ' ');
    out_time(&out, 1453631771474228);
    out_char(&out, ' ');
    out_time(&out, 253402300799999999);
    out_char(&out, ' ');
    out_seconds(&out, 2435, 0);
    out_seconds(&out, -1000001, 11);
    assert_written(
        "1970-01-01T00:00:00.000000Z 2016-01-24T10:36:11.474228Z 9999-12-31T23:59:59.999999Z 0.002435  -1.000001");
}

static void addresses_have_their_usual_form(void **state)
{
    (void)state;
    struct kdnet_address a = frames_ipv4(255, 51111), b = frames_ipv6(1, 50000);
    start(false);
    out_address(&out, &a);
    out_char(&out, ' ');
    out_address(&out, &b);
    assert_written("192.0.2.255:51111 [2001:db8::1]:50000");
}

static void nobody_is_null(void **state)
{
    (void)state;
    struct kdnet_address zero = {0}, mapped = {.ip = {[10] = 0xff, [11] = 0xff}}, somebody = frames_ipv4(0, 1);
    assert_true(out_is_nobody(&zero));
    assert_true(out_is_nobody(&mapped));
    assert_false(out_is_nobody(&somebody));
    start(true);
    out_json_address(&out, NULL, &mapped);
    assert_written("null");
}

static void json_has_commas_between_values_only(void **state)
{
    (void)state;
    start(true);
    out_json_open(&out, NULL, '{');
    out_json_number(&out, "a", 1);
    out_json_open(&out, "b", '[');
    out_json_bool(&out, NULL, true);
    out_json_string(&out, NULL, NULL);
    out_json_close(&out, ']');
    out_json_open(&out, "c", '{');
    out_json_close(&out, '}');
    out_json_hex(&out, "d", 255, 4);
    out_json_bytes(&out, "e", (const uint8_t *)"\x00\xff", 2);
    out_json_close(&out, '}');
    assert_written("{\"a\":1,\"b\":[true,null],\"c\":{},\"d\":\"0x00ff\",\"e\":\"00ff\"}");
}

static void more_than_the_buffer_comes_out_whole(void **state)
{
    (void)state;
    enum { LENGTH = 3 * OUT_BUFFER + 17 };
    char *expected = malloc((size_t)2 * LENGTH + 1);
    uint8_t *bytes = malloc(LENGTH);
    assert_non_null(expected);
    assert_non_null(bytes);
    memset(bytes, 0xab, LENGTH);
    for (size_t i = 0; i < LENGTH; ++i)
        memcpy(expected + (size_t)2 * i, "ab", 2);
    expected[(size_t)2 * LENGTH] = '\0';
    start(false);
    out_hex_bytes(&out, bytes, LENGTH);
    assert_written(expected);
    start(false);
    out_text(&out, expected);
    assert_written(expected);
    free(expected);
    free(bytes);
}

static void failed_write_is_remembered(void **state)
{
    (void)state;
    FILE *full = fopen("/dev/full", "w");
    if (!full)
        skip();
    out_init(&out, full, false);
    out_text(&out, "lost");
    assert_false(out_flush(&out));
    assert_int_not_equal(out.error, 0);
    (void)fclose(full);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(control_characters_never_come_out_as_they_are),
        cmocka_unit_test(bytes_that_are_not_utf8_never_come_out_as_they_are),
        cmocka_unit_test(good_utf8_stays),
        cmocka_unit_test(characters_that_turn_or_hide_text_are_escaped),
        cmocka_unit_test(quotes_are_escaped_and_backslashes_where_they_must),
        cmocka_unit_test(utf16_becomes_utf8),
        cmocka_unit_test(numbers_have_their_digits),
        cmocka_unit_test(times_are_rfc_3339),
        cmocka_unit_test(addresses_have_their_usual_form),
        cmocka_unit_test(nobody_is_null),
        cmocka_unit_test(json_has_commas_between_values_only),
        cmocka_unit_test(more_than_the_buffer_comes_out_whole),
        cmocka_unit_test(failed_write_is_remembered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
