/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The key filter with the AES instructions of ARMv8. key_filter_steps_internal.h has the algorithm, written for x86's
 * instructions. AESE and AESD add the round key before the substitution, not after, and do not mix columns: so they get
 * a zero key, and the round's key is added afterwards.
 */
#include <arm_neon.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/auxv.h>

#ifndef HWCAP_AES
#define HWCAP_AES (1UL << 3)
#endif

#if defined(__clang__)
#define REG_TARGET "aes"
#else
#define REG_TARGET "+crypto"
#endif
#define REG_KEYS 1

typedef uint8x16_t reg, reg_one;

#define AS_WORDS(a)   vreinterpretq_u32_u8(a)
#define AS_HALVES(a)  vreinterpretq_u64_u8(a)
#define FROM_WORDS(a) vreinterpretq_u8_u32(a)

#define reg_xor(a, b)              veorq_u8(a, b)
#define reg_and(a, b)              vandq_u8(a, b)
#define reg_low_words(a, b)        FROM_WORDS(vzip1q_u32(AS_WORDS(a), AS_WORDS(b)))
#define reg_high_words(a, b)       FROM_WORDS(vzip2q_u32(AS_WORDS(a), AS_WORDS(b)))
#define reg_low_halves(a, b)       vreinterpretq_u8_u64(vzip1q_u64(AS_HALVES(a), AS_HALVES(b)))
#define reg_high_halves(a, b)      vreinterpretq_u8_u64(vzip2q_u64(AS_HALVES(a), AS_HALVES(b)))
#define reg_order(...)             ((const uint8x16_t){__VA_ARGS__})
#define reg_block(bytes)           vld1q_u8(bytes)
#define reg_shuffle(a, order)      vqtbl1q_u8(a, order)
#define reg_all(block)             (block)
#define reg_words(word)            FROM_WORDS(vdupq_n_u32((uint32_t)(word)))
#define reg_load(keys, at)         vld1q_u8((keys)[0] + (at))
#define reg_encrypt_last(a, round) veorq_u8(vaeseq_u8(a, vdupq_n_u8(0)), round)
#define reg_decrypt(a, round)      veorq_u8(vaesimcq_u8(vaesdq_u8(a, vdupq_n_u8(0))), round)
#define reg_decrypt_last(a, round) veorq_u8(vaesdq_u8(a, vdupq_n_u8(0)), round)
#define reg_inverse_mix(a)         vaesimcq_u8(a)
/* A bit for each zero word. */
#define reg_zero_words(a)          vaddvq_u32(vandq_u32(vceqzq_u32(AS_WORDS(a)), (const uint32x4_t){1, 2, 4, 8}))

#include "kdnet/crypto/key_filter_steps_internal.h"

static size_t filter_armv8(struct kdnet_crypto *crypto, const uint8_t *const *keys, size_t key_count,
                           const struct kdnet_key_filter_batch *batch, struct kdnet_key_filter_hit *hits,
                           size_t *hit_count)
{
    return filter_keys(crypto, keys, key_count, batch, hits, hit_count);
}

kdnet_key_filter_way *kdnet_key_filter_hardware(size_t rank)
{
    return rank == 0 && (getauxval(AT_HWCAP) & HWCAP_AES) != 0 ? filter_armv8 : NULL;
}
