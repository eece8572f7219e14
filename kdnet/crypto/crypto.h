/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crypto: AES-256-CBC, HMAC-SHA256 and SHA-256, all of them OpenSSL's. No other room calls OpenSSL. (What key_filter
 * does by itself is a filter, and says why.)
 *
 * Uses error, wire.
 *
 * One kdnet_crypto serves one thread; it is re-keyed for each datagram. A target costs no OpenSSL context: its HMAC key
 * is kept as the two SHA-256 states that it leads to (64 bytes). With many targets that is quicker than a context for
 * each, because the contexts' cache misses cost more than the key schedule (measured: kdnet/README.md).
 */
#ifndef KDNET_CRYPTO_H
#define KDNET_CRYPTO_H

#include "kdnet/crypto.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KDNET_AES_KEY_LENGTH 32
#define KDNET_AES_BLOCK      16
#define KDNET_SHA256_LENGTH  32

#define KDNET_CRYPTO_SCRATCH 2048

/* An HMAC-SHA256 key, ready for use: the SHA-256 states after the inner and the outer key block. Secret. */
struct kdnet_hmac_key {
    uint32_t inner[8], outer[8];
};

/* kdnet_crypto_new through EVP's calls alone, as kdnet_crypto_new does it by itself when OpenSSL's provider of AES does
 * not offer its functions; and key_filter uses no instructions of the processor's with it. Slower; for tests and
 * comparison. */
struct kdnet_crypto *kdnet_crypto_new_portable(void);
bool kdnet_crypto_is_portable(const struct kdnet_crypto *crypto);
/* KDNET_CRYPTO_SCRATCH bytes, aligned to 32, for a room that expands keys by itself; wiped when the object is freed,
 * like the last key that it had. */
void *kdnet_crypto_scratch(struct kdnet_crypto *crypto);

/*
 * CBC without padding; `length` is a multiple of 16, at most INT_MAX. `in` and `out` may be the same place, not overlap
 * otherwise. Returns KDNET_OK or KDNET_ERR_CRYPTO. No allocation.
 */
int kdnet_crypto_cbc_decrypt(struct kdnet_crypto *crypto, const uint8_t key[static KDNET_AES_KEY_LENGTH],
                             const uint8_t iv[static KDNET_AES_BLOCK], const uint8_t *in, uint8_t *out, size_t length);
int kdnet_crypto_cbc_encrypt(struct kdnet_crypto *crypto, const uint8_t key[static KDNET_AES_KEY_LENGTH],
                             const uint8_t iv[static KDNET_AES_BLOCK], const uint8_t *in, uint8_t *out, size_t length);

/* Prepares an HMAC key from 32 bytes of key. Cost: two SHA-256 blocks, once a target. */
void kdnet_hmac_key_init(struct kdnet_hmac_key *out, const uint8_t key[static 32]);

/* HMAC-SHA256 of `length` bytes. No allocation, cannot fail. */
void kdnet_hmac(const struct kdnet_hmac_key *key, const uint8_t *data, size_t length,
                uint8_t out[static KDNET_SHA256_LENGTH]);

/* SHA-256 of a followed by b. */
void kdnet_sha256_pair(const uint8_t *a, size_t a_length, const uint8_t *b, size_t b_length,
                       uint8_t out[static KDNET_SHA256_LENGTH]);

/* Nonzero when the bytes differ; takes the same time wherever they do. */
int kdnet_crypto_differ(const uint8_t *a, const uint8_t *b, size_t length);

/* Random bytes fit for keys, OpenSSL's. Returns KDNET_OK or KDNET_ERR_RANDOM. */
int kdnet_crypto_random(uint8_t *out, size_t length);

/* Overwrites secrets so that the compiler cannot leave it out. */
void kdnet_crypto_wipe(void *secret, size_t length);

#endif
