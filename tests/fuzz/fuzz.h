/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz: what each fuzz_X.c defines, and how it says that something is wrong.
 *
 * Run by libFuzzer (KDNETD_FUZZ=ON), or by replay_main.c as an ordinary test: the corpus and seeded mutations of it.
 */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

/* Tries one input; returns 0, or aborts. `data` has exactly `size` bytes. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A property that holds for every input; in all builds. */
#define FUZZ_CHECK(condition)                                                                                          \
    do {                                                                                                               \
        if (!(condition))                                                                                              \
            abort();                                                                                                   \
    } while (0)

#endif
