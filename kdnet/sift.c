/* SPDX-License-Identifier: Apache-2.0 */
#include "kdnet/sift.h"
#include "kdnet/error.h"

#include <string.h>

#define AT_ONCE 256U /* 4 KiB: they stay in the first cache */

void kdnet_sift_take(const uint8_t *payload, size_t length, struct kdnet_sift_block *block, uint32_t *tag)
{
    memcpy(block->bytes, payload + KDNET_HEADER_LENGTH, sizeof block->bytes);
    memcpy(tag, payload + length - KDNET_TAG_LENGTH, sizeof *tag);
}

static uint32_t start_of(const struct kdnet_sift_block *block)
{
    uint32_t start;
    memcpy(&start, block->bytes, sizeof start);
    return start;
}

/* CBC xors each block with the ciphertext before it, or at first with an IV of zero; that is taken back here. The first
 * three bytes of the plaintext of a datagram are zero (kdnet_datagram_may_open). */
static size_t note_hits(const struct kdnet_sift_block *cipher, const struct kdnet_sift_block *plain,
                        const uint32_t *tags, size_t count, size_t offset, uint16_t *hits)
{
    static const uint8_t first_three[4] = {0xff, 0xff, 0xff, 0};
    uint32_t mask, before = 0;
    size_t found = 0;
    memcpy(&mask, first_three, sizeof mask);
    for (size_t i = 0; i < count; ++i) {
        uint32_t start = (start_of(&plain[i]) ^ before ^ tags[i]) & mask;
        before = start_of(&cipher[i]);
        if (start == 0)
            hits[found++] = (uint16_t)(offset + i);
    }
    return found;
}

size_t kdnet_sift(struct kdnet_crypto *crypto, const uint8_t aes_key[static KDNET_AES_KEY_LENGTH],
                  const struct kdnet_sift_block *blocks, const uint32_t *tags, size_t count, uint16_t *hits)
{
    static const uint8_t no_iv[KDNET_AES_BLOCK];
    struct kdnet_sift_block plain[AT_ONCE];
    size_t found = 0;
    for (size_t at = 0; at < count; at += AT_ONCE) {
        size_t some = count - at < AT_ONCE ? count - at : AT_ONCE;
        if (kdnet_crypto_cbc_decrypt(crypto, aes_key, no_iv, blocks[at].bytes, plain[0].bytes, some * sizeof *plain) !=
            KDNET_OK)
            return 0;
        found += note_hits(blocks + at, plain, tags + at, some, at, hits + found);
    }
    return found;
}
