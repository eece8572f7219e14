/* SPDX-License-Identifier: Apache-2.0 */
/* service_state: state reports to the service control manager. Without a service each call does nothing. Thread:
 * any. */
#ifndef SERVICE_PLATFORM_WINDOWS_SERVICE_STATE_H
#define SERVICE_PLATFORM_WINDOWS_SERVICE_STATE_H

#include <stdbool.h>

#define SERVICE_STATE_NAME L"kdnetd"

/* Runs `kdnetd service run`: under the manager until the service has stopped. Returns the exit status. */
int service_state_run(int argc, char **argv, int (*run)(int argc, char **argv));

void service_state_running(void);
void service_state_stopping(unsigned for_ms); /* the end takes so long at most, the Event Log included */

/* Reports the end, before the process is ended while its threads still run. On the thread that runs the service. */
void service_state_end(int outcome);

#endif
