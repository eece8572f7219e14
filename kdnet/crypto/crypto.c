/* SPDX-License-Identifier: Apache-2.0 */
/*
 * OpenSSL deprecates its low-level SHA-256 calls, but only they can start from a stored state without a context of
 * several hundred bytes for each target. AES uses EVP: the low-level AES_cbc_encrypt does not use AES-NI.
 */
#define OPENSSL_API_COMPAT 0x10100000L

#include "kdnet/crypto/crypto.h"
#include "kdnet/error.h"
#include "kdnet/base/wire.h"

#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/core_dispatch.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/provider.h>
#include <openssl/rand.h>
#include <openssl/sha.h>

#define SHA256_BLOCK    64
#define SCRATCH_ALIGNED 32U

/*
 * The cipher's functions as the provider exports them (provider-cipher(7)), called without EVP: for each new key and IV
 * EVP queries the provider for their lengths by parameter names, which takes longer than the AES of a short datagram.
 */
struct direct {
    OSSL_FUNC_cipher_newctx_fn *new_context;
    OSSL_FUNC_cipher_freectx_fn *free_context;
    OSSL_FUNC_cipher_encrypt_init_fn *encrypt_init;
    OSSL_FUNC_cipher_decrypt_init_fn *decrypt_init;
    OSSL_FUNC_cipher_cipher_fn *cipher;
};

struct kdnet_crypto {
    uint8_t scratch[KDNET_CRYPTO_SCRATCH + SCRATCH_ALIGNED];
    EVP_CIPHER *aes; /* holds a reference to its provider */
    struct direct direct;
    void *provider_context;            /* NULL: the provider has not all functions, or is not asked for them */
    EVP_CIPHER_CTX *context;           /* NULL when provider_context is there */
    uint8_t key[KDNET_AES_KEY_LENGTH]; /* current key of the context, for `direction` */
    int direction;                     /* 1 encrypt, 0 decrypt, -1 no key yet */
    bool portable;
};

static void take_function(struct direct *direct, const OSSL_DISPATCH *entry)
{
    switch (entry->function_id) {
    case OSSL_FUNC_CIPHER_NEWCTX:
        direct->new_context = OSSL_FUNC_cipher_newctx(entry);
        break;
    case OSSL_FUNC_CIPHER_FREECTX:
        direct->free_context = OSSL_FUNC_cipher_freectx(entry);
        break;
    case OSSL_FUNC_CIPHER_ENCRYPT_INIT:
        direct->encrypt_init = OSSL_FUNC_cipher_encrypt_init(entry);
        break;
    case OSSL_FUNC_CIPHER_DECRYPT_INIT:
        direct->decrypt_init = OSSL_FUNC_cipher_decrypt_init(entry);
        break;
    case OSSL_FUNC_CIPHER_CIPHER:
        direct->cipher = OSSL_FUNC_cipher_cipher(entry);
        break;
    default:
        break;
    }
}

static bool is_whole(const struct direct *direct)
{
    return direct->new_context && direct->free_context && direct->encrypt_init && direct->decrypt_init &&
           direct->cipher;
}

/* Names are separated by colons. */
static bool has_name(const char *names, const char *name)
{
    size_t length = strlen(name);
    while (names) {
        if (strncmp(names, name, length) == 0 && (names[length] == ':' || names[length] == '\0'))
            return true;
        names = strchr(names, ':');
        if (names)
            ++names;
    }
    return false;
}

/* Keeps EVP when the provider lacks a needed function. */
static void go_direct(struct kdnet_crypto *crypto)
{
    const OSSL_PROVIDER *provider = EVP_CIPHER_get0_provider(crypto->aes);
    int changes = 0;
    const OSSL_ALGORITHM *all = OSSL_PROVIDER_query_operation(provider, OSSL_OP_CIPHER, &changes);
    const OSSL_ALGORITHM *found = all;
    struct direct direct = {.cipher = NULL};
    while (found && found->algorithm_names && !has_name(found->algorithm_names, "AES-256-CBC"))
        ++found;
    if (found && found->algorithm_names)
        for (const OSSL_DISPATCH *entry = found->implementation; entry->function_id != 0; ++entry)
            take_function(&direct, entry);
    if (all)
        OSSL_PROVIDER_unquery_operation(provider, OSSL_OP_CIPHER, all);
    if (!is_whole(&direct))
        return;
    crypto->direct = direct;
    crypto->provider_context = direct.new_context(OSSL_PROVIDER_get0_provider_ctx(provider));
}

static struct kdnet_crypto *new_crypto(bool direct)
{
    struct kdnet_crypto *crypto = calloc(1, sizeof *crypto);
    if (!crypto)
        return NULL;
    crypto->direction = -1;
    crypto->portable = !direct;
    crypto->aes = EVP_CIPHER_fetch(NULL, "AES-256-CBC", NULL);
    if (crypto->aes && direct)
        go_direct(crypto);
    if (crypto->aes && !crypto->provider_context)
        crypto->context = EVP_CIPHER_CTX_new();
    if (crypto->provider_context ||
        (crypto->context && EVP_CipherInit_ex(crypto->context, crypto->aes, NULL, NULL, NULL, 0) == 1))
        return crypto;
    kdnet_crypto_free(crypto);
    return NULL;
}

struct kdnet_crypto *kdnet_crypto_new(void)
{
    return new_crypto(true);
}

struct kdnet_crypto *kdnet_crypto_new_portable(void)
{
    return new_crypto(false);
}

bool kdnet_crypto_is_portable(const struct kdnet_crypto *crypto)
{
    return crypto->portable;
}

void *kdnet_crypto_scratch(struct kdnet_crypto *crypto)
{
    size_t off = (uintptr_t)crypto->scratch % SCRATCH_ALIGNED;
    return crypto->scratch + (SCRATCH_ALIGNED - off);
}

void kdnet_crypto_free(struct kdnet_crypto *crypto)
{
    if (!crypto)
        return;
    if (crypto->provider_context)
        crypto->direct.free_context(crypto->provider_context);
    EVP_CIPHER_CTX_free(crypto->context);
    EVP_CIPHER_free(crypto->aes);
    OPENSSL_cleanse(crypto->key, sizeof crypto->key);
    OPENSSL_cleanse(crypto->scratch, sizeof crypto->scratch);
    free(crypto);
}

/* Sets the IV, and the key; key NULL keeps the current key. */
static bool set_key(struct kdnet_crypto *crypto, int encrypt, const uint8_t *key, const uint8_t *iv)
{
    if (!crypto->provider_context)
        return EVP_CipherInit_ex(crypto->context, NULL, NULL, key, iv, encrypt) == 1;
    size_t key_length = key ? KDNET_AES_KEY_LENGTH : 0;
    int done = encrypt
                   ? crypto->direct.encrypt_init(crypto->provider_context, key, key_length, iv, KDNET_AES_BLOCK, NULL)
                   : crypto->direct.decrypt_init(crypto->provider_context, key, key_length, iv, KDNET_AES_BLOCK, NULL);
    return done == 1;
}

/* Processes whole blocks. EVP_Cipher skips EVP's padding buffer, so padding need not be switched off for each
 * datagram; the provider's function behaves alike. */
static bool whole_blocks(struct kdnet_crypto *crypto, const uint8_t *in, uint8_t *out, size_t length)
{
    size_t made = 0;
    if (!crypto->provider_context)
        return EVP_Cipher(crypto->context, out, in, (unsigned)length) == (int)length;
    return crypto->direct.cipher(crypto->provider_context, out, &made, length, in, length) == 1 && made == length;
}

static int cbc(struct kdnet_crypto *crypto, int encrypt, const uint8_t *key, const uint8_t *iv, const uint8_t *in,
               uint8_t *out, size_t length)
{
    if (length % KDNET_AES_BLOCK != 0 || length > INT_MAX)
        return KDNET_ERR_CRYPTO;
    /* Consecutive datagrams often belong to one target: its key schedule is still loaded. */
    bool same = crypto->direction == encrypt && memcmp(crypto->key, key, sizeof crypto->key) == 0;
    crypto->direction = -1;
    if (!set_key(crypto, encrypt, same ? NULL : key, iv))
        return KDNET_ERR_CRYPTO;
    if (!same)
        memcpy(crypto->key, key, sizeof crypto->key);
    crypto->direction = encrypt;
    return whole_blocks(crypto, in, out, length) ? KDNET_OK : KDNET_ERR_CRYPTO;
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

/* Starts a SHA-256 from the state after the key's block. The data buffer is empty, so it needs no clearing. */
static inline void resume(SHA256_CTX *sha, const uint32_t state[static 8])
{
    for (size_t i = 0; i < 8; ++i)
        sha->h[i] = state[i];
    sha->Nl = SHA256_BLOCK * 8;
    sha->Nh = 0;
    sha->num = 0;
    sha->md_len = SHA256_DIGEST_LENGTH;
}

void kdnet_hmac(const struct kdnet_hmac_key *key, const uint8_t *data, size_t length,
                uint8_t out[static KDNET_SHA256_LENGTH])
{
    SHA256_CTX sha;
    /* The outer hash covers one key block and 32 bytes: constant padding, a single transform. */
    uint8_t outer[SHA256_BLOCK] = {
        [32] = 0x80, [62] = (SHA256_BLOCK + 32) * 8 >> 8, [63] = (SHA256_BLOCK + 32) * 8 & 0xff};
    resume(&sha, key->inner);
    SHA256_Update(&sha, data, length);
    SHA256_Final(outer, &sha);
    resume(&sha, key->outer);
    SHA256_Transform(&sha, outer);
    kdnet_put_be32(out, sha.h[0]);
    kdnet_put_be32(out + 4, sha.h[1]);
    kdnet_put_be32(out + 8, sha.h[2]);
    kdnet_put_be32(out + 12, sha.h[3]);
    kdnet_put_be32(out + 16, sha.h[4]);
    kdnet_put_be32(out + 20, sha.h[5]);
    kdnet_put_be32(out + 24, sha.h[6]);
    kdnet_put_be32(out + 28, sha.h[7]);
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

int kdnet_crypto_random(uint8_t *out, size_t length)
{
    return length <= INT_MAX && RAND_bytes(out, (int)length) == 1 ? KDNET_OK : KDNET_ERR_RANDOM;
}

void kdnet_crypto_wipe(void *secret, size_t length)
{
    OPENSSL_cleanse(secret, length);
}
