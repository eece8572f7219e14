/* SPDX-License-Identifier: Apache-2.0 */
/* yield: a thread that comes after those that serve machines, where the system can tell threads apart. */
#ifndef SERVICE_PLATFORM_YIELD_H
#define SERVICE_PLATFORM_YIELD_H

/* The calling thread, and those that it starts from now on. */
void platform_yield(void);

#endif
