/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "kdnet/error.h"
#include "service/kdnetctl/content.h"
#include "service/kdnetctl/opener.h"
#include "tests/kdnetctl/frames.h"

#define KEYS 20 /* more than are tried in full */

struct fixture {
    struct kdnet_crypto *crypto;
    struct kdnet_key keys[KEYS];
    struct kdnet_keys sealed[KEYS];
    struct opener *opener;
    struct kdnet_address target, host;
    uint8_t payload[KDNET_DATAGRAM_MAX];
    uint64_t sequence;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    f->crypto = kdnet_crypto_new();
    f->opener = opener_new();
    assert_non_null(f->crypto);
    assert_non_null(f->opener);
    for (uint8_t i = 0; i < KEYS; ++i) {
        memset(f->keys[i].bytes, i + 1, sizeof f->keys[i].bytes);
        kdnet_keys_init(&f->sealed[i], &f->keys[i]);
    }
    f->target = frames_ipv4(7, 51111);
    f->host = frames_ipv4(1, 50000);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    opener_free(f->opener);
    kdnet_crypto_free(f->crypto);
    free(f);
    return 0;
}

static void know(struct fixture *f, size_t first, size_t count)
{
    for (size_t i = first; i < first + count; ++i)
        assert_int_equal(opener_add_key(f->opener, &f->keys[i]), KDNET_OK);
}

static struct capture_datagram seal(struct fixture *f, size_t key, const uint8_t *aes, bool from_host, uint8_t channel,
                                    const uint8_t *body, size_t length)
{
    struct kdnet_datagram datagram = {.version = 5,
                                      .channel = channel,
                                      .from_host = from_host,
                                      .sequence = ++f->sequence,
                                      .body = body,
                                      .body_length = length};
    struct capture_datagram captured = {
        .from = from_host ? f->host : f->target, .to = from_host ? f->target : f->host, .payload = f->payload};
    assert_int_equal(kdnet_datagram_seal(f->crypto, aes, &f->sealed[key].hmac, &datagram, f->payload, sizeof f->payload,
                                         &captured.length),
                     KDNET_OK);
    captured.wire_length = captured.length;
    return captured;
}

static struct opener_opened poke(struct fixture *f, size_t key)
{
    static const struct kdnet_poke empty;
    uint8_t body[KDNET_POKE_LENGTH];
    struct opener_opened opened;
    kdnet_poke_encode(&empty, body);
    struct capture_datagram captured = seal(f, key, f->keys[key].bytes, false, KDNET_CHANNEL_CONTROL, body,
                                            sizeof body);
    assert_true(opener_open(f->opener, &captured, &opened));
    return opened;
}

/* A response with `fresh` as the host's random; writes the data key that it makes. */
static struct opener_opened respond(struct fixture *f, size_t key, uint8_t fresh,
                                    uint8_t aes[static KDNET_AES_KEY_LENGTH])
{
    struct kdnet_response response = {.host_random = {fresh}};
    uint8_t body[KDNET_RESPONSE_LENGTH];
    struct opener_opened opened;
    kdnet_response_encode(&response, body);
    kdnet_data_key(&f->keys[key], body, aes);
    struct capture_datagram captured = seal(f, key, f->keys[key].bytes, true, KDNET_CHANNEL_CONTROL, body, sizeof body);
    assert_true(opener_open(f->opener, &captured, &opened));
    return opened;
}

static struct opener_opened data(struct fixture *f, size_t key, const uint8_t aes[static KDNET_AES_KEY_LENGTH])
{
    static const uint8_t body[1] = {KDNET_BREAK_IN_BYTE};
    struct opener_opened opened;
    struct capture_datagram captured = seal(f, key, aes, true, KDNET_CHANNEL_DATA, body, sizeof body);
    assert_true(opener_open(f->opener, &captured, &opened));
    return opened;
}

static void data_opens_after_its_response_and_not_before(void **state)
{
    struct fixture *f = *state;
    uint8_t aes[KDNET_AES_KEY_LENGTH] = {9};
    know(f, 0, 1);
    assert_int_equal(data(f, 0, aes).result, OPENER_NO_RESPONSE);
    assert_int_equal(poke(f, 0).result, OPENER_VERIFIED);
    assert_int_equal(data(f, 0, aes).result, OPENER_NO_RESPONSE);
    assert_int_equal(respond(f, 0, 1, aes).result, OPENER_VERIFIED);
    struct opener_opened opened = data(f, 0, aes);
    assert_int_equal(opened.result, OPENER_VERIFIED);
    assert_int_equal(opened.version, 5);
    assert_true(opened.datagram.from_host);
    assert_int_equal(opened.datagram.sequence, f->sequence);
}

static void wrong_key_opens_nothing(void **state)
{
    struct fixture *f = *state;
    uint8_t aes[KDNET_AES_KEY_LENGTH];
    know(f, 1, 1);
    struct opener_opened opened = poke(f, 0);
    assert_int_equal(opened.result, OPENER_ERROR);
    assert_int_equal(opened.error, KDNET_ERR_AUTH);
    assert_string_equal(opener_reason(&opened), "wrong key or damaged");
    assert_int_equal(respond(f, 0, 1, aes).result, OPENER_ERROR);
    assert_int_equal(data(f, 0, aes).result, OPENER_NO_RESPONSE);
}

static void without_a_key_headers_are_read(void **state)
{
    struct fixture *f = *state;
    struct opener_opened opened = poke(f, 0);
    assert_int_equal(opened.result, OPENER_NO_KEY);
    assert_true(opened.has_header);
    assert_int_equal(opened.version, 5);
    assert_int_equal(opened.channel, KDNET_CHANNEL_CONTROL);
}

static void each_of_many_keys_opens_its_machine(void **state)
{
    struct fixture *f = *state;
    uint8_t aes[KEYS][KDNET_AES_KEY_LENGTH];
    know(f, 0, KEYS);
    for (size_t i = 0; i < KEYS; ++i) {
        f->target = frames_ipv6((uint8_t)i, 50000);
        struct opener_opened opened = poke(f, i);
        assert_int_equal(opened.result, OPENER_VERIFIED);
        assert_int_equal(opened.key, i);
        assert_int_equal(respond(f, i, (uint8_t)i, aes[i]).result, OPENER_VERIFIED);
    }
    for (size_t i = KEYS; i-- > 0;) {
        f->target = frames_ipv6((uint8_t)i, 50000);
        struct opener_opened opened = data(f, i, aes[i]);
        assert_int_equal(opened.result, OPENER_VERIFIED);
        assert_int_equal(opened.key, i);
    }
}

static void one_address_may_change_its_key(void **state)
{
    struct fixture *f = *state;
    know(f, 0, 3);
    for (size_t i = 0; i < 9; ++i)
        assert_int_equal(poke(f, i % 3).key, i % 3);
}

static void old_and_new_data_keys_open_around_a_rekey(void **state)
{
    struct fixture *f = *state;
    uint8_t first[KDNET_AES_KEY_LENGTH], second[KDNET_AES_KEY_LENGTH];
    know(f, 0, 1);
    respond(f, 0, 1, first);
    assert_int_equal(data(f, 0, first).result, OPENER_VERIFIED);
    respond(f, 0, 2, second);
    assert_int_equal(data(f, 0, first).result, OPENER_VERIFIED);
    assert_int_equal(data(f, 0, second).result, OPENER_VERIFIED);
    assert_int_equal(data(f, 0, first).result, OPENER_VERIFIED);
}

static void absurd_sequence_number_opens_with_few_keys(void **state)
{
    struct fixture *f = *state;
    know(f, 0, 2);
    f->sequence = UINT64_C(1) << 55;
    struct opener_opened opened = poke(f, 1);
    assert_int_equal(opened.result, OPENER_VERIFIED);
    assert_true(opened.datagram.sequence > UINT64_C(1) << 55);
}

static void each_changed_byte_is_refused(void **state)
{
    struct fixture *f = *state;
    static const struct kdnet_poke empty;
    uint8_t body[KDNET_POKE_LENGTH];
    struct opener_opened opened;
    know(f, 0, 1);
    kdnet_poke_encode(&empty, body);
    struct capture_datagram captured = seal(f, 0, f->keys[0].bytes, false, KDNET_CHANNEL_CONTROL, body, sizeof body);
    for (size_t i = 0; i < captured.length; ++i) {
        f->payload[i] ^= 0x40;
        if (opener_open(f->opener, &captured, &opened))
            assert_int_not_equal(opened.result, OPENER_VERIFIED);
        else
            assert_true(i < 4); /* without MDBG it is none of KDNET's */
        f->payload[i] ^= 0x40;
    }
    assert_true(opener_open(f->opener, &captured, &opened));
    assert_int_equal(opened.result, OPENER_VERIFIED);
}

static void cut_datagram_says_that_it_is_cut(void **state)
{
    struct fixture *f = *state;
    static const uint8_t body[40];
    struct opener_opened opened;
    know(f, 0, 1);
    struct capture_datagram captured = seal(f, 0, f->keys[0].bytes, false, KDNET_CHANNEL_CONTROL, body, sizeof body);
    for (size_t length = 0; length < captured.wire_length; ++length) {
        captured.length = length;
        assert_int_equal(opener_open(f->opener, &captured, &opened), length >= 4);
        if (length < 4)
            continue;
        assert_int_equal(opened.result, OPENER_CUT);
        assert_int_equal(opened.has_header, length >= KDNET_HEADER_LENGTH);
    }
}

static void short_datagram_is_rejected_and_other_traffic_ignored(void **state)
{
    struct fixture *f = *state;
    struct opener_opened opened;
    know(f, 0, 1);
    struct capture_datagram captured = {
        .payload = (const uint8_t *)"MDBG\5\1", .length = 6, .wire_length = 6, .from = f->target, .to = f->host};
    assert_true(opener_open(f->opener, &captured, &opened));
    assert_int_equal(opened.error, KDNET_ERR_SHORT);
    captured.payload = (const uint8_t *)"NTP...";
    assert_false(opener_open(f->opener, &captured, &opened));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(data_opens_after_its_response_and_not_before),
        TEST(wrong_key_opens_nothing),
        TEST(without_a_key_headers_are_read),
        TEST(each_of_many_keys_opens_its_machine),
        TEST(one_address_may_change_its_key),
        TEST(old_and_new_data_keys_open_around_a_rekey),
        TEST(absurd_sequence_number_opens_with_few_keys),
        TEST(each_changed_byte_is_refused),
        TEST(cut_datagram_says_that_it_is_cut),
        TEST(short_datagram_is_rejected_and_other_traffic_ignored),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
