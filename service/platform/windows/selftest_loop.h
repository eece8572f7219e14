/* SPDX-License-Identifier: Apache-2.0 */
/* selftest_loop: kdnetd and kdnet-target of this folder against each other, on loopback, beside the service. */
#ifndef SERVICE_PLATFORM_WINDOWS_SELFTEST_LOOP_H
#define SERVICE_PLATFORM_WINDOWS_SELFTEST_LOOP_H

enum selftest_loop {
    SELFTEST_LOOP_DONE,        /* a machine crashed, went on, and its result came */
    SELFTEST_LOOP_FAILED,      /* one of these steps failed */
    SELFTEST_LOOP_NOT_SERVING, /* kdnetd was started, and did not say that it serves */
    SELFTEST_LOOP_MISSING,     /* kdnet-target.exe is not in this folder, or no program can be started */
};

/* Takes some seconds, two and a half minutes at most. */
enum selftest_loop selftest_loop_run(void);

#endif
