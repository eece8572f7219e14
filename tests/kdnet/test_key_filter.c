/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "kdnet/error.h"
#include "kdnet/crypto/key_filter.h"
#include "kdnet/crypto/key_filter_internal.h"
#include "kdnet/wire/datagram.h"
#include "tests/support/bytes.h"
#include "tests/support/random.h"

#include <cmocka.h>

#define PAYLOADS    700 /* more than two that OpenSSL decrypts at once */
#define LENGTH      (KDNET_HEADER_LENGTH + 48 + KDNET_TAG_LENGTH)
#define KEYS        41 /* more than five times as many as are tried together */
#define BLOCKS      23
#define KEYS_IN_ALL 100000

/* How a test is to be run. */
struct way {
    bool portable;
    bool by_rank; /* by the processor's instructions, the rank-th quickest; skipped when it has none */
    size_t rank;
};

struct world {
    struct kdnet_crypto *crypto;
    kdnet_key_filter_way *filter;
    struct kdnet_key_filter_block blocks[PAYLOADS];
    uint32_t tags[PAYLOADS];
    uint8_t payload[PAYLOADS][LENGTH];
    struct kdnet_key_filter_hit hits[KDNET_KEY_FILTER_TOGETHER * PAYLOADS];
};

static struct world world;

static struct kdnet_key key_of(size_t number)
{
    struct kdnet_key key = {{7}};
    memcpy(key.bytes + 8, &number, sizeof number);
    return key;
}

/* Payload i is sealed with key i / 3. */
static bool seal(size_t i)
{
    static const uint8_t body[40] = {1, 1};
    struct kdnet_key key = key_of(i / 3);
    struct kdnet_keys keys;
    struct kdnet_datagram datagram = {
        .version = 5, .channel = KDNET_CHANNEL_CONTROL, .sequence = i + 1, .body = body, .body_length = sizeof body};
    size_t length = 0;
    kdnet_keys_init(&keys, &key);
    return kdnet_datagram_seal(world.crypto, key.bytes, &keys.hmac, &datagram, world.payload[i], LENGTH, &length) ==
               KDNET_OK &&
           length == LENGTH;
}

static int setup(void **state)
{
    const struct way *way = *state;
    world.crypto = way->portable ? kdnet_crypto_new_portable() : kdnet_crypto_new();
    world.filter = way->by_rank ? kdnet_key_filter_hardware(way->rank) : kdnet_key_filter;
    for (size_t i = 0; i < PAYLOADS; ++i) {
        if (!world.crypto || !seal(i))
            return -1;
        kdnet_datagram_filter_block(world.payload[i], LENGTH, &world.blocks[i], &world.tags[i]);
    }
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    kdnet_crypto_free(world.crypto);
    return 0;
}

static void need_way(void)
{
    if (world.filter)
        return;
    print_message("this processor has no such instructions, or they are not built\n");
    skip();
}

static size_t filter_one(const struct kdnet_key *key, size_t blocks)
{
    const uint8_t *keys[1] = {key->bytes};
    const struct kdnet_key_filter_batch batch = {world.blocks, world.tags, blocks};
    size_t found = SIZE_MAX;
    assert_int_equal(world.filter(world.crypto, keys, 1, &batch, world.hits, &found), 1);
    return found;
}

static void the_key_of_a_payload_finds_it_wherever_it_is(void **state)
{
    (void)state;
    need_way();
    for (size_t number = 0; number < PAYLOADS / 3; ++number) {
        struct kdnet_key key = key_of(number);
        assert_int_equal(filter_one(&key, PAYLOADS), 3);
        for (size_t i = 0; i < 3; ++i) {
            assert_int_equal(world.hits[i].block, 3 * number + i);
            assert_int_equal(world.hits[i].key, 0);
        }
    }
}

static void another_key_finds_nothing(void **state)
{
    (void)state;
    need_way();
    struct kdnet_key key = key_of(PAYLOADS);
    assert_int_equal(filter_one(&key, PAYLOADS), 0);
    assert_int_equal(filter_one(&key, 0), 0);
}

/* The same answer as for one payload at a time, for payloads that are noise, too. */
static void it_says_the_same_as_may_open(void **state)
{
    (void)state;
    need_way();
    struct kdnet_key key = key_of(11);
    for (size_t i = 0; i < PAYLOADS; i += 2)
        for (size_t at = KDNET_HEADER_LENGTH; at < LENGTH; ++at)
            world.payload[i][at] = (uint8_t)((size_t)world.payload[i][at] * 5 + i);
    for (size_t i = 0; i < PAYLOADS; ++i)
        kdnet_datagram_filter_block(world.payload[i], LENGTH, &world.blocks[i], &world.tags[i]);
    size_t found = filter_one(&key, PAYLOADS), at = 0;
    for (size_t i = 0; i < PAYLOADS; ++i) {
        bool may = kdnet_datagram_may_open(world.crypto, key.bytes, world.payload[i], LENGTH);
        assert_int_equal(may, at < found && world.hits[at].block == i);
        at += may;
    }
    assert_int_equal(at, found);
    assert_true(found > 0);
}

/* FIPS 197 C.3, and SP 800-38A F.1.6: AES-256, one block by itself. */
static const struct {
    const char *key, *cipher;
    uint8_t plain[4];
} known[] = {
    {"000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
     "8ea2b7ca516745bfeafc49904b496089",
     {0x00, 0x11, 0x22, 0x33}},
    {"603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4",
     "f3eed1bdb5d2a03c064b5a7e3db181f8",
     {0x6b, 0xc1, 0xbe, 0xe2}},
    {"603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4",
     "591ccb10d410ed26dc5ba74a31362870",
     {0xae, 0x2d, 0x8a, 0x57}},
    {"603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4",
     "b6ed21b99ca6f4f9f153e7b1beafed1d",
     {0x30, 0xc8, 0x1c, 0x46}},
    {"603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4",
     "23304b7a39f9f3ff067d8d8f9e24ecc7",
     {0xf6, 0x9f, 0x24, 0x45}},
};

/* A known key as the `place`-th of `count`, the others are wrong ones. */
static size_t known_hits(const uint8_t *key, size_t place, size_t count, const struct kdnet_key_filter_block *block,
                         uint32_t tag)
{
    struct kdnet_key wrong[2 * KDNET_KEY_FILTER_TOGETHER];
    const uint8_t *keys[2 * KDNET_KEY_FILTER_TOGETHER];
    const struct kdnet_key_filter_batch batch = {block, &tag, 1};
    size_t found = 0, tried = 0;
    for (size_t i = 0; i < count; ++i) {
        wrong[i] = key_of(i);
        keys[i] = i == place ? key : wrong[i].bytes;
    }
    while (tried < count && found == 0) {
        size_t more = world.filter(world.crypto, keys + tried, count - tried, &batch, world.hits, &found);
        assert_in_range(more, 1, count - tried);
        if (found > 0)
            assert_int_equal(tried + world.hits[0].key, place);
        tried += more;
    }
    return found;
}

/* Each of the three bytes counts, with each of its bits, and the fourth does not; wherever the key is among others. */
static void published_vectors_pass_and_none_that_differs_in_a_bit(void **state)
{
    (void)state;
    need_way();
    for (size_t i = 0; i < sizeof known / sizeof known[0]; ++i) {
        uint8_t key[KDNET_AES_KEY_LENGTH];
        struct kdnet_key_filter_block block;
        uint32_t tag;
        bytes_from_hex(known[i].key, key, sizeof key);
        bytes_from_hex(known[i].cipher, block.bytes, sizeof block.bytes);
        memcpy(&tag, known[i].plain, sizeof tag); /* their XOR is zero */
        for (size_t count = 1; count <= 2 * KDNET_KEY_FILTER_TOGETHER; ++count)
            for (size_t place = 0; place < count; ++place)
                assert_int_equal(known_hits(key, place, count, &block, tag), 1);
        for (size_t bit = 0; bit < 32; ++bit) {
            uint8_t other[4];
            memcpy(other, known[i].plain, sizeof other);
            other[bit / 8] ^= (uint8_t)(1U << bit % 8);
            memcpy(&tag, other, sizeof tag);
            assert_int_equal(known_hits(key, 0, 1, &block, tag), bit / 8 == 3);
        }
    }
}

static void all_keys_that_pass_for_a_payload_are_told(void **state)
{
    (void)state;
    need_way();
    const struct kdnet_key right = key_of(1), wrong = key_of(PAYLOADS);
    const uint8_t *keys[KDNET_KEY_FILTER_TOGETHER];
    const struct kdnet_key_filter_batch batch = {world.blocks, world.tags, 9};
    size_t tried = 0, told = 0;
    for (size_t i = 0; i < KDNET_KEY_FILTER_TOGETHER; ++i)
        keys[i] = i % 2 == 0 ? wrong.bytes : right.bytes;
    while (tried < KDNET_KEY_FILTER_TOGETHER) {
        size_t found = 0, more = world.filter(world.crypto, keys + tried, KDNET_KEY_FILTER_TOGETHER - tried, &batch,
                                              world.hits, &found);
        for (size_t i = 0; i < found; ++i) {
            assert_in_range(world.hits[i].key, 0, more - 1);
            assert_ptr_equal(keys[tried + world.hits[i].key], right.bytes);
            assert_in_range(world.hits[i].block, i == 0 ? 3 : world.hits[i - 1].block, 5);
        }
        tried += more;
        told += found;
    }
    assert_int_equal(told, 3 * (KDNET_KEY_FILTER_TOGETHER / 2));
}

/* All ways. */

struct trial {
    uint8_t space[KEYS * (KDNET_AES_KEY_LENGTH + 15)];
    const uint8_t *keys[KEYS]; /* aligned to nothing */
    size_t key_count;
    struct kdnet_key_filter_block blocks[BLOCKS];
    uint32_t tags[BLOCKS];
    size_t block_count;
};

static void choose(struct test_random *random, struct trial *trial)
{
    size_t at = 0;
    trial->key_count = test_random_below(random, KEYS + 1);
    trial->block_count = test_random_below(random, BLOCKS + 1);
    test_random_fill(random, trial->space, sizeof trial->space);
    test_random_fill(random, (uint8_t *)trial->blocks, sizeof trial->blocks);
    test_random_fill(random, (uint8_t *)trial->tags, sizeof trial->tags);
    for (size_t i = 0; i < trial->key_count; ++i) {
        at += test_random_below(random, 16);
        trial->keys[i] = trial->space + at;
        at += KDNET_AES_KEY_LENGTH;
    }
}

/* Noise hits nothing. So most blocks get a tag with which one of the keys could have sealed it, but for a bit of four
 * bytes now and then. */
static void make_hits(struct test_random *random, struct kdnet_crypto *crypto, struct trial *trial)
{
    static const uint8_t no_iv[KDNET_AES_BLOCK];
    for (size_t i = 0; i < trial->block_count && trial->key_count > 0; ++i) {
        uint8_t plain[KDNET_AES_BLOCK];
        const uint8_t *key = trial->keys[test_random_below(random, trial->key_count)];
        size_t what = test_random_below(random, 40);
        if (what < 4)
            continue;
        assert_int_equal(kdnet_crypto_cbc_decrypt(crypto, key, no_iv, trial->blocks[i].bytes, plain, sizeof plain),
                         KDNET_OK);
        if (what < 8)
            plain[test_random_below(random, 4)] ^= (uint8_t)(1U << test_random_below(random, 8));
        memcpy(&trial->tags[i], plain, sizeof trial->tags[i]);
    }
}

/* Marks what hits. */
static size_t filter_all(kdnet_key_filter_way *filter, struct kdnet_crypto *crypto, const struct trial *trial,
                         uint8_t hit[KEYS][BLOCKS])
{
    const struct kdnet_key_filter_batch batch = {trial->blocks, trial->tags, trial->block_count};
    struct kdnet_key_filter_hit hits[KDNET_KEY_FILTER_TOGETHER * BLOCKS];
    size_t tried = 0, all = 0;
    memset(hit, 0, (size_t)KEYS * BLOCKS);
    while (tried < trial->key_count) {
        size_t found = 0, more = filter(crypto, trial->keys + tried, trial->key_count - tried, &batch, hits, &found);
        assert_in_range(more, 1, trial->key_count - tried);
        for (size_t i = 0; i < found; ++i) {
            assert_in_range(hits[i].block, i > 0 ? hits[i - 1].block : 0, trial->block_count - 1);
            assert_in_range(hits[i].key, 0, more - 1);
            assert_int_equal(hit[tried + hits[i].key][hits[i].block]++, 0);
        }
        tried += more;
        all += found;
    }
    return all;
}

/* By the same crypto as the others: what one leaves there, the next must not mind. */
static void same_by_each_way(struct kdnet_crypto *crypto, const struct trial *trial, size_t found,
                             uint8_t by_openssl[KEYS][BLOCKS])
{
    static uint8_t hit[KEYS][BLOCKS];
    kdnet_key_filter_way *way = kdnet_key_filter;
    for (size_t rank = 0; way; way = kdnet_key_filter_hardware(rank++)) {
        assert_int_equal(filter_all(way, crypto, trial, hit), found);
        assert_memory_equal(hit, by_openssl, sizeof hit);
    }
}

static void all_ways_say_the_same_of_100000_keys(void **state)
{
    (void)state;
    static struct trial trial;
    static uint8_t hit[KEYS][BLOCKS];
    struct kdnet_crypto *portable = kdnet_crypto_new_portable(), *quick = kdnet_crypto_new();
    struct test_random random;
    size_t keys = 0, hits = 0, ways = 0;
    assert_non_null(portable);
    assert_non_null(quick);
    test_random_init(&random);
    while (keys < KEYS_IN_ALL) {
        choose(&random, &trial);
        make_hits(&random, portable, &trial);
        size_t found = filter_all(kdnet_key_filter, portable, &trial, hit);
        same_by_each_way(quick, &trial, found, hit);
        keys += trial.key_count;
        hits += found;
    }
    while (kdnet_key_filter_hardware(ways))
        ++ways;
    print_message("%zu keys, %zu hits; by OpenSSL and %zu ways of this processor\n", keys, hits, ways);
    assert_true(hits > KEYS_IN_ALL / 10);
    kdnet_crypto_free(portable);
    kdnet_crypto_free(quick);
}

static void no_keys_are_no_work(void **state)
{
    (void)state;
    need_way();
    const struct kdnet_key_filter_batch batch = {world.blocks, world.tags, 9};
    size_t found = SIZE_MAX;
    assert_int_equal(world.filter(world.crypto, NULL, 0, &batch, world.hits, &found), 0);
    assert_int_equal(found, 0);
}

/* Asked for, OpenSSL's way is taken, and a key's schedule is dear there. */
static void the_portable_way_can_be_chosen(void **state)
{
    (void)state;
    struct kdnet_crypto *portable = kdnet_crypto_new_portable(), *quick = kdnet_crypto_new();
    assert_true(kdnet_crypto_is_portable(portable));
    assert_false(kdnet_crypto_is_portable(quick));
    if (kdnet_key_filter_hardware(0))
        assert_true(kdnet_key_filter_key_cost(quick) < kdnet_key_filter_key_cost(portable));
    else
        assert_int_equal(kdnet_key_filter_key_cost(quick), kdnet_key_filter_key_cost(portable));
    kdnet_crypto_free(portable);
    kdnet_crypto_free(quick);
}

static struct way by_default, portable = {.portable = true}, first = {.by_rank = true},
                              second = {.by_rank = true, .rank = 1};

#define WAY(test, way)                                                                                                 \
    {                                                                                                                  \
        .name = #test ", " #way, .test_func = (test), .setup_func = setup, .teardown_func = teardown,                  \
        .initial_state = &(way)                                                                                        \
    }
#define TEST(test) WAY(test, by_default), WAY(test, portable), WAY(test, first), WAY(test, second)

/* As an emulator that has the instructions and computes something else. */
static size_t misses(struct kdnet_crypto *crypto, const uint8_t *const *keys, size_t key_count,
                     const struct kdnet_key_filter_batch *batch, struct kdnet_key_filter_hit *hits, size_t *hit_count)
{
    (void)crypto;
    (void)keys;
    (void)batch;
    (void)hits;
    *hit_count = 0;
    return key_count;
}

/* Right for one lane of eight. */
static size_t finds_the_first(struct kdnet_crypto *crypto, const uint8_t *const *keys, size_t key_count,
                              const struct kdnet_key_filter_batch *batch, struct kdnet_key_filter_hit *hits,
                              size_t *hit_count)
{
    (void)crypto;
    (void)keys;
    (void)batch;
    *hit_count = 1;
    hits[0] = (struct kdnet_key_filter_hit){.key = 0, .block = 1};
    return key_count;
}

static void a_way_that_misses_a_known_vector_is_not_used(void **state)
{
    (void)state;
    struct kdnet_crypto *crypto = kdnet_crypto_new();
    assert_non_null(crypto);
    assert_false(kdnet_key_filter_is_right(misses, crypto));
    assert_false(kdnet_key_filter_is_right(finds_the_first, crypto));
    for (size_t rank = 0; kdnet_key_filter_hardware(rank); ++rank)
        assert_true(kdnet_key_filter_is_right(kdnet_key_filter_hardware(rank), crypto));
    assert_false(kdnet_key_filter_is_slow(crypto));
    kdnet_crypto_free(crypto);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_key_of_a_payload_finds_it_wherever_it_is),
        TEST(another_key_finds_nothing),
        TEST(it_says_the_same_as_may_open),
        TEST(published_vectors_pass_and_none_that_differs_in_a_bit),
        TEST(all_keys_that_pass_for_a_payload_are_told),
        TEST(no_keys_are_no_work),
        cmocka_unit_test(all_ways_say_the_same_of_100000_keys),
        cmocka_unit_test(the_portable_way_can_be_chosen),
        cmocka_unit_test(a_way_that_misses_a_known_vector_is_not_used),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
