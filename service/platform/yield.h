/* SPDX-License-Identifier: Apache-2.0 */
/* yield: who gets a processor first, threads that serve machines or others, where the system supports that. */
#ifndef SERVICE_PLATFORM_YIELD_H
#define SERVICE_PLATFORM_YIELD_H

/* Lowers the priority of the calling thread, and of threads that it starts from now on. */
void platform_yield(void);

/* Lowers the priority of the calling thread by a step: where processors are short, a thread that serves machines gets
 * three times as much as this one, which still gets on. */
void platform_step_back(void);

/* Lets the calling thread, which runs for less than half a millisecond at a time, begin soon after it wakes when other
 * threads are running. Otherwise Linux from 6.6 on lets those end their slice first, 3 to 4 ms. Linux from 6.12 on. */
void platform_begin_soon(void);

#endif
