/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench_keys COUNT: the floor of finding whose key opens a poke: one block under each of COUNT keys that lie in a row
 * in memory, in a bare loop. Two ways: one context re-keyed by the functions of OpenSSL's provider, and sift's by AES
 * instructions, where the processor has them: {"keys":N,"ms":…,"openssl_ms":…,"hardware":true}; `ms` is the quicker of
 * them, each is the median of 11 scans.
 */
#include "kdnet/crypto/key_filter_internal.h"
#include "tests/bench/bench.h"
#include "tests/bench/floor.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SCANS   11
#define AT_ONCE 64

static _Noreturn void fail(const char *what)
{
    bench_fail("bench_keys", what);
}

/* Each answers how many keys pass. */
typedef size_t scan_way(void *tool, uint8_t (*keys)[32], size_t count);

static size_t by_openssl(void *tool, uint8_t (*keys)[32], size_t count)
{
    static const uint8_t tag[16], block[16];
    const struct floor *floor = tool;
    uint8_t plain[16];
    size_t made, hits = 0;
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
    return hits;
}

static size_t by_hardware(void *tool, uint8_t (*keys)[32], size_t count)
{
    static const struct kdnet_key_filter_block block;
    static const uint32_t tag;
    const struct kdnet_key_filter_batch pile = {&block, &tag, 1};
    struct kdnet_key_filter_hit hit[KDNET_KEY_FILTER_TOGETHER];
    const uint8_t *some[AT_ONCE];
    size_t hits = 0, found = 0;
    for (size_t at = 0; at < count;) {
        size_t wanted = count - at < AT_ONCE ? count - at : AT_ONCE;
        for (size_t i = 0; i < wanted; ++i)
            some[i] = keys[at + i];
        at += kdnet_key_filter_hardware(0)(tool, some, wanted, &pile, hit, &found);
        hits += found;
    }
    return hits;
}

/* The median, milliseconds. */
static double measure(scan_way *scan, void *tool, uint8_t (*keys)[32], size_t count)
{
    double ms[SCANS];
    for (size_t i = 0; i < SCANS; ++i) {
        double start = bench_cpu_ns();
        if (scan(tool, keys, count) > count / 1000 + 1)
            fail("keys open what they should not");
        ms[i] = (bench_cpu_ns() - start) / 1e6;
    }
    return bench_median(ms, SCANS);
}

int main(int argc, char **argv)
{
    size_t count = argc == 2 ? strtoul(argv[1], NULL, 10) : 0;
    struct floor floor;
    struct kdnet_crypto *crypto = kdnet_crypto_new();
    uint8_t(*keys)[32] = calloc(count + 1, sizeof *keys);
    if (count < 1 || !keys || !crypto || !floor_init(&floor))
        fail("usage: bench_keys COUNT");
    for (size_t i = 0; i < count; ++i)
        for (size_t part = 0; part < 4; ++part) {
            uint64_t word = bench_mix(4 * i + part);
            memcpy(keys[i] + 8 * part, &word, sizeof word);
        }
    double openssl_ms = measure(by_openssl, &floor, keys, count), ms = openssl_ms;
    bool hardware = kdnet_key_filter_hardware(0) != NULL;
    if (hardware)
        ms = measure(by_hardware, crypto, keys, count);
    (void)printf("{\"keys\":%zu,\"ms\":%.6f,\"openssl_ms\":%.6f,\"hardware\":%s}\n", count,
                 ms < openssl_ms ? ms : openssl_ms, openssl_ms, hardware ? "true" : "false");
    kdnet_crypto_free(crypto);
    floor_clear(&floor);
    free(keys);
    return 0;
}
