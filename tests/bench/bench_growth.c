/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench_growth [DATAGRAMS [MOST]]: up to a million targets in one process, on a clock that is a variable, through the
 * library alone: each is connected by its handshake, then pokes of targets in a shuffled order are taken. For 1, 1,000,
 * 100,000 and 1,000,000 targets: the time of one poke, beside its cryptography alone; the memory of a session.
 */
#include "kdnet/error.h"
#include "kdnet/session.h"
#include "tests/bench/bench.h"
#include "tests/bench/crowd.h"
#include "tests/bench/floor.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DATAGRAMS    400000U
#define SEALED       1000U /* at a time: few enough to be in the cache, as what has just been received is */
#define AHEAD        32U /* sessions whose memory is fetched while others are at work, as a service with batches does */
#define PERIOD_US    UINT64_C(3000000)
#define SETTLE_TURNS 9U
#define SETTLE_US    UINT64_C(9000000) /* in all 81 s: asked after 75 s, they are not again until 155 s */
#define VERSION      5U
#define ROUNDS       3U
#define CASES        4U

struct simulation {
    struct crowd crowd;
    struct kdnet_session_shared shared;
    struct kdnet_policy policy;
    struct kdnet_session **sessions;
    struct floor floor;
    struct kdnet_keys *bare; /* the floor's: those of the crowd are in the cache when a poke was sealed just now */
    uint64_t now_us, drawn, handshakes, answered;
    uint8_t pokes[SEALED][CROWD_POKE];
    uint32_t whose[SEALED];
};

static _Noreturn void fail(const char *what)
{
    bench_fail("bench_growth", what);
}

static int draw(void *user, uint8_t *out, size_t length)
{
    struct simulation *s = user;
    for (size_t i = 0; i < length; ++i)
        out[i] = (uint8_t)bench_mix(s->drawn++);
    return KDNET_OK;
}

static enum kdnet_rva_answer no_symbols(void *user, const struct kdnet_pdb *pdb, const char *symbol, uint32_t *rva,
                                        enum kdnet_source *source)
{
    (void)user, (void)pdb, (void)symbol, (void)rva, (void)source;
    return KDNET_RVA_NO_SYMBOLS;
}

/* Events and datagrams of a session, as a service takes them; returns how many datagrams, the last of them in `out`. */
static unsigned drain(struct simulation *s, struct kdnet_session *session, struct kdnet_outgoing *out)
{
    struct kdnet_event event;
    unsigned sent = 0;
    while (kdnet_session_next_event(session, &event))
        ;
    while (kdnet_session_next_datagram(session, s->now_us, out))
        ++sent;
    return sent;
}

/* What a service does with a datagram, and with a deadline that has come. */
static unsigned give(struct simulation *s, struct kdnet_session *session, const uint8_t *payload, size_t length,
                     struct kdnet_outgoing *out)
{
    struct kdnet_received received;
    if (kdnet_session_receive(session, payload, length, s->now_us, &received) != KDNET_OK || !received.authentic)
        fail("a datagram was not taken");
    unsigned sent = drain(s, session, out);
    if (kdnet_session_deadline(session) <= s->now_us) {
        kdnet_session_expire(session, s->now_us);
        sent += drain(s, session, out);
    }
    return sent;
}

static void connect_one(struct simulation *s, uint32_t index)
{
    uint8_t poke[CROWD_POKE], plain[KDNET_DATAGRAM_MAX], check[KDNET_CHECK_LENGTH], payload[CROWD_POKE],
        key[KDNET_AES_KEY_LENGTH];
    static const uint8_t host[4] = {127, 0, 0, 1};
    static struct kdnet_outgoing out;
    struct kdnet_datagram response;
    size_t length;
    const struct kdnet_keys *keys = &s->crowd.targets[index].keys;
    crowd_seal_poke(&s->crowd, index, false, poke);
    if (give(s, s->sessions[index], poke, sizeof poke, &out) != 1)
        fail("a poke was not answered");
    ++s->answered;
    if (kdnet_datagram_open(s->crowd.crypto, keys->control.bytes, &keys->hmac, out.payload, out.length, plain,
                            &response) != KDNET_OK)
        fail("a response does not open");
    kdnet_data_key(&keys->control, response.body, key);
    kdnet_check_encode(host, check);
    struct kdnet_datagram datagram = {.version = VERSION, .sequence = 1, .body = check, .body_length = sizeof check};
    if (kdnet_datagram_seal(s->crowd.crypto, key, &keys->hmac, &datagram, payload, sizeof payload, &length) != KDNET_OK)
        fail("a check cannot be sealed");
    (void)give(s, s->sessions[index], payload, length, &out);
    s->handshakes += kdnet_session_is_connected(s->sessions[index]);
}

static void seal_some(struct simulation *s, uint64_t from)
{
    for (uint32_t i = 0; i < SEALED; ++i) {
        s->whose[i] = (uint32_t)(bench_mix(from + i) % s->crowd.count);
        crowd_seal_poke(&s->crowd, s->whose[i], true, s->pokes[i]);
    }
}

/* Nanoseconds a poke, in the sessions and by the floor. */
static void take_pokes(struct simulation *s, uint64_t datagrams, double *ours, double *least)
{
    static struct kdnet_outgoing out;
    *ours = *least = 0;
    unsigned sent = 0;
    for (uint64_t done = 0; done < datagrams; done += SEALED) {
        seal_some(s, done);
        s->now_us += PERIOD_US / 1000;
        double start = bench_cpu_ns();
        for (uint32_t i = 0; i < SEALED; ++i) {
            for (uint32_t k = i; i % AHEAD == 0 && k < i + AHEAD && k < SEALED; ++k)
                kdnet_session_prefetch(s->sessions[s->whose[k]]);
            sent += give(s, s->sessions[s->whose[i]], s->pokes[i], CROWD_POKE, &out);
        }
        double middle = bench_cpu_ns();
        for (uint32_t i = 0; i < SEALED; ++i) {
            const struct kdnet_keys *keys = &s->bare[s->whose[i]];
            if (!floor_open(&s->floor, keys->control.bytes, &keys->hmac, s->pokes[i], CROWD_POKE))
                fail("the floor did not verify");
        }
        *ours += middle - start;
        *least += bench_cpu_ns() - middle;
    }
    if (sent > datagrams / 10)
        fail("pokes of connected targets were answered");
    *ours /= (double)datagrams;
    *least /= (double)datagrams;
}

/* Pokes of all, until nothing more is asked of them but now and then. */
static void settle(struct simulation *s)
{
    static struct kdnet_outgoing out;
    uint8_t poke[CROWD_POKE];
    for (unsigned turn = 0; turn < SETTLE_TURNS; ++turn) {
        s->now_us += SETTLE_US;
        for (uint32_t i = 0; i < s->crowd.count; ++i) {
            crowd_seal_poke(&s->crowd, i, true, poke);
            (void)give(s, s->sessions[i], poke, sizeof poke, &out);
        }
    }
}

static double make_sessions(struct simulation *s, uint32_t count)
{
    if (!crowd_init(&s->crowd, count, NULL))
        fail("out of memory");
    if (!crowd_parse_host("127.0.0.1:50000", &s->crowd.host)) /* what the pokes say that they are connected with */
        fail("no host");
    s->sessions = calloc(count, sizeof(struct kdnet_session *));
    s->bare = calloc(count, sizeof *s->bare);
    if (!s->sessions || !s->bare)
        fail("out of memory");
    for (uint32_t i = 0; i < count; ++i)
        s->bare[i] = s->crowd.targets[i].keys;
    size_t before = mallinfo2().uordblks + mallinfo2().hblkhd;
    for (uint32_t i = 0; i < count; ++i) {
        struct kdnet_key key;
        crowd_key(i, &key);
        s->sessions[i] = kdnet_session_new(&s->shared, &s->policy, &key);
        if (!s->sessions[i])
            fail("out of memory");
        connect_one(s, i);
    }
    settle(s);
    return (double)(mallinfo2().uordblks + mallinfo2().hblkhd - before) / count;
}

static void print_one(uint32_t count, double ours, double least, double memory, uint64_t datagrams)
{
    char what[64];
    (void)snprintf(what, sizeof what, "a poke of one of %u targets, library alone", (unsigned)count);
    struct bench_figure cost = {.figure = "growth",
                                .what = what,
                                .unit = "ns",
                                .ours = ours,
                                .floor = least,
                                .floor_is = "its cryptography alone, same targets, same order",
                                .n = datagrams,
                                .rounds = ROUNDS};
    bench_print(&cost, NULL);
    (void)snprintf(what, sizeof what, "memory of a session, of %u that are connected", (unsigned)count);
    struct bench_figure size = {
        .figure = "growth", .what = what, .unit = "bytes", .ours = memory, .n = count, .rounds = 1};
    bench_print(&size, NULL);
}

static double measure(struct simulation *s, uint32_t count, uint64_t datagrams)
{
    double ours[ROUNDS], least[ROUNDS];
    s->handshakes = s->answered = 0;
    double memory = make_sessions(s, count);
    if (s->handshakes != count || s->answered != count)
        fail("not all are connected");
    for (unsigned round = 0; round < ROUNDS; ++round)
        take_pokes(s, datagrams, &ours[round], &least[round]);
    double cost = bench_median(ours, ROUNDS);
    print_one(count, cost, bench_median(least, ROUNDS), memory, datagrams);
    for (uint32_t i = 0; i < count; ++i)
        kdnet_session_free(s->sessions[i]);
    free(s->sessions);
    free(s->bare);
    crowd_clear(&s->crowd);
    return cost;
}

int main(int argc, char **argv)
{
    static const uint32_t counts[CASES] = {1, 1000, 100000, 1000000};
    static struct simulation s;
    uint64_t datagrams = argc > 1 ? strtoull(argv[1], NULL, 10) : DATAGRAMS;
    uint32_t most = argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 10) : counts[CASES - 1];
    double at_1000 = 0, last = 0;
    kdnet_policy_init(&s.policy);
    s.shared = (struct kdnet_session_shared){.crypto = kdnet_crypto_new(),
                                             .user = &s,
                                             .random = draw,
                                             .find_rva = no_symbols,
                                             .read_deadline_us = KDNET_READ_DEADLINE_US,
                                             .lost_after_us = KDNET_LOST_AFTER_US,
                                             .dump_for_us = KDNET_DUMP_FOR_US};
    s.now_us = 1;
    datagrams = (datagrams + SEALED - 1) / SEALED * SEALED;
    if (!s.shared.crypto || !floor_init(&s.floor))
        fail("OpenSSL has no AES-256");
    for (size_t i = 0; i < CASES && counts[i] <= most; ++i) {
        last = measure(&s, counts[i], datagrams);
        at_1000 = counts[i] == 1000 ? last : at_1000;
    }
    if (at_1000 > 0) {
        struct bench_figure growth = {.figure = "growth",
                                      .what = "a poke with the most targets, to one with 1000",
                                      .unit = "times",
                                      .ours = last / at_1000,
                                      .n = datagrams,
                                      .rounds = ROUNDS};
        bench_print(&growth, NULL);
    }
    floor_clear(&s.floor);
    kdnet_crypto_free(s.shared.crypto);
    return 0;
}
