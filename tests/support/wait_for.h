/* SPDX-License-Identifier: Apache-2.0 */
/* wait_for: waits for what another thread does soon; only a broken one is waited for until the test fails. */
#ifndef TESTS_SUPPORT_WAIT_FOR_H
#define TESTS_SUPPORT_WAIT_FOR_H

#include <uv.h>

/* A statement; include cmocka.h before it is used. */
#define WAIT_FOR(condition)                                                                                            \
    for (unsigned waited_ms = 0; !(condition); ++waited_ms, uv_sleep(1))                                               \
        if (waited_ms > 30000)                                                                                         \
    fail_msg("not within 30 s: " #condition)

#endif
