/* SPDX-License-Identifier: Apache-2.0 */
/* What the Event Log is told of a line, and the texts in kdnetd.exe that it shows. */
#include "service/platform/windows/log_line.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <windows.h>

#define ID(event) ((event)&0xffff)

static unsigned long event_of(const char *line, unsigned short *type)
{
    return ID(log_line_event(line, strlen(line), type));
}

static void expect_event(const char *line, unsigned long event, unsigned short type)
{
    unsigned short got = 0;
    assert_int_equal(event_of(line, &got), event);
    assert_int_equal(got, type);
}

static void values_of_a_line(void **state)
{
    (void)state;
    static const char line[] = "level=warning msg=\"a \\\"b\\\" \\x41\\n c\" target=web-17 empty=\"\" msgs=no\n";
    char out[32];
    assert_true(log_line_value(line, strlen(line), "msg", out, sizeof out));
    assert_string_equal(out, "a \"b\" A\n c");
    assert_true(log_line_value(line, strlen(line), "target", out, sizeof out));
    assert_string_equal(out, "web-17");
    assert_true(log_line_value(line, strlen(line), "msgs", out, sizeof out));
    assert_string_equal(out, "no");
    assert_true(log_line_value(line, strlen(line), "empty", out, sizeof out));
    assert_string_equal(out, "");
    assert_false(log_line_value(line, strlen(line), "b", out, sizeof out));
    assert_true(log_line_value(line, strlen(line), "target", out, 4));
    assert_string_equal(out, "web");
}

static void a_torn_line_ends(void **state)
{
    (void)state;
    static const char *const torn[] = {"",          "=",          "msg",         "msg=", "msg=\"",
                                       "msg=\"a\\", "msg=\"a\\x", "msg=\"a\\x4", " ",    "a b"};
    char out[8];
    for (size_t i = 0; i < sizeof torn / sizeof torn[0]; ++i)
        for (size_t length = 0; length <= strlen(torn[i]); ++length)
            (void)log_line_value(torn[i], length, "nothing", out, sizeof out);
}

static void each_kind_has_its_id(void **state)
{
    (void)state;
    expect_event("level=notice msg=serving version=1\n", 1000, EVENTLOG_INFORMATION_TYPE);
    expect_event("level=notice msg=stopping\n", 1001, EVENTLOG_INFORMATION_TYPE);
    expect_event("level=error msg=\"configuration is wrong; x\"\n", 1010, EVENTLOG_ERROR_TYPE);
    expect_event("level=notice msg=\"configuration read again\"\n", 1011, EVENTLOG_INFORMATION_TYPE);
    expect_event("level=notice msg=\"crash dump written\" target=a verdict=written\n", 1100, EVENTLOG_INFORMATION_TYPE);
    expect_event("level=warning msg=\"crash dump failed\" target=a verdict=failed\n", 1101, EVENTLOG_ERROR_TYPE);
    expect_event("level=warning msg=x verdict=unknown\n", 1102, EVENTLOG_WARNING_TYPE);
    expect_event("level=warning msg=\"a machine at 1.2.3.4 pokes\"\n", 1200, EVENTLOG_WARNING_TYPE);
    expect_event("level=warning msg=\"no machine is heard at this listener any more: look\"\n", 1300,
                 EVENTLOG_WARNING_TYPE);
    expect_event("level=error msg=\"cannot listen: another program has this port\"\n", 1300, EVENTLOG_ERROR_TYPE);
    expect_event("level=error msg=\"results cannot be written\"\n", 1400, EVENTLOG_ERROR_TYPE);
    expect_event("level=warning msg=other\n", 1900, EVENTLOG_WARNING_TYPE);
    expect_event("level=error msg=other\n", 1901, EVENTLOG_ERROR_TYPE);
    expect_event("level=notice msg=\"target connected\" target=a\n", 0, EVENTLOG_INFORMATION_TYPE);
}

static void a_mistake_is_the_message(void **state)
{
    (void)state;
    static const struct {
        const char *line, *message;
    } lines[] = {
        {"level=error msg=configuration mistake=\"k.yaml:3:1: listne: is no option\"\n",
         "k.yaml:3:1: listne: is no option"},
        {"level=warning msg=\"the configuration is right, and perhaps not what was meant\" advice=\"b c\"\n", "b c"},
        {"level=notice msg=serving\n", "serving"},
        {"level=notice\n", ""}};
    char out[64];
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; ++i) {
        log_line_message(lines[i].line, strlen(lines[i].line), out, sizeof out);
        assert_string_equal(out, lines[i].message);
    }
    expect_event(lines[0].line, 1010, EVENTLOG_ERROR_TYPE);
    expect_event(lines[1].line, 1012, EVENTLOG_WARNING_TYPE);
}

/* Event Viewer would put strings, or texts of another file, in their place. */
static void percents_ahead_of_digits_are_neutralised(void **state)
{
    (void)state;
    static const struct {
        const wchar_t *text, *harmless;
    } texts[] = {{L"fe80::1%3", L"fe80::1\uff053"},
                 {L"100 % of %d%", L"100 % of %d%"},
                 {L"%%5", L"\uff05\uff055"},
                 {L"%0%9", L"\uff050\uff059"},
                 {L"", L""}};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; ++i) {
        wchar_t text[32];
        (void)wcscpy(text, texts[i].text);
        log_line_neutralise(text);
        assert_int_equal(wcscmp(text, texts[i].harmless), 0);
    }
}

/* The program beside which the tests are built. */
static void texts_are_in_the_program(void **state)
{
    (void)state;
    static const struct {
        unsigned long event;
        const char *text;
    } texts[] = {
        {0x40000000 | 1000, "kdnetd serves."},
        {0x40000000 | 1001, "kdnetd stops."},
        {0xC0000000 | 1010, "The configuration is wrong: me%ssage"},
        {0x40000000 | 1011, "The configuration was read again."},
        {0x80000000 | 1012, "The configuration is right, and perhaps not what was meant: me%ssage"},
        {0x40000000 | 1100, "web-17 crashed (0xD1 NAME), and its crash dump was written."},
        {0xC0000000 | 1101, "web-17 crashed (0xD1 NAME), and its crash "
                            "dump was NOT written: 0xC000007F DISK"},
        {0x80000000 | 1102, "web-17 crashed (0xD1 NAME); whether its crash dump was written is not known: me%ssage"},
        {0x80000000 | 1103, "web-17 crashed (0xD1 NAME), and no crash dump was started (phase shutdown)."},
        {0x80000000 | 1200, "A machine pokes with a key that no target has: me%ssage"},
        {0x80000000 | 1300, "A listener: me%ssage"},
        {0xC0000000 | 1400, "Results: me%ssage"},
        {0x80000000 | 1900, "me%ssage"},
        {0xC0000000 | 1901, "me%ssage"}};
    const char *strings[] = {"me%ssage", "web-17", "failed",   "0xC000007F", "DISK",
                             "0xD1",     "NAME",   "shutdown", "here",       "line %2 %%"};
    const char *folder = getenv("KDNETD_BUILD");
    char path[1024], out[1024];
    assert_non_null(folder);
    (void)snprintf(path, sizeof path, "Z:%s/kdnetd.exe", folder);
    HMODULE program = LoadLibraryExA(path, NULL, LOAD_LIBRARY_AS_DATAFILE);
    assert_non_null(program);
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; ++i) {
        DWORD length = FormatMessageA(FORMAT_MESSAGE_FROM_HMODULE | FORMAT_MESSAGE_ARGUMENT_ARRAY, program,
                                      texts[i].event, 0, out, sizeof out, (va_list *)(void *)strings);
        assert_true(length > 0);
        assert_memory_equal(out, texts[i].text, strlen(texts[i].text));
        assert_non_null(strstr(out, "\r\nline %2 %%"));
    }
    (void)FreeLibrary(program);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_of_a_line),
        cmocka_unit_test(a_torn_line_ends),
        cmocka_unit_test(each_kind_has_its_id),
        cmocka_unit_test(a_mistake_is_the_message),
        cmocka_unit_test(percents_ahead_of_digits_are_neutralised),
        cmocka_unit_test(texts_are_in_the_program),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
