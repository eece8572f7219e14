/* SPDX-License-Identifier: Apache-2.0 */
#include "kdnet/crypto/key_filter.h"
#include "kdnet/error.h"
#include "kdnet/crypto/key_filter_internal.h"

#include <string.h>

#define AT_ONCE       256U /* 4 KiB: they stay in the first cache */
#define COST_HARDWARE 5U   /* a key 6 or 9 ns, a block 1 or 2 */
#define COST_PORTABLE 20U  /* a key 45 ns, a block 2 to 3 */

static uint32_t start_of(const struct kdnet_key_filter_block *block)
{
    uint32_t start;
    memcpy(&start, block->bytes, sizeof start);
    return start;
}

/* CBC XORs each block with the previous ciphertext, the first one with the IV; this XOR is undone here. The first
 * three bytes of a datagram's plaintext are zero (kdnet_datagram_may_open). */
static size_t note_hits(const struct kdnet_key_filter_batch *batch, const struct kdnet_key_filter_block *plain,
                        size_t from, size_t some, struct kdnet_key_filter_hit *hits)
{
    static const uint8_t first_three[4] = {0xff, 0xff, 0xff, 0};
    uint32_t mask, before = 0;
    size_t found = 0;
    memcpy(&mask, first_three, sizeof mask);
    for (size_t i = 0; i < some; ++i) {
        uint32_t start = (start_of(&plain[i]) ^ before ^ batch->tags[from + i]) & mask;
        before = start_of(&batch->blocks[from + i]);
        if (start == 0)
            hits[found++].block = (uint16_t)(from + i);
    }
    return found;
}

static size_t filter_one(struct kdnet_crypto *crypto, const uint8_t *key, const struct kdnet_key_filter_batch *batch,
                         struct kdnet_key_filter_hit *hits)
{
    static const uint8_t no_iv[KDNET_AES_BLOCK];
    struct kdnet_key_filter_block plain[AT_ONCE];
    size_t found = 0;
    for (size_t at = 0; at < batch->count; at += AT_ONCE) {
        size_t some = batch->count - at < AT_ONCE ? batch->count - at : AT_ONCE;
        if (kdnet_crypto_cbc_decrypt(crypto, key, no_iv, batch->blocks[at].bytes, plain[0].bytes,
                                     some * sizeof *plain) != KDNET_OK)
            return 0;
        found += note_hits(batch, plain, at, some, hits + found);
    }
    return found;
}

static size_t filter_portable(struct kdnet_crypto *crypto, const uint8_t *const *keys, size_t key_count,
                              const struct kdnet_key_filter_batch *batch, struct kdnet_key_filter_hit *hits,
                              size_t *hit_count)
{
    size_t tried = 0, found = 0;
    while (tried < key_count && found == 0)
        found = filter_one(crypto, keys[tried++], batch, hits);
    for (size_t i = 0; i < found; ++i)
        hits[i].key = (uint16_t)(tried - 1);
    *hit_count = found;
    return tried;
}

#define RANKS        2 /* of kdnet_key_filter_hardware */
#define VECTOR_KEYS  KDNET_KEY_FILTER_TOGETHER
#define VECTOR_BLOCK 1 /* index, among three, of the block that the right key sealed */

/* FIPS 197, C.3: AES-256 of the key 00 01 ... 1f makes of 00 11 22 ... ff this block. */
static const struct kdnet_key_filter_block vector = {
    {0x8e, 0xa2, 0xb7, 0xca, 0x51, 0x67, 0x45, 0xbf, 0xea, 0xfc, 0x49, 0x90, 0x4b, 0x49, 0x60, 0x89}};
static const uint8_t vector_tag[4] = {0x00, 0x11, 0x22, 0x77}; /* the start of the plaintext; the last byte is free */

/* Whether a filter finds the right key at its place among wrong keys, and no other key. */
static bool finds_vector(kdnet_key_filter_way *way, struct kdnet_crypto *crypto, size_t place)
{
    uint8_t key[VECTOR_KEYS][KDNET_AES_KEY_LENGTH];
    const uint8_t *keys[VECTOR_KEYS];
    struct kdnet_key_filter_block blocks[3] = {{{0}}, vector, {{1}}};
    uint32_t tags[3];
    struct kdnet_key_filter_hit hits[KDNET_KEY_FILTER_TOGETHER * 3];
    const struct kdnet_key_filter_batch batch = {.blocks = blocks, .tags = tags, .count = 3};
    size_t count = 0;
    for (size_t i = 0; i < VECTOR_KEYS; ++i) {
        keys[i] = key[i];
        for (size_t j = 0; j < sizeof key[i]; ++j)
            key[i][j] = (uint8_t)j;
        key[i][i] ^= i == place ? 0 : 0x80;
    }
    for (size_t i = 0; i < 3; ++i)
        memcpy(&tags[i], vector_tag, sizeof tags[i]);
    size_t tried = way(crypto, keys, VECTOR_KEYS, &batch, hits, &count);
    return tried == VECTOR_KEYS && count == 1 && hits[0].key == place && hits[0].block == VECTOR_BLOCK;
}

bool kdnet_key_filter_is_right(kdnet_key_filter_way *way, struct kdnet_crypto *crypto)
{
    for (size_t place = 0; place < VECTOR_KEYS; ++place)
        if (!finds_vector(way, crypto, place))
            return false;
    return true;
}

static _Atomic int ranks[RANKS]; /* results of the self-test */

/* Returns the fastest filter of this processor that passes its self-test, which runs once; NULL: use OpenSSL. */
static kdnet_key_filter_way *hardware_for(struct kdnet_crypto *crypto)
{
    enum { NOT_TESTED, RIGHT, WRONG };
    for (size_t rank = 0; rank < RANKS && !kdnet_crypto_is_portable(crypto); ++rank) {
        kdnet_key_filter_way *way = kdnet_key_filter_hardware(rank);
        if (way && ranks[rank] == NOT_TESTED)
            ranks[rank] = kdnet_key_filter_is_right(way, crypto) ? RIGHT : WRONG;
        if (!way || ranks[rank] == RIGHT)
            return way;
    }
    return NULL;
}

bool kdnet_key_filter_is_slow(struct kdnet_crypto *crypto)
{
    return kdnet_key_filter_hardware(0) && hardware_for(crypto) != kdnet_key_filter_hardware(0);
}

size_t kdnet_key_filter(struct kdnet_crypto *crypto, const uint8_t *const *keys, size_t key_count,
                        const struct kdnet_key_filter_batch *batch, struct kdnet_key_filter_hit *hits,
                        size_t *hit_count)
{
    kdnet_key_filter_way *hardware = hardware_for(crypto);
    return (hardware ? hardware : filter_portable)(crypto, keys, key_count, batch, hits, hit_count);
}

size_t kdnet_key_filter_key_cost(struct kdnet_crypto *crypto)
{
    return hardware_for(crypto) ? COST_HARDWARE : COST_PORTABLE;
}
