/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Takes the place of kdnet/crypto/crypto.c in fuzzers of a session, whose datagrams the fuzzer seals itself: an input
 * says what is in them, and cryptography would be a quarter of the time. A datagram that is opened by another key, or
 * was changed, is as wrong as with AES and SHA-256; nobody here tries to forge one. The linker tells of a function that
 * is missing here, in each build: crypto.c's are then there twice.
 */
#include "kdnet/crypto/crypto.h"
#include "kdnet/error.h"

#include <stdlib.h>
#include <string.h>

struct kdnet_crypto {
    _Alignas(64) uint8_t scratch[KDNET_CRYPTO_SCRATCH];
};

struct kdnet_crypto *kdnet_crypto_new(void)
{
    return aligned_alloc(64, sizeof(struct kdnet_crypto));
}

struct kdnet_crypto *kdnet_crypto_new_portable(void)
{
    return kdnet_crypto_new();
}

bool kdnet_crypto_is_portable(const struct kdnet_crypto *crypto)
{
    (void)crypto;
    return true;
}

void *kdnet_crypto_scratch(struct kdnet_crypto *crypto)
{
    return crypto->scratch;
}

void kdnet_crypto_free(struct kdnet_crypto *crypto)
{
    free(crypto);
}

static uint64_t word_at(const uint8_t *bytes)
{
    uint64_t word;
    memcpy(&word, bytes, sizeof word);
    return word;
}

/* Its own inverse. */
static int mask(const uint8_t *key, const uint8_t *iv, const uint8_t *in, uint8_t *out, size_t length)
{
    if (length % KDNET_AES_BLOCK != 0)
        return KDNET_ERR_CRYPTO;
    uint64_t word = word_at(key) ^ word_at(key + 24) ^ word_at(iv);
    for (size_t i = 0; i < length; i += sizeof word) {
        uint64_t masked = word_at(in + i) ^ word;
        memcpy(out + i, &masked, sizeof masked);
    }
    return KDNET_OK;
}

int kdnet_crypto_cbc_decrypt(struct kdnet_crypto *crypto, const uint8_t key[static KDNET_AES_KEY_LENGTH],
                             const uint8_t iv[static KDNET_AES_BLOCK], const uint8_t *in, uint8_t *out, size_t length)
{
    (void)crypto;
    return mask(key, iv, in, out, length);
}

int kdnet_crypto_cbc_encrypt(struct kdnet_crypto *crypto, const uint8_t key[static KDNET_AES_KEY_LENGTH],
                             const uint8_t iv[static KDNET_AES_BLOCK], const uint8_t *in, uint8_t *out, size_t length)
{
    (void)crypto;
    return mask(key, iv, in, out, length);
}

static uint64_t mix(uint64_t sum, const uint8_t *data, size_t length)
{
    for (; length >= 8; data += 8, length -= 8)
        sum = ((sum << 7 | sum >> 57) ^ word_at(data)) * 0x9e3779b97f4a7c15U;
    for (; length > 0; ++data, --length)
        sum = (sum ^ *data) * 0x100000001b3U;
    return sum;
}

static void spread(uint64_t sum, uint8_t *out)
{
    for (size_t i = 0; i < KDNET_SHA256_LENGTH; i += sizeof sum) {
        sum = (sum ^ sum >> 29) * 0xbf58476d1ce4e5b9U;
        memcpy(out + i, &sum, sizeof sum);
    }
}

void kdnet_hmac_key_init(struct kdnet_hmac_key *out, const uint8_t key[static 32])
{
    memcpy(out->inner, key, sizeof out->inner);
    memcpy(out->outer, key, sizeof out->outer);
}

void kdnet_hmac(const struct kdnet_hmac_key *key, const uint8_t *data, size_t length,
                uint8_t out[static KDNET_SHA256_LENGTH])
{
    spread(mix(mix(1, (const uint8_t *)key->inner, sizeof key->inner), data, length), out);
}

void kdnet_sha256_pair(const uint8_t *a, size_t a_length, const uint8_t *b, size_t b_length,
                       uint8_t out[static KDNET_SHA256_LENGTH])
{
    spread(mix(mix(2, a, a_length), b, b_length), out);
}

int kdnet_crypto_differ(const uint8_t *a, const uint8_t *b, size_t length)
{
    return memcmp(a, b, length) != 0;
}

int kdnet_crypto_random(uint8_t *out, size_t length)
{
    memset(out, 0x5a, length);
    return KDNET_OK;
}

void kdnet_crypto_wipe(void *secret, size_t length)
{
    memset(secret, 0, length);
}
