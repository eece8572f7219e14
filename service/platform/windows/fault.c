/* SPDX-License-Identifier: Apache-2.0 */
#include "service/platform/windows/fault.h"

#include <windows.h>

#include <stdio.h>

#define WRITE_MS 2000U

static fault_write *write_line;
static LONG begun;

static struct fault {
    DWORD code, thread;
    const void *address;
} fault; /* of the first thread that has one */

/* Writes the name of the module that an address lies in, without its folder, and the address' place in there. */
static void place_of(const void *address, char *out, size_t size)
{
    HMODULE module = NULL;
    wchar_t path[MAX_PATH];
    const DWORD how = GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS | GET_MODULE_HANDLE_EX_FLAG_UNCHANGED_REFCOUNT;
    DWORD length = GetModuleHandleExW(how, address, &module) ? GetModuleFileNameW(module, path, MAX_PATH) : 0;
    const wchar_t *slash = length > 0 && length < MAX_PATH ? wcsrchr(path, L'\\') : NULL;
    char name[64];
    if (!slash || WideCharToMultiByte(CP_UTF8, 0, slash + 1, -1, name, sizeof name, NULL, NULL) <= 0)
        (void)snprintf(out, size, "%p", address);
    else
        (void)snprintf(out, size, "%s+0x%zx", name, (size_t)((const char *)address - (const char *)module));
}

static DWORD WINAPI tell(void *unused)
{
    char line[256], place[96];
    (void)unused;
    place_of(fault.address, place, sizeof place);
    int length = snprintf(line, sizeof line,
                          "level=error msg=\"kdnetd is ended by an exception, a fault of its own; report this line\" "
                          "exception=0x%08lx place=%s thread=%lu version=" KDNETD_VERSION "\n",
                          fault.code, place, fault.thread);
    if (length > 0 && (size_t)length < sizeof line)
        (void)write_line(line, (size_t)length);
    return 0;
}

/* By a thread of its own: this one's stack may be full, and a disk that hangs must not keep the program. */
static LONG WINAPI filter(EXCEPTION_POINTERS *about)
{
    if (InterlockedExchange(&begun, 1) == 0) {
        fault = (struct fault){about->ExceptionRecord->ExceptionCode, GetCurrentThreadId(),
                               about->ExceptionRecord->ExceptionAddress};
        HANDLE thread = CreateThread(NULL, 0, tell, NULL, 0, NULL);
        if (thread)
            (void)WaitForSingleObject(thread, WRITE_MS);
    }
    return EXCEPTION_CONTINUE_SEARCH;
}

void fault_watch(fault_write *write)
{
    write_line = write;
    (void)SetUnhandledExceptionFilter(filter);
}
