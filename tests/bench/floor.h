/* SPDX-License-Identifier: Apache-2.0 */
/*
 * floor: what a datagram costs when nothing is done but its cryptography: AES-256-CBC by the functions of OpenSSL's
 * provider where it offers them, else by EVP, one context re-keyed for each datagram; HMAC-SHA256 from two kept states.
 * Written apart from kdnet/crypto/crypto.c, so that the two can be measured against each other.
 */
#ifndef TESTS_BENCH_FLOOR_H
#define TESTS_BENCH_FLOOR_H

#include "kdnet/crypto/crypto.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <openssl/core_dispatch.h>
#include <openssl/evp.h>

#define FLOOR_LENGTH_MAX 400 /* of a datagram */

struct floor {
    EVP_CIPHER_CTX *shared;
    void *direct; /* the provider's context; NULL: it does not offer its functions */
    OSSL_FUNC_cipher_freectx_fn *free_context;
    OSSL_FUNC_cipher_decrypt_init_fn *init;
    OSSL_FUNC_cipher_cipher_fn *cipher;
};

/* False: OpenSSL has no AES-256-CBC. */
bool floor_init(struct floor *floor);
void floor_clear(struct floor *floor);

/* Whether the datagram's tag is right. Direct, or by `context`: then `key` NULL leaves the key that it has. */
bool floor_open(const struct floor *floor, const uint8_t *key, const struct kdnet_hmac_key *hmac,
                const uint8_t *payload, size_t length);
bool floor_open_evp(EVP_CIPHER_CTX *context, const uint8_t *key, const struct kdnet_hmac_key *hmac,
                    const uint8_t *payload, size_t length);

#endif
