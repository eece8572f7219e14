/* SPDX-License-Identifier: Apache-2.0 */
#include "service/platform/windows/selftest_loop.h"

#include <winsock2.h>
#include <windows.h>

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <wchar.h>

#define PATH_SIZE    1024
#define COMMAND_SIZE 2048
#define TARGET_MS    60000U /* these are for what does not come at all: a slow computer is no filter */
#define SERVING_MS   60000U
#define RESULT_MS    30000U
#define LOOK_MS      50U
#define SAID_SIZE    16384

struct loop {
    wchar_t folder[PATH_SIZE]; /* with its trailing backslash */
    unsigned port;
    HANDLE nothing, output, written; /* NUL; the reading and the writing end of kdnetd's output */
    char said[SAID_SIZE];
    DWORD length;
};

static bool find_folder(struct loop *loop)
{
    wchar_t target[PATH_SIZE + 20];
    DWORD length = GetModuleFileNameW(NULL, loop->folder, PATH_SIZE);
    wchar_t *slash = length > 0 && length < PATH_SIZE ? wcsrchr(loop->folder, L'\\') : NULL;
    if (!slash)
        return false;
    slash[1] = L'\0';
    (void)swprintf(target, sizeof target / sizeof *target, L"%lskdnet-target.exe", loop->folder);
    return GetFileAttributesW(target) != INVALID_FILE_ATTRIBUTES;
}

/* Finds a free port. */
static unsigned find_port(void)
{
    struct sockaddr_in local = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int size = sizeof local;
    SOCKET udp = socket(AF_INET, SOCK_DGRAM, IPPROTO_UDP);
    bool found = udp != INVALID_SOCKET && bind(udp, (const struct sockaddr *)&local, size) == 0 &&
                 getsockname(udp, (struct sockaddr *)&local, &size) == 0;
    if (udp != INVALID_SOCKET)
        (void)closesocket(udp);
    return found ? ntohs(local.sin_port) : 0;
}

static bool open_ends(struct loop *loop)
{
    SECURITY_ATTRIBUTES inherited = {.nLength = sizeof inherited, .bInheritHandle = TRUE};
    if (!CreatePipe(&loop->output, &loop->written, &inherited, SAID_SIZE))
        return false;
    (void)SetHandleInformation(loop->output, HANDLE_FLAG_INHERIT, 0);
    loop->nothing = CreateFileW(L"NUL", GENERIC_READ | GENERIC_WRITE, FILE_SHARE_READ | FILE_SHARE_WRITE, &inherited,
                                OPEN_EXISTING, 0, NULL);
    return loop->nothing != INVALID_HANDLE_VALUE;
}

/* Starts a program of this folder; NULL: failed. */
static HANDLE start(const struct loop *loop, const wchar_t *name, const wchar_t *options, HANDLE output)
{
    wchar_t program[PATH_SIZE + 20], command[COMMAND_SIZE];
    STARTUPINFOW how = {.cb = sizeof how,
                        .dwFlags = STARTF_USESTDHANDLES,
                        .hStdInput = loop->nothing,
                        .hStdOutput = output,
                        .hStdError = output};
    PROCESS_INFORMATION process;
    (void)swprintf(program, sizeof program / sizeof *program, L"%ls%ls.exe", loop->folder, name);
    if (swprintf(command, COMMAND_SIZE, L"\"%ls\" %ls", program, options) < 0 ||
        !CreateProcessW(program, command, NULL, NULL, TRUE, CREATE_NO_WINDOW, NULL, NULL, &how, &process))
        return NULL;
    (void)CloseHandle(process.hThread);
    return process.hProcess;
}

static HANDLE start_kdnetd(const struct loop *loop)
{
    wchar_t options[COMMAND_SIZE / 2];
    (void)swprintf(options, COMMAND_SIZE / 2,
                   L"--listen 127.0.0.1:%u --target selftest=1.2.3.4 --events - --http none --store none --workers 1 "
                   L"--rva 4B444E45542D544152474554000000011:IopFinalCrashDumpStatus=0x3010",
                   loop->port);
    return start(loop, L"kdnetd", options, loop->written);
}

static HANDLE start_target(const struct loop *loop)
{
    wchar_t options[COMMAND_SIZE / 2];
    (void)swprintf(options, COMMAND_SIZE / 2,
                   L"--host 127.0.0.1:%u --bind 127.0.0.1:0 --key 1.2.3.4 --scenario bugcheck --status 0x0 --exit "
                   L"--duration-ms %u",
                   loop->port, TARGET_MS - 5000U);
    return start(loop, L"kdnet-target", options, loop->nothing);
}

static void take_output(struct loop *loop)
{
    DWORD waiting = 0, taken = 0, room = SAID_SIZE - 1 - loop->length;
    if (!PeekNamedPipe(loop->output, NULL, 0, NULL, &waiting, NULL) || waiting == 0 || room == 0)
        return;
    if (ReadFile(loop->output, loop->said + loop->length, waiting < room ? waiting : room, &taken, NULL))
        loop->length += taken;
    loop->said[loop->length] = '\0';
}

static bool wait_said(struct loop *loop, const char *what, DWORD ms)
{
    for (DWORD waited = 0; waited <= ms; waited += LOOK_MS) {
        take_output(loop);
        if (strstr(loop->said, what))
            return true;
        Sleep(LOOK_MS);
    }
    return false;
}

/* Waits for the machine's report that it went on, and for kdnetd's result. */
static bool play(struct loop *loop, HANDLE target)
{
    DWORD code = 1;
    for (DWORD waited = 0; waited < TARGET_MS && WaitForSingleObject(target, LOOK_MS) != WAIT_OBJECT_0;
         waited += LOOK_MS)
        take_output(loop);
    return GetExitCodeProcess(target, &code) && code == 0 && wait_said(loop, "\"verdict\":\"written\"", RESULT_MS);
}

static void finish(HANDLE process)
{
    if (!process)
        return;
    (void)TerminateProcess(process, 1);
    (void)CloseHandle(process);
}

enum selftest_loop selftest_loop_run(void)
{
    static struct loop loop;
    enum selftest_loop outcome = SELFTEST_LOOP_MISSING;
    if (!find_folder(&loop) || (loop.port = find_port()) == 0 || !open_ends(&loop))
        return outcome;
    HANDLE kdnetd = start_kdnetd(&loop);
    bool serves = kdnetd && wait_said(&loop, "msg=serving", SERVING_MS);
    HANDLE target = serves ? start_target(&loop) : NULL;
    if (target)
        outcome = play(&loop, target) ? SELFTEST_LOOP_DONE : SELFTEST_LOOP_FAILED;
    else if (kdnetd && !serves)
        outcome = SELFTEST_LOOP_NOT_SERVING;
    finish(target);
    finish(kdnetd);
    (void)CloseHandle(loop.output);
    (void)CloseHandle(loop.written);
    (void)CloseHandle(loop.nothing);
    return outcome;
}
