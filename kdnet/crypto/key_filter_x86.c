/* SPDX-License-Identifier: Apache-2.0 */
/* The key filter with AES-NI, and the choice of implementations by processor. key_filter_steps_internal.h has the
 * algorithm. */
#include <cpuid.h>
#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>

#define REG_TARGET "aes,sse4.1"
#define REG_KEYS   1

typedef __m128i reg, reg_one;

#define reg_xor(a, b)              _mm_xor_si128(a, b)
#define reg_and(a, b)              _mm_and_si128(a, b)
#define reg_low_words(a, b)        _mm_unpacklo_epi32(a, b)
#define reg_high_words(a, b)       _mm_unpackhi_epi32(a, b)
#define reg_low_halves(a, b)       _mm_unpacklo_epi64(a, b)
#define reg_high_halves(a, b)      _mm_unpackhi_epi64(a, b)
#define reg_order(...)             _mm_setr_epi8(__VA_ARGS__)
#define reg_block(bytes)           _mm_loadu_si128((const void *)(bytes))
#define reg_shuffle(a, order)      _mm_shuffle_epi8(a, order)
#define reg_all(block)             (block)
#define reg_words(word)            _mm_set1_epi32(word)
#define reg_load(keys, at)         _mm_loadu_si128((const void *)((keys)[0] + (at)))
#define reg_encrypt_last(a, round) _mm_aesenclast_si128(a, round)
#define reg_decrypt(a, round)      _mm_aesdec_si128(a, round)
#define reg_decrypt_last(a, round) _mm_aesdeclast_si128(a, round)
#define reg_inverse_mix(a)         _mm_aesimc_si128(a)
/* A bit for each zero word. */
#define reg_zero_words(a)          (unsigned)_mm_movemask_ps(_mm_castsi128_ps(_mm_cmpeq_epi32(a, _mm_setzero_si128())))

#include "kdnet/crypto/key_filter_steps_internal.h"

static size_t filter_aes_ni(struct kdnet_crypto *crypto, const uint8_t *const *keys, size_t key_count,
                            const struct kdnet_key_filter_batch *batch, struct kdnet_key_filter_hit *hits,
                            size_t *hit_count)
{
    return filter_keys(crypto, keys, key_count, batch, hits, hit_count);
}

/* Tests for VAES by CPUID, since not every compiler's __builtin_cpu_supports knows it; AVX2 support implies that the
 * system saves wide registers. Tested once: in a virtual machine CPUID takes a microsecond. */
static bool has_vaes(void)
{
    enum { NOT_LOOKED, NO, YES };
    static _Atomic int known = NOT_LOOKED;
    if (known == NOT_LOOKED) {
        unsigned a = 0, b = 0, c = 0, d = 0;
        bool there = __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 && (c & bit_VAES) != 0;
        known = there && __builtin_cpu_supports("avx2") ? YES : NO;
    }
    return known == YES;
}

kdnet_key_filter_way *kdnet_key_filter_hardware(size_t rank)
{
    bool narrow = __builtin_cpu_supports("aes") && __builtin_cpu_supports("sse4.1"), wide = narrow && has_vaes();
    if (wide && rank == 0)
        return kdnet_key_filter_vaes;
    return narrow && rank == wide ? filter_aes_ni : NULL;
}
