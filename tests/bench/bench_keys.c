/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench_keys COUNT: the floor of finding whose key opens a poke: one block under each of COUNT keys, one context
 * re-keyed by the functions of OpenSSL's provider, keys in a row in memory: {"keys":N,"ms":…}, the median of 11 scans.
 */
#include "tests/bench/bench.h"
#include "tests/bench/floor.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SCANS 11

static _Noreturn void fail(const char *what)
{
    bench_fail("bench_keys", what);
}

static double scan(const struct floor *floor, uint8_t (*keys)[32], size_t count)
{
    static const uint8_t tag[16], block[16];
    uint8_t plain[16];
    size_t made, hits = 0;
    double start = bench_cpu_ns();
    for (size_t i = 0; i < count; ++i) {
        if (floor->direct) {
            floor->init(floor->direct, keys[i], 32, tag, 16, NULL);
            floor->cipher(floor->direct, plain, &made, sizeof plain, block, sizeof block);
        } else {
            EVP_DecryptInit_ex(floor->shared, NULL, NULL, keys[i], tag);
            EVP_Cipher(floor->shared, plain, block, sizeof block);
        }
        hits += (plain[0] | plain[1] | plain[2]) == 0;
    }
    if (hits > count / 1000 + 1)
        fail("keys open what they should not");
    return (bench_cpu_ns() - start) / 1e6;
}

int main(int argc, char **argv)
{
    size_t count = argc == 2 ? strtoul(argv[1], NULL, 10) : 0;
    double ms[SCANS];
    struct floor floor;
    uint8_t(*keys)[32] = calloc(count + 1, sizeof *keys);
    if (count < 1 || !keys || !floor_init(&floor))
        fail("usage: bench_keys COUNT");
    for (size_t i = 0; i < count; ++i)
        for (size_t part = 0; part < 4; ++part) {
            uint64_t word = bench_mix(4 * i + part);
            memcpy(keys[i] + 8 * part, &word, sizeof word);
        }
    for (size_t i = 0; i < SCANS; ++i)
        ms[i] = scan(&floor, keys, count);
    (void)printf("{\"keys\":%zu,\"ms\":%.6f}\n", count, bench_median(ms, SCANS));
    floor_clear(&floor);
    free(keys);
    return 0;
}
