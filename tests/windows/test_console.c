/* SPDX-License-Identifier: Apache-2.0 */
/* Standard error: whole where its reader is slow, and with a line of an exception that ends the program. */
#include "service/platform/platform.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <io.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <windows.h>

#define PIPE_BYTES 4096
#define LINES      400
#define LINE_BYTES 100
#define LOOK_MS    50     /* a reader that is slower than the writer */
#define END_MS     120000 /* Wine starts its debugger */

/* This program once more, with `task`. Returns its exit status; `text`: what it wrote to standard error. */
static DWORD run(const wchar_t *task, DWORD pause_ms, char *text, size_t size, size_t *length)
{
    HANDLE reading = NULL, writing = NULL;
    wchar_t path[MAX_PATH], command[MAX_PATH + 40];
    SECURITY_ATTRIBUTES inherited = {.nLength = sizeof inherited, .bInheritHandle = TRUE};
    PROCESS_INFORMATION process;
    DWORD got = 0, status = 0;
    assert_true(GetModuleFileNameW(NULL, path, MAX_PATH) < MAX_PATH);
    (void)swprintf(command, MAX_PATH + 40, L"\"%ls\" %ls", path, task);
    assert_true(CreatePipe(&reading, &writing, &inherited, PIPE_BYTES));
    assert_true(SetHandleInformation(reading, HANDLE_FLAG_INHERIT, 0));
    STARTUPINFOW start = {.cb = sizeof start, .dwFlags = STARTF_USESTDHANDLES, .hStdError = writing};
    assert_true(CreateProcessW(NULL, command, NULL, NULL, TRUE, 0, NULL, NULL, &start, &process));
    (void)CloseHandle(writing);
    *length = 0;
    do {
        Sleep(pause_ms);
        got = 0;
        (void)ReadFile(reading, text + *length, (DWORD)(size - 1 - *length), &got, NULL);
        *length += got;
    } while (got > 0);
    text[*length] = '\0';
    assert_int_equal(WaitForSingleObject(process.hProcess, END_MS), WAIT_OBJECT_0);
    assert_true(GetExitCodeProcess(process.hProcess, &status));
    (void)CloseHandle(process.hThread);
    (void)CloseHandle(process.hProcess);
    (void)CloseHandle(reading);
    return status;
}

/* As `kdnetd --check` does with a thousand mistakes. */
static int write_many(void)
{
    platform_prepare();
    for (int i = 0; i < LINES; ++i)
        if (fprintf(stderr, "%*d\n", LINE_BYTES - 1, i) != LINE_BYTES)
            return 1;
    return fflush(stderr) == 0 ? 0 : 1;
}

static int end_by_an_exception(void)
{
    static int *volatile nowhere;
    platform_prepare();
    *nowhere = 1;
    return 0;
}

static void a_slow_reader_loses_nothing(void **state)
{
    (void)state;
    static char text[2 * LINES * LINE_BYTES];
    size_t length = 0;
    assert_int_equal(run(L"many", LOOK_MS, text, sizeof text, &length), 0);
    assert_int_equal(length, LINES * LINE_BYTES);
    assert_int_equal(strtol(text + (LINES - 1) * LINE_BYTES, NULL, 10), LINES - 1);
}

static void an_exception_is_told_with_its_place(void **state)
{
    (void)state;
    static char text[4096];
    size_t length = 0;
    assert_int_equal(run(L"exception", 0, text, sizeof text, &length), STATUS_ACCESS_VIOLATION);
    assert_non_null(strstr(text, "level=error msg=\"kdnetd is ended by an exception"));
    assert_non_null(strstr(text, " exception=0xc0000005 place=test_windows_console.exe+0x"));
    assert_int_equal(text[length - 1], '\n');
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_slow_reader_loses_nothing),
        cmocka_unit_test(an_exception_is_told_with_its_place),
    };
    (void)_setmode(2, _O_BINARY);
    (void)SetErrorMode(SEM_NOGPFAULTERRORBOX); /* as libuv does: no debugger */
    if (argc > 1)
        return strcmp(argv[1], "many") == 0 ? write_many() : end_by_an_exception();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
