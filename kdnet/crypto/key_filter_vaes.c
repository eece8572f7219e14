/* SPDX-License-Identifier: Apache-2.0 */
/* The key filter with VAES, two blocks an instruction. key_filter_steps_internal.h has the algorithm. */
#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>

#define REG_TARGET "aes,avx2,vaes"
#define REG_KEYS   2

typedef __m256i reg;
typedef __m128i reg_one;

#define reg_xor(a, b)              _mm256_xor_si256(a, b)
#define reg_and(a, b)              _mm256_and_si256(a, b)
#define reg_low_words(a, b)        _mm256_unpacklo_epi32(a, b)
#define reg_high_words(a, b)       _mm256_unpackhi_epi32(a, b)
#define reg_low_halves(a, b)       _mm256_unpacklo_epi64(a, b)
#define reg_high_halves(a, b)      _mm256_unpackhi_epi64(a, b)
#define reg_order(...)             _mm_setr_epi8(__VA_ARGS__)
#define reg_block(bytes)           _mm_loadu_si128((const void *)(bytes))
#define reg_shuffle(a, order)      _mm256_shuffle_epi8(a, order)
#define reg_all(block)             _mm256_broadcastsi128_si256(block)
#define reg_words(word)            _mm256_set1_epi32(word)
/* Loads the given key and the key four places on. */
#define reg_load(keys, at)         _mm256_loadu2_m128i((const void *)((keys)[4] + (at)), (const void *)((keys)[0] + (at)))
#define reg_encrypt_last(a, round) _mm256_aesenclast_epi128(a, round)
#define reg_decrypt(a, round)      _mm256_aesdec_epi128(a, round)
#define reg_decrypt_last(a, round) _mm256_aesdeclast_epi128(a, round)
/* InvMixColumns has no 256-bit instruction: AESDEC undoes AESENCLAST and adds InvMixColumns. */
#define reg_inverse_mix(a)         reg_decrypt(reg_encrypt_last(a, reg_words(0)), reg_words(0))
/* A bit for each zero word. */
#define reg_zero_words(a)                                                                                              \
    (unsigned)_mm256_movemask_ps(_mm256_castsi256_ps(_mm256_cmpeq_epi32(a, _mm256_setzero_si256())))

#include "kdnet/crypto/key_filter_steps_internal.h"

size_t kdnet_key_filter_vaes(struct kdnet_crypto *crypto, const uint8_t *const *keys, size_t key_count,
                             const struct kdnet_key_filter_batch *batch, struct kdnet_key_filter_hit *hits,
                             size_t *hit_count)
{
    return filter_keys(crypto, keys, key_count, batch, hits, hit_count);
}
