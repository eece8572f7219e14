/* SPDX-License-Identifier: Apache-2.0 */
/*
 * random: random numbers that come again: xorshift64*, from a printed seed. Not for secrets.
 */
#ifndef TESTS_SUPPORT_RANDOM_H
#define TESTS_SUPPORT_RANDOM_H

#include <stddef.h>
#include <stdint.h>

struct test_random {
    uint64_t state; /* never 0 */
};

/* Starts from the environment's KDNETD_TEST_SEED, or from a fixed seed, and prints which to standard output. */
void test_random_init(struct test_random *random);

uint64_t test_random_next(struct test_random *random);

/* 0 to bound-1; bound is at least 1. */
size_t test_random_below(struct test_random *random, size_t bound);

void test_random_fill(struct test_random *random, uint8_t *out, size_t length);

#endif
