/* SPDX-License-Identifier: Apache-2.0 */
/* sys/resource.h: for tests that are skipped where it fails (tests/support/system.h). */
#ifndef TESTS_WINDOWS_POSIX_RESOURCE_H
#define TESTS_WINDOWS_POSIX_RESOURCE_H

struct rlimit {
    unsigned long long rlim_cur, rlim_max;
};

#define RLIMIT_FSIZE 1

static inline int getrlimit(int what, struct rlimit *out)
{
    (void)what;
    (void)out;
    return -1;
}

static inline int setrlimit(int what, const struct rlimit *wanted)
{
    (void)what;
    (void)wanted;
    return -1;
}

#endif
