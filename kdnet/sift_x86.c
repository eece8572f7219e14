/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sift by AES-NI: eight keys at a time, from 32 bytes of key to the answer. Their schedule stays in the crypto's
 * scratch until the next keys come.
 *
 * AES-256 as in FIPS 197: the key expansion of section 5.2, and the equivalent inverse cipher of 5.3.5, which is what
 * AESDEC computes. The words of four keys are expanded side by side: word i of all of them is in one register, so that
 * an XOR or a SubWord serves four keys; and twice four take turns, for one waits most of the time. For the rounds each
 * key needs its four words in one register again.
 *
 * No look-up depends on a key: the instructions take the same time whatever they are given.
 */
#include "kdnet/sift_internal.h"

#include <immintrin.h>

#define LANES    ((size_t)4) /* keys in a register: words of 32 bits */
#define HALVES   ((size_t)2) /* so many of such registers side by side: one waits for its instructions alone */
#define TOGETHER (LANES * HALVES)
#define ROUNDS   14

#define AES_NI         __attribute__((target("aes,sse4.1")))
#define AES_NI_INLINED __attribute__((target("aes,sse4.1"), always_inline)) static inline

/* Decryption keys of the keys, by round: [0] is the last that is used. Secret. */
struct schedule {
    __m128i round[ROUNDS + 1][TOGETHER];
};

_Static_assert(TOGETHER <= KDNET_SIFT_TOGETHER, "room for hits");
_Static_assert(sizeof(struct schedule) <= KDNET_CRYPTO_SCRATCH, "room for a schedule");

bool kdnet_sift_has_hardware(void)
{
    return __builtin_cpu_supports("aes") && __builtin_cpu_supports("sse4.1");
}

/* Four registers of four words: rows become columns. */
AES_NI_INLINED void transpose(const __m128i in[static 4], __m128i out[static 4])
{
    __m128i a = _mm_unpacklo_epi32(in[0], in[1]), b = _mm_unpackhi_epi32(in[0], in[1]);
    __m128i c = _mm_unpacklo_epi32(in[2], in[3]), d = _mm_unpackhi_epi32(in[2], in[3]);
    out[0] = _mm_unpacklo_epi64(a, c);
    out[1] = _mm_unpackhi_epi64(a, c);
    out[2] = _mm_unpacklo_epi64(b, d);
    out[3] = _mm_unpackhi_epi64(b, d);
}

/* The next four words, where the ones eight before them are: each is that one, XOR the one before it; `t` stands for
 * the one before the first. */
AES_NI_INLINED void next_words(__m128i w[static 4], __m128i t)
{
    __m128i w01 = _mm_xor_si128(w[0], w[1]), w012 = _mm_xor_si128(w01, w[2]), w0123 = _mm_xor_si128(w012, w[3]);
    w[0] = _mm_xor_si128(w[0], t);
    w[1] = _mm_xor_si128(w01, t);
    w[2] = _mm_xor_si128(w012, t);
    w[3] = _mm_xor_si128(w0123, t);
}

/* SubWord of four words; AESENCLAST does ShiftRows, too, which the order of the bytes takes back. */
AES_NI_INLINED __m128i sub_word(__m128i word)
{
    const __m128i order = _mm_setr_epi8(0, 13, 10, 7, 4, 1, 14, 11, 8, 5, 2, 15, 12, 9, 6, 3);
    return _mm_aesenclast_si128(_mm_shuffle_epi8(word, order), _mm_setzero_si128());
}

/* SubWord(RotWord(word)) XOR Rcon. */
AES_NI_INLINED __m128i sub_rot_word(__m128i word, __m128i rcon)
{
    const __m128i order = _mm_setr_epi8(1, 14, 11, 4, 5, 2, 15, 8, 9, 6, 3, 12, 13, 10, 7, 0);
    return _mm_aesenclast_si128(_mm_shuffle_epi8(word, order), rcon);
}

/* The keys of a round but the first and the last, as AESDEC wants them. */
AES_NI_INLINED void put_inverse(const __m128i w[static 4], __m128i round[static LANES])
{
    __m128i keys[LANES];
    transpose(w, keys);
#pragma GCC unroll 4
    for (size_t i = 0; i < LANES; ++i)
        round[i] = _mm_aesimc_si128(keys[i]);
}

AES_NI_INLINED void load_keys(const uint8_t *const *keys, struct schedule *schedule, size_t from, __m128i w[static 8])
{
    __m128i first[LANES], second[LANES];
#pragma GCC unroll 4
    for (size_t i = 0; i < LANES; ++i) {
        first[i] = _mm_loadu_si128((const void *)keys[from + i]);
        second[i] = _mm_loadu_si128((const void *)(keys[from + i] + sizeof *first));
        schedule->round[0][from + i] = first[i];
        schedule->round[1][from + i] = _mm_aesimc_si128(second[i]);
    }
    transpose(first, w);
    transpose(second, w + 4);
}

/* Each loop over the halves is unrolled, so that their instructions take turns. */
AES_NI static void expand(const uint8_t *const *keys, struct schedule *schedule)
{
    __m128i w[HALVES][8], rcon = _mm_set1_epi32(1);
#pragma GCC unroll 2
    for (size_t half = 0; half < HALVES; ++half)
        load_keys(keys, schedule, half * LANES, w[half]);
    for (size_t round = 2; round < ROUNDS; round += 2) {
#pragma GCC unroll 2
        for (size_t half = 0; half < HALVES; ++half) {
            next_words(w[half], sub_rot_word(w[half][7], rcon));
            put_inverse(w[half], &schedule->round[round][half * LANES]);
        }
#pragma GCC unroll 2
        for (size_t half = 0; half < HALVES; ++half) {
            next_words(w[half] + 4, sub_word(w[half][3]));
            put_inverse(w[half] + 4, &schedule->round[round + 1][half * LANES]);
        }
        rcon = _mm_slli_epi32(rcon, 1);
    }
#pragma GCC unroll 2
    for (size_t half = 0; half < HALVES; ++half) {
        next_words(w[half], sub_rot_word(w[half][7], rcon));
        transpose(w[half], &schedule->round[ROUNDS][half * LANES]);
    }
}

/* A bit for each of four: whether the first three bytes of the plaintext are zero. The IV is the tag. */
AES_NI_INLINED unsigned find_zeros(const __m128i state[static LANES], uint32_t tag)
{
    __m128i starts = _mm_unpacklo_epi64(_mm_unpacklo_epi32(state[0], state[1]), _mm_unpacklo_epi32(state[2], state[3]));
    starts = _mm_and_si128(_mm_xor_si128(starts, _mm_set1_epi32((int)tag)), _mm_set1_epi32(0xffffff));
    return (unsigned)_mm_movemask_ps(_mm_castsi128_ps(_mm_cmpeq_epi32(starts, _mm_setzero_si128())));
}

/* A bit for each key that could have sealed the block. Not inlined: a compiler that sees the loop round it copies the
 * whole schedule first, which takes as long as some blocks. */
AES_NI __attribute__((noinline)) static unsigned try_block(const struct schedule *schedule,
                                                           const struct kdnet_sift_block *block, uint32_t tag)
{
    __m128i cipher = _mm_loadu_si128((const void *)block->bytes), state[TOGETHER];
#pragma GCC unroll 8
    for (size_t i = 0; i < TOGETHER; ++i)
        state[i] = _mm_xor_si128(cipher, schedule->round[ROUNDS][i]);
#pragma GCC unroll 16
    for (size_t round = ROUNDS - 1; round > 0; --round)
#pragma GCC unroll 8
        for (size_t i = 0; i < TOGETHER; ++i)
            state[i] = _mm_aesdec_si128(state[i], schedule->round[round][i]);
#pragma GCC unroll 8
    for (size_t i = 0; i < TOGETHER; ++i)
        state[i] = _mm_aesdeclast_si128(state[i], schedule->round[0][i]);
    return find_zeros(state, tag) | find_zeros(state + LANES, tag) << LANES;
}

static size_t note_hits(unsigned bits, size_t key, size_t block, struct kdnet_sift_hit *hits)
{
    size_t found = 0;
    for (; bits != 0; bits >>= 1, ++key)
        if (bits & 1)
            hits[found++] = (struct kdnet_sift_hit){.key = (uint16_t)key, .block = (uint16_t)block};
    return found;
}

/* `valid` has a bit for each key that counts; the first is at `key`. */
static size_t try_pile(const struct schedule *schedule, const struct kdnet_sift_pile *pile, size_t key, unsigned valid,
                       struct kdnet_sift_hit *hits)
{
    size_t found = 0;
    for (size_t i = 0; i < pile->count; ++i) {
        unsigned bits = try_block(schedule, &pile->blocks[i], pile->tags[i]) & valid;
        if (bits != 0)
            found += note_hits(bits, key, i, hits + found);
    }
    return found;
}

size_t kdnet_sift_hardware(struct kdnet_crypto *crypto, const uint8_t *const *keys, size_t key_count,
                           const struct kdnet_sift_pile *pile, struct kdnet_sift_hit *hits, size_t *hit_count)
{
    struct schedule *schedule = kdnet_crypto_scratch(crypto);
    const uint8_t *some[TOGETHER];
    size_t tried = 0;
    *hit_count = 0;
    while (tried < key_count && *hit_count == 0) {
        size_t count = key_count - tried < TOGETHER ? key_count - tried : TOGETHER;
        for (size_t i = 0; i < TOGETHER; ++i)
            some[i] = keys[i < count ? tried + i : tried]; /* when fewer are left, one fills up */
        expand(some, schedule);
        *hit_count = try_pile(schedule, pile, tried, (1U << count) - 1, hits);
        tried += count;
    }
    return tried;
}
