/* SPDX-License-Identifier: Apache-2.0 */
/*
 * service: `kdnetd service VERB`, for the service control manager of Windows. windows/service.c or
 * posix/service_none.c is built.
 */
#ifndef SERVICE_PLATFORM_SERVICE_H
#define SERVICE_PLATFORM_SERVICE_H

/*
 * Runs the verb argv[1]: install, uninstall, start, stop, reload, status, selftest, run.
 *
 * run  serves, with a command line without `service run`; returns the exit status
 * Returns the exit status: 0 done, 1 failed, 2 wrong command line, 3 the service is not installed.
 */
int service_command(int argc, char **argv, int (*run)(int argc, char **argv));

#endif
