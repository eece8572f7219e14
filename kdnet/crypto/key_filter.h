/* SPDX-License-Identifier: Apache-2.0 */
/*
 * key_filter: which of many payloads could which of many keys have sealed: the filter of kdnet_datagram_may_open, for
 * many at a time.
 *
 * Uses crypto. A key's schedule costs as much as several blocks, and blocks that are decrypted together cost
 * a few nanoseconds each: so thousands of strangers' pokes are tried against each key at once, not each poke against
 * each key.
 *
 * Two ways, with the same answers (a test holds them equal):
 * - by the processor's AES instructions, several keys at a time (key_filter_steps_internal.h, KDNETD_HARDWARE_AES). The
 * only cryptography here that is not OpenSSL's, because its schedule of one key takes longer than that of four keys
 * together. It decides nothing: what it lets pass is decrypted and authenticated by OpenSSL (kdnet_datagram_open),
 * which refuses a wrong yes; a wrong no would leave a machine unknown: so each way is tried on a known vector (FIPS
 * 197) before its first use, and one that misses it is not used.
 * - by OpenSSL, a key at a time: on other processors, and with a crypto from kdnet_crypto_new_portable.
 */
#ifndef KDNET_KEY_FILTER_H
#define KDNET_KEY_FILTER_H

#include "kdnet/crypto/crypto.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KDNET_KEY_FILTER_TOGETHER   ((size_t)8) /* keys whose hits are told together, at most */
#define KDNET_KEY_FILTER_BLOCKS_MAX 65536U      /* in a batch */
#define KDNET_KEY_FILTER_KEYS_MAX   65536U

/* What the filter needs of a payload: kdnet_datagram_filter_block. */
struct kdnet_key_filter_block {
    uint8_t bytes[KDNET_AES_BLOCK]; /* the first of its ciphertext */
};

/* Of many payloads; borrowed. */
struct kdnet_key_filter_batch {
    const struct kdnet_key_filter_block *blocks;
    const uint32_t *tags; /* the start of each one's tag */
    size_t count;
};

/* A key that could have sealed a payload: the places of both. */
struct kdnet_key_filter_hit {
    uint16_t key, block;
};

/*
 * Tries keys on a batch until some of them have hits, or all are tried.
 *
 * keys  AES keys, 32 bytes each, wherever they are.
 * hits  room for KDNET_KEY_FILTER_TOGETHER times the batch; ascending by block.
 *
 * Returns how many keys were tried, at least one when there are any; `hit_count` hits are all that those have. One
 * wrong one in 16 million passes; only kdnet_datagram_open decides. When OpenSSL fails: no hits. Cost: ./dev bench
 * identify; kdnet/README.md has the figures. No allocation.
 */
size_t kdnet_key_filter(struct kdnet_crypto *crypto, const uint8_t *const *keys, size_t key_count,
                        const struct kdnet_key_filter_batch *batch, struct kdnet_key_filter_hit *hits,
                        size_t *hit_count);

/* How many blocks take as long as one key's schedule, about. */
size_t kdnet_key_filter_key_cost(struct kdnet_crypto *crypto);

/* Whether the processor's quickest way gave a wrong answer to a known vector, so that a slower one is used: an emulator
 * that has the instructions and computes them wrongly. */
bool kdnet_key_filter_is_slow(struct kdnet_crypto *crypto);

#endif
