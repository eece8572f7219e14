/* SPDX-License-Identifier: Apache-2.0 */
/*
 * key_filter: finds which of many keys could have sealed which of many payloads: the test of kdnet_datagram_may_open,
 * in bulk.
 *
 * A key's schedule costs as much as several blocks, and blocks that are decrypted together cost a few nanoseconds each.
 * So thousands of pokes from unknown senders are tried against each key at once, not each poke against each key.
 *
 * Two implementations with equal answers (a test compares them):
 * - with the processor's AES instructions, several keys at a time (key_filter_steps_internal.h, KDNETD_HARDWARE_AES).
 *   The only cryptography here that is not OpenSSL's, because OpenSSL's schedule of one key takes longer than that of
 *   four keys together. The filter decides nothing: OpenSSL decrypts and authenticates each hit (kdnet_datagram_open)
 *   and refuses a wrong one. A missed hit would leave a machine unknown, so each implementation must pass a known
 *   vector (FIPS 197) before its first use.
 * - with OpenSSL, one key at a time: on other processors, and with kdnet_crypto_new_portable.
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

/* Input of the filter for one payload (kdnet_datagram_filter_block). */
struct kdnet_key_filter_block {
    uint8_t bytes[KDNET_AES_BLOCK]; /* first block of the ciphertext */
};

/* Of many payloads; borrowed. */
struct kdnet_key_filter_batch {
    const struct kdnet_key_filter_block *blocks;
    const uint32_t *tags; /* first four bytes of each payload's tag */
    size_t count;
};

/* A key that could have sealed a payload: indexes of both. */
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

/* Returns about how many blocks take as long as one key's schedule. */
size_t kdnet_key_filter_key_cost(struct kdnet_crypto *crypto);

/* Whether the processor's fastest filter failed the known vector, so that a slower one is used: an emulator that
 * computes the instructions wrongly. */
bool kdnet_key_filter_is_slow(struct kdnet_crypto *crypto);

#endif
