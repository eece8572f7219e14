/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/random.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define DEFAULT_SEED 20160124U

void test_random_init(struct test_random *random)
{
    const char *text = getenv("KDNETD_TEST_SEED");
    random->state = text ? strtoull(text, NULL, 0) : DEFAULT_SEED;
    if (random->state == 0)
        random->state = DEFAULT_SEED;
    printf("random seed %" PRIu64 " (set KDNETD_TEST_SEED to change it)\n", random->state);
    (void)fflush(stdout);
}

uint64_t test_random_next(struct test_random *random)
{
    random->state ^= random->state >> 12;
    random->state ^= random->state << 25;
    random->state ^= random->state >> 27;
    return random->state * 0x2545f4914f6cdd1dU;
}

size_t test_random_below(struct test_random *random, size_t bound)
{
    return (size_t)((test_random_next(random) >> 11) % bound); /* the same on 32-bit systems */
}

void test_random_fill(struct test_random *random, uint8_t *out, size_t length)
{
    for (size_t i = 0; i < length; ++i)
        out[i] = (uint8_t)(test_random_next(random) >> 56);
}
