/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <openssl/evp.h>
#include <cmocka.h>

#include "kdnet/error.h"
#include "kdnet/wire/handshake.h"
#include "kdnet/base/wire.h"
#include "tests/support/bytes.h"
#include "tests/support/random.h"
#include "tests/support/vectors.h"

static const struct kdnet_address target_address = {
    .ip = {[10] = 0xff, [11] = 0xff, [12] = 192, [13] = 168, [14] = 2, [15] = 72}, .port = 51111};
static const struct kdnet_address host_address = {
    .ip = {[10] = 0xff, [11] = 0xff, [12] = 192, [13] = 168, [14] = 2, [15] = 1}, .port = 51111};

static bool is_poke(const struct vector *vector)
{
    return vector->datagram.channel == KDNET_CHANNEL_CONTROL && !vector->datagram.from_host;
}

static void all_427_pokes_of_the_capture_go_round(void **state)
{
    (void)state;
    const struct vectors *vectors = vectors_or_skip();
    size_t pokes = 0;
    for (size_t i = 0; i < vectors->count; ++i) {
        const struct kdnet_datagram *datagram = &vectors->items[i].datagram;
        struct kdnet_poke poke;
        uint8_t out[KDNET_POKE_LENGTH];
        if (!is_poke(&vectors->items[i]))
            continue;
        assert_int_equal(kdnet_poke_decode(datagram->body, datagram->body_length, &poke), KDNET_OK);
        memset(out, 0xee, sizeof out);
        kdnet_poke_encode(&poke, out);
        assert_memory_equal(out, datagram->body, sizeof out);
        ++pokes;
    }
    assert_int_equal(pokes, 427);
}

static void next_poke(const struct vectors *vectors, size_t *at, struct kdnet_poke *poke)
{
    while (*at < vectors->count && !is_poke(&vectors->items[*at]))
        ++*at;
    if (*at == vectors->count)
        return;
    const struct kdnet_datagram *datagram = &vectors->items[(*at)++].datagram;
    assert_int_equal(kdnet_poke_decode(datagram->body, datagram->body_length, poke), KDNET_OK);
}

static void pokes_of_the_capture_say_who_speaks_to_whom(void **state)
{
    (void)state;
    const struct vectors *vectors = vectors_or_skip();
    struct kdnet_poke poke;
    size_t at = 0;
    next_poke(vectors, &at, &poke);
    assert_true(kdnet_address_is_none(&poke.connected)); /* ::ffff:0.0.0.0, port 0 */
    for (size_t i = 1; i < 427; ++i) {
        next_poke(vectors, &at, &poke);
        assert_true(kdnet_address_equal(&poke.target, &target_address));
        assert_true(kdnet_address_equal(&poke.host, &host_address));
        assert_true(kdnet_address_equal(&poke.connected, &host_address));
    }
}

/* 8 bytes, not one: byte 1 goes up in frames 578 and 834. What follows them is a date, 2016-01-24 11:36:05. */
static void first_eight_random_bytes_count_pokes_and_the_others_stay(void **state)
{
    (void)state;
    const struct vectors *vectors = vectors_or_skip();
    struct kdnet_poke first, poke;
    size_t at = 0;
    next_poke(vectors, &at, &first);
    for (uint64_t i = 1; i < 427; ++i) {
        next_poke(vectors, &at, &poke);
        assert_true(kdnet_get_le64(poke.random) == kdnet_get_le64(first.random) + i);
        assert_true(kdnet_poke_same_run(poke.random, first.random));
    }
    assert_int_not_equal(poke.random[1], first.random[1]);
    for (size_t i = KDNET_COUNTER_LENGTH; i < KDNET_RANDOM_LENGTH; ++i) {
        poke.random[i] ^= 1;
        assert_false(kdnet_poke_same_run(poke.random, first.random));
        poke.random[i] ^= 1;
    }
}

static void control_sequence_numbers_of_the_capture_advance(void **state)
{
    (void)state;
    const struct vectors *vectors = vectors_or_skip();
    uint64_t before = 0;
    for (size_t i = 0; i < vectors->count; ++i) {
        if (!is_poke(&vectors->items[i]))
            continue;
        assert_true(vectors->items[i].datagram.sequence > before);
        before = vectors->items[i].datagram.sequence;
    }
    assert_int_equal(before, 3 * 427);
}

static void response_of_the_capture_answers_its_poke_and_goes_round(void **state)
{
    (void)state;
    const struct vectors *vectors = vectors_or_skip();
    const struct kdnet_datagram *poke_datagram = &vectors_frame(vectors, 1)->datagram;
    const struct kdnet_datagram *datagram = &vectors_frame(vectors, 2)->datagram;
    struct kdnet_poke poke;
    struct kdnet_response response;
    uint8_t out[KDNET_RESPONSE_LENGTH];
    assert_int_equal(kdnet_poke_decode(poke_datagram->body, poke_datagram->body_length, &poke), KDNET_OK);
    assert_int_equal(kdnet_response_decode(datagram->body, datagram->body_length, &response), KDNET_OK);
    assert_true(datagram->from_host && datagram->sequence == poke_datagram->sequence);
    assert_memory_equal(response.target_random, poke.random, sizeof poke.random);
    memset(out, 0xee, sizeof out);
    kdnet_response_encode(&response, out);
    assert_memory_equal(out, datagram->body, sizeof out);
}

static void capture_has_one_response(void **state)
{
    (void)state;
    const struct vectors *vectors = vectors_or_skip();
    size_t responses = 0;
    for (size_t i = 0; i < vectors->count; ++i) {
        const struct kdnet_datagram *datagram = &vectors->items[i].datagram;
        struct kdnet_response response;
        responses += datagram->channel == KDNET_CHANNEL_CONTROL && datagram->from_host &&
                     kdnet_response_decode(datagram->body, datagram->body_length, &response) == KDNET_OK;
    }
    assert_int_equal(responses, 1);
}

static void data_key_is_the_hash_of_control_key_and_response(void **state)
{
    (void)state;
    struct test_random random;
    uint8_t joined[KDNET_KEY_LENGTH + KDNET_RESPONSE_LENGTH], expected[EVP_MAX_MD_SIZE], key[KDNET_AES_KEY_LENGTH];
    unsigned length = 0;
    struct kdnet_key control;
    test_random_init(&random);
    test_random_fill(&random, joined, sizeof joined);
    memcpy(control.bytes, joined, sizeof control.bytes);
    kdnet_data_key(&control, joined + KDNET_KEY_LENGTH, key);
    assert_int_equal(EVP_Digest(joined, sizeof joined, expected, &length, EVP_sha256(), NULL), 1);
    assert_memory_equal(key, expected, sizeof key);
}

static void connection_check_of_the_capture_names_the_host(void **state)
{
    (void)state;
    const struct vectors *vectors = vectors_or_skip();
    const struct kdnet_datagram *datagram = &vectors_frame(vectors, 3)->datagram;
    static const uint8_t expected[4] = {192, 168, 2, 1};
    uint8_t host[4], out[KDNET_CHECK_LENGTH];
    assert_int_equal(kdnet_check_decode(datagram->body, datagram->body_length, host), KDNET_OK);
    assert_memory_equal(host, expected, sizeof expected);
    memset(out, 0xee, sizeof out);
    kdnet_check_encode(host, out);
    assert_memory_equal(out, datagram->body, sizeof out);
}

static void capture_has_one_connection_check(void **state)
{
    (void)state;
    const struct vectors *vectors = vectors_or_skip();
    size_t checks = 0, others = 0;
    for (size_t i = 0; i < vectors->count; ++i) {
        const struct vector *vector = &vectors->items[i];
        uint8_t host[4];
        if (vector->datagram.channel != KDNET_CHANNEL_DATA)
            continue;
        int error = kdnet_check_decode(vector->datagram.body, vector->datagram.body_length, host);
        checks += error == KDNET_OK;
        others += error == KDNET_ERR_LENGTH && vector->is_packet;
    }
    assert_int_equal(checks, 1);
    assert_int_equal(others, 262 + 265 - 1);
}

static void cut_poke_is_refused(const uint8_t *bytes, size_t length, size_t at, void *context)
{
    (void)at;
    (void)context;
    struct kdnet_poke poke = {.target.port = 99};
    assert_int_equal(kdnet_poke_decode(bytes, length, &poke), KDNET_ERR_LENGTH);
    assert_int_equal(poke.target.port, 99);
}

static void cut_response_is_refused(const uint8_t *bytes, size_t length, size_t at, void *context)
{
    (void)at;
    (void)context;
    struct kdnet_response response = {.host_random = {99}};
    assert_int_equal(kdnet_response_decode(bytes, length, &response), KDNET_ERR_LENGTH);
    assert_int_equal(response.host_random[0], 99);
}

static void cut_check_is_refused(const uint8_t *bytes, size_t length, size_t at, void *context)
{
    (void)at;
    (void)context;
    uint8_t host[4] = {99};
    assert_int_equal(kdnet_check_decode(bytes, length, host), KDNET_ERR_LENGTH);
    assert_int_equal(host[0], 99);
}

static void each_other_length_is_refused(void **state)
{
    (void)state;
    uint8_t bytes[KDNET_POKE_LENGTH + 16] = {1, 1};
    struct kdnet_poke poke;
    struct kdnet_response response;
    uint8_t host[4];
    bytes_each_truncation(bytes, KDNET_POKE_LENGTH, cut_poke_is_refused, NULL);
    assert_int_equal(kdnet_poke_decode(bytes, KDNET_POKE_LENGTH, &poke), KDNET_OK);
    assert_int_equal(kdnet_poke_decode(bytes, KDNET_POKE_LENGTH + 1, &poke), KDNET_ERR_LENGTH);
    bytes[1] = 2;
    bytes_each_truncation(bytes, KDNET_RESPONSE_LENGTH, cut_response_is_refused, NULL);
    assert_int_equal(kdnet_response_decode(bytes, KDNET_RESPONSE_LENGTH, &response), KDNET_OK);
    assert_int_equal(kdnet_response_decode(bytes, KDNET_RESPONSE_LENGTH + 1, &response), KDNET_ERR_LENGTH);
    memset(bytes, 0, sizeof bytes);
    bytes_each_truncation(bytes, KDNET_CHECK_LENGTH, cut_check_is_refused, NULL);
    assert_int_equal(kdnet_check_decode(bytes, KDNET_CHECK_LENGTH, host), KDNET_OK);
    assert_int_equal(kdnet_check_decode(bytes, KDNET_CHECK_LENGTH + 1, host), KDNET_ERR_LENGTH);
}

static void bodies_of_another_kind_are_refused(void **state)
{
    (void)state;
    uint8_t bytes[KDNET_POKE_LENGTH] = {1, 2}, host[4];
    struct kdnet_poke poke;
    struct kdnet_response response;
    assert_int_equal(kdnet_poke_decode(bytes, KDNET_POKE_LENGTH, &poke), KDNET_ERR_FORMAT);
    bytes[1] = 1;
    assert_int_equal(kdnet_response_decode(bytes, KDNET_RESPONSE_LENGTH, &response), KDNET_ERR_FORMAT);
    bytes[0] = 2;
    assert_int_equal(kdnet_poke_decode(bytes, KDNET_POKE_LENGTH, &poke), KDNET_ERR_FORMAT);
    bytes[1] = 2;
    assert_int_equal(kdnet_response_decode(bytes, KDNET_RESPONSE_LENGTH, &response), KDNET_ERR_FORMAT);
    for (size_t i = 0; i < 8; ++i) {
        uint8_t check[KDNET_CHECK_LENGTH] = {0};
        check[i] = 1;
        assert_int_equal(kdnet_check_decode(check, sizeof check, host), KDNET_ERR_FORMAT);
    }
}

static void addresses_differ_by_each_byte_and_by_port(void **state)
{
    (void)state;
    struct kdnet_address other = host_address, zero = {0};
    assert_true(kdnet_address_equal(&other, &host_address));
    for (size_t i = 0; i < sizeof other.ip; ++i) {
        other.ip[i] ^= 1;
        assert_false(kdnet_address_equal(&other, &host_address));
        other.ip[i] ^= 1;
    }
    other.port ^= 0x100;
    assert_false(kdnet_address_equal(&other, &host_address));
    assert_true(kdnet_address_is_none(&zero));
    zero.ip[10] = zero.ip[11] = 0xff;
    assert_true(kdnet_address_is_none(&zero));
    zero.ip[15] = 1;
    assert_false(kdnet_address_is_none(&zero));
    zero.ip[15] = 0;
    zero.port = 1;
    assert_false(kdnet_address_is_none(&zero));
    assert_false(kdnet_address_is_none(&host_address));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_427_pokes_of_the_capture_go_round),
        cmocka_unit_test(pokes_of_the_capture_say_who_speaks_to_whom),
        cmocka_unit_test(first_eight_random_bytes_count_pokes_and_the_others_stay),
        cmocka_unit_test(control_sequence_numbers_of_the_capture_advance),
        cmocka_unit_test(response_of_the_capture_answers_its_poke_and_goes_round),
        cmocka_unit_test(capture_has_one_response),
        cmocka_unit_test(data_key_is_the_hash_of_control_key_and_response),
        cmocka_unit_test(connection_check_of_the_capture_names_the_host),
        cmocka_unit_test(capture_has_one_connection_check),
        cmocka_unit_test(each_other_length_is_refused),
        cmocka_unit_test(bodies_of_another_kind_are_refused),
        cmocka_unit_test(addresses_differ_by_each_byte_and_by_port),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
