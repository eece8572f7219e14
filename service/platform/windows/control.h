/* SPDX-License-Identifier: Apache-2.0 */
/*
 * control: between the service control manager's thread and the server's loop. The manager's handler only sets bits
 * (1 << enum request) and wakes the loop. Without a service nothing is ever asked.
 */
#ifndef SERVICE_PLATFORM_WINDOWS_CONTROL_H
#define SERVICE_PLATFORM_WINDOWS_CONTROL_H

#include <uv.h>

/* The bits since the last call. */
unsigned control_take(void);

/* Sets the handle to wake; NULL: none. Earlier requests are reported at once. Thread: the loop's. */
void control_listen(uv_async_t *wakeup);

/* Sets bits and wakes. Thread: any. */
void control_ask(unsigned bits);

#endif
