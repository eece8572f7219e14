/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <cmocka.h>

#include "kdnet/crypto/crypto.h"
#include "kdnet/error.h"
#include "tests/support/bytes.h"
#include "tests/support/random.h"

#define MESSAGE_MAX 5000
#define ROUNDS      2000

static struct test_random random_numbers;

static int set_up(void **state)
{
    *state = kdnet_crypto_new();
    return *state ? 0 : -1;
}

static int tear_down(void **state)
{
    kdnet_crypto_free(*state);
    return 0;
}

/* RFC 4231, test cases 1 and 2: keys shorter than 32 bytes are the same as those keys with zeros behind. */
static void hmac_of_rfc_4231(void **state)
{
    (void)state;
    static const struct {
        const char *key, *message, *digest;
    } cases[] = {
        {"0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b000000000000000000000000", "Hi There",
         "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"},
        {"4a65666500000000000000000000000000000000000000000000000000000000", "what do ya want for nothing?",
         "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; ++i) {
        uint8_t key[32], expected[32], digest[32];
        struct kdnet_hmac_key prepared;
        bytes_from_hex(cases[i].key, key, sizeof key);
        bytes_from_hex(cases[i].digest, expected, sizeof expected);
        kdnet_hmac_key_init(&prepared, key);
        kdnet_hmac(&prepared, (const uint8_t *)cases[i].message, strlen(cases[i].message), digest);
        assert_memory_equal(digest, expected, sizeof expected);
    }
}

static void hmac_is_openssls_for_keys_and_messages_of_all_kinds(void **state)
{
    (void)state;
    uint8_t key[32], buffer[MESSAGE_MAX], digest[32], expected[EVP_MAX_MD_SIZE];
    for (size_t round = 0; round < ROUNDS; ++round) {
        size_t length = round < 300 ? round : test_random_below(&random_numbers, sizeof buffer);
        unsigned expected_length = 0;
        struct kdnet_hmac_key prepared;
        test_random_fill(&random_numbers, key, sizeof key);
        test_random_fill(&random_numbers, buffer, length);
        uint8_t *message = bytes_copy(buffer, length);
        kdnet_hmac_key_init(&prepared, key);
        kdnet_hmac(&prepared, message, length, digest);
        assert_non_null(HMAC(EVP_sha256(), key, sizeof key, message, length, expected, &expected_length));
        assert_int_equal(expected_length, sizeof digest);
        assert_memory_equal(digest, expected, sizeof digest);
        free(message);
    }
}

static void sha256_pair_is_the_hash_of_both_in_a_row(void **state)
{
    (void)state;
    uint8_t buffer[MESSAGE_MAX], digest[32], expected[EVP_MAX_MD_SIZE];
    for (size_t round = 0; round < ROUNDS; ++round) {
        size_t length = test_random_below(&random_numbers, round < 300 ? round + 1 : sizeof buffer);
        size_t cut = test_random_below(&random_numbers, length + 1);
        unsigned expected_length = 0;
        test_random_fill(&random_numbers, buffer, length);
        uint8_t *a = bytes_copy(buffer, cut), *b = bytes_copy(buffer + cut, length - cut);
        kdnet_sha256_pair(a, cut, b, length - cut, digest);
        assert_int_equal(EVP_Digest(buffer, length, expected, &expected_length, EVP_sha256(), NULL), 1);
        assert_memory_equal(digest, expected, sizeof digest);
        free(a);
        free(b);
    }
}

static void evp_encrypt(const uint8_t *key, const uint8_t *iv, const uint8_t *in, uint8_t *out, size_t length)
{
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    int written = 0, rest = 0;
    assert_non_null(context);
    assert_int_equal(EVP_EncryptInit_ex(context, EVP_aes_256_cbc(), NULL, key, iv), 1);
    assert_int_equal(EVP_CIPHER_CTX_set_padding(context, 0), 1);
    assert_int_equal(EVP_EncryptUpdate(context, out, &written, in, (int)length), 1);
    assert_int_equal(EVP_EncryptFinal_ex(context, out + written, &rest), 1);
    assert_int_equal(written + rest, length);
    EVP_CIPHER_CTX_free(context);
}

static void cbc_is_evps_in_both_directions_and_in_place(void **state)
{
    struct kdnet_crypto *crypto = *state;
    uint8_t key[32], iv[16], text[4096], expected[4096];
    for (size_t round = 0; round < ROUNDS; ++round) {
        size_t length = 16 * (1 + test_random_below(&random_numbers, sizeof text / 16));
        test_random_fill(&random_numbers, key, sizeof key);
        test_random_fill(&random_numbers, iv, sizeof iv);
        test_random_fill(&random_numbers, text, length);
        uint8_t *in = bytes_copy(text, length), *out = bytes_copy(text, length);
        evp_encrypt(key, iv, text, expected, length);
        assert_int_equal(kdnet_crypto_cbc_encrypt(crypto, key, iv, in, in, length), KDNET_OK);
        assert_memory_equal(in, expected, length);
        assert_int_equal(kdnet_crypto_cbc_decrypt(crypto, key, iv, in, out, length), KDNET_OK);
        assert_memory_equal(out, text, length);
        assert_int_equal(kdnet_crypto_cbc_decrypt(crypto, key, iv, in, in, length), KDNET_OK);
        assert_memory_equal(in, text, length);
        free(in);
        free(out);
    }
}

/* Without EVP between and through it: the same bytes, whichever key and direction came before. */
static void cbc_through_evp_alone_is_the_same(void **state)
{
    struct kdnet_crypto *direct = *state, *portable = kdnet_crypto_new_portable();
    uint8_t keys[2][32], iv[16], text[512], one[512], other[512];
    assert_non_null(portable);
    for (size_t round = 0; round < ROUNDS; ++round) {
        size_t length = 16 * (1 + test_random_below(&random_numbers, sizeof text / 16));
        if (round % 16 == 0)
            test_random_fill(&random_numbers, keys[0], sizeof keys);
        const uint8_t *key = keys[test_random_below(&random_numbers, 2)];
        bool encrypt = test_random_below(&random_numbers, 2) == 0;
        test_random_fill(&random_numbers, iv, sizeof iv);
        test_random_fill(&random_numbers, text, length);
        int (*call)(struct kdnet_crypto *, const uint8_t *, const uint8_t *, const uint8_t *, uint8_t *,
                    size_t) = encrypt ? kdnet_crypto_cbc_encrypt : kdnet_crypto_cbc_decrypt;
        assert_int_equal(call(direct, key, iv, text, one, length), KDNET_OK);
        assert_int_equal(call(portable, key, iv, text, other, length), KDNET_OK);
        assert_memory_equal(one, other, length);
    }
    kdnet_crypto_free(portable);
}

static void cbc_refuses_what_is_no_whole_number_of_blocks(void **state)
{
    struct kdnet_crypto *crypto = *state;
    static const uint8_t key[32], iv[16], in[32];
    uint8_t out[32];
    for (size_t length = 1; length < sizeof in; ++length) {
        int expected = length == 16 ? KDNET_OK : KDNET_ERR_CRYPTO;
        assert_int_equal(kdnet_crypto_cbc_encrypt(crypto, key, iv, in, out, length), expected);
        assert_int_equal(kdnet_crypto_cbc_decrypt(crypto, key, iv, in, out, length), expected);
    }
}

static void differing_bytes_are_noticed_wherever_they_are(void **state)
{
    (void)state;
    uint8_t a[16], b[16];
    test_random_fill(&random_numbers, a, sizeof a);
    memcpy(b, a, sizeof b);
    assert_int_equal(kdnet_crypto_differ(a, b, sizeof a), 0);
    for (size_t bit = 0; bit < sizeof a * 8; ++bit) {
        b[bit / 8] ^= (uint8_t)(1U << bit % 8);
        assert_int_not_equal(kdnet_crypto_differ(a, b, sizeof a), 0);
        assert_int_equal(kdnet_crypto_differ(a, b, bit / 8), 0);
        b[bit / 8] ^= (uint8_t)(1U << bit % 8);
    }
}

static void wiping_leaves_zeros(void **state)
{
    (void)state;
    static const uint8_t zeros[32];
    uint8_t secret[33];
    memset(secret, 0xa5, sizeof secret);
    kdnet_crypto_wipe(secret, 32);
    assert_memory_equal(secret, zeros, 32);
    assert_int_equal(secret[32], 0xa5);
}

static void freeing_nothing_is_fine(void **state)
{
    (void)state;
    kdnet_crypto_free(NULL);
}

int main(void)
{
    test_random_init(&random_numbers);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hmac_of_rfc_4231),
        cmocka_unit_test(hmac_is_openssls_for_keys_and_messages_of_all_kinds),
        cmocka_unit_test(sha256_pair_is_the_hash_of_both_in_a_row),
        cmocka_unit_test(cbc_is_evps_in_both_directions_and_in_place),
        cmocka_unit_test(cbc_through_evp_alone_is_the_same),
        cmocka_unit_test(cbc_refuses_what_is_no_whole_number_of_blocks),
        cmocka_unit_test(differing_bytes_are_noticed_wherever_they_are),
        cmocka_unit_test(wiping_leaves_zeros),
        cmocka_unit_test(freeing_nothing_is_fine),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
