/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench_open [DATAGRAMS [ROUNDS]]: how many datagrams a second kdnet_datagram_open decrypts and verifies on one core,
 * from one target and from 10,000 in turn, beside the same AES-256-CBC and HMAC-SHA256 in bare loops over OpenSSL, in
 * turn in the same run. The floor of a case is the quickest of the loops.
 *
 * The datagrams are few, and so in the cache, as they are when they have just been received. The targets' keys are not:
 * 10,000 of them lie in memory, and come in a shuffled order.
 */
#include "kdnet/wire/datagram.h"
#include "kdnet/error.h"
#include "tests/bench/bench.h"
#include "tests/bench/floor.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DATAGRAMS  40000U
#define ROUNDS     9U
#define ROUNDS_MAX 99U
#define KEYS       32U /* and datagrams, that 10,000 targets share: what is in the cache anyway */
#define PAYLOAD    400U

enum way { OURS, KEPT, REKEYED, DIRECT, WAYS };

struct kept { /* what a target costs when each has a context */
    EVP_CIPHER_CTX *context;
    struct kdnet_hmac_key hmac;
};

struct scene {
    struct kdnet_crypto *crypto;
    struct floor floor;
    struct kdnet_keys *targets;
    struct kept *kept;
    uint32_t *order;
    size_t count, length, datagrams;
    uint8_t payload[KEYS][PAYLOAD];
};

static _Noreturn void fail(const char *what)
{
    bench_fail("bench_open", what);
}

static double ours(const struct scene *s)
{
    uint8_t plain[PAYLOAD];
    struct kdnet_datagram datagram;
    double start = bench_cpu_ns();
    for (size_t i = 0, at = 0; i < s->datagrams; ++i, at = at + 1 < s->count ? at + 1 : 0) {
        uint32_t id = s->order[at];
        const struct kdnet_keys *keys = &s->targets[id];
        if (kdnet_datagram_open(s->crypto, keys->control.bytes, &keys->hmac, s->payload[id % KEYS], s->length, plain,
                                &datagram) != KDNET_OK)
            fail("a datagram did not open");
    }
    return (bench_cpu_ns() - start) / (double)s->datagrams;
}

static double bare_kept(const struct scene *s)
{
    double start = bench_cpu_ns();
    for (size_t i = 0, at = 0; i < s->datagrams; ++i, at = at + 1 < s->count ? at + 1 : 0) {
        uint32_t id = s->order[at];
        if (!floor_open_evp(s->kept[id].context, NULL, &s->kept[id].hmac, s->payload[id % KEYS], s->length))
            fail("the floor did not verify");
    }
    return (bench_cpu_ns() - start) / (double)s->datagrams;
}

static double bare_rekeyed(const struct scene *s)
{
    double start = bench_cpu_ns();
    for (size_t i = 0, at = 0; i < s->datagrams; ++i, at = at + 1 < s->count ? at + 1 : 0) {
        const struct kdnet_keys *keys = &s->targets[s->order[at]];
        if (!floor_open_evp(s->floor.shared, keys->control.bytes, &keys->hmac, s->payload[s->order[at] % KEYS],
                            s->length))
            fail("the floor did not verify");
    }
    return (bench_cpu_ns() - start) / (double)s->datagrams;
}

static double bare_direct(const struct scene *s)
{
    double start = bench_cpu_ns();
    for (size_t i = 0, at = 0; i < s->datagrams; ++i, at = at + 1 < s->count ? at + 1 : 0) {
        const struct kdnet_keys *keys = &s->targets[s->order[at]];
        if (!floor_open(&s->floor, keys->control.bytes, &keys->hmac, s->payload[s->order[at] % KEYS], s->length))
            fail("the floor did not verify");
    }
    return (bench_cpu_ns() - start) / (double)s->datagrams;
}

static void make_datagram(struct scene *s, const struct kdnet_keys *keys, uint8_t *payload)
{
    static uint8_t body[PAYLOAD] = {1, 1};
    size_t length;
    struct kdnet_datagram datagram = {
        .version = 5, .channel = KDNET_CHANNEL_CONTROL, .sequence = 1, .body = body, .body_length = s->length - 30};
    if (kdnet_datagram_seal(s->crypto, keys->control.bytes, &keys->hmac, &datagram, payload, PAYLOAD, &length) !=
            KDNET_OK ||
        length != s->length)
        fail("cannot seal");
}

static void make_target(struct scene *s, uint32_t id)
{
    struct kdnet_key key = {{0}};
    uint64_t secret = bench_mix(id % KEYS);
    memcpy(key.bytes, &secret, sizeof secret);
    kdnet_keys_init(&s->targets[id], &key);
    if (id < KEYS)
        make_datagram(s, &s->targets[id], s->payload[id]);
    s->kept[id].hmac = s->targets[id].hmac;
    s->kept[id].context = EVP_CIPHER_CTX_new();
    s->order[id] = id;
    if (!s->kept[id].context || EVP_DecryptInit_ex(s->kept[id].context, EVP_aes_256_cbc(), NULL, key.bytes, NULL) != 1)
        fail("cannot make a context");
}

static void make_targets(struct scene *s, size_t count)
{
    s->count = count;
    s->targets = calloc(count, sizeof *s->targets);
    s->kept = calloc(count, sizeof *s->kept);
    s->order = calloc(count, sizeof *s->order);
    if (!s->targets || !s->kept || !s->order)
        fail("out of memory");
    for (uint32_t id = 0; id < count; ++id)
        make_target(s, id);
    for (size_t i = count - 1; i > 0; --i) {
        size_t j = (size_t)(bench_mix(i) % (i + 1));
        uint32_t swap = s->order[i];
        s->order[i] = s->order[j];
        s->order[j] = swap;
    }
}

static void free_targets(struct scene *s)
{
    for (size_t id = 0; id < s->count; ++id)
        EVP_CIPHER_CTX_free(s->kept[id].context);
    free(s->targets);
    free(s->kept);
    free(s->order);
}

static double by_way(const struct scene *s, size_t way)
{
    switch (way) {
    case OURS:
        return ours(s);
    case KEPT:
        return bare_kept(s);
    case REKEYED:
        return bare_rekeyed(s);
    default:
        return bare_direct(s);
    }
}

/* Each round has another order, so that none always finds the caches as the same one has left them. */
static void run_ways(const struct scene *s, unsigned rounds, double medians[static WAYS])
{
    static double values[WAYS][ROUNDS_MAX];
    for (size_t i = 0; i < rounds; ++i)
        for (size_t k = 0; k < WAYS; ++k)
            values[(i + k) % WAYS][i] = by_way(s, (i + k) % WAYS);
    for (size_t way = 0; way < WAYS; ++way)
        medians[way] = bench_median(values[way], rounds);
}

static void measure(struct scene *s, size_t length, size_t count, unsigned rounds)
{
    double ns[WAYS];
    char what[64], note[160];
    s->length = length;
    make_targets(s, count);
    run_ways(s, rounds, ns);
    (void)snprintf(what, sizeof what, "%zu bytes, %zu target%s", length, count, count == 1 ? "" : "s in turn");
    (void)snprintf(note, sizeof note,
                   "ns each: ours %.0f; bare: EVP context for each target %.0f, re-keyed %.0f, provider re-keyed %.0f",
                   ns[OURS], ns[KEPT], ns[REKEYED], ns[DIRECT]);
    double least = ns[KEPT] < ns[REKEYED] ? ns[KEPT] : ns[REKEYED];
    least = ns[DIRECT] < least ? ns[DIRECT] : least;
    struct bench_figure figure = {.figure = "open",
                                  .what = what,
                                  .unit = "datagrams/s",
                                  .ours = 1e9 / ns[OURS],
                                  .floor = 1e9 / least,
                                  .floor_is = "the same cryptography in a bare loop, the quickest of OpenSSL's ways",
                                  .n = s->datagrams,
                                  .rounds = rounds};
    bench_print(&figure, note);
    free_targets(s);
}

int main(int argc, char **argv)
{
    static const size_t lengths[] = {54, 118, 374}, counts[] = {1, 10000};
    struct scene *s = calloc(1, sizeof *s);
    unsigned long rounds = argc > 2 ? strtoul(argv[2], NULL, 10) : ROUNDS;
    if (!s || rounds < 1 || rounds > ROUNDS_MAX)
        fail("usage: bench_open [DATAGRAMS [ROUNDS]]");
    s->datagrams = argc > 1 ? strtoul(argv[1], NULL, 10) : DATAGRAMS;
    s->crypto = kdnet_crypto_new();
    if (!s->crypto || !floor_init(&s->floor))
        fail("OpenSSL has no AES-256");
    for (size_t c = 0; c < sizeof counts / sizeof counts[0]; ++c)
        for (size_t l = 0; l < sizeof lengths / sizeof lengths[0]; ++l)
            measure(s, lengths[l], counts[c], (unsigned)rounds);
    floor_clear(&s->floor);
    kdnet_crypto_free(s->crypto);
    free(s);
    return 0;
}
