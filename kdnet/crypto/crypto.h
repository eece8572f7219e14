/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crypto: AES-256-CBC, HMAC-SHA256 and SHA-256, all by OpenSSL. No other file calls OpenSSL. (key_filter has AES of its
 * own, as a filter only; key_filter.h says why.)
 *
 * One kdnet_crypto serves one thread and is re-keyed for each datagram. A target costs no OpenSSL context: its HMAC key
 * is stored as the two SHA-256 states that the key leads to (64 bytes). With many targets that is faster than a context
 * for each, because the contexts' cache misses cost more than the key schedule (measured: kdnet/README.md).
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

/* Like kdnet_crypto_new, but always through EVP, and without processor instructions in key_filter. kdnet_crypto_new
 * does the same when OpenSSL's AES provider lacks a needed function. Slower; for tests and comparison. */
struct kdnet_crypto *kdnet_crypto_new_portable(void);
bool kdnet_crypto_is_portable(const struct kdnet_crypto *crypto);
/* Returns KDNET_CRYPTO_SCRATCH bytes, aligned to 32, for a caller that expands keys itself. Wiped, like the last
 * key, when the object is freed. */
void *kdnet_crypto_scratch(struct kdnet_crypto *crypto);

/*
 * CBC without padding. `length` is a multiple of 16, at most INT_MAX. `in` and `out` are equal or do not overlap.
 * Returns KDNET_OK or KDNET_ERR_CRYPTO. No allocation.
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

/* Returns nonzero when the bytes differ, in constant time. */
int kdnet_crypto_differ(const uint8_t *a, const uint8_t *b, size_t length);

/* Random bytes fit for keys, OpenSSL's. Returns KDNET_OK or KDNET_ERR_RANDOM. */
int kdnet_crypto_random(uint8_t *out, size_t length);

/* Overwrites a secret; the compiler cannot optimise the write away. */
void kdnet_crypto_wipe(void *secret, size_t length);

#endif
