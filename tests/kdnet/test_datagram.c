/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "kdnet/wire/datagram.h"
#include "kdnet/error.h"
#include "kdnet/base/wire.h"
#include "tests/support/bytes.h"
#include "tests/support/random.h"
#include "tests/support/vectors.h"

#define CHEAP_FLIPS 64 /* bytes at each end of a long payload whose bits are all flipped */

static struct test_random random_numbers;
static struct kdnet_crypto *crypto;
static struct kdnet_keys keys;

static int set_up(void **state)
{
    (void)state;
    struct kdnet_key key;
    crypto = kdnet_crypto_new();
    if (!crypto || kdnet_key_parse("1.2.3.4", 7, &key, NULL, NULL) != KDNET_OK)
        return -1;
    kdnet_keys_init(&keys, &key);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    kdnet_crypto_free(crypto);
    return 0;
}

/* Seals with the control key of 1.2.3.4; the payload is a heap copy of exact length. */
static uint8_t *seal(const struct kdnet_datagram *datagram, size_t *length)
{
    uint8_t out[KDNET_DATAGRAM_MAX];
    assert_int_equal(kdnet_datagram_seal(crypto, keys.control.bytes, &keys.hmac, datagram, out, sizeof out, length),
                     KDNET_OK);
    return bytes_copy(out, *length);
}

static int open_payload(const uint8_t *payload, size_t length, uint8_t *plain, struct kdnet_datagram *out)
{
    return kdnet_datagram_open(crypto, keys.control.bytes, &keys.hmac, payload, length, plain, out);
}

static void all_955_datagrams_of_the_capture_come_out_as_they_went_in(void **state)
{
    (void)state;
    const struct vectors *vectors = vectors_or_skip();
    size_t control = 0, from_target = 0, from_host = 0;
    assert_int_equal(vectors->count, 955);
    for (size_t i = 0; i < vectors->count; ++i) {
        const struct vector *vector = &vectors->items[i];
        uint8_t out[KDNET_DATAGRAM_MAX];
        size_t length = 0;
        assert_int_equal(vector->datagram.version, 4);
        assert_int_equal(kdnet_datagram_seal(vectors->crypto, vector->aes_key, &vectors->keys.hmac, &vector->datagram,
                                             out, vector->payload_length, &length),
                         KDNET_OK);
        assert_int_equal(length, vector->payload_length);
        assert_memory_equal(out, vector->payload, length);
        control += vector->datagram.channel == KDNET_CHANNEL_CONTROL;
        from_target += vector->datagram.channel == KDNET_CHANNEL_DATA && !vector->datagram.from_host;
        from_host += vector->datagram.channel == KDNET_CHANNEL_DATA && vector->datagram.from_host;
    }
    assert_int_equal(control, 428);
    assert_int_equal(from_target, 265);
    assert_int_equal(from_host, 262);
}

static void data_sequence_numbers_of_the_capture_go_up_by_one_from_one(void **state)
{
    (void)state;
    const struct vectors *vectors = vectors_or_skip();
    uint64_t next[2] = {1, 1};
    for (size_t i = 0; i < vectors->count; ++i) {
        const struct kdnet_datagram *datagram = &vectors->items[i].datagram;
        if (datagram->channel == KDNET_CHANNEL_DATA)
            assert_true(datagram->sequence == next[datagram->from_host]++);
    }
    assert_true(next[0] == 266 && next[1] == 263);
}

static void right_key_may_open_each_datagram_and_wrong_keys_almost_none(void **state)
{
    (void)state;
    const struct vectors *vectors = vectors_or_skip();
    size_t passed = 0;
    for (size_t i = 0; i < vectors->count; ++i) {
        const struct vector *vector = &vectors->items[i];
        assert_true(kdnet_datagram_may_open(crypto, vector->aes_key, vector->payload, vector->payload_length));
        for (size_t j = 0; j < 100; ++j) {
            uint8_t wrong[KDNET_AES_KEY_LENGTH];
            test_random_fill(&random_numbers, wrong, sizeof wrong);
            passed += kdnet_datagram_may_open(crypto, wrong, vector->payload, vector->payload_length);
        }
    }
    assert_true(passed <= 1); /* 95,500 tries at one in 16 million */
}

static void datagrams_of_the_capture_do_not_open_with_another_key(void **state)
{
    (void)state;
    const struct vectors *vectors = vectors_or_skip();
    for (size_t i = 0; i < vectors->count; ++i) {
        const struct vector *vector = &vectors->items[i];
        uint8_t plain[KDNET_DATAGRAM_MAX];
        struct kdnet_datagram out;
        assert_int_equal(open_payload(vector->payload, vector->payload_length, plain, &out), KDNET_ERR_AUTH);
        assert_int_equal(kdnet_datagram_open(crypto, vector->aes_key, &keys.hmac, vector->payload,
                                             vector->payload_length, plain, &out),
                         KDNET_ERR_AUTH);
        assert_int_equal(kdnet_datagram_open(crypto, keys.control.bytes, &vectors->keys.hmac, vector->payload,
                                             vector->payload_length, plain, &out),
                         KDNET_ERR_AUTH);
    }
}

static void bodies_of_each_length_are_sealed_and_opened(void **state)
{
    (void)state;
    uint8_t body[KDNET_BODY_MAX];
    test_random_fill(&random_numbers, body, sizeof body);
    for (size_t length = 0; length <= KDNET_BODY_MAX; ++length) {
        struct kdnet_datagram opened, datagram = {.version = (uint8_t)(2 + length % 4),
                                                  .channel = length & 1,
                                                  .from_host = (length & 2) != 0,
                                                  .sequence = test_random_next(&random_numbers) >> 8,
                                                  .body = body,
                                                  .body_length = length};
        size_t sealed_length = 0;
        uint8_t *sealed = seal(&datagram, &sealed_length);
        uint8_t *plain = malloc(sealed_length);
        assert_non_null(plain);
        assert_int_equal(sealed_length, KDNET_HEADER_LENGTH + (8 + length + 15) / 16 * 16 + KDNET_TAG_LENGTH);
        assert_int_equal(open_payload(sealed, sealed_length, plain, &opened), KDNET_OK);
        assert_int_equal(opened.version, datagram.version);
        assert_int_equal(opened.channel, datagram.channel);
        assert_int_equal(opened.from_host, datagram.from_host);
        assert_true(opened.sequence == datagram.sequence);
        assert_int_equal(opened.body_length, length);
        assert_memory_equal(opened.body, body, length);
        free(plain);
        free(sealed);
    }
}

static void sealed_bytes_are_as_documented(void **state)
{
    (void)state;
    static const uint8_t body[3] = {0xaa, 0xbb, 0xcc};
    const struct kdnet_datagram datagram = {
        .version = 5, .channel = 1, .from_host = true, .sequence = 0x123456, .body = body, .body_length = sizeof body};
    uint8_t text[16], expected[16];
    size_t length = 0;
    uint8_t *sealed = seal(&datagram, &length);
    assert_int_equal(length, 38);
    assert_memory_equal(sealed, "MDBG\5\1", 6);
    assert_int_equal(kdnet_crypto_cbc_decrypt(crypto, keys.control.bytes, sealed + 22, sealed + 6, text, sizeof text),
                     KDNET_OK);
    bytes_from_hex("0000000012345685 aabbcc 0000000000", expected, sizeof expected);
    assert_memory_equal(text, expected, sizeof expected);
    free(sealed);
}

static void too_long_a_body_and_too_small_a_buffer_are_refused(void **state)
{
    (void)state;
    static const uint8_t body[KDNET_BODY_MAX + 1];
    struct kdnet_datagram datagram = {.version = 4, .body = body, .body_length = sizeof body};
    uint8_t out[KDNET_DATAGRAM_MAX];
    size_t length = 77;
    assert_int_equal(kdnet_datagram_seal(crypto, keys.control.bytes, &keys.hmac, &datagram, out, sizeof out, &length),
                     KDNET_ERR_LENGTH);
    datagram.body_length = 24; /* two blocks with the word */
    for (size_t size = 0; size < 6 + 32 + 16; ++size) {
        uint8_t *small = bytes_copy(out, size);
        assert_int_equal(kdnet_datagram_seal(crypto, keys.control.bytes, &keys.hmac, &datagram, small, size, &length),
                         KDNET_ERR_SPACE);
        free(small);
    }
    assert_int_equal(length, 77);
    assert_int_equal(kdnet_datagram_seal(crypto, keys.control.bytes, &keys.hmac, &datagram, out, 6 + 32 + 16, &length),
                     KDNET_OK);
    assert_int_equal(length, 6 + 32 + 16);
}

static void cut_is_refused(const uint8_t *payload, size_t length, size_t at, void *context)
{
    (void)at;
    (void)context;
    uint8_t *plain = malloc(length + 1), version = 99, channel = 99;
    struct kdnet_datagram out = {.version = 99};
    int expected = KDNET_ERR_SHORT;
    if (length >= KDNET_DATAGRAM_MIN)
        expected = (length - 22) % 16 != 0 ? KDNET_ERR_LENGTH : KDNET_ERR_AUTH;
    assert_non_null(plain);
    assert_int_equal(kdnet_datagram_peek(payload, length, &version, &channel),
                     expected == KDNET_ERR_AUTH ? KDNET_OK : expected);
    assert_int_equal(version, expected == KDNET_ERR_AUTH ? 4 : 99);
    assert_int_equal(open_payload(payload, length, plain, &out), expected);
    assert_int_equal(out.version, 99);
    free(plain);
}

static void each_truncation_is_refused(void **state)
{
    (void)state;
    uint8_t body[344] = {1, 1};
    const struct kdnet_datagram datagram = {
        .version = 4, .channel = 1, .sequence = 3, .body = body, .body_length = sizeof body};
    size_t length = 0;
    uint8_t *sealed = seal(&datagram, &length);
    bytes_each_truncation(sealed, length, cut_is_refused, NULL);
    free(sealed);
}

static void flip_is_refused(const uint8_t *payload, size_t length, size_t at, void *context)
{
    const struct vector *vector = context;
    const struct vectors *vectors = vectors_or_skip();
    uint8_t plain[KDNET_DATAGRAM_MAX];
    struct kdnet_datagram out = {.version = 99};
    if (at >= CHEAP_FLIPS && at + CHEAP_FLIPS < length)
        return;
    int expected = at < 4 ? KDNET_ERR_MAGIC : at == 5 && payload[5] > 1 ? KDNET_ERR_VERSION : KDNET_ERR_AUTH;
    assert_int_equal(kdnet_datagram_open(crypto, vector->aes_key, &vectors->keys.hmac, payload, length, plain, &out),
                     at == 4 && payload[4] == 0 ? KDNET_ERR_VERSION : expected);
    assert_int_equal(out.version, 99);
}

static void no_bit_of_a_real_datagram_can_be_changed(void **state)
{
    (void)state;
    const struct vectors *vectors = vectors_or_skip();
    static const unsigned frames[] = {1, 2, 3, 7, 8, 12, 234, 378};
    for (size_t i = 0; i < sizeof frames / sizeof frames[0]; ++i) {
        struct vector vector = *vectors_frame(vectors, frames[i]);
        bytes_each_bit_flip(vector.payload, vector.payload_length, flip_is_refused, &vector);
    }
}

static void no_byte_of_any_real_datagram_can_be_changed(void **state)
{
    (void)state;
    const struct vectors *vectors = vectors_or_skip();
    for (size_t i = 0; i < vectors->count; i += 7) {
        const struct vector *vector = &vectors->items[i];
        uint8_t *copy = bytes_copy(vector->payload, vector->payload_length), plain[KDNET_DATAGRAM_MAX];
        for (size_t at = 0; at < vector->payload_length; ++at) {
            struct kdnet_datagram out;
            uint8_t change = (uint8_t)(1 + test_random_below(&random_numbers, 255));
            copy[at] ^= change;
            int error = kdnet_datagram_open(crypto, vector->aes_key, &vectors->keys.hmac, copy, vector->payload_length,
                                            plain, &out);
            assert_true(error == KDNET_ERR_AUTH || (at < 4 && error == KDNET_ERR_MAGIC) ||
                        ((at == 4 || at == 5) && error == KDNET_ERR_VERSION));
            copy[at] ^= change;
        }
        free(copy);
    }
}

static void unknown_forms_are_told_apart_without_a_key(void **state)
{
    (void)state;
    uint8_t payload[KDNET_DATAGRAM_MAX + 16], version = 99, channel = 99;
    memset(payload, 0, sizeof payload);
    memcpy(payload, "MDBG\4\1", 6);
    assert_int_equal(kdnet_datagram_peek(payload, KDNET_DATAGRAM_MIN, &version, &channel), KDNET_OK);
    assert_int_equal(version, 4);
    assert_int_equal(channel, KDNET_CHANNEL_CONTROL);
    assert_int_equal(kdnet_datagram_peek(payload, KDNET_DATAGRAM_MAX, &version, &channel), KDNET_OK);
    assert_int_equal(kdnet_datagram_peek(payload, KDNET_DATAGRAM_MAX + 16, &version, &channel), KDNET_ERR_LENGTH);
    assert_int_equal(kdnet_datagram_peek(payload, KDNET_DATAGRAM_MIN + 1, &version, &channel), KDNET_ERR_LENGTH);
    version = channel = 99;
    payload[5] = 2;
    assert_int_equal(kdnet_datagram_peek(payload, KDNET_DATAGRAM_MIN, &version, &channel), KDNET_ERR_VERSION);
    payload[5] = 0;
    payload[4] = 0;
    assert_int_equal(kdnet_datagram_peek(payload, KDNET_DATAGRAM_MIN, &version, &channel), KDNET_ERR_VERSION);
    payload[0] = 'm';
    assert_int_equal(kdnet_datagram_peek(payload, KDNET_DATAGRAM_MIN, &version, &channel), KDNET_ERR_MAGIC);
    assert_int_equal(version, 99);
    assert_int_equal(channel, 99);
}

/* Seals a plaintext of one block as it is, whatever its word says. */
static void seal_block(const uint8_t text[static 16], uint8_t out[static KDNET_DATAGRAM_MIN])
{
    uint8_t digest[KDNET_SHA256_LENGTH];
    static const uint8_t header[KDNET_HEADER_LENGTH] = {'M', 'D', 'B', 'G', 4, 0};
    memcpy(out, header, sizeof header);
    memcpy(out + 6, text, 16);
    kdnet_hmac(&keys.hmac, out, 22, digest);
    assert_int_equal(kdnet_crypto_cbc_encrypt(crypto, keys.control.bytes, digest, out + 6, out + 6, 16), KDNET_OK);
    memcpy(out + 22, digest, KDNET_TAG_LENGTH);
}

static void authentic_datagram_with_more_padding_than_it_has_is_refused(void **state)
{
    (void)state;
    for (unsigned pad = 0; pad < 16; ++pad) {
        uint8_t text[16] = {[6] = 1, [7] = (uint8_t)pad}, payload[KDNET_DATAGRAM_MIN], plain[KDNET_DATAGRAM_MIN];
        struct kdnet_datagram out = {.version = 99};
        seal_block(text, payload);
        assert_int_equal(open_payload(payload, sizeof payload, plain, &out), pad <= 8 ? KDNET_OK : KDNET_ERR_FORMAT);
        if (pad <= 8)
            assert_int_equal(out.body_length, 8 - pad);
        else
            assert_int_equal(out.version, 99);
    }
}

static void cleared_keys_hold_no_secret(void **state)
{
    (void)state;
    static const struct kdnet_keys zero;
    struct kdnet_keys copy = keys;
    kdnet_keys_clear(&copy);
    assert_memory_equal(&copy, &zero, sizeof zero);
}

int main(void)
{
    test_random_init(&random_numbers);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_955_datagrams_of_the_capture_come_out_as_they_went_in),
        cmocka_unit_test(data_sequence_numbers_of_the_capture_go_up_by_one_from_one),
        cmocka_unit_test(right_key_may_open_each_datagram_and_wrong_keys_almost_none),
        cmocka_unit_test(datagrams_of_the_capture_do_not_open_with_another_key),
        cmocka_unit_test(bodies_of_each_length_are_sealed_and_opened),
        cmocka_unit_test(sealed_bytes_are_as_documented),
        cmocka_unit_test(too_long_a_body_and_too_small_a_buffer_are_refused),
        cmocka_unit_test(each_truncation_is_refused),
        cmocka_unit_test(no_bit_of_a_real_datagram_can_be_changed),
        cmocka_unit_test(no_byte_of_any_real_datagram_can_be_changed),
        cmocka_unit_test(unknown_forms_are_told_apart_without_a_key),
        cmocka_unit_test(authentic_datagram_with_more_padding_than_it_has_is_refused),
        cmocka_unit_test(cleared_keys_hold_no_secret),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
