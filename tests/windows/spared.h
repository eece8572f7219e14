/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spared: libraries that are part of a program on Windows have their memory from scarce_spared(), as they have it from
 * the system where they are shared: a test counts our own allocations alone. A spared_LIBRARY.c works by being linked;
 * kdnetd_test_spares() of units.cmake does that.
 */
#ifndef TESTS_WINDOWS_SPARED_H
#define TESTS_WINDOWS_SPARED_H

#include "tests/support/scarce.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static inline void *spared_new(size_t size)
{
    return scarce_spared(NULL, size > 0 ? size : 1);
}

static inline void *spared_zeroed(size_t count, size_t size)
{
    size_t bytes = size != 0 && count > SIZE_MAX / size ? 0 : count * size;
    void *made = bytes > 0 ? spared_new(bytes) : NULL;
    return made ? memset(made, 0, bytes) : NULL;
}

#endif
