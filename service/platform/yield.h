/* SPDX-License-Identifier: Apache-2.0 */
/* yield: lowers a thread's priority below those that serve machines, where the system supports that. */
#ifndef SERVICE_PLATFORM_YIELD_H
#define SERVICE_PLATFORM_YIELD_H

/* Lowers the priority of the calling thread, and of threads that it starts from now on. */
void platform_yield(void);

/* Lowers the priority of the calling thread by a step: where processors are short, a thread that serves machines gets
 * three times as much as this one, which still gets on. */
void platform_step_back(void);

#endif
