/* SPDX-License-Identifier: Apache-2.0 */
#define OPENSSL_API_COMPAT 0x10100000L /* the low-level SHA-256 */

#include "tests/bench/floor.h"

#include <string.h>

#include <openssl/crypto.h>
#include <openssl/provider.h>
#include <openssl/sha.h>

static void take_direct(struct floor *floor, const OSSL_PROVIDER *provider, const OSSL_DISPATCH *entry)
{
    OSSL_FUNC_cipher_newctx_fn *new_context = NULL;
    for (; entry->function_id != 0; ++entry)
        if (entry->function_id == OSSL_FUNC_CIPHER_NEWCTX)
            new_context = OSSL_FUNC_cipher_newctx(entry);
        else if (entry->function_id == OSSL_FUNC_CIPHER_FREECTX)
            floor->free_context = OSSL_FUNC_cipher_freectx(entry);
        else if (entry->function_id == OSSL_FUNC_CIPHER_DECRYPT_INIT)
            floor->init = OSSL_FUNC_cipher_decrypt_init(entry);
        else if (entry->function_id == OSSL_FUNC_CIPHER_CIPHER)
            floor->cipher = OSSL_FUNC_cipher_cipher(entry);
    if (new_context && floor->free_context && floor->init && floor->cipher)
        floor->direct = new_context(OSSL_PROVIDER_get0_provider_ctx(provider));
}

bool floor_init(struct floor *floor)
{
    *floor = (struct floor){.shared = EVP_CIPHER_CTX_new()};
    if (!floor->shared || EVP_DecryptInit_ex(floor->shared, EVP_aes_256_cbc(), NULL, NULL, NULL) != 1)
        return false;
    int changes;
    const OSSL_PROVIDER *provider = EVP_CIPHER_get0_provider(EVP_CIPHER_CTX_get0_cipher(floor->shared));
    const OSSL_ALGORITHM *found = OSSL_PROVIDER_query_operation(provider, OSSL_OP_CIPHER, &changes);
    while (found && found->algorithm_names && strncmp(found->algorithm_names, "AES-256-CBC:", 12) != 0)
        ++found;
    if (found && found->algorithm_names)
        take_direct(floor, provider, found->implementation);
    return true;
}

void floor_clear(struct floor *floor)
{
    if (floor->direct)
        floor->free_context(floor->direct);
    EVP_CIPHER_CTX_free(floor->shared);
}

/* HMAC-SHA256 from two kept states, with the padding of the outer hash ready made; then compared. */
static inline bool is_right(const struct kdnet_hmac_key *key, const uint8_t *data, size_t length, const uint8_t *tag)
{
    SHA256_CTX sha;
    uint8_t block[64] = {[32] = 0x80, [62] = 3}, digest[16];
    memcpy(sha.h, key->inner, sizeof key->inner);
    sha.Nl = 512;
    sha.Nh = sha.num = 0;
    sha.md_len = SHA256_DIGEST_LENGTH;
    SHA256_Update(&sha, data, length);
    SHA256_Final(block, &sha);
    memcpy(sha.h, key->outer, sizeof key->outer);
    SHA256_Transform(&sha, block);
    for (size_t i = 0; i < 4; ++i) {
        uint32_t word = __builtin_bswap32((uint32_t)sha.h[i]);
        memcpy(digest + 4 * i, &word, sizeof word);
    }
    return CRYPTO_memcmp(digest, tag, sizeof digest) == 0;
}

bool floor_open_evp(EVP_CIPHER_CTX *context, const uint8_t *key, const struct kdnet_hmac_key *hmac,
                    const uint8_t *payload, size_t length)
{
    uint8_t plain[FLOOR_LENGTH_MAX];
    const uint8_t *tag = payload + length - 16;
    memcpy(plain, payload, 6);
    EVP_DecryptInit_ex(context, NULL, NULL, key, tag);
    EVP_Cipher(context, plain + 6, payload + 6, (unsigned)(length - 22));
    return is_right(hmac, plain, length - 16, tag);
}

bool floor_open(const struct floor *floor, const uint8_t *key, const struct kdnet_hmac_key *hmac,
                const uint8_t *payload, size_t length)
{
    uint8_t plain[FLOOR_LENGTH_MAX];
    const uint8_t *tag = payload + length - 16;
    size_t made;
    if (!floor->direct)
        return floor_open_evp(floor->shared, key, hmac, payload, length);
    memcpy(plain, payload, 6);
    floor->init(floor->direct, key, 32, tag, 16, NULL);
    floor->cipher(floor->direct, plain + 6, &made, length - 22, payload + 6, length - 22);
    return is_right(hmac, plain, length - 16, tag);
}
