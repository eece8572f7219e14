/* SPDX-License-Identifier: Apache-2.0 */
#include "kdnet/wire/datagram.h"
#include "kdnet/error.h"
#include "kdnet/base/wire.h"

#include <string.h>

#define WORD_LENGTH   8
#define DIRECTION_BIT 0x80U
#define PAD_MASK      0x0fU

static const uint8_t magic[4] = {'M', 'D', 'B', 'G'};

void kdnet_keys_init(struct kdnet_keys *keys, const struct kdnet_key *key)
{
    uint8_t inverse[KDNET_KEY_LENGTH];
    for (size_t i = 0; i < sizeof inverse; ++i)
        inverse[i] = (uint8_t)~key->bytes[i];
    keys->control = *key;
    kdnet_hmac_key_init(&keys->hmac, inverse);
    kdnet_crypto_wipe(inverse, sizeof inverse);
}

void kdnet_keys_clear(struct kdnet_keys *keys)
{
    kdnet_crypto_wipe(keys, sizeof *keys);
}

int kdnet_datagram_peek(const uint8_t *payload, size_t length, uint8_t *version, uint8_t *channel)
{
    if (!payload || length < KDNET_DATAGRAM_MIN)
        return KDNET_ERR_SHORT;
    if (memcmp(payload, magic, sizeof magic) != 0)
        return KDNET_ERR_MAGIC;
    /* Versions 2, 4 and 5 were seen and share one form. A later version with this form authenticates, another form
     * does not. */
    if (payload[4] == 0 || payload[5] > KDNET_CHANNEL_CONTROL)
        return KDNET_ERR_VERSION;
    if (length > KDNET_DATAGRAM_MAX || (length - KDNET_HEADER_LENGTH - KDNET_TAG_LENGTH) % KDNET_AES_BLOCK != 0)
        return KDNET_ERR_LENGTH;
    *version = payload[4];
    *channel = payload[5];
    return KDNET_OK;
}

bool kdnet_datagram_may_open(struct kdnet_crypto *crypto, const uint8_t aes_key[static KDNET_AES_KEY_LENGTH],
                             const uint8_t *payload, size_t length)
{
    uint8_t block[KDNET_AES_BLOCK];
    const uint8_t *iv = payload + length - KDNET_TAG_LENGTH;
    if (kdnet_crypto_cbc_decrypt(crypto, aes_key, iv, payload + KDNET_HEADER_LENGTH, block, sizeof block) != KDNET_OK)
        return false;
    return (block[0] | block[1] | block[2]) == 0;
}

void kdnet_datagram_filter_block(const uint8_t *payload, size_t length, struct kdnet_key_filter_block *block,
                                 uint32_t *tag)
{
    memcpy(block->bytes, payload + KDNET_HEADER_LENGTH, sizeof block->bytes);
    memcpy(tag, payload + length - KDNET_TAG_LENGTH, sizeof *tag);
}

int kdnet_datagram_open(struct kdnet_crypto *crypto, const uint8_t aes_key[static KDNET_AES_KEY_LENGTH],
                        const struct kdnet_hmac_key *hmac, const uint8_t *payload, size_t length, uint8_t *plain,
                        struct kdnet_datagram *out)
{
    uint8_t version, channel, digest[KDNET_SHA256_LENGTH];
    int error = kdnet_datagram_peek(payload, length, &version, &channel);
    if (error != KDNET_OK)
        return error;
    size_t text_length = length - KDNET_HEADER_LENGTH - KDNET_TAG_LENGTH;
    uint8_t *text = plain + KDNET_HEADER_LENGTH;
    const uint8_t *tag = payload + length - KDNET_TAG_LENGTH;

    memcpy(plain, payload, KDNET_HEADER_LENGTH);
    error = kdnet_crypto_cbc_decrypt(crypto, aes_key, tag, payload + KDNET_HEADER_LENGTH, text, text_length);
    if (error != KDNET_OK)
        return error;
    kdnet_hmac(hmac, plain, KDNET_HEADER_LENGTH + text_length, digest);
    if (kdnet_crypto_differ(digest, tag, KDNET_TAG_LENGTH) != 0)
        return KDNET_ERR_AUTH;

    uint64_t word = kdnet_get_be64(text);
    size_t pad = (size_t)(word & PAD_MASK);
    if (pad > text_length - WORD_LENGTH)
        return KDNET_ERR_FORMAT;
    *out = (struct kdnet_datagram){
        .version = version,
        .channel = channel,
        .from_host = (word & DIRECTION_BIT) != 0,
        .sequence = word >> 8,
        .body = text + WORD_LENGTH,
        .body_length = text_length - WORD_LENGTH - pad,
    };
    return KDNET_OK;
}

int kdnet_datagram_seal(struct kdnet_crypto *crypto, const uint8_t aes_key[static KDNET_AES_KEY_LENGTH],
                        const struct kdnet_hmac_key *hmac, const struct kdnet_datagram *datagram, uint8_t *out,
                        size_t size, size_t *length)
{
    if (datagram->body_length > KDNET_BODY_MAX)
        return KDNET_ERR_LENGTH;
    size_t pad = (KDNET_AES_BLOCK - (WORD_LENGTH + datagram->body_length) % KDNET_AES_BLOCK) % KDNET_AES_BLOCK;
    size_t text_length = WORD_LENGTH + datagram->body_length + pad;
    if (size < KDNET_HEADER_LENGTH + text_length + KDNET_TAG_LENGTH)
        return KDNET_ERR_SPACE;
    uint8_t *text = out + KDNET_HEADER_LENGTH;
    uint8_t digest[KDNET_SHA256_LENGTH];

    memcpy(out, magic, sizeof magic);
    out[4] = datagram->version;
    out[5] = datagram->channel;
    kdnet_put_be64(text, datagram->sequence << 8 | (datagram->from_host ? DIRECTION_BIT : 0) | pad);
    if (datagram->body_length > 0)
        memcpy(text + WORD_LENGTH, datagram->body, datagram->body_length);
    memset(text + WORD_LENGTH + datagram->body_length, 0, pad);
    kdnet_hmac(hmac, out, KDNET_HEADER_LENGTH + text_length, digest);
    int error = kdnet_crypto_cbc_encrypt(crypto, aes_key, digest, text, text, text_length);
    if (error != KDNET_OK)
        return error;
    memcpy(text + text_length, digest, KDNET_TAG_LENGTH);
    *length = KDNET_HEADER_LENGTH + text_length + KDNET_TAG_LENGTH;
    return KDNET_OK;
}
