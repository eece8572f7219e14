/* SPDX-License-Identifier: Apache-2.0 */
/*
 * manager: the verbs of `kdnetd service` that talk to the service control manager. Each says on standard output what it
 * did, and on standard error what went wrong and the remedy; argv[0] is the verb.
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

/* Opens the service, with its manager's handle. NULL: said why; `status`: the exit status then. */
SC_HANDLE manager_open(DWORD manager_rights, DWORD service_rights, SC_HANDLE *manager, int *status);

/* Says `what`, the error of GetLastError, and a remedy where there is one. Returns MANAGER_FAILED. */
int manager_failed(const char *what, DWORD error);

/* Waits until the service is in `wanted`, up to `ms`; false: it is in another state, which is written to `status`. */
BOOL manager_wait(SC_HANDLE service, DWORD wanted, DWORD ms, SERVICE_STATUS_PROCESS *status);

#define MANAGER_EVENT_KEY L"SYSTEM\\CurrentControlSet\\Services\\EventLog\\Application\\kdnetd"
#define MANAGER_ACCOUNT   L"NT SERVICE\\kdnetd"

#endif
