/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench_crash COUNT ADDR:PORT WAIT_MS SPREAD_MS DUMP_MS [OTHERS]: COUNT machines (service/kdnet-target/machine.h) with
 * the keys and addresses of a crowd connect, and from WAIT_MS on crash, all within SPREAD_MS; each writes its dump for
 * DUMP_MS and reboots. One socket and batches make it several times as quick as kdnet-target, so that it is not what is
 * measured. With OTHERS all crash at one place of their driver, but OTHERS at places of their own.
 *
 * Ends when all are well again, or 60 s after WAIT_MS. Prints {"well":N,"p50_ms":…,"p99_ms":…,"max_ms":…,
 * "all_p50_ms":…,"all_p99_ms":…,"all_max_ms":…,"sent_again":N,"harmed":N}: machines that ended as they should; their
 * longest halts as they saw them; the same from the first word of their crash on, the debug print that waits for its
 * ACK, until their first Continue; packets that they sent again because nothing answered; machines that were continued
 * so as to harm them.
 */
#include "service/kdnet-target/machine.h"
#include "tests/bench/bench.h"
#include "tests/bench/crowd.h"

#include <netinet/udp.h>
#include <stdio.h>
#include <stdlib.h>

#define REBOOT_MS    200U
#define PATIENCE_US  60000000U
#define CONNECT_US   1000000U /* they start over this time */
#define COMMON_FAULT 0x1234U  /* in the driver */
#define OTHER_FAULTS 0x1040U  /* and so on */
#define OTHERS_MAX   56U      /* within the body of one function */
#define TURN_US      1000U    /* deadlines are looked at so often */

struct crash {
    struct crowd crowd;
    struct machine **machines;
    uint64_t *due_us;
    uint64_t *crash_us, *went_on_us; /* when its crash begins; when it was first continued, 0: not yet */
    double start_ns;
    uint8_t space[CROWD_BATCH][KDNET_DATAGRAM_MAX];
    struct crowd_message messages[CROWD_BATCH];
    size_t held;
    bool caused; /* they crash in their driver */
    uint32_t others;
};

static _Noreturn void fail(const char *what)
{
    bench_fail("bench_crash", what);
}

static uint64_t now_us(const struct crash *c)
{
    return (uint64_t)((bench_wall_ns() - c->start_ns) / 1000);
}

static void send_held(struct crash *c)
{
    crowd_send_all(&c->crowd, c->messages, c->held);
    c->held = 0;
}

/* What the machine has to send, and when it wants to be looked at again. */
static void flush(struct crash *c, uint32_t index)
{
    size_t length;
    uint64_t now = now_us(c);
    while (machine_next_datagram(c->machines[index], now, c->space[c->held], sizeof c->space[0], &length)) {
        c->messages[c->held] = (struct crowd_message){.index = index, .data = c->space[c->held], .length = length};
        if (++c->held == CROWD_BATCH)
            send_held(c);
    }
    c->due_us[index] = machine_deadline(c->machines[index]);
}

static void take(void *user, uint32_t index, const uint8_t *payload, size_t length)
{
    struct crash *c = user;
    struct machine_result result;
    machine_receive(c->machines[index], payload, length, now_us(c));
    if (c->went_on_us[index] == 0) {
        machine_result(c->machines[index], now_us(c), &result);
        c->went_on_us[index] = result.continues > 0 ? now_us(c) : 0;
    }
    flush(c, index);
}

/* Where in its driver a machine crashes: OTHERS of them are spread among those with the common fault. */
static uint32_t cause_of(const struct crash *c, uint32_t index)
{
    uint32_t each = c->others > 0 ? c->crowd.count / c->others : 0;
    bool other = each > 0 && index % each == 0 && index / each < c->others;
    return !c->caused ? 0 : other ? OTHER_FAULTS + 16 * (index / each) : COMMON_FAULT;
}

static void make_machines(struct crash *c, uint32_t wait_ms, uint32_t spread_ms, uint32_t dump_ms)
{
    struct machine_config config = {
        .crypto = c->crowd.crypto, .scenario = "bugcheck", .dump_ms = dump_ms, .reboot_ms = REBOOT_MS};
    c->machines = calloc(c->crowd.count, sizeof(struct machine *));
    c->due_us = calloc(c->crowd.count, sizeof *c->due_us);
    c->crash_us = calloc(c->crowd.count, sizeof *c->crash_us);
    c->went_on_us = calloc(c->crowd.count, sizeof *c->went_on_us);
    if (!c->machines || !c->due_us || !c->crash_us || !c->went_on_us)
        fail("out of memory");
    crowd_put_address(c->crowd.host.sin_addr, ntohs(c->crowd.host.sin_port), &config.host);
    for (uint32_t i = 0; i < c->crowd.count; ++i) {
        crowd_key(i, &config.key);
        config.seed = bench_mix(i);
        config.cause = cause_of(c, i);
        config.start_us = (uint64_t)CONNECT_US * i / c->crowd.count;
        uint64_t crash_ms = wait_ms + bench_mix(i) % (spread_ms + 1);
        config.delay_ms = (uint32_t)(crash_ms - config.start_us / 1000);
        c->crash_us[i] = config.start_us + (uint64_t)config.delay_ms * 1000;
        crowd_put_address(crowd_address(i), c->crowd.port, &config.self);
        c->machines[i] = machine_new(&config);
        if (!c->machines[i])
            fail("out of memory");
    }
}

static bool all_ended(const struct crash *c)
{
    for (uint32_t i = 0; i < c->crowd.count; ++i)
        if (!machine_is_ended(c->machines[i], now_us(c)))
            return false;
    return true;
}

static void run(struct crash *c, uint64_t end_us)
{
    uint64_t look_us = 0, turn_us = 0;
    for (uint32_t i = 0; i < c->crowd.count; ++i)
        flush(c, i);
    for (uint64_t now = now_us(c); now < end_us; now = now_us(c)) {
        if (now >= turn_us) {
            turn_us = now + TURN_US;
            for (uint32_t i = 0; i < c->crowd.count; ++i)
                if (c->due_us[i] <= now) {
                    machine_expire(c->machines[i], now);
                    flush(c, i);
                }
        }
        send_held(c);
        (void)crowd_receive(&c->crowd, TURN_US / 4, take, c);
        send_held(c);
        if (now >= look_us + 100000) {
            look_us = now;
            if (all_ended(c))
                return;
        }
    }
}

/* Prints the median, the 99 % and the longest of times, which it sorts. */
static void tell_times(double *ms, size_t count, const char *prefix)
{
    double p50 = bench_quantile(ms, count, 0.5), p99 = bench_quantile(ms, count, 0.99);
    (void)printf("\"%sp50_ms\":%.3f,\"%sp99_ms\":%.3f,\"%smax_ms\":%.3f,", prefix, p50, prefix, p99, prefix,
                 ms[count - 1]);
}

static void tell(const struct crash *c)
{
    double *halt_ms = calloc(c->crowd.count, sizeof *halt_ms), *all_ms = calloc(c->crowd.count, sizeof *all_ms);
    unsigned well = 0, sent_again = 0, harmed = 0;
    if (!halt_ms || !all_ms)
        fail("out of memory");
    for (uint32_t i = 0; i < c->crowd.count; ++i) {
        struct machine_result result;
        machine_result(c->machines[i], now_us(c), &result);
        halt_ms[i] = (double)result.longest_halt_us / 1000;
        all_ms[i] = (double)((c->went_on_us[i] > 0 ? c->went_on_us[i] : now_us(c)) - c->crash_us[i]) / 1000;
        well += result.state == MACHINE_ENDED && result.released_wrongly == 0;
        harmed += result.released_wrongly > 0;
        sent_again += result.retransmissions;
    }
    (void)printf("{\"well\":%u,", well);
    tell_times(halt_ms, c->crowd.count, "");
    tell_times(all_ms, c->crowd.count, "all_");
    (void)printf("\"sent_again\":%u,\"harmed\":%u}\n", sent_again, harmed);
    free(halt_ms);
    free(all_ms);
}

int main(int argc, char **argv)
{
    struct crash *c = calloc(1, sizeof *c);
    unsigned long count = argc == 6 || argc == 7 ? strtoul(argv[1], NULL, 10) : 0, wait_ms = 0, spread_ms = 0,
                  dump_ms = 0, others = 0;
    struct sockaddr_in host;
    int whole = 0;
    if (count >= 1) {
        wait_ms = strtoul(argv[3], NULL, 10);
        spread_ms = strtoul(argv[4], NULL, 10);
        dump_ms = strtoul(argv[5], NULL, 10);
        others = argc == 7 ? strtoul(argv[6], NULL, 10) : 0;
    }
    if (!c || count < 1 || count > CROWD_MAX || !crowd_parse_host(argv[2], &host) || wait_ms < 1000 ||
        wait_ms > 60000 || spread_ms > 60000 || dump_ms > 60000 || others > OTHERS_MAX)
        fail("usage: bench_crash COUNT ADDR:PORT WAIT_MS SPREAD_MS DUMP_MS [OTHERS], WAIT_MS from 1000 to 60000");
    if (!crowd_init(&c->crowd, (uint32_t)count, &host) ||
        setsockopt(c->crowd.socket, IPPROTO_UDP, UDP_SEGMENT, &whole, sizeof whole) != 0)
        fail("no socket");
    c->caused = argc == 7;
    c->others = (uint32_t)others;
    make_machines(c, (uint32_t)wait_ms, (uint32_t)spread_ms, (uint32_t)dump_ms);
    c->start_ns = bench_wall_ns();
    run(c, wait_ms * 1000 + PATIENCE_US);
    tell(c);
    for (uint32_t i = 0; i < c->crowd.count; ++i)
        machine_free(c->machines[i]);
    free(c->machines);
    free(c->due_us);
    free(c->crash_us);
    free(c->went_on_us);
    crowd_clear(&c->crowd);
    free(c);
    return 0;
}
