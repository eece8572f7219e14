/* SPDX-License-Identifier: Apache-2.0 */
/* system: what a test needs to know of the system that it runs on. */
#ifndef TESTS_SUPPORT_SYSTEM_H
#define TESTS_SUPPORT_SYSTEM_H

#include <stdbool.h>

/* Whether it has fork, limits of resources, named pipes, and signals of files and pipes. A test of them is skipped
 * where this is false, which is on Windows alone. */
static inline bool system_is_posix(void)
{
#ifdef _WIN32
    return false;
#else
    return true;
#endif
}

#endif
