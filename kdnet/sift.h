/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sift: which of many payloads could one key have sealed: the filter of kdnet_datagram_may_open, for many at a time.
 *
 * Uses crypto, datagram. A key's schedule costs as much as twenty blocks, and blocks that are decrypted together cost
 * a few nanoseconds each: so thousands of strangers' pokes are tried against each key at once, not each poke against
 * each key. Only OpenSSL's AES is used; without AES instructions it is slower, not different.
 */
#ifndef KDNET_SIFT_H
#define KDNET_SIFT_H

#include "kdnet/datagram.h"

#include <stddef.h>
#include <stdint.h>

/* What the filter needs of a payload. */
struct kdnet_sift_block {
    uint8_t bytes[KDNET_AES_BLOCK]; /* the first of its ciphertext */
};

/* Takes them out of a payload that passed kdnet_datagram_peek; `tag` is the start of its tag. */
void kdnet_sift_take(const uint8_t *payload, size_t length, struct kdnet_sift_block *block, uint32_t *tag);

/*
 * Writes the places of those that this key could have sealed, in ascending order, to `hits`, room for `count`; returns
 * how many. One wrong one in 16 million passes; only kdnet_datagram_open decides. When OpenSSL fails: none.
 * Cost: one key schedule, and a few nanoseconds a block. No allocation.
 */
size_t kdnet_sift(struct kdnet_crypto *crypto, const uint8_t aes_key[static KDNET_AES_KEY_LENGTH],
                  const struct kdnet_sift_block *blocks, const uint32_t *tags, size_t count, uint16_t *hits);

#endif
