/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench_load targets COUNT ADDRESSED: a targets file for kdnetd of a crowd (crowd.h), with their addresses or without.
 *
 * bench_load host COUNT ADDR:PORT: plays the crowd. Reads commands from standard input, a line each, and answers each
 * with a line of JSON:
 *
 *   connect SECONDS                      pokes until all are connected: {"connected":N,"seconds":S}
 *   load DATAGRAMS RUN RATE STRANGERS    sealed before, then pokes of all targets in a shuffled order, RUN of each in a
 *                                        row, RATE a second (0: as many as go); of 1,000 datagrams STRANGERS come from
 *                                        addresses and keys that nobody knows. When all is sealed it says
 * {"ready":true}, and waits for a line: {"sent":N,"strangers":N,"seconds":S} idle SECONDS                         each
 * target pokes every 3 s, evenly spread: {"sent":N,"seconds":S} first SECONDS                        one target pokes
 * every millisecond until it is answered: {"at_ns":T}, or 0 ask SECONDS                          the same poke every
 * millisecond, answered each time, as it must be:
 *                                        {"answers":N,"missing":N,"p50_us":…,"p95_us":…,"max_us":…} from sending to the
 * answer identify ROUNDS FROM                 in each round a target that never poked does: as ask does quit
 */
#include "kdnet/error.h"
#include "tests/bench/bench.h"
#include "tests/bench/crowd.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PERIOD_NS       3e9   /* of a target's pokes */
#define AGAIN_NS        1e9   /* a target that has no answer pokes again */
#define UNDER_WAY       2000U /* handshakes at a time */
#define SAMPLES_MAX     1000000U
#define PATIENCE_NS     20e9 /* for the key of one poke */
#define LATE_NS         1e9  /* no response for so long: none is under way */
#define STRANGER_PLACES 100000U
#define LOOK_AGAIN      256U /* pokes of idle targets */

static _Noreturn void fail(const char *what)
{
    bench_fail("bench_load", what);
}

static void sleep_until(double when_ns)
{
    struct timespec t = {.tv_sec = (time_t)(when_ns / 1e9)};
    t.tv_nsec = (long)(when_ns - (double)t.tv_sec * 1e9);
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) == EINTR)
        ;
}

static int print_targets(uint32_t count, bool addressed)
{
    for (uint32_t i = 0; i < count; ++i) {
        struct kdnet_key key;
        char text[KDNET_KEY_TEXT_SIZE], address[INET_ADDRSTRLEN];
        struct in_addr ip = crowd_address(i);
        crowd_key(i, &key);
        kdnet_key_format(&key, text);
        (void)inet_ntop(AF_INET, &ip, address, sizeof address);
        if (printf("load-%" PRIu32 " %s%s%s\n", i, text, addressed ? " " : "", addressed ? address : "") < 0)
            return 1;
    }
    return fflush(stdout) == 0 ? 0 : 1;
}

/* --- connect ------------------------------------------------------------------------------------------------------ */

static void poke_once(struct crowd *crowd, uint32_t index)
{
    uint8_t poke[CROWD_POKE];
    crowd_seal_poke(crowd, index, false, poke);
    crowd_send(crowd, index, poke, sizeof poke);
}

/* One pass over those that are not connected, with so many under way that no buffer overflows. */
static void poke_all(struct crowd *crowd, double end_ns)
{
    uint64_t before = crowd->responses, sent = 0;
    double since_ns = bench_wall_ns();
    for (uint32_t i = 0; i < crowd->count && bench_wall_ns() < end_ns; ++i) {
        if (crowd->targets[i].state == CROWD_CONNECTED)
            continue;
        poke_once(crowd, i);
        ++sent;
        while (sent > crowd->responses - before + UNDER_WAY && bench_wall_ns() - since_ns < AGAIN_NS)
            crowd_take(crowd, 1000);
        if (bench_wall_ns() - since_ns >= AGAIN_NS) { /* some were lost: they get their turn again */
            before = crowd->responses;
            sent = 0;
            since_ns = bench_wall_ns();
        }
        crowd_take(crowd, 0);
    }
}

/* Who poked again before it was answered gets another response yet. A machine takes it; one that did not would be
 * answered again at each of its pokes, for ever. */
static void take_late(struct crowd *crowd)
{
    uint64_t before = crowd->responses;
    double end_ns = bench_wall_ns() + PATIENCE_NS, quiet_ns = bench_wall_ns() + LATE_NS;
    while (bench_wall_ns() < quiet_ns && bench_wall_ns() < end_ns) {
        crowd_take(crowd, 10000);
        if (crowd->responses > before)
            quiet_ns = bench_wall_ns() + LATE_NS;
        before = crowd->responses;
    }
}

static void do_connect(struct crowd *crowd, double seconds)
{
    double start_ns = bench_wall_ns(), end_ns = start_ns + seconds * 1e9;
    while (crowd->connected < crowd->count && bench_wall_ns() < end_ns) {
        double again_ns = bench_wall_ns() + AGAIN_NS;
        poke_all(crowd, end_ns);
        while (crowd->connected < crowd->count && bench_wall_ns() < again_ns)
            crowd_take(crowd, 10000);
    }
    double took_ns = bench_wall_ns() - start_ns;
    take_late(crowd);
    (void)printf("{\"connected\":%" PRIu32 ",\"seconds\":%.6f}\n", crowd->connected, took_ns / 1e9);
}

/* --- load --------------------------------------------------------------------------------------------------------- */

struct load {
    struct crowd *crowd;
    uint8_t *pokes; /* RUN of a target in a row */
    uint32_t *order;
    size_t turns; /* targets' runs in all */
    size_t run;
    double rate;
    unsigned strangers_in_1000;
    uint8_t stranger[CROWD_POKE];
    uint64_t sent, strangers;
};

static void shuffle(uint32_t *order, uint32_t count)
{
    for (uint32_t i = 0; i < count; ++i)
        order[i] = i;
    for (uint32_t i = count - 1; i > 0; --i) {
        uint32_t j = (uint32_t)(bench_mix(i) % (i + 1)), swap = order[i];
        order[i] = order[j];
        order[j] = swap;
    }
}

static void seal_load(struct load *load)
{
    struct crowd *crowd = load->crowd;
    load->pokes = malloc(load->turns * load->run * CROWD_POKE);
    load->order = malloc(crowd->count * sizeof *load->order);
    if (!load->pokes || !load->order)
        fail("out of memory");
    shuffle(load->order, crowd->count);
    uint8_t *at = load->pokes;
    for (size_t turn = 0; turn < load->turns; ++turn)
        for (size_t i = 0; i < load->run; ++i, at += CROWD_POKE)
            crowd_seal_poke(crowd, load->order[turn % crowd->count], true, at);
}

/* A poke with a key that nobody has. */
static void seal_stranger(struct load *load)
{
    crowd_seal_poke(load->crowd, 0, false, load->stranger);
    for (size_t i = KDNET_HEADER_LENGTH; i < CROWD_POKE; ++i)
        load->stranger[i] = (uint8_t)bench_mix(i);
}

/* Adds messages of strangers to a batch, as many as are due. */
static size_t add_strangers(struct load *load, struct crowd_message *messages, size_t count)
{
    while (count < CROWD_BATCH && load->strangers * 1000 < (load->sent + load->strangers) * load->strangers_in_1000) {
        messages[count++] =
            (struct crowd_message){.index = CROWD_MAX - 1 - (uint32_t)(load->strangers % STRANGER_PLACES),
                                   .data = load->stranger,
                                   .length = CROWD_POKE};
        ++load->strangers;
    }
    return count;
}

/* Sends the turns up to this one. */
static void send_load(struct load *load, double start_ns, size_t end)
{
    struct crowd_message messages[CROWD_BATCH];
    size_t batch = load->strangers_in_1000 > 0 || load->rate > 0 ? CROWD_BATCH / 4 : CROWD_BATCH;
    for (size_t turn = (size_t)(load->sent / load->run); turn < end;) {
        size_t count = 0;
        for (; count < batch && turn < end; ++turn, ++count) {
            messages[count] = (struct crowd_message){.index = load->order[turn % load->crowd->count],
                                                     .data = load->pokes + turn * load->run * CROWD_POKE,
                                                     .length = load->run * CROWD_POKE};
            load->sent += load->run;
        }
        count = add_strangers(load, messages, count);
        double due_ns = start_ns + (double)(load->sent + load->strangers) / load->rate * 1e9;
        while (load->rate > 0 && bench_wall_ns() < due_ns)
            ;
        crowd_send_all(load->crowd, messages, count);
    }
}

/* Says that all is sealed, or sent, and waits for a line. */
static void wait_line(void)
{
    char line[16];
    (void)fflush(stdout);
    if (!fgets(line, sizeof line, stdin))
        fail("nobody says go");
}

static void clear_load(struct load *load)
{
    free(load->pokes);
    free(load->order);
}

static void do_load(struct crowd *crowd, uint64_t datagrams, size_t run, double rate, unsigned strangers)
{
    struct load load = {
        .crowd = crowd, .run = run, .turns = (size_t)(datagrams / run), .rate = rate, .strangers_in_1000 = strangers};
    seal_load(&load);
    seal_stranger(&load);
    crowd_take(crowd, 0);
    (void)printf("{\"ready\":true}\n");
    wait_line();
    double start_ns = bench_wall_ns();
    send_load(&load, start_ns, load.turns);
    (void)printf("{\"sent\":%" PRIu64 ",\"strangers\":%" PRIu64 ",\"seconds\":%.6f}\n", load.sent, load.strangers,
                 (bench_wall_ns() - start_ns) / 1e9);
    clear_load(&load);
}

static void do_bursts(struct crowd *crowd, uint64_t datagrams, size_t run, uint64_t size)
{
    struct load load = {.crowd = crowd, .run = run, .turns = (size_t)(datagrams / run)};
    seal_load(&load);
    (void)printf("{\"ready\":true}\n");
    while (load.sent < load.turns * run) {
        size_t done = (size_t)(load.sent / run), left = load.turns - done, most = (size_t)(size / run);
        wait_line();
        send_load(&load, 0, done + (most > left ? left : most));
        (void)printf("{\"sent\":%" PRIu64 "}\n", load.sent);
    }
    clear_load(&load);
}

/* --- idle --------------------------------------------------------------------------------------------------------- */

static void do_idle(struct crowd *crowd, double seconds)
{
    double start_ns = bench_wall_ns(), gap_ns = PERIOD_NS / crowd->count;
    uint8_t poke[CROWD_POKE];
    uint64_t sent = 0;
    uint32_t *order = malloc(crowd->count * sizeof *order);
    if (!order)
        fail("out of memory");
    shuffle(order, crowd->count);
    for (; (double)sent * gap_ns < seconds * 1e9; ++sent) {
        uint32_t index = order[sent % crowd->count];
        crowd_seal_poke(crowd, index, true, poke);
        sleep_until(start_ns + (double)sent * gap_ns);
        crowd_send(crowd, index, poke, sizeof poke);
        if (sent % LOOK_AGAIN == 0)
            crowd_take(crowd, 0); /* whose key was not confirmed is answered, and confirms it */
    }
    sleep_until(start_ns + seconds * 1e9);
    free(order);
    (void)printf("{\"sent\":%" PRIu64 ",\"seconds\":%.6f}\n", sent, (bench_wall_ns() - start_ns) / 1e9);
}

/* --- first, ask, identify ----------------------------------------------------------------------------------------- */

static void do_first(struct crowd *crowd, double seconds)
{
    double start_ns = bench_wall_ns(), at_ns = 0;
    uint64_t before = crowd->responses;
    uint8_t poke[CROWD_POKE];
    crowd_seal_poke(crowd, 0, false, poke);
    while (at_ns == 0 && bench_wall_ns() - start_ns < seconds * 1e9) {
        crowd_send(crowd, 0, poke, sizeof poke);
        crowd_take(crowd, 1000);
        if (crowd->responses > before)
            at_ns = bench_wall_ns();
    }
    (void)printf("{\"at_ns\":%.0f}\n", at_ns);
}

static void print_times(uint64_t missing, double *us, size_t count)
{
    if (count == 0)
        us[count++] = 0;
    double p50 = bench_quantile(us, count, 0.5), p95 = bench_quantile(us, count, 0.95);
    (void)printf("{\"answers\":%zu,\"missing\":%" PRIu64 ",\"p50_us\":%.3f,\"p95_us\":%.3f,\"max_us\":%.3f}\n", count,
                 missing, p50, p95, us[count - 1]);
}

/* Waits for one response more than there were. Microseconds, or less than 0. */
static double wait_answer(struct crowd *crowd, uint64_t before, double sent_ns, double patience_ns)
{
    while (crowd->responses == before && bench_wall_ns() - sent_ns < patience_ns)
        crowd_take(crowd, 1000);
    return crowd->responses > before ? (bench_wall_ns() - sent_ns) / 1000 : -1;
}

static void do_ask(struct crowd *crowd, double seconds)
{
    double start_ns = bench_wall_ns(), *us = malloc(SAMPLES_MAX * sizeof *us);
    uint8_t poke[CROWD_POKE];
    size_t count = 0;
    uint64_t missing = 0;
    uint32_t index = crowd->count - 1;
    if (!us)
        fail("out of memory");
    crowd_seal_poke(crowd, index, false, poke);
    crowd->targets[index].state = CROWD_DEAF; /* it does not confirm the key: so each repeat is answered again */
    double next_ns = start_ns;
    while (next_ns < start_ns + seconds * 1e9 && count < SAMPLES_MAX) {
        sleep_until(next_ns);
        double sent_ns = bench_wall_ns();
        crowd_send(crowd, index, poke, sizeof poke);
        double took_us = wait_answer(crowd, crowd->responses, sent_ns, 1e9);
        if (took_us >= 0)
            us[count++] = took_us;
        else
            ++missing;
        next_ns += 1e6;
        if (bench_wall_ns() > next_ns)
            next_ns = bench_wall_ns();
    }
    print_times(missing, us, count);
    free(us);
}

static void do_identify(struct crowd *crowd, uint32_t rounds, uint32_t from)
{
    double *us = malloc(rounds * sizeof *us);
    size_t count = 0;
    if (!us)
        fail("out of memory");
    for (uint32_t round = 0; round < rounds; ++round) {
        uint32_t index = (uint32_t)(((uint64_t)round * crowd->count + crowd->count / 2) / rounds + from) % crowd->count;
        crowd_take(crowd, 0); /* what is late */
        uint64_t before = crowd->responses;
        double sent_ns = bench_wall_ns();
        poke_once(crowd, index);
        double took_us = wait_answer(crowd, before, sent_ns, PATIENCE_NS);
        if (took_us >= 0 && crowd->last == index)
            us[count++] = took_us;
        sleep_until(bench_wall_ns() + 2e6);
    }
    print_times(rounds - count, us, count);
    free(us);
}

/* --- commands ----------------------------------------------------------------------------------------------------- */

/* NOLINTBEGIN(cert-err34-c): the lines are the runner's, and a number that does not fit is a wrong figure at worst */
/* False: quit. */
static bool command(struct crowd *crowd, const char *line)
{
    double seconds, rate;
    uint64_t datagrams, size;
    size_t run;
    unsigned strangers;
    uint32_t rounds, from;
    if (sscanf(line, "connect %lf", &seconds) == 1)
        do_connect(crowd, seconds);
    else if (sscanf(line, "load %" SCNu64 " %zu %lf %u", &datagrams, &run, &rate, &strangers) == 4 && run > 0 &&
             run <= CROWD_SEGMENTS_MAX && datagrams >= run && strangers < 1000)
        do_load(crowd, datagrams, run, rate, strangers);
    else if (sscanf(line, "bursts %" SCNu64 " %zu %" SCNu64, &datagrams, &run, &size) == 3 && run > 0 &&
             run <= CROWD_SEGMENTS_MAX && datagrams >= run && size >= run)
        do_bursts(crowd, datagrams, run, size);
    else if (sscanf(line, "idle %lf", &seconds) == 1)
        do_idle(crowd, seconds);
    else if (sscanf(line, "first %lf", &seconds) == 1)
        do_first(crowd, seconds);
    else if (sscanf(line, "ask %lf", &seconds) == 1)
        do_ask(crowd, seconds);
    else if (sscanf(line, "identify %" SCNu32 " %" SCNu32, &rounds, &from) == 2 && rounds > 0)
        do_identify(crowd, rounds, from);
    else if (strncmp(line, "quit", 4) == 0)
        return false;
    else
        fail("no such command");
    (void)fflush(stdout);
    return true;
}
/* NOLINTEND(cert-err34-c) */

static int play(uint32_t count, const char *place)
{
    struct crowd crowd;
    char line[128];
    struct sockaddr_in host;
    if (!crowd_parse_host(place, &host))
        fail("the host is no ADDR:PORT");
    if (!crowd_init(&crowd, count, &host))
        return 1;
    while (fgets(line, sizeof line, stdin) && command(&crowd, line))
        ;
    crowd_clear(&crowd);
    return 0;
}

int main(int argc, char **argv)
{
    unsigned long count = argc == 4 ? strtoul(argv[2], NULL, 10) : 0;
    if (count < 1 || count > CROWD_MAX - STRANGER_PLACES)
        fail("usage: bench_load targets COUNT 0|1, or bench_load host COUNT ADDR:PORT");
    if (strcmp(argv[1], "targets") == 0)
        return print_targets((uint32_t)count, strcmp(argv[3], "1") == 0);
    return play((uint32_t)count, argv[3]);
}
