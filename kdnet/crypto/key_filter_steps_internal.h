/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The key filter by AES instructions: eight keys at a time, from 32 bytes of key to the answer. Their schedule stays in
 * the crypto's scratch until the next keys come. Included by key_filter_x86.c, key_filter_arm_linux.c and
 * key_filter_vaes.c, for registers of 16, 16 and 32 bytes; they say what `reg` is, and its operations, and `reg_one`,
 * of one block.
 *
 * AES-256 as in FIPS 197: the key expansion of section 5.2, and the equivalent inverse cipher of 5.3.5, which is what
 * AESDEC computes. The words of several keys are expanded side by side: word i of all of them is in one register, so
 * that an XOR or a SubWord serves them all. For the rounds each key needs its four words together again. Where a
 * register has room for four keys, twice four take turns, for one waits most of the time.
 *
 * No look-up depends on a key: the instructions take the same time whatever they are given.
 *
 * REG_TARGET    the processor's features, for __attribute__((target))
 * REG_KEYS      blocks in a register: 1 or 2
 * reg_…         below, where they are used; each does the same in each 16 bytes of a register
 */
#ifndef KDNET_KEY_FILTER_STEPS_INTERNAL_H
#define KDNET_KEY_FILTER_STEPS_INTERNAL_H

#include "kdnet/crypto/key_filter_internal.h"

#define TOGETHER ((size_t)8)
#define GROUP    ((size_t)4 * REG_KEYS) /* keys whose words are side by side */
#define GROUPS   (TOGETHER / GROUP)
#define ROUNDS   14

#define WITH_AES __attribute__((target(REG_TARGET)))
#define INLINED  __attribute__((target(REG_TARGET), always_inline)) static inline

/* Decryption keys by round; [0] is used last. Secret. */
struct schedule {
    reg round[ROUNDS + 1][4 * GROUPS];
};

_Static_assert(TOGETHER <= KDNET_KEY_FILTER_TOGETHER, "room for hits");
_Static_assert(sizeof(struct schedule) <= KDNET_CRYPTO_SCRATCH, "room for a schedule");

/* Four registers of four words: rows become columns. */
INLINED void transpose(const reg in[static 4], reg out[static 4])
{
    reg a = reg_low_words(in[0], in[1]), b = reg_high_words(in[0], in[1]);
    reg c = reg_low_words(in[2], in[3]), d = reg_high_words(in[2], in[3]);
    out[0] = reg_low_halves(a, c);
    out[1] = reg_high_halves(a, c);
    out[2] = reg_low_halves(b, d);
    out[3] = reg_high_halves(b, d);
}

/* Computes the next four words from the words eight places back: each is that word XOR its predecessor; `t` stands
 * for the first one's predecessor. */
INLINED void next_words(reg w[static 4], reg t)
{
    reg w01 = reg_xor(w[0], w[1]), w012 = reg_xor(w01, w[2]), w0123 = reg_xor(w012, w[3]);
    w[0] = reg_xor(w[0], t);
    w[1] = reg_xor(w01, t);
    w[2] = reg_xor(w012, t);
    w[3] = reg_xor(w0123, t);
}

/* SubWord of four words; AESENCLAST does ShiftRows, too, which the order of the bytes takes back. */
INLINED reg sub_word(reg word)
{
    const reg_one order = reg_order(0, 13, 10, 7, 4, 1, 14, 11, 8, 5, 2, 15, 12, 9, 6, 3);
    return reg_encrypt_last(reg_shuffle(word, reg_all(order)), reg_words(0));
}

/* SubWord(RotWord(word)) XOR Rcon. */
INLINED reg sub_rot_word(reg word, int rcon)
{
    const reg_one order = reg_order(1, 14, 11, 4, 5, 2, 15, 8, 9, 6, 3, 12, 13, 10, 7, 0);
    return reg_encrypt_last(reg_shuffle(word, reg_all(order)), reg_words(rcon));
}

/* The keys of a round but the first and the last, as AESDEC wants them. */
INLINED void put_inverse(const reg w[static 4], reg round[static 4])
{
    reg keys[4];
    transpose(w, keys);
#pragma GCC unroll 4
    for (size_t i = 0; i < 4; ++i)
        round[i] = reg_inverse_mix(keys[i]);
}

INLINED void load_keys(const uint8_t *const *keys, struct schedule *schedule, size_t group, reg w[static 8])
{
    reg first[4], second[4];
    keys += group * GROUP;
#pragma GCC unroll 4
    for (size_t i = 0; i < 4; ++i) {
        first[i] = reg_load(keys + i, 0);
        second[i] = reg_load(keys + i, KDNET_AES_BLOCK);
        schedule->round[0][4 * group + i] = first[i];
        schedule->round[1][4 * group + i] = reg_inverse_mix(second[i]);
    }
    transpose(first, w);
    transpose(second, w + 4);
}

/* The loops over the groups are unrolled, so that the groups' instructions interleave. */
WITH_AES static void expand(const uint8_t *const *keys, struct schedule *schedule)
{
    reg w[GROUPS][8];
    int rcon = 1;
#pragma GCC unroll 2
    for (size_t group = 0; group < GROUPS; ++group)
        load_keys(keys, schedule, group, w[group]);
    for (size_t round = 2; round < ROUNDS; round += 2, rcon *= 2) {
#pragma GCC unroll 2
        for (size_t group = 0; group < GROUPS; ++group) {
            next_words(w[group], sub_rot_word(w[group][7], rcon));
            put_inverse(w[group], &schedule->round[round][4 * group]);
        }
#pragma GCC unroll 2
        for (size_t group = 0; group < GROUPS; ++group) {
            next_words(w[group] + 4, sub_word(w[group][3]));
            put_inverse(w[group] + 4, &schedule->round[round + 1][4 * group]);
        }
    }
#pragma GCC unroll 2
    for (size_t group = 0; group < GROUPS; ++group) {
        next_words(w[group], sub_rot_word(w[group][7], rcon));
        transpose(w[group], &schedule->round[ROUNDS][4 * group]);
    }
}

/* A bit for each key of a group: whether the first three bytes of the plaintext are zero. The IV is the tag. */
INLINED unsigned find_zeros(const reg state[static 4], uint32_t tag)
{
    reg starts = reg_low_halves(reg_low_words(state[0], state[1]), reg_low_words(state[2], state[3]));
    return reg_zero_words(reg_and(reg_xor(starts, reg_words((int)tag)), reg_words(0xffffff)));
}

/* Returns a bit for each key that could have sealed the block. Not inlined: a compiler that sees the surrounding
 * loop first copies the whole schedule, which costs as much as several blocks. */
WITH_AES __attribute__((noinline)) static unsigned try_block(const struct schedule *schedule,
                                                             const struct kdnet_key_filter_block *block, uint32_t tag)
{
    reg cipher = reg_all(reg_block(block->bytes)), state[4 * GROUPS];
    unsigned bits = 0;
#pragma GCC unroll 8
    for (size_t i = 0; i < 4 * GROUPS; ++i)
        state[i] = reg_xor(cipher, schedule->round[ROUNDS][i]);
#pragma GCC unroll 16
    for (size_t round = ROUNDS - 1; round > 0; --round)
#pragma GCC unroll 8
        for (size_t i = 0; i < 4 * GROUPS; ++i)
            state[i] = reg_decrypt(state[i], schedule->round[round][i]);
#pragma GCC unroll 8
    for (size_t i = 0; i < 4 * GROUPS; ++i)
        state[i] = reg_decrypt_last(state[i], schedule->round[0][i]);
#pragma GCC unroll 2
    for (size_t group = 0; group < GROUPS; ++group)
        bits |= find_zeros(state + 4 * group, tag) << group * GROUP;
    return bits;
}

static size_t note_hits(unsigned bits, size_t key, size_t block, struct kdnet_key_filter_hit *hits)
{
    size_t found = 0;
    for (; bits != 0; bits >>= 1, ++key)
        if (bits & 1)
            hits[found++] = (struct kdnet_key_filter_hit){.key = (uint16_t)key, .block = (uint16_t)block};
    return found;
}

/* `valid` has a bit for each real key of the batch; the first has index `key`. */
static size_t try_batch(const struct schedule *schedule, const struct kdnet_key_filter_batch *batch, size_t key,
                        unsigned valid, struct kdnet_key_filter_hit *hits)
{
    size_t found = 0;
    for (size_t i = 0; i < batch->count; ++i) {
        unsigned bits = try_block(schedule, &batch->blocks[i], batch->tags[i]) & valid;
        if (bits != 0)
            found += note_hits(bits, key, i, hits + found);
    }
    return found;
}

/* Implements kdnet_key_filter_way. */
static inline size_t filter_keys(struct kdnet_crypto *crypto, const uint8_t *const *keys, size_t key_count,
                                 const struct kdnet_key_filter_batch *batch, struct kdnet_key_filter_hit *hits,
                                 size_t *hit_count)
{
    struct schedule *schedule = kdnet_crypto_scratch(crypto);
    const uint8_t *some[TOGETHER];
    size_t tried = 0;
    *hit_count = 0;
    while (tried < key_count && *hit_count == 0) {
        size_t count = key_count - tried < TOGETHER ? key_count - tried : TOGETHER;
        for (size_t i = 0; i < TOGETHER; ++i)
            some[i] = keys[i < count ? tried + i : tried]; /* a short batch is filled up with copies of a key */
        expand(some, schedule);
        *hit_count = try_batch(schedule, batch, tried, (1U << count) - 1, hits);
        tried += count;
    }
    return tried;
}

#endif
