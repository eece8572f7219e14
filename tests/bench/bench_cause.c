/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench_cause [MACHINES [ROUNDS]]: what it costs, in a storm of crashes, to find out where each came from. MACHINES
 * crash at one place of their driver, BATCH at a time, on a clock that is a variable: once traced and once not, by
 * turns in the same run, so that neighbours on the processor disturb both alike. The time is that of a processor for
 * all that happens from a machine's first poke to the Continue of its crash, at both ends, with the results as JSON.
 * Each bucket is checked.
 */
#include "kdnet/error.h"
#include "kdnet/session.h"
#include "kdnet/trace.h"
#include "service/kdnet-target/machine.h"
#include "service/output/event_json.h"
#include "tests/bench/bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MACHINES   4000U
#define ROUNDS     9U
#define BATCH      64U
#define TURN_US    20U
#define PATIENCE   100000U /* turns */
#define FAULT      0x1234U
#define BUCKET     "D1 faulty.sys+0x1234@5F3A1B2C"
#define LINE       8U
#define DELAY_MS   5U
#define ROUNDS_MAX 64U

/* Machines that are traced, or not. */
struct side {
    struct kdnet_session_shared shared;
    double ns;
    uint64_t machines, requests, buckets, results;
};

struct one {
    struct kdnet_session *session;
    struct machine *machine;
    bool ended;
    unsigned held;
    size_t length[LINE];
    uint8_t line[LINE][KDNET_DATAGRAM_MAX]; /* what it has said, and nobody has heard */
};

static struct bench {
    struct kdnet_policy policy;
    struct kdnet_key key;
    struct event_json_subject subject;
    uint64_t now_us, drawn, seed;
    struct one one[BATCH];
} bench;

static _Noreturn void fail(const char *what)
{
    bench_fail("bench_cause", what);
}

static int draw(void *user, uint8_t *out, size_t length)
{
    (void)user;
    for (size_t i = 0; i < length; ++i)
        out[i] = (uint8_t)bench_mix(bench.drawn++);
    return KDNET_OK;
}

static enum kdnet_rva_answer find_rva(void *user, const struct kdnet_pdb *pdb, const char *symbol, uint32_t *rva,
                                      enum kdnet_source *source)
{
    (void)user, (void)pdb;
    if (strcmp(symbol, "IopFinalCrashDumpStatus") != 0)
        return KDNET_RVA_NO_SYMBOLS;
    *rva = MACHINE_RVA_DUMP_STATUS;
    *source = KDNET_SOURCE_RVA;
    return KDNET_RVA_FOUND;
}

/* --- one machine -------------------------------------------------------------------------------------------------- */

static void begin_one(struct side *side, struct one *one)
{
    struct machine_config config = {.crypto = side->shared.crypto,
                                    .scenario = "bugcheck",
                                    .cause = FAULT,
                                    .seed = ++bench.seed,
                                    .start_us = bench.now_us,
                                    .delay_ms = DELAY_MS};
    for (size_t i = 0; i < sizeof config.key.bytes; ++i)
        config.key.bytes[i] = (uint8_t)bench_mix(bench.seed * 64 + i);
    config.self = (struct kdnet_address){.ip = {[10] = 0xff, [11] = 0xff, [12] = 127, [15] = 2}, .port = 50000};
    config.host = (struct kdnet_address){.ip = {[10] = 0xff, [11] = 0xff, [12] = 127, [15] = 1}, .port = 50000};
    *one = (struct one){.session = kdnet_session_new(&side->shared, &bench.policy, &config.key),
                        .machine = machine_new(&config)};
    if (!one->session || !one->machine)
        fail("out of memory");
}

static void take_events(struct side *side, struct one *one)
{
    struct kdnet_event event;
    while (kdnet_session_next_event(one->session, &event)) {
        size_t length;
        free(event_json_event(&bench.subject, &event, &length));
        if (event.type != KDNET_EVENT_CRASH_STATUS)
            continue;
        ++side->results;
        side->buckets += strcmp(event.u.crash_status.bucket, BUCKET) == 0;
    }
}

/* What the machine has to say waits in its line. */
static void hear(struct one *one)
{
    while (one->held < LINE && machine_next_datagram(one->machine, bench.now_us, one->line[one->held],
                                                     sizeof one->line[0], &one->length[one->held]))
        ++one->held;
}

/* What the session has to send reaches its machine at once. */
static void send_all(struct side *side, struct one *one)
{
    static struct kdnet_outgoing out;
    take_events(side, one);
    while (kdnet_session_next_datagram(one->session, bench.now_us, &out)) {
        machine_receive(one->machine, out.payload, out.length, bench.now_us);
        hear(one);
    }
}

/* What the machine has said is taken and answered. */
static void turn(struct side *side, struct one *one)
{
    struct machine_result result;
    struct kdnet_received received;
    if (machine_deadline(one->machine) <= bench.now_us)
        machine_expire(one->machine, bench.now_us);
    hear(one);
    unsigned count = one->held;
    for (unsigned i = 0; i < count; ++i) {
        (void)kdnet_session_receive(one->session, one->line[i], one->length[i], bench.now_us, &received);
        send_all(side, one);
    }
    one->held -= count;
    memmove(one->line[0], one->line[count], one->held * sizeof one->line[0]);
    memmove(one->length, one->length + count, one->held * sizeof one->length[0]);
    if (kdnet_session_deadline(one->session) <= bench.now_us)
        kdnet_session_expire(one->session, bench.now_us);
    send_all(side, one);
    machine_result(one->machine, bench.now_us, &result);
    one->ended = result.continues > 0;
    side->requests += one->ended ? result.requests : 0;
}

/* --- many --------------------------------------------------------------------------------------------------------- */

static void crash_batch(struct side *side)
{
    size_t left = BATCH;
    double began = bench_cpu_ns();
    for (size_t i = 0; i < BATCH; ++i)
        begin_one(side, &bench.one[i]);
    for (unsigned turns = 0; left > 0; bench.now_us += TURN_US) {
        if (++turns > PATIENCE)
            fail("a machine is not continued");
        for (size_t i = 0; i < BATCH; ++i)
            if (!bench.one[i].ended) {
                turn(side, &bench.one[i]);
                left -= bench.one[i].ended;
            }
    }
    for (size_t i = 0; i < BATCH; ++i) {
        kdnet_session_free(bench.one[i].session);
        machine_free(bench.one[i].machine);
    }
    side->ns += bench_cpu_ns() - began;
    side->machines += BATCH;
}

static void init_side(struct side *side, bool traced)
{
    *side = (struct side){.shared = {.crypto = kdnet_crypto_new(),
                                     .random = draw,
                                     .find_rva = find_rva,
                                     .layout_cache = kdnet_layout_cache_new(),
                                     .read_deadline_us = KDNET_READ_DEADLINE_US,
                                     .lost_after_us = KDNET_LOST_AFTER_US,
                                     .dump_for_us = KDNET_DUMP_FOR_US,
                                     .crash_storm = true}};
    side->shared.trace_cache = traced ? kdnet_trace_cache_new() : NULL;
    if (!side->shared.crypto || !side->shared.layout_cache || (traced && !side->shared.trace_cache))
        fail("out of memory");
}

static void end_side(struct side *side)
{
    kdnet_trace_cache_free(side->shared.trace_cache);
    kdnet_layout_cache_free(side->shared.layout_cache);
    kdnet_crypto_free(side->shared.crypto);
}

/* Microseconds a machine, of each side. */
static void play_round(struct side *plain, struct side *traced, size_t machines, double *plain_us, double *traced_us)
{
    plain->ns = traced->ns = 0;
    for (size_t done = 0; done < machines; done += BATCH) {
        crash_batch(plain);
        crash_batch(traced);
    }
    size_t batches = (machines + BATCH - 1) / BATCH;
    *plain_us = plain->ns / 1000 / (double)(batches * BATCH);
    *traced_us = traced->ns / 1000 / (double)(batches * BATCH);
}

static double requests_each(const struct side *side)
{
    return (double)side->requests / (double)side->machines;
}

int main(int argc, char **argv)
{
    static struct side plain, traced;
    double plain_us[ROUNDS_MAX], traced_us[ROUNDS_MAX], ratio[ROUNDS_MAX];
    size_t machines = argc > 1 ? strtoul(argv[1], NULL, 10) : MACHINES;
    unsigned rounds = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : ROUNDS;
    if (argc > 3 || machines == 0 || machines > 1000000 || rounds == 0 || rounds > ROUNDS_MAX)
        fail("usage: bench_cause [MACHINES [ROUNDS]], at most 64 rounds");
    kdnet_policy_init(&bench.policy);
    bench.subject = (struct event_json_subject){.collector = "bench", .target = "machine"};
    init_side(&plain, false);
    init_side(&traced, true);
    crash_batch(&traced); /* the first machines tell what the others need not */
    for (unsigned i = 0; i < rounds; ++i) {
        play_round(&plain, &traced, machines, &plain_us[i], &traced_us[i]);
        ratio[i] = plain_us[i] / traced_us[i];
    }
    if (traced.buckets != traced.results || plain.buckets != 0)
        fail("a machine is in another group");
    char note[128];
    (void)snprintf(note, sizeof note, "%.2f and %.2f round trips; median of the rounds' ratios %.3f",
                   requests_each(&traced), requests_each(&plain), bench_median(ratio, rounds));
    const struct bench_figure figure = {.figure = "causes",
                                        .what = "a traced crash in a storm, to its Continue, both ends",
                                        .unit = "us",
                                        .floor_is = "the same without a trace",
                                        .ours = bench_median(traced_us, rounds),
                                        .floor = bench_median(plain_us, rounds),
                                        .n = machines,
                                        .rounds = rounds};
    bench_print(&figure, note);
    end_side(&plain);
    end_side(&traced);
    return 0;
}
