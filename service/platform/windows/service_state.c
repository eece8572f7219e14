/* SPDX-License-Identifier: Apache-2.0 */
#include "service/platform/windows/control.h"
#include "service/platform/windows/eventlog.h"
#include "service/platform/windows/folders.h"
#include "service/platform/windows/service_state.h"
#include "service/platform/requests.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <windows.h>

#define START_HINT_MS            10000U
#define STOP_HINT_MS             20000U
#define LOG_MS                   3000U /* for the Event Log at the end, or what is left of it, but ... */
#define LOG_LEAST_MS             900U
#define CHECKPOINT_MS            2000U
#define CHECKPOINTS_MAX          60U /* checkpoints sent at most; then the manager may conclude that we hang */
#define SUMMARY_CONTROL          128U
#define EXIT_WRONG_CONFIGURATION 2

struct service {
    SERVICE_STATUS_HANDLE handle; /* NULL: no service */
    SRWLOCK lock;                 /* of the status */
    SERVICE_STATUS status;
    HANDLE timer;
    ULONGLONG stop_by_ms; /* 0: nobody has told it to stop */
    int argc;
    char **argv;
    int (*run)(int argc, char **argv);
    int outcome;
};

static struct service service = {.lock = SRWLOCK_INIT};

static void tell(DWORD state, DWORD hint_ms)
{
    SERVICE_STATUS *status = &service.status;
    AcquireSRWLockExclusive(&service.lock);
    if (service.handle && status->dwCurrentState != SERVICE_STOPPED) {
        status->dwServiceType = SERVICE_WIN32_OWN_PROCESS;
        status->dwCurrentState = state;
        status->dwControlsAccepted = state == SERVICE_RUNNING
                                         ? SERVICE_ACCEPT_STOP | SERVICE_ACCEPT_PRESHUTDOWN | SERVICE_ACCEPT_PARAMCHANGE
                                         : 0;
        status->dwCheckPoint = hint_ms > 0 ? status->dwCheckPoint + 1 : 0;
        status->dwWaitHint = hint_ms;
        (void)SetServiceStatus(service.handle, status);
    }
    ReleaseSRWLockExclusive(&service.lock);
}

/* Tells the manager during start and stop that we are still working. */
static void CALLBACK on_timer(void *user, BOOLEAN fired)
{
    SERVICE_STATUS *status = &service.status;
    (void)user;
    (void)fired;
    AcquireSRWLockExclusive(&service.lock);
    bool pending = status->dwCurrentState == SERVICE_START_PENDING || status->dwCurrentState == SERVICE_STOP_PENDING;
    if (pending && status->dwCheckPoint < CHECKPOINTS_MAX) {
        ++status->dwCheckPoint;
        (void)SetServiceStatus(service.handle, status);
    }
    ReleaseSRWLockExclusive(&service.lock);
}

void service_state_running(void)
{
    tell(SERVICE_RUNNING, 0);
}

void service_state_stopping(unsigned for_ms)
{
    service.stop_by_ms = GetTickCount64() + for_ms;
    tell(SERVICE_STOP_PENDING, STOP_HINT_MS);
}

/* On the manager's thread: only posts the request. */
static DWORD WINAPI on_control(DWORD control, DWORD type, void *data, void *context)
{
    (void)type;
    (void)data;
    (void)context;
    switch (control) {
    case SERVICE_CONTROL_STOP:
    case SERVICE_CONTROL_PRESHUTDOWN:
        control_ask(1U << REQUEST_STOP);
        return NO_ERROR;
    case SERVICE_CONTROL_PARAMCHANGE:
        control_ask(1U << REQUEST_RELOAD);
        return NO_ERROR;
    case SUMMARY_CONTROL:
        control_ask(1U << REQUEST_SUMMARY);
        return NO_ERROR;
    case SERVICE_CONTROL_INTERROGATE:
        return NO_ERROR;
    default:
        return ERROR_CALL_NOT_IMPLEMENTED;
    }
}

static void tell_stopped(int outcome)
{
    AcquireSRWLockExclusive(&service.lock);
    service.status.dwWin32ExitCode = outcome == 0 ? NO_ERROR : ERROR_SERVICE_SPECIFIC_ERROR;
    service.status.dwServiceSpecificExitCode = (DWORD)outcome;
    ReleaseSRWLockExclusive(&service.lock);
    tell(SERVICE_STOPPED, 0);
}

static bool is_stopping(void)
{
    AcquireSRWLockShared(&service.lock);
    bool stopping = service.status.dwCurrentState == SERVICE_STOP_PENDING;
    ReleaseSRWLockShared(&service.lock);
    return stopping;
}

static unsigned log_share_ms(void)
{
    ULONGLONG now_ms = GetTickCount64();
    if (service.stop_by_ms == 0 || now_ms + LOG_MS < service.stop_by_ms)
        return LOG_MS;
    return now_ms + LOG_LEAST_MS < service.stop_by_ms ? (unsigned)(service.stop_by_ms - now_ms) : LOG_LEAST_MS;
}

/*
 * The manager restarts a service that ends without reporting that it has stopped. A requested end is reported, whatever
 * its outcome; so is the end by a wrong configuration, which would stay wrong after a restart.
 */
static void end(int outcome)
{
    bool restart = outcome != 0 && outcome != EXIT_WRONG_CONFIGURATION && !is_stopping();
    if (service.timer)
        (void)DeleteTimerQueueTimer(NULL, service.timer, INVALID_HANDLE_VALUE);
    service.timer = NULL;
    eventlog_close(log_share_ms());
    if (restart)
        ExitProcess((UINT)outcome);
    tell_stopped(outcome);
}

void service_state_end(int outcome)
{
    if (service.handle)
        end(outcome);
}

/* Names the folder of state and store, unless the configuration does; systemd does the same. */
static void name_state(void)
{
    wchar_t *folder = folders_path(FOLDERS_STATE);
    if (folder && !_wgetenv(L"STATE_DIRECTORY"))
        (void)_wputenv_s(L"STATE_DIRECTORY", folder);
    free(folder);
}

static void WINAPI service_main(DWORD count, wchar_t **arguments)
{
    (void)count;
    (void)arguments;
    service.handle = RegisterServiceCtrlHandlerExW(SERVICE_STATE_NAME, on_control, NULL);
    if (!service.handle)
        return;
    tell(SERVICE_START_PENDING, START_HINT_MS);
    (void)CreateTimerQueueTimer(&service.timer, NULL, on_timer, NULL, CHECKPOINT_MS, CHECKPOINT_MS, WT_EXECUTEDEFAULT);
    wchar_t *folder = folders_path(FOLDERS_LOG);
    eventlog_open(folder);
    free(folder);
    name_state();
    service.outcome = service.run(service.argc, service.argv);
    end(service.outcome);
}

int service_state_run(int argc, char **argv, int (*run)(int argc, char **argv))
{
    wchar_t name[] = SERVICE_STATE_NAME;
    const SERVICE_TABLE_ENTRYW table[] = {{name, service_main}, {NULL, NULL}};
    service.argc = argc;
    service.argv = argv;
    service.run = run;
    if (StartServiceCtrlDispatcherW(table))
        return service.outcome;
    if (GetLastError() == ERROR_FAILED_SERVICE_CONTROLLER_CONNECT)
        (void)fputs("kdnetd: 'service run' is for the service control manager alone; 'kdnetd service start' starts the "
                    "service, and 'kdnetd' without 'service' serves in this window\n",
                    stderr);
    else
        (void)fputs("kdnetd: the service control manager does not answer\n", stderr);
    return 2;
}
