/* SPDX-License-Identifier: Apache-2.0 */
/* sys/wait.h: for tests that are skipped where it fails (tests/support/system.h). */
#ifndef TESTS_WINDOWS_POSIX_WAIT_H
#define TESTS_WINDOWS_POSIX_WAIT_H

#include <sys/types.h>

#define fork() (-1)

static inline int waitpid(pid_t child, int *status, int options)
{
    (void)child;
    (void)status;
    (void)options;
    return -1;
}

static inline int kill(pid_t child, int number)
{
    (void)child;
    (void)number;
    return -1;
}

#endif
