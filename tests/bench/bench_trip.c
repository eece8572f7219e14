/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench_trip [COUNT]: the round trip of a datagram of 118 bytes over loopback, between two processes that do nothing
 * else, on a core each where there are two: {"count":N,"p50_us":…,"p99_us":…}.
 */
#include "tests/bench/bench.h"

#include <arpa/inet.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define COUNT   20000UL
#define LENGTH  118 /* of a request or its reply, about */
#define WARM_UP 1000UL

static _Noreturn void fail(const char *what)
{
    bench_fail("bench_trip", what);
}

static int bound(struct sockaddr_in *address)
{
    socklen_t length = sizeof *address;
    int descriptor = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    *address = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    if (descriptor < 0 || bind(descriptor, (struct sockaddr *)address, sizeof *address) != 0 ||
        getsockname(descriptor, (struct sockaddr *)address, &length) != 0)
        fail("no UDP socket on loopback");
    return descriptor;
}

static _Noreturn void echo(int descriptor)
{
    char datagram[LENGTH];
    (void)bench_pin(1);
    while (recv(descriptor, datagram, sizeof datagram, 0) == LENGTH)
        if (send(descriptor, datagram, LENGTH, 0) != LENGTH)
            break;
    _exit(0);
}

static double trip_us(int descriptor)
{
    char datagram[LENGTH] = {0};
    double start = bench_wall_ns();
    if (send(descriptor, datagram, LENGTH, 0) != LENGTH || recv(descriptor, datagram, LENGTH, 0) != LENGTH)
        fail("a datagram was lost on loopback");
    return (bench_wall_ns() - start) / 1000;
}

int main(int argc, char **argv)
{
    struct sockaddr_in here, there;
    unsigned long count = argc > 1 ? strtoul(argv[1], NULL, 10) : COUNT;
    struct timeval patience = {.tv_sec = 10};
    double *us = calloc(count + 1, sizeof *us);
    int one = bound(&here), other = bound(&there);
    if (!us || count < 1 || connect(one, (struct sockaddr *)&there, sizeof there) != 0 ||
        connect(other, (struct sockaddr *)&here, sizeof here) != 0 ||
        setsockopt(one, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) != 0)
        fail("usage: bench_trip [COUNT]");
    pid_t child = fork();
    if (child < 0)
        fail("no process to be had");
    if (child == 0)
        echo(other);
    (void)bench_pin(0);
    for (unsigned long i = 0; i < WARM_UP; ++i)
        (void)trip_us(one);
    for (unsigned long i = 0; i < count; ++i)
        us[i] = trip_us(one);
    (void)send(one, "", 0, 0); /* the end */
    (void)waitpid(child, NULL, 0);
    double p50 = bench_quantile(us, count, 0.5);
    (void)printf("{\"count\":%lu,\"p50_us\":%.3f,\"p99_us\":%.3f}\n", count, p50, bench_quantile(us, count, 0.99));
    free(us);
    return 0;
}
