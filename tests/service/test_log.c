/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "service/runtime/log.h"
#include "tests/service/captured_log.h"

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
    expect("a\xc3\xa4", 3, 11, "\"a\\xC3\\xA4\"");
    for (size_t size = 3; size < 11; ++size)
        expect("a\xc3\xa4", 3, size, "\"a\""); /* no half of a character */
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

/* Standard error is a pipe for a while. */
struct stderr_pipe {
    int reader, before;
};

static void begin_pipe(struct stderr_pipe *pipe_of)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    pipe_of->reader = ends[0];
    pipe_of->before = dup(STDERR_FILENO);
    assert_int_equal(dup2(ends[1], STDERR_FILENO), STDERR_FILENO);
    (void)close(ends[1]);
    assert_int_equal(fcntl(ends[0], F_SETFL, O_NONBLOCK), 0);
}

static void end_pipe(const struct stderr_pipe *pipe_of)
{
    assert_int_equal(dup2(pipe_of->before, STDERR_FILENO), STDERR_FILENO);
    (void)close(pipe_of->before);
    (void)close(pipe_of->reader);
}

static char said[1 << 17];

static void read_pipe(const struct stderr_pipe *pipe_of)
{
    size_t at = 0;
    ssize_t got = 0;
    while ((got = read(pipe_of->reader, said + at, sizeof said - 1 - at)) > 0)
        at += (size_t)got;
    said[at] = '\0';
}

static void lines_that_standard_error_does_not_take_are_counted(void **state)
{
    struct stderr_pipe pipe_of;
    char filling[512];
    (void)state;
    memset(filling, 'x', sizeof filling);
    begin_pipe(&pipe_of);
    assert_int_equal(fcntl(STDERR_FILENO, F_SETFL, O_NONBLOCK), 0);
    while (write(STDERR_FILENO, filling, sizeof filling) > 0)
        ;
    for (int i = 0; i < 3; ++i)
        log_plain(CONFIG_LOG_NOTICE, "nobody hears this");
    read_pipe(&pipe_of);
    assert_null(strstr(said, "nobody hears this"));
    log_plain(CONFIG_LOG_NOTICE, "heard again");
    log_plain(CONFIG_LOG_NOTICE, "and again");
    read_pipe(&pipe_of);
    end_pipe(&pipe_of);
    assert_string_equal(said, "level=warning msg=\"log lines were dropped\" count=3\nlevel=notice msg=\"heard again\"\n"
                              "level=notice msg=\"and again\"\n");
}

static void a_whole_line_is_never_cut(void **state)
{
    struct stderr_pipe pipe_of;
    static char text[5 * LOG_LINE_SIZE];
    (void)state;
    memset(text, '"', sizeof text); /* each is quoted */
    begin_pipe(&pipe_of);
    assert_true(log_whole(CONFIG_LOG_ERROR, "lost", "result", text, sizeof text, 0));
    assert_false(log_whole(CONFIG_LOG_DEBUG, "below", "result", text, sizeof text, 0));
    read_pipe(&pipe_of);
    end_pipe(&pipe_of);
    static const char head[] = "level=error msg=lost result=\"";
    assert_memory_equal(said, head, sizeof head - 1);
    assert_int_equal(strlen(said), sizeof head - 1 + 2 * sizeof text + 2);
    assert_string_equal(said + strlen(said) - 4, "\\\"\"\n");
}

static void half_of_a_whole_line_does_not_swallow_the_next(void **state)
{
    struct stderr_pipe pipe_of;
    static char text[1 << 18];
    (void)state;
    memset(text, 'y', sizeof text);
    begin_pipe(&pipe_of);
    assert_false(log_whole(CONFIG_LOG_ERROR, "lost", "result", text, sizeof text, 1)); /* more than a pipe holds */
    read_pipe(&pipe_of);
    log_plain(CONFIG_LOG_NOTICE, "next");
    read_pipe(&pipe_of);
    end_pipe(&pipe_of);
    assert_string_equal(said, "\nlevel=warning msg=\"log lines were dropped\" count=1\nlevel=notice msg=next\n");
}

/* systemd reads the level of a line from its front. */
static void a_line_to_the_journal_begins_with_its_level(void **state)
{
    static const struct {
        enum config_log_level level;
        const char *front;
    } rows[] = {{CONFIG_LOG_ERROR, "<3>level=error "},
                {CONFIG_LOG_WARNING, "<4>level=warning "},
                {CONFIG_LOG_NOTICE, "<5>level=notice "},
                {CONFIG_LOG_INFO, "<6>level=info "},
                {CONFIG_LOG_DEBUG, "<7>level=debug "}};
    (void)state;
    log_set_level(CONFIG_LOG_DEBUG);
    assert_int_equal(setenv("JOURNAL_STREAM", "1:2", 1), 0);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; ++i) {
        struct log_line line;
        captured_begin();
        log_begin(&line, rows[i].level, "x");
        log_end(&line);
        assert_memory_equal(captured_end(), rows[i].front, strlen(rows[i].front));
    }
    assert_int_equal(unsetenv("JOURNAL_STREAM"), 0);
    captured_begin();
    log_plain(CONFIG_LOG_ERROR, "x");
    assert_string_equal(captured_end(), "level=error msg=x\n");
    log_set_level(CONFIG_LOG_NOTICE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_to_the_journal_begins_with_its_level),
        cmocka_unit_test(plain_text_stays_as_it_is),
        cmocka_unit_test(other_text_is_quoted),
        cmocka_unit_test(a_forged_line_stays_within_its_value),
        cmocka_unit_test(what_does_not_fit_is_left_out_and_quotes_close),
        cmocka_unit_test(lines_below_the_level_are_not_built),
        cmocka_unit_test(a_line_has_its_keys_in_order),
        cmocka_unit_test(a_long_line_is_cut),
        cmocka_unit_test(lines_that_standard_error_does_not_take_are_counted),
        cmocka_unit_test(a_whole_line_is_never_cut),
        cmocka_unit_test(half_of_a_whole_line_does_not_swallow_the_next),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
