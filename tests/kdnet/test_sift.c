/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "kdnet/error.h"
#include "kdnet/sift.h"

#include <cmocka.h>

#define PAYLOADS 700 /* more than two that are decrypted at once */
#define LENGTH   (KDNET_HEADER_LENGTH + 48 + KDNET_TAG_LENGTH)

struct pile {
    struct kdnet_crypto *crypto;
    struct kdnet_sift_block blocks[PAYLOADS];
    uint32_t tags[PAYLOADS];
    uint8_t payload[PAYLOADS][LENGTH];
};

static struct kdnet_key key_of(size_t number)
{
    struct kdnet_key key = {{7}};
    memcpy(key.bytes + 8, &number, sizeof number);
    return key;
}

/* Payload i is sealed with key i / 3. */
static int setup(void **state)
{
    static struct pile pile;
    uint8_t body[40] = {1, 1};
    pile.crypto = kdnet_crypto_new();
    for (size_t i = 0; i < PAYLOADS; ++i) {
        struct kdnet_key key = key_of(i / 3);
        struct kdnet_keys keys;
        struct kdnet_datagram datagram = {.version = 5,
                                          .channel = KDNET_CHANNEL_CONTROL,
                                          .sequence = i + 1,
                                          .body = body,
                                          .body_length = sizeof body};
        size_t length = 0;
        kdnet_keys_init(&keys, &key);
        if (kdnet_datagram_seal(pile.crypto, key.bytes, &keys.hmac, &datagram, pile.payload[i], LENGTH, &length) !=
                KDNET_OK ||
            length != LENGTH)
            return -1;
        kdnet_sift_take(pile.payload[i], length, &pile.blocks[i], &pile.tags[i]);
    }
    *state = &pile;
    return 0;
}

static int teardown(void **state)
{
    struct pile *pile = *state;
    kdnet_crypto_free(pile->crypto);
    return 0;
}

static void the_key_of_a_payload_finds_it_wherever_it_is(void **state)
{
    struct pile *pile = *state;
    uint16_t hits[PAYLOADS];
    for (size_t number = 0; number < PAYLOADS / 3; ++number) {
        struct kdnet_key key = key_of(number);
        assert_int_equal(kdnet_sift(pile->crypto, key.bytes, pile->blocks, pile->tags, PAYLOADS, hits), 3);
        for (size_t i = 0; i < 3; ++i)
            assert_int_equal(hits[i], 3 * number + i);
    }
}

static void another_key_finds_nothing(void **state)
{
    struct pile *pile = *state;
    uint16_t hits[PAYLOADS];
    struct kdnet_key key = key_of(PAYLOADS);
    assert_int_equal(kdnet_sift(pile->crypto, key.bytes, pile->blocks, pile->tags, PAYLOADS, hits), 0);
    assert_int_equal(kdnet_sift(pile->crypto, key.bytes, pile->blocks, pile->tags, 0, hits), 0);
}

/* The same answer as for one payload at a time, for payloads that are noise, too. */
static void it_says_the_same_as_may_open(void **state)
{
    struct pile *pile = *state;
    uint16_t hits[PAYLOADS];
    struct kdnet_key key = key_of(11);
    for (size_t i = 0; i < PAYLOADS; i += 2)
        for (size_t at = KDNET_HEADER_LENGTH; at < LENGTH; ++at)
            pile->payload[i][at] = (uint8_t)((size_t)pile->payload[i][at] * 5 + i);
    for (size_t i = 0; i < PAYLOADS; ++i)
        kdnet_sift_take(pile->payload[i], LENGTH, &pile->blocks[i], &pile->tags[i]);
    size_t found = kdnet_sift(pile->crypto, key.bytes, pile->blocks, pile->tags, PAYLOADS, hits), at = 0;
    for (size_t i = 0; i < PAYLOADS; ++i) {
        bool may = kdnet_datagram_may_open(pile->crypto, key.bytes, pile->payload[i], LENGTH);
        assert_int_equal(may, at < found && hits[at] == i);
        at += may;
    }
    assert_int_equal(at, found);
    assert_true(found > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_key_of_a_payload_finds_it_wherever_it_is, setup, teardown),
        cmocka_unit_test_setup_teardown(another_key_finds_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(it_says_the_same_as_may_open, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
