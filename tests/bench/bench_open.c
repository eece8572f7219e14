/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How many datagrams a second kdnet_datagram_open decrypts and verifies on one core, for few and for many targets,
 * beside the same AES-256-CBC and HMAC-SHA256 in a bare loop over OpenSSL (the floor), measured in turn in the same
 * run. Prints one line a case; the ratio is what counts.
 */
#define OPENSSL_API_COMPAT 0x10100000L

#include "kdnet/datagram.h"
#include "kdnet/error.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/sha.h>

#define ROUNDS    9
#define DATAGRAMS 40000U

struct target {
    struct kdnet_keys keys;
    EVP_CIPHER_CTX *context; /* the floor's */
    uint8_t payload[400];
    size_t length;
};

static double now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static EVP_CIPHER_CTX *shared; /* the floor's, re-keyed for each datagram */

static void fail(const char *what)
{
    (void)fprintf(stderr, "bench_open: %s\n", what);
    exit(1);
}

static void make_target(struct kdnet_crypto *crypto, struct target *target, uint64_t n, size_t size)
{
    uint8_t body[400] = {1, 1};
    struct kdnet_key key = {{0}};
    memcpy(key.bytes, &n, sizeof n);
    kdnet_keys_init(&target->keys, &key);
    struct kdnet_datagram datagram = {
        .version = 5, .channel = KDNET_CHANNEL_CONTROL, .sequence = n + 1, .body = body, .body_length = size - 30};
    if (kdnet_datagram_seal(crypto, key.bytes, &target->keys.hmac, &datagram, target->payload, sizeof target->payload,
                            &target->length) != KDNET_OK ||
        target->length != size)
        fail("cannot seal");
    target->context = EVP_CIPHER_CTX_new();
    if (!target->context ||
        EVP_DecryptInit_ex(target->context, EVP_aes_256_cbc(), NULL, target->keys.control.bytes, NULL) != 1)
        fail("cannot make a context");
}

static double ours(struct kdnet_crypto *crypto, const struct target *targets, size_t count)
{
    uint8_t plain[400];
    struct kdnet_datagram datagram;
    double start = now_ns();
    for (size_t i = 0; i < DATAGRAMS; ++i) {
        const struct target *t = &targets[i % count];
        if (kdnet_datagram_open(crypto, t->keys.control.bytes, &t->keys.hmac, t->payload, t->length, plain,
                                &datagram) != KDNET_OK)
            fail("a datagram did not open");
    }
    return (now_ns() - start) / DATAGRAMS;
}

static void resume(SHA256_CTX *sha, const uint32_t *state)
{
    memset(sha, 0, sizeof *sha);
    for (size_t i = 0; i < 8; ++i)
        sha->h[i] = state[i];
    sha->Nl = 512;
    sha->md_len = SHA256_DIGEST_LENGTH;
}

/* Only the cryptography: a kept context when `kept`, else one context re-keyed for each datagram. */
static double bare(const struct target *targets, size_t count, int kept)
{
    uint8_t plain[400], digest[32];
    double start = now_ns();
    for (size_t i = 0; i < DATAGRAMS; ++i) {
        const struct target *t = &targets[i % count];
        const uint8_t *iv = t->payload + t->length - 16;
        EVP_CIPHER_CTX *context = kept ? t->context : shared;
        SHA256_CTX sha;
        memcpy(plain, t->payload, 6);
        EVP_DecryptInit_ex(context, NULL, NULL, kept ? NULL : t->keys.control.bytes, iv);
        EVP_Cipher(context, plain + 6, t->payload + 6, (unsigned)(t->length - 22));
        resume(&sha, t->keys.hmac.inner);
        SHA256_Update(&sha, plain, t->length - 16);
        SHA256_Final(digest, &sha);
        resume(&sha, t->keys.hmac.outer);
        SHA256_Update(&sha, digest, sizeof digest);
        SHA256_Final(digest, &sha);
        if (CRYPTO_memcmp(digest, iv, 16) != 0)
            fail("the floor did not verify");
    }
    return (now_ns() - start) / DATAGRAMS;
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void measure(struct kdnet_crypto *crypto, size_t size, size_t count)
{
    struct target *targets = calloc(count, sizeof *targets);
    double mine[ROUNDS], kept[ROUNDS], rekeyed[ROUNDS];
    if (!targets)
        fail("out of memory");
    for (size_t i = 0; i < count; ++i)
        make_target(crypto, &targets[i], i, size);
    for (size_t i = 0; i < ROUNDS; ++i) {
        mine[i] = ours(crypto, targets, count);
        kept[i] = bare(targets, count, 1);
        rekeyed[i] = bare(targets, count, 0);
    }
    qsort(mine, ROUNDS, sizeof mine[0], ascending);
    qsort(kept, ROUNDS, sizeof kept[0], ascending);
    qsort(rekeyed, ROUNDS, sizeof rekeyed[0], ascending);
    double floor = kept[ROUNDS / 2] < rekeyed[ROUNDS / 2] ? kept[ROUNDS / 2] : rekeyed[ROUNDS / 2];
    printf("open  %3zu bytes  %6zu targets: %5.0f ns, %8.0f/s   floor %5.0f ns   ratio %.2f\n", size, count,
           mine[ROUNDS / 2], 1e9 / mine[ROUNDS / 2], floor, floor / mine[ROUNDS / 2]);
    for (size_t i = 0; i < count; ++i)
        EVP_CIPHER_CTX_free(targets[i].context);
    free(targets);
}

int main(void)
{
    static const size_t sizes[] = {54, 118, 374}, counts[] = {1, 10000};
    struct kdnet_crypto *crypto = kdnet_crypto_new();
    shared = EVP_CIPHER_CTX_new();
    if (!crypto || !shared || EVP_DecryptInit_ex(shared, EVP_aes_256_cbc(), NULL, NULL, NULL) != 1)
        fail("OpenSSL has no AES-256");
    for (size_t c = 0; c < sizeof counts / sizeof counts[0]; ++c)
        for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; ++s)
            measure(crypto, sizes[s], counts[c]);
    EVP_CIPHER_CTX_free(shared);
    kdnet_crypto_free(crypto);
    return 0;
}
