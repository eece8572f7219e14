/* SPDX-License-Identifier: Apache-2.0 */
/*
 * OpenSSL marks its low-level SHA-256 calls as deprecated, but they are the only ones that can start from a kept state
 * without a context of several hundred bytes for each target. AES goes through EVP; the low-level AES_cbc_encrypt is
 * not the AES-NI code.
 */
#define OPENSSL_API_COMPAT 0x10100000L

#include "kdnet/crypto.h"
#include "kdnet/error.h"

#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/sha.h>

#define SHA256_BLOCK 64

struct kdnet_crypto {
    EVP_CIPHER *aes;
    EVP_CIPHER_CTX *context;
    uint8_t key[KDNET_AES_KEY_LENGTH]; /* that the context has, for the direction below */
    int direction;                     /* 1 encrypt, 0 decrypt, -1 no key yet */
};

struct kdnet_crypto *kdnet_crypto_new(void)
{
    struct kdnet_crypto *crypto = calloc(1, sizeof *crypto);
    if (!crypto)
        return NULL;
    crypto->aes = EVP_CIPHER_fetch(NULL, "AES-256-CBC", NULL);
    crypto->context = EVP_CIPHER_CTX_new();
    crypto->direction = -1;
    if (!crypto->aes || !crypto->context || EVP_CipherInit_ex(crypto->context, crypto->aes, NULL, NULL, NULL, 0) != 1) {
        kdnet_crypto_free(crypto);
        return NULL;
    }
    return crypto;
}

void kdnet_crypto_free(struct kdnet_crypto *crypto)
{
    if (!crypto)
        return;
    EVP_CIPHER_CTX_free(crypto->context);
    EVP_CIPHER_free(crypto->aes);
    OPENSSL_cleanse(crypto->key, sizeof crypto->key);
    free(crypto);
}

static int cbc(struct kdnet_crypto *crypto, int encrypt, const uint8_t *key, const uint8_t *iv, const uint8_t *in,
               uint8_t *out, size_t length)
{
    if (length % KDNET_AES_BLOCK != 0 || length > INT_MAX)
        return KDNET_ERR_CRYPTO;
    /* A target that talks sends several datagrams in a row: its key schedule is still there. */
    bool same = crypto->direction == encrypt && memcmp(crypto->key, key, sizeof crypto->key) == 0;
    crypto->direction = -1;
    if (EVP_CipherInit_ex(crypto->context, NULL, NULL, same ? NULL : key, iv, encrypt) != 1)
        return KDNET_ERR_CRYPTO;
    if (!same)
        memcpy(crypto->key, key, sizeof crypto->key);
    crypto->direction = encrypt;
    /* EVP_Cipher works block by block without EVP's padding buffer, so that nothing must be switched off for each
     * datagram. */
    if (EVP_Cipher(crypto->context, out, in, (unsigned)length) != (int)length)
        return KDNET_ERR_CRYPTO;
    return KDNET_OK;
}

int kdnet_crypto_cbc_decrypt(struct kdnet_crypto *crypto, const uint8_t key[static KDNET_AES_KEY_LENGTH],
                             const uint8_t iv[static KDNET_AES_BLOCK], const uint8_t *in, uint8_t *out, size_t length)
{
    return cbc(crypto, 0, key, iv, in, out, length);
}

int kdnet_crypto_cbc_encrypt(struct kdnet_crypto *crypto, const uint8_t key[static KDNET_AES_KEY_LENGTH],
                             const uint8_t iv[static KDNET_AES_BLOCK], const uint8_t *in, uint8_t *out, size_t length)
{
    return cbc(crypto, 1, key, iv, in, out, length);
}

static void keyed_state(const uint8_t key[static 32], uint8_t mask, uint32_t state[static 8])
{
    uint8_t block[SHA256_BLOCK];
    SHA256_CTX sha;
    memset(block, mask, sizeof block);
    for (size_t i = 0; i < 32; ++i)
        block[i] ^= key[i];
    SHA256_Init(&sha);
    SHA256_Transform(&sha, block);
    for (size_t i = 0; i < 8; ++i)
        state[i] = (uint32_t)sha.h[i];
    OPENSSL_cleanse(block, sizeof block);
    OPENSSL_cleanse(&sha, sizeof sha);
}

void kdnet_hmac_key_init(struct kdnet_hmac_key *out, const uint8_t key[static 32])
{
    keyed_state(key, 0x36, out->inner); /* RFC 2104: ipad, opad */
    keyed_state(key, 0x5c, out->outer);
}

/* A SHA-256 that has taken one block, the key's. Its data buffer is empty, so it needs no clearing. */
static inline void resume(SHA256_CTX *sha, const uint32_t state[static 8])
{
    for (size_t i = 0; i < 8; ++i)
        sha->h[i] = state[i];
    sha->Nl = SHA256_BLOCK * 8;
    sha->Nh = 0;
    sha->num = 0;
    sha->md_len = SHA256_DIGEST_LENGTH;
}

/* The outer hash is of one key block and 32 bytes: its padding is always the same, and one transform is all of it. */
static inline void outer_hash(SHA256_CTX *sha, const uint32_t state[static 8], uint8_t digest[static 32])
{
    uint8_t block[SHA256_BLOCK] = {
        [32] = 0x80, [62] = (SHA256_BLOCK + 32) * 8 >> 8, [63] = (SHA256_BLOCK + 32) * 8 & 0xff};
    memcpy(block, digest, 32);
    resume(sha, state);
    SHA256_Transform(sha, block);
    for (size_t i = 0; i < 8; ++i) {
        digest[4 * i] = (uint8_t)(sha->h[i] >> 24);
        digest[4 * i + 1] = (uint8_t)(sha->h[i] >> 16);
        digest[4 * i + 2] = (uint8_t)(sha->h[i] >> 8);
        digest[4 * i + 3] = (uint8_t)sha->h[i];
    }
}

void kdnet_hmac(const struct kdnet_hmac_key *key, const uint8_t *data, size_t length,
                uint8_t out[static KDNET_SHA256_LENGTH])
{
    SHA256_CTX sha;
    resume(&sha, key->inner);
    SHA256_Update(&sha, data, length);
    SHA256_Final(out, &sha);
    outer_hash(&sha, key->outer, out);
}

void kdnet_sha256_pair(const uint8_t *a, size_t a_length, const uint8_t *b, size_t b_length,
                       uint8_t out[static KDNET_SHA256_LENGTH])
{
    SHA256_CTX sha;
    SHA256_Init(&sha);
    SHA256_Update(&sha, a, a_length);
    SHA256_Update(&sha, b, b_length);
    SHA256_Final(out, &sha);
    OPENSSL_cleanse(&sha, sizeof sha);
}

int kdnet_crypto_differ(const uint8_t *a, const uint8_t *b, size_t length)
{
    return CRYPTO_memcmp(a, b, length);
}

void kdnet_crypto_wipe(void *secret, size_t length)
{
    OPENSSL_cleanse(secret, length);
}
