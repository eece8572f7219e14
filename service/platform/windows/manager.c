/* SPDX-License-Identifier: Apache-2.0 */
#include "service/platform/windows/folders.h"
#include "service/platform/windows/manager.h"
#include "service/platform/windows/service_state.h"
#include "config/text_windows.h"

#include <stdio.h>
#include <stdlib.h>

#define START_MS 60000U
#define STOP_MS  30000U
#define LOOK_MS  100U

int manager_failed(const char *what, DWORD error)
{
    char text[TEXT_ERROR_SIZE];
    const char *remedy = "";
    if (error == ERROR_ACCESS_DENIED)
        remedy = "; open the prompt as administrator";
    else if (error == ERROR_SERVICE_MARKED_FOR_DELETE)
        remedy = "; close services.msc and each program that looks at the service, and try again";
    (void)fprintf(stderr, "kdnetd: %s: %s (%lu)%s\n", what, text_of_error(error, text), error, remedy);
    return MANAGER_FAILED;
}

SC_HANDLE manager_open(DWORD manager_rights, DWORD service_rights, SC_HANDLE *manager, int *status)
{
    *status = MANAGER_FAILED;
    *manager = OpenSCManagerW(NULL, NULL, manager_rights);
    if (!*manager) {
        (void)manager_failed("the service control manager", GetLastError());
        return NULL;
    }
    SC_HANDLE service = OpenServiceW(*manager, SERVICE_STATE_NAME, service_rights);
    if (service)
        return service;
    if (GetLastError() == ERROR_SERVICE_DOES_NOT_EXIST) {
        (void)fputs("kdnetd: the service is not installed; kdnetd service install\n", stderr);
        *status = MANAGER_NOT_INSTALLED;
    } else {
        (void)manager_failed("the service kdnetd", GetLastError());
    }
    (void)CloseServiceHandle(*manager);
    return NULL;
}

static void close_both(SC_HANDLE service, SC_HANDLE manager)
{
    (void)CloseServiceHandle(service);
    (void)CloseServiceHandle(manager);
}

BOOL manager_wait(SC_HANDLE service, DWORD wanted, DWORD ms, SERVICE_STATUS_PROCESS *status)
{
    DWORD bytes = 0;
    for (DWORD waited = 0;; waited += LOOK_MS) {
        if (!QueryServiceStatusEx(service, SC_STATUS_PROCESS_INFO, (BYTE *)status, sizeof *status, &bytes))
            return FALSE;
        if (status->dwCurrentState == wanted)
            return TRUE;
        bool on_the_way = status->dwCurrentState == SERVICE_START_PENDING ||
                          status->dwCurrentState == SERVICE_STOP_PENDING ||
                          (wanted == SERVICE_STOPPED && status->dwCurrentState == SERVICE_RUNNING);
        if (!on_the_way || waited >= ms)
            return FALSE;
        Sleep(LOOK_MS);
    }
}

BOOL manager_stop_it(SC_HANDLE service, DWORD ms, SERVICE_STATUS_PROCESS *status)
{
    SERVICE_STATUS told;
    (void)manager_wait(service, SERVICE_RUNNING, START_MS, status); /* while it starts it takes no control */
    if (!ControlService(service, SERVICE_CONTROL_STOP, &told))
        return GetLastError() == ERROR_SERVICE_NOT_ACTIVE;
    if (manager_wait(service, SERVICE_STOPPED, ms, status))
        return TRUE;
    SetLastError(ERROR_SERVICE_REQUEST_TIMEOUT);
    return FALSE;
}

static int too_many(const char *verb)
{
    (void)fprintf(stderr, "kdnetd: service %s takes nothing more\n", verb);
    return MANAGER_USAGE;
}

static void say_log(FILE *out)
{
    wchar_t *folder = folders_path(FOLDERS_LOG);
    char *text = folder ? text_from_wide(folder) : NULL;
    if (text)
        (void)fprintf(out, "the log is %s\\kdnetd.log\n", text);
    free(text);
    free(folder);
}

static void say_no_start(const SERVICE_STATUS_PROCESS *now)
{
    DWORD code = now->dwServiceSpecificExitCode;
    if (now->dwCurrentState == SERVICE_START_PENDING)
        (void)fprintf(stderr, "kdnetd: it has not started within %u seconds; ", START_MS / 1000);
    else if (now->dwWin32ExitCode == ERROR_SERVICE_SPECIFIC_ERROR)
        (void)fprintf(stderr, "kdnetd: it did not start (exit status %lu)%s; ", code,
                      code == 2 ? ": its configuration is wrong: kdnetd --check FILE" : "");
    else
        (void)fputs("kdnetd: it ended while it started, and Windows starts it again; ", stderr);
}

int manager_start(int argc, char **argv)
{
    SERVICE_STATUS_PROCESS now = {.dwCurrentState = 0};
    SC_HANDLE manager;
    int status;
    if (argc > 1)
        return too_many(argv[0]);
    SC_HANDLE service = manager_open(SC_MANAGER_CONNECT, SERVICE_START | SERVICE_QUERY_STATUS, &manager, &status);
    if (!service)
        return status;
    if (!StartServiceW(service, 0, NULL) && GetLastError() != ERROR_SERVICE_ALREADY_RUNNING) {
        status = manager_failed("start", GetLastError());
    } else if (manager_wait(service, SERVICE_RUNNING, START_MS, &now)) {
        (void)puts("kdnetd serves");
        status = MANAGER_DONE;
    } else {
        say_no_start(&now);
        say_log(stderr);
        status = MANAGER_FAILED;
    }
    close_both(service, manager);
    return status;
}

int manager_stop(int argc, char **argv)
{
    SERVICE_STATUS_PROCESS now = {.dwCurrentState = 0};
    SC_HANDLE manager;
    int status;
    if (argc > 1)
        return too_many(argv[0]);
    SC_HANDLE service = manager_open(SC_MANAGER_CONNECT, SERVICE_STOP | SERVICE_QUERY_STATUS, &manager, &status);
    if (!service)
        return status;
    if (manager_stop_it(service, STOP_MS, &now)) {
        (void)puts("kdnetd has stopped");
        status = MANAGER_DONE;
    } else if (GetLastError() != ERROR_SERVICE_REQUEST_TIMEOUT) {
        status = manager_failed("stop", GetLastError());
    } else {
        (void)fputs("kdnetd: it has not stopped within 30 seconds; ", stderr);
        say_log(stderr);
        status = MANAGER_FAILED;
    }
    close_both(service, manager);
    return status;
}

int manager_reload(int argc, char **argv)
{
    SERVICE_STATUS told;
    SC_HANDLE manager;
    int status;
    if (argc > 1)
        return too_many(argv[0]);
    SC_HANDLE service = manager_open(SC_MANAGER_CONNECT, SERVICE_PAUSE_CONTINUE, &manager, &status);
    if (!service)
        return status;
    if (ControlService(service, SERVICE_CONTROL_PARAMCHANGE, &told)) {
        (void)fputs(
            "kdnetd reads its configuration again; a mistake is in the log, and what was right before goes on; ",
            stdout);
        say_log(stdout);
        status = MANAGER_DONE;
    } else {
        status = manager_failed("reload", GetLastError());
    }
    close_both(service, manager);
    return status;
}

int manager_status(int argc, char **argv)
{
    static const char *const states[] = {"",       "has stopped", "starts", "stops",
                                         "serves", "continues",   "pauses", "is paused"};
    SERVICE_STATUS_PROCESS now = {.dwCurrentState = 0};
    SC_HANDLE manager;
    DWORD bytes = 0;
    int status;
    if (argc > 1)
        return too_many(argv[0]);
    SC_HANDLE service = manager_open(SC_MANAGER_CONNECT, SERVICE_QUERY_STATUS, &manager, &status);
    if (!service)
        return status;
    if (QueryServiceStatusEx(service, SC_STATUS_PROCESS_INFO, (BYTE *)&now, sizeof now, &bytes)) {
        DWORD state = now.dwCurrentState < sizeof states / sizeof states[0] ? now.dwCurrentState : 0;
        (void)printf("kdnetd %s", states[state]);
        if (now.dwProcessId != 0)
            (void)printf(" (process %lu)", now.dwProcessId);
        if (state == SERVICE_STOPPED && now.dwWin32ExitCode == ERROR_SERVICE_SPECIFIC_ERROR)
            (void)printf(" (exit status %lu)", now.dwServiceSpecificExitCode);
        (void)puts("");
        status = state == SERVICE_RUNNING ? MANAGER_DONE : MANAGER_FAILED;
    } else {
        status = manager_failed("status", GetLastError());
    }
    close_both(service, manager);
    return status;
}
