/* SPDX-License-Identifier: Apache-2.0 */
#include "service/platform/windows/firewall.h"

#include <windows.h>

#include <stdio.h>

#define COMMAND_SIZE 1024
#define NETSH_MS     60000U /* a minute on a busy computer is no refusal */

/* Runs netsh from Windows' own folder: no other program of that name. */
static bool netsh(const wchar_t *arguments)
{
    wchar_t program[MAX_PATH], command[COMMAND_SIZE];
    STARTUPINFOW start = {.cb = sizeof start};
    PROCESS_INFORMATION process;
    DWORD code = 1;
    UINT length = GetSystemDirectoryW(program, MAX_PATH - 12);
    if (length == 0 || length >= MAX_PATH - 12)
        return false;
    wcscat(program, L"\\netsh.exe");
    if (swprintf(command, COMMAND_SIZE, L"\"%ls\" %ls", program, arguments) < 0 ||
        !CreateProcessW(program, command, NULL, NULL, FALSE, CREATE_NO_WINDOW, NULL, NULL, &start, &process))
        return false;
    if (WaitForSingleObject(process.hProcess, NETSH_MS) == WAIT_OBJECT_0)
        (void)GetExitCodeProcess(process.hProcess, &code);
    (void)CloseHandle(process.hThread);
    (void)CloseHandle(process.hProcess);
    return code == 0;
}

bool firewall_allow(const wchar_t *program)
{
    wchar_t arguments[COMMAND_SIZE - 300];
    (void)firewall_forget(); /* netsh would add a second rule of the same name */
    return swprintf(arguments, sizeof arguments / sizeof *arguments,
                    L"advfirewall firewall add rule name=kdnetd dir=in action=allow protocol=UDP enable=yes "
                    L"profile=any program=\"%ls\" description=\"KDNET of crashed machines\"",
                    program) > 0 &&
           netsh(arguments);
}

bool firewall_forget(void)
{
    return netsh(L"advfirewall firewall delete rule name=kdnetd");
}

bool firewall_is_allowed(void)
{
    return netsh(L"advfirewall firewall show rule name=kdnetd");
}
