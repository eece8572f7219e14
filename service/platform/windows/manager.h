/* SPDX-License-Identifier: Apache-2.0 */
/*
 * manager: the verbs of `kdnetd service` that use the service control manager. Each reports its success on standard
 * output, and faults with their remedy on standard error; argv[0] is the verb.
 */
#ifndef SERVICE_PLATFORM_WINDOWS_MANAGER_H
#define SERVICE_PLATFORM_WINDOWS_MANAGER_H

#include <winsock2.h>
#include <windows.h>

enum { MANAGER_DONE = 0, MANAGER_FAILED = 1, MANAGER_USAGE = 2, MANAGER_NOT_INSTALLED = 3 };

int manager_install(int argc, char **argv);
int manager_uninstall(int argc, char **argv);
int manager_start(int argc, char **argv);
int manager_stop(int argc, char **argv);
int manager_reload(int argc, char **argv);
int manager_status(int argc, char **argv);

/* Opens the service, and its manager's handle. NULL: the fault was printed; `status` is then the exit status. */
SC_HANDLE manager_open(DWORD manager_rights, DWORD service_rights, SC_HANDLE *manager, int *status);

/* Prints `what`, the error of GetLastError, and a known remedy. Returns MANAGER_FAILED. */
int manager_failed(const char *what, DWORD error);

/* Waits up to `ms` until the service is in state `wanted`; false: another state, in `status`. */
BOOL manager_wait(SC_HANDLE service, DWORD wanted, DWORD ms, SERVICE_STATUS_PROCESS *status);

/* Stops it, after its start if it starts. False: GetLastError says why; ERROR_SERVICE_REQUEST_TIMEOUT: not within `ms`.
 */
BOOL manager_stop_it(SC_HANDLE service, DWORD ms, SERVICE_STATUS_PROCESS *status);

#define MANAGER_EVENT_KEY L"SYSTEM\\CurrentControlSet\\Services\\EventLog\\Application\\kdnetd"
#define MANAGER_ACCOUNT   L"NT SERVICE\\kdnetd"

#endif
